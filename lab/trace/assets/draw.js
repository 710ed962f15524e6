// Draws the timeline: lanes of slices, at any zoom. Times are "units" of data.unit seconds
// after data.start, in 32 bits; a slice narrower than a pixel adds its share to its column.
const data = JSON.parse(document.getElementById("data").textContent);
const numbers = (text, kind) => {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new kind(bytes.buffer);
};
const lanes = data.lanes.map((lane) => ({
  ...lane,
  start: numbers(lane.start, Uint32Array), length: numbers(lane.length, Uint32Array),
  label: numbers(lane.label, Uint16Array), at: numbers(lane.at, Uint32Array),
  said: numbers(lane.said, Uint16Array),
  jobs: lane.jobs && {
    start: numbers(lane.jobs.start, Uint32Array), length: numbers(lane.jobs.length, Uint32Array),
    late: numbers(lane.jobs.late, Uint8Array), deadline: lane.jobs.deadline,
  },
}));
const flows = data.flows.map((flow) => ({
  ...flow, source: numbers(flow.source, Uint32Array), target: numbers(flow.target, Uint32Array),
}));

const HEIGHT = { pcpu: 34, vcpu: 24, task: 32, interrupts: 14, console: 16 };
const AXIS = 26, GROUP = 25, GAP = 6;
const narrow = () => document.documentElement.clientWidth < 640;
let colours = {};
const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  colours = new Proxy({}, {
    get: (kept, name) => kept[name] ?? (kept[name] = style.getPropertyValue("--" + name).trim()),
  });
};

// First index whose value is greater than t.
const after = (values, t) => {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > t) high = middle; else low = middle + 1;
  }
  return low;
};
const firstSeen = (lane, t) => Math.max(0, after(lane.start, t) - 1);

// Seconds for people: the larger, the fewer digits.
const duration = (seconds) => {
  const size = Math.abs(seconds);
  if (size >= 1) return seconds.toFixed(3) + " s";
  if (size >= 1e-3) return (seconds * 1e3).toFixed(3) + " ms";
  return (seconds * 1e6).toFixed(size >= 1e-4 ? 1 : 2) + " µs";
};
const moment = (units, digits = 6) => (data.start + units * data.unit).toFixed(digits) + " s";

// Places the lanes: sets lane.y and returns the total height.
const layout = () => {
  let y = AXIS, group = null;
  const title = narrow() ? 15 : 0;
  for (const lane of lanes) {
    if (lane.group !== group) { y += GROUP; group = lane.group; lane.heads = true; }
    y += title;
    lane.y = y;
    lane.height = HEIGHT[lane.kind];
    y += lane.height + GAP;
  }
  return y + 2;
};
const gutter = () => (narrow() ? 0 : 160);

const fit = (canvas, height) => {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = height + "px";
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width];
};

const hatch = {};
const paint = (pen, name) => {
  if (name !== "wait" && name !== "none") return colours[name];
  const key = name + colours[name];
  if (!hatch[key]) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const mark = tile.getContext("2d");
    mark.fillStyle = colours[name];
    mark.globalAlpha = 0.62;
    mark.fillRect(0, 0, 6, 6);
    mark.globalAlpha = 1;
    mark.strokeStyle = colours[name];
    mark.lineWidth = 2;
    mark.beginPath();
    for (const x of [-6, 0, 6]) { mark.moveTo(x, 6); mark.lineTo(x + 6, 0); }
    mark.stroke();
    hatch[key] = pen.createPattern(tile, "repeat");
  }
  return hatch[key];
};

const drawSlices = (pen, lane, view, left, width, y, height) => {
  const scale = width / (view.to - view.from), kinds = lane.words.length || 1;
  const columns = new Float32Array((Math.ceil(width) + 2) * kinds);
  let dense = false;
  for (let i = firstSeen(lane, view.from); i < lane.start.length && lane.start[i] < view.to; i++) {
    const a = Math.max(0, (lane.start[i] - view.from) * scale);
    const b = Math.min(width, (lane.start[i] + lane.length[i] - view.from) * scale);
    if (b <= 0) continue;
    if (b - a >= 2) {
      pen.fillStyle = paint(pen, lane.colours[lane.label[i]]);
      pen.fillRect(left + a, y, b - a, height);
      if (b - a > 24) caption(pen, lane, lane.label[i], left + a, y, b - a, height);
    } else {
      const c = Math.floor(a), over = Math.max(0, b - c - 1);
      columns[c * kinds + lane.label[i]] += b - a - over;
      columns[(c + 1) * kinds + lane.label[i]] += over;
      dense = true;
    }
  }
  if (dense) drawColumns(pen, lane, columns, kinds, left, y, height);
};

