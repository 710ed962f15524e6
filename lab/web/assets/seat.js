"use strict";
// The page of a seat.

const STATES = {off: "off", starting: "starting", running: "running", stands: "stands still",
                ended: "ended",
                asleep: "waking up"};
let run = "", built = "";

const consoles = new Consoles(byId("tabs"), byId("screens"), {
  typed: (on, text) => link.send({type: "type", on, text}),
  resized: (on, rows, columns) =>
    ["dom0", gdb.name].includes(on) && link.send({type: "size", on, rows, columns}),
  showed: (name) => { gdb.panel.hidden = name !== gdb.name; },
  chose: () => {
    editor.hide();
    timeline.hide();
  },
});

const timeline = new Timeline(() => {
  consoles.hide();
  editor.hide();
});

const editor = new Editor({
  shown: () => {
    consoles.hide();
    timeline.hide();
  },
  build: (guest, anew) => link.send({type: "do", verb: "build", guest, anew}),
});

const link = new Link({
  hello: () => ({type: "from", run, at: consoles.places()}),
  text: (message) => message.type === "seat" ? show(message) : notice(message.text),
  binary: (frame) => consoles.write(frame),
  lost: () => {
    state("connecting", "the server does not answer; this page tries again");
    for (const verb of ["up", "down", "reset"]) byId(verb).disabled = true;
  },
  unsent: () => notice("not connected: nothing was done"),
});

// Builds, starts and checks of a class wait for each other.
function queue({before}) {
  if (before === null) return "";
  return before ? ` (${before} before yours)` : " (yours is next)";
}

function state(word, title = "", more = "") {
  byId("state").textContent = word + more;
  byId("state").dataset.state = word;
  byId("state").title = title;
}

function show(seat) {
  document.title = seat.name;
  byId("name").textContent = seat.name;
  byId("message").textContent = seat.closed ? "Your teacher has closed this seat." : seat.message;
  byId("message").hidden = !byId("message").textContent;
  state(seat.busy || STATES[seat.state] || seat.state, "", queue(seat));
  if (seat.run !== run) consoles.clear();
  run = seat.run;
  consoles.set(seat.consoles, [gdb.name]);
  byId("up").disabled = Boolean(seat.busy) || seat.state !== "off" && seat.state !== "ended";
  byId("reset").disabled = false;
  byId("down").disabled = ["off", "ended"].includes(seat.state) && !seat.busy;
  byId("domains").tBodies[0].replaceChildren(...seat.domains.map(row));
  lesson.show(seat);
  timeline.show(seat);
  gdb.show(seat);
  building(seat);
  byId("problem").textContent = seat.problem;
  byId("problem").hidden = !seat.problem;
  byId("output").hidden = !seat.said;
  byId("output").open = seat.failed && !seat.problems.length;
  byId("output").lastElementChild.textContent = seat.said;
}

// The compiler's messages; if there are none, what the guest says is shown.
function building(seat) {
  const busy = seat.busy.startsWith("building");
  byId("build").disabled = Boolean(seat.busy);
  editor.set([...editor.problems.filter((one) => one.mine), ...seat.problems]);
  if (built && !busy && !seat.failed && editor.open) consoles.choose(built, true);
  built = busy ? seat.busy.slice("building ".length) : "";
}

function row(domain) {
  const words = {r: "runs", b: "sleeps", p: "paused", s: "has ended", c: "crashed", d: "dies"};
  const letter = [...domain.state].find((one) => one in words);
  const made = element("tr");
  made.append(
    element("th", domain.name, {scope: "row"}),
    element("td", domain.note || words[letter] || "ready"),
    element("td", `${domain.time.toFixed(1)} s`, {className: "number"}),
  );
  return made;
}

let timer = 0;

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { byId("notice").hidden = true; }, 6000);
}

for (const verb of ["up", "down", "reset"]) {
  byId(verb).addEventListener("click", () => link.send({type: "do", verb}));
}
