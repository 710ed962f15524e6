// The part of the timeline that is shown, and how a person moves in it.
const canvas = document.getElementById("time"), map = document.getElementById("map");
const tip = document.getElementById("tip"), where = document.getElementById("where");
const view = { from: 0, to: data.span };
let opened = null;  // the first view, until a person moves
const least = () => Math.max(8, 1e-6 / data.unit);
let waiting = false;

const draw = () => {
  waiting = false;
  drawAll(canvas, view);
  drawChosen(canvas, view);
  drawMap(map, view);
  const length = (view.to - view.from) * data.unit;
  where.textContent = `${moment(view.from)} to ${moment(view.to)}: ${duration(length)}`;
  if (opened && data.why) where.textContent += ` · ${data.why}`;
};
const redraw = () => {
  if (!waiting) { waiting = true; requestAnimationFrame(draw); }
};
const show = (from, to) => {
  opened = null;
  const length = Math.min(data.span, Math.max(least(), to - from));
  const begin = Math.min(data.span - length, Math.max(0, from));
  view.from = begin;
  view.to = begin + length;
  tip.hidden = true;
  redraw();
};
const zoom = (factor, at = (view.from + view.to) / 2) => {
  const length = Math.min(data.span, Math.max(least(), (view.to - view.from) * factor));
  const share = (at - view.from) / (view.to - view.from);
  show(at - share * length, at + (1 - share) * length);
};
const shift = (share) => {
  const step = (view.to - view.from) * share;
  show(view.from + step, view.to + step);
};

// Late jobs, in order of time.
const late = [];
for (const lane of lanes) {
  for (let i = 0; lane.jobs && i < lane.jobs.late.length; i++) {
    if (lane.jobs.late[i]) late.push([lane.jobs.start[i], lane.jobs.length[i], lane]);
  }
}
late.sort((a, b) => a[0] - b[0]);
let lateNow = null;
const toLate = (step) => {
  if (!late.length) return;
  const middle = (view.from + view.to) / 2;
  if (lateNow === null) {
    const next = late.findIndex((each) => each[0] + each[1] / 2 > middle);
    lateNow = step > 0 ? (next < 0 ? 0 : next) : (next < 0 ? late.length : next) - 1;
  } else lateNow += step;
  lateNow = (lateNow + late.length) % late.length;
  const [start, length, lane] = late[lateNow];
  show(start - length * 0.6, start + length * 1.6);
  requestAnimationFrame(() => {
    where.textContent += ` · late job ${lateNow + 1} of ${late.length}: ${lane.name}, ${duration(length * data.unit)}`;
  });
};

const actions = {
  in: () => zoom(0.5), out: () => zoom(2), fit: () => { lateNow = null; show(0, data.span); },
  open: () => { lateNow = null; open(); },
  before: () => toLate(-1), after: () => toLate(1),
};
for (const button of document.querySelectorAll("[data-do]")) {
  if (button.hasAttribute("data-late")) button.hidden = !late.length;
  button.addEventListener("click", () => actions[button.dataset.do]());
}
const keys = {
  ArrowLeft: () => shift(-0.2), ArrowRight: () => shift(0.2), "+": actions.in, "=": actions.in,
  "-": actions.out, 0: actions.fit, Home: () => show(0, view.to - view.from),
  End: () => show(data.span, data.span + view.to - view.from), n: actions.after, p: actions.before,
  Enter: () => pick((view.from + view.to) / 2),
};
const pick = (t) => {
  choose(t, (view.to - view.from) / (canvas.clientWidth - gutter()));
  redraw();
};
canvas.addEventListener("keydown", (event) => {
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[event.key]();
});

const timeAt = (x) => {
  const left = gutter(), width = canvas.clientWidth - left;
  return view.from + ((x - left) / width) * (view.to - view.from);
};
canvas.addEventListener("wheel", (event) => {
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 110), timeAt(event.offsetX));
  } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    event.preventDefault();
    shift((event.deltaX || event.deltaY) / canvas.clientWidth);
  }
}, { passive: false });
canvas.addEventListener("dblclick", (event) => zoom(0.4, timeAt(event.offsetX)));

// One pointer moves the view, two pointers zoom.
const held = new Map();
let pressed = null;  // where, until the pointer moves
canvas.addEventListener("pointerdown", (event) => {
  held.set(event.pointerId, event.offsetX);
  pressed = held.size === 1 && event.button === 0 ? event.offsetX : null;
  canvas.setPointerCapture(event.pointerId);
  canvas.classList.add("moving");
});
const release = (event) => {
  held.delete(event.pointerId);
  if (!held.size) canvas.classList.remove("moving");
};
canvas.addEventListener("pointerup", (event) => {
  if (pressed !== null && pressed >= gutter()) pick(timeAt(pressed));
  pressed = null;
  if (event.pointerType === "touch" && held.size === 1) point(event.offsetX, event.offsetY);
  release(event);
});
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointermove", (event) => {
  if (!held.has(event.pointerId)) { point(event.offsetX, event.offsetY); return; }
  const before = [...held.values()];
  const moved = event.offsetX - held.get(event.pointerId);
  if (pressed !== null && Math.abs(event.offsetX - pressed) < 4) return;
  pressed = null;
  held.set(event.pointerId, event.offsetX);
  const width = canvas.clientWidth - gutter();
  if (held.size === 1) { if (moved) shift(-moved / width); return; }
  const now = [...held.values()], gap = Math.abs(now[0] - now[1]);
  if (gap > 10) zoom(Math.abs(before[0] - before[1]) / gap, timeAt((now[0] + now[1]) / 2));
});
canvas.addEventListener("pointerleave", () => { if (!held.size) tip.hidden = true; });