const drawColumns = (pen, lane, columns, kinds, left, y, height) => {
  const count = columns.length / kinds, base = new Float32Array(count);
  for (let kind = 0; kind < kinds; kind++) {
    pen.fillStyle = paint(pen, lane.colours[kind]);
    for (let c = 0; c < count; c++) {
      const share = columns[c * kinds + kind];
      if (!share) continue;
      const tall = Math.min(height - base[c], Math.max(1.5, share * height));
      pen.fillRect(left + c, y + height - base[c] - tall, 1, tall);
      base[c] += tall;
    }
  }
};

// White or black, whichever is easier to read on a colour (WCAG 2, relative luminance).
const inks = {};
const inkOn = (colour) => inks[colour] ??= (() => {
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
  const [r, g, b] = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
})();
const caption = (pen, lane, kind, x, y, width, height) => {
  const text = lane.kind === "task" && kind === 0 ? lane.name : lane.words[kind];
  pen.font = "600 11.5px system-ui, sans-serif";
  if (pen.measureText(text).width > width - 10) return;
  pen.fillStyle = inkOn(colours[lane.colours[kind]]);
  pen.textBaseline = "middle";
  pen.fillText(text, x + 6, y + height / 2 + 0.5);
};

const drawJobs = (pen, lane, view, left, width, y) => {
  const { start, length, late, deadline } = lane.jobs, scale = width / (view.to - view.from);
  const columns = new Uint8Array(Math.ceil(width) + 1);
  for (let i = firstSeen(lane.jobs, view.from); i < start.length && start[i] < view.to; i++) {
    const a = (start[i] - view.from) * scale, b = (start[i] + length[i] - view.from) * scale;
    if (b < 0) continue;
    if (b - a < 3) {
      const c = Math.max(0, Math.min(columns.length - 1, Math.floor(a)));
      columns[c] = Math.max(columns[c], 1 + late[i]);
      continue;
    }
    pen.fillStyle = late[i] ? colours.late : colours.soft;
    pen.fillRect(left + Math.max(0, a), y + 1, Math.min(width, b) - Math.max(0, a), 3);
    if (deadline * scale > 28) drawDue(pen, left, width, y, a, a + deadline * scale, late[i]);
  }
  for (let c = 0; c < columns.length; c++) {
    if (!columns[c]) continue;
    pen.fillStyle = columns[c] > 1 ? colours.late : colours.soft;
    pen.fillRect(left + c, y + 1, 1, 3);
  }
};

// A release is drawn as a small foot, a deadline as a stroke into the lane, a missed one in red.
const drawDue = (pen, left, width, y, released, due, late) => {
  pen.fillStyle = colours.soft;
  if (released >= 0 && released <= width) pen.fillRect(left + released, y - 3, 1.5, 7);
  pen.fillStyle = late ? colours.late : colours.soft;
  if (due >= 0 && due <= width) pen.fillRect(left + due - 0.75, y - 12, 1.5, 16);
};

const drawMarks = (pen, lane, view, left, width, y, height) => {
  const scale = width / (view.to - view.from);
  let last = -9;
  pen.fillStyle = colours[lane.tint || "soft"];
  for (let i = after(lane.at, view.from - 1); i < lane.at.length && lane.at[i] <= view.to; i++) {
    const x = (lane.at[i] - view.from) * scale;
    if (x - last < 1) continue;
    pen.fillRect(left + x - 1, y + 2, 2, height - 4);
    last = x;
  }
};

const drawFlows = (pen, view, left, width) => {
  const scale = width / (view.to - view.from);
  pen.strokeStyle = colours.ink;
  pen.fillStyle = colours.ink;
  pen.lineWidth = 1;
  for (const flow of flows) {
    const from = lanes[flow.from], to = lanes[flow.to];
    const first = after(flow.source, view.from - 1), end = after(flow.source, view.to);
    if (end - first > 60 || (end - first) * 30 > width) continue;
    let last = -Infinity;
    for (let i = first; i < end; i++) {
      const a = left + (flow.source[i] - view.from) * scale;
      if (a - last < 8) continue;  // one arrow tells as much as a black bar of them
      last = a;
      const b = left + (flow.target[i] - view.from) * scale;
      if (b > left + width) continue;
      const top = from.y + from.height, bottom = to.y;
      pen.globalAlpha = 0.55;
      pen.beginPath();
      pen.moveTo(a, top);
      pen.bezierCurveTo(a, (top + bottom) / 2, b, (top + bottom) / 2, b, bottom - 4);
      pen.stroke();
      pen.beginPath();
      pen.moveTo(b, bottom); pen.lineTo(b - 3.5, bottom - 6); pen.lineTo(b + 3.5, bottom - 6);
      pen.fill();
      pen.globalAlpha = 1;
    }
  }
};

