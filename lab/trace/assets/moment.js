// A moment that a person chooses: the command that executes the run again to there.
const goal = document.getElementById("goto"), goalAt = document.getElementById("goto-at");
const command = document.getElementById("goto-command"), copied = document.getElementById("copied");
const copy = document.getElementById("copy");
let chosen = null;  // in units

// Chooses a moment; `unsure` is what a pixel stands for, in units.
const choose = (t, unsure) => {
  if (!data.replay) return;
  const digits = Math.min(6, Math.max(3, Math.ceil(-Math.log10(unsure * data.unit))));
  const at = data.start + t * data.unit - data.replay.began;
  chosen = t;
  goal.hidden = false;
  copied.textContent = "";
  const early = at < 0, late = at > data.replay.until;
  command.hidden = copy.hidden = early || late;
  const why = early ? ", before the guests began" : late ? ", after the run was decided" : ":";
  goalAt.textContent = `${moment(t, digits)} on this page${why}`;
  const seconds = at.toFixed(digits).replace(/\.?0+$/, "");
  command.textContent = command.hidden ? "" : `${data.replay.command} --at ${seconds}s`;
};
const drawChosen = (canvas, view) => {
  if (chosen === null || chosen < view.from || chosen > view.to) return;
  const pen = canvas.getContext("2d"), left = gutter(), width = canvas.clientWidth - left;
  pen.fillStyle = colours.ink;
  pen.fillRect(left + ((chosen - view.from) / (view.to - view.from)) * width - 0.5, AXIS - 10, 1, canvas.clientHeight);
};

const selectCommand = () => getSelection().selectAllChildren(command);
const copyCommand = async () => {
  try {
    await navigator.clipboard.writeText(command.textContent);
  } catch {  // a page from a file may not use the clipboard in some browsers
    selectCommand();
    if (!document.execCommand("copy")) {
      copied.textContent = "selected: copy it with Ctrl + C";
      return;
    }
  }
  copied.textContent = "copied";
};
copy.addEventListener("click", copyCommand);