const mapTo = (event) => {
  const middle = (event.offsetX / map.clientWidth) * data.span, half = (view.to - view.from) / 2;
  show(middle - half, middle + half);
};
map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); mapTo(event); });
map.addEventListener("pointermove", (event) => { if (event.buttons) mapTo(event); });

// Describes what is under the pointer.
const under = (x, y) => {
  const lane = lanes.find((each) => y >= each.y - 2 && y < each.y + each.height + 3);
  if (!lane || x < gutter()) return "";
  const t = timeAt(x), near = ((view.to - view.from) / (canvas.clientWidth - gutter())) * 4;
  const mark = nearest(lane.at, t, near);
  if (mark >= 0) return `${lane.name} at ${moment(lane.at[mark])}\n${lane.words[lane.said[mark]]}`;
  if (lane.jobs && y >= lane.y + lane.height - 7) {
    const i = firstSeen(lane.jobs, t);
    if (lane.jobs.start.length && t <= lane.jobs.start[i] + lane.jobs.length[i] + near && t >= lane.jobs.start[i] - near) {
      const ends = lane.jobs.late[i] ? "late" : "in time";
      return `${lane.name}: job, ${ends}\nreleased ${moment(lane.jobs.start[i])}\nresponse ${duration(lane.jobs.length[i] * data.unit)}`;
    }
  }
  let i = firstSeen(lane, t);
  if (i + 1 < lane.start.length && lane.start[i + 1] - t < near && t > lane.start[i] + lane.length[i]) i++;
  const end = lane.start[i] + lane.length[i];
  if (!lane.start.length || t < lane.start[i] - near || t > end + near) {
    return `${lane.name}: ${lane.idle || "nothing"}\n${moment(t)}`;
  }
  return `${lane.name}: ${lane.words[lane.label[i]]}\nfrom ${moment(lane.start[i])}\nfor ${duration(lane.length[i] * data.unit)}`;
};
const nearest = (values, t, near) => {
  const i = after(values, t);
  const found = [i - 1, i].filter((each) => values[each] !== undefined && Math.abs(values[each] - t) < near);
  return found.length ? found.sort((a, b) => Math.abs(values[a] - t) - Math.abs(values[b] - t))[0] : -1;
};
const point = (x, y) => {
  const text = under(x, y);
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const room = canvas.parentElement.clientWidth - tip.offsetWidth;
  tip.style.left = Math.max(0, Math.min(room, x + 14)) + "px";
  tip.style.top = canvas.offsetTop + y + 18 + "px";
};

// The legend, with the same colours and hatches as the timeline.
const legend = document.getElementById("legend");
for (const [name, text] of data.legend) {
  const item = document.createElement("span"), swatch = document.createElement("canvas");
  swatch.width = 28; swatch.height = 24;
  swatch.dataset.name = name;
  item.append(swatch, text);
  legend.append(item);
}
const drawLegend = () => {
  for (const swatch of legend.querySelectorAll("canvas")) {
    const pen = swatch.getContext("2d");
    pen.clearRect(0, 0, 28, 24);
    pen.fillStyle = paint(pen, swatch.dataset.name);
    pen.fillRect(0, 0, 28, 24);
  }
};

// The console: filters, and a click on a time shows it in the timeline.
const lines = [...document.querySelectorAll(".console > div")];
for (const button of document.querySelectorAll("[data-on]")) {
  button.addEventListener("click", () => {
    for (const each of document.querySelectorAll("[data-on]")) each.setAttribute("aria-pressed", String(each === button));
    for (const line of lines) line.hidden = Boolean(button.dataset.on) && line.dataset.from !== button.dataset.on;
  });
}
for (const button of document.querySelectorAll("button.at")) {
  button.addEventListener("click", () => {
    const t = (Number(button.dataset.time) - data.start) / data.unit;
    if (t < 0 || t > data.span) return;
    const half = Math.min(view.to - view.from, 0.1 / data.unit) / 2;
    show(t - half, t + half);
    pick(t);
    canvas.scrollIntoView({ block: "nearest" });
    canvas.focus({ preventScroll: true });
  });
}

// A part of the timeline has an address: #3.1-3.2 are seconds.
const addressed = () => {
  const ends = location.hash.slice(1).split("-").map(Number);
  if (ends.length === 2 && ends[1] > ends[0]) show(...ends.map((end) => (end - data.start) / data.unit));
};
const open = () => { show(...data.first); opened = true; };
window.addEventListener("hashchange", addressed);

const restyle = () => { readColours(); drawLegend(); redraw(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
new ResizeObserver(redraw).observe(canvas.parentElement);

// Paper is white and has its own width: draw for the paper, then again for the screen.
const printing = (on) => {
  document.documentElement.classList.toggle("printing", on);
  readColours(); drawLegend(); draw();
};
window.addEventListener("beforeprint", () => printing(true));
window.addEventListener("afterprint", () => printing(false));

restyle();
open();
addressed();
draw();  // at once, since a browser that has just started may not give a frame for long