const STEPS = [1, 2, 5];
const drawAxis = (pen, view, left, width, height) => {
  const span = (view.to - view.from) * data.unit, wanted = (span / width) * (narrow() ? 110 : 130);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = power * (STEPS.find((each) => each * power >= wanted) || 10);
  const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(step) - 1e-9)));
  const begin = data.start + view.from * data.unit;
  pen.font = "11.5px system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (let n = Math.ceil(begin / step); n * step <= begin + span; n++) {
    const x = left + ((n * step - begin) / span) * width;
    pen.fillStyle = colours.line;
    pen.fillRect(Math.round(x), AXIS - 8, 1, height - AXIS + 8);
    pen.fillStyle = colours.soft;
    const text = (n * step).toFixed(digits) + " s";
    const room = pen.measureText(text).width;
    pen.fillText(text, Math.max(left, Math.min(x + 4, left + width - room)), 11);
  }
};

const drawNames = (pen, lane, left, width) => {
  pen.textBaseline = "middle";
  if (lane.heads) {
    pen.fillStyle = colours.soft;
    pen.font = "650 11px system-ui, sans-serif";
    const top = lane.y - (narrow() ? 15 : 0);
    pen.fillText(lane.group.toUpperCase(), 0, top - 11);
  }
  pen.fillStyle = colours.ink;
  pen.font = "13px system-ui, sans-serif";
  if (narrow()) {
    const x = lane.kind === "task" ? 13 : 0;
    pen.font = "11.5px system-ui, sans-serif";
    pen.fillText(lane.name, x, lane.y - 7);
    if (x) { pen.fillStyle = colours[lane.colours[0]]; pen.fillRect(0, lane.y - 12, 9, 9); }
    return;
  }
  const middle = lane.y + (lane.jobs ? lane.height - 6 : lane.height) / 2;
  const x = lane.kind === "task" ? 16 : 0;
  let text = lane.name;
  while (text.length > 1 && pen.measureText(text).width > left - 14 - x) text = text.slice(0, -2) + "…";
  pen.fillText(text, x, middle + 0.5);
  if (x) { pen.fillStyle = colours[lane.colours[0]]; pen.fillRect(0, middle - 5, 10, 10); }
};

const drawAll = (canvas, view) => {
  const height = layout(), [pen, whole] = fit(canvas, height), left = gutter(), width = whole - left;
  drawAxis(pen, view, left, width, height);
  for (const lane of lanes) {
    const tall = lane.jobs ? lane.height - 6 : lane.height;
    drawNames(pen, lane, left, whole);
    pen.globalAlpha = 0.55;
    pen.fillStyle = colours.well;
    pen.fillRect(left, lane.y, width, tall);
    pen.globalAlpha = 1;
    drawSlices(pen, lane, view, left, width, lane.y, tall);
    if (lane.at.length) drawMarks(pen, lane, view, left, width, lane.y, tall);
    if (lane.jobs) drawJobs(pen, lane, view, left, width, lane.y + tall + 1);
  }
  drawFlows(pen, view, left, width);
};

const drawMap = (canvas, view) => {
  const [pen, width] = fit(canvas, 34), all = { from: 0, to: data.span };
  const shown = lanes.filter((lane) => lane.kind === "pcpu");
  const tall = 26 / Math.max(1, shown.length);
  shown.forEach((lane, i) => drawSlices(pen, lane, all, 0, width, 4 + i * tall, tall - 1));
  pen.fillStyle = colours.late;
  for (const lane of lanes) {
    for (let i = 0; lane.jobs && i < lane.jobs.late.length; i++) {
      if (lane.jobs.late[i]) pen.fillRect((lane.jobs.start[i] / data.span) * width, 0, 1.5, 4);
    }
  }
  const a = (view.from / data.span) * width, b = Math.max(a + 3, (view.to / data.span) * width);
  pen.fillStyle = colours.card;
  pen.globalAlpha = 0.62;
  pen.fillRect(0, 0, a, 34);
  pen.fillRect(b, 0, width - b, 34);
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.ink;
  pen.lineWidth = 1.5;
  pen.strokeRect(a + 0.75, 0.75, b - a - 1.5, 32.5);
};
