"use strict";
// The teacher's page: all seats of the class.

const rows = new Map();

const link = new Link({
  text: show,
  lost: () => { byId("state").textContent = "connecting"; },
});

function show(room) {
  document.title = `Class ${room.name}`;
  byId("name").textContent = `Class ${room.name}`;
  const up = room.seats.filter((seat) => seat.state === "running").length;
  byId("state").textContent = `${up} of ${room.seats.length} run`;
  const {load, cpus, free, memory} = room.machine;
  byId("machine").textContent =
    `This machine: load ${(load * cpus).toFixed(1)} on ${cpus} processors; ` +
    `${gigabytes(free)} of ${gigabytes(memory)} memory free`;
  for (const seat of room.seats) fill(rows.get(seat.number) || add(seat), seat, room.steps);
}

function gigabytes(bytes) {
  return `${(bytes / 2 ** 30).toFixed(1)} GB`;
}

function add(seat) {
  const made = element("tr");
  const name = element("th", "", {scope: "row"});
  name.append(element("a", seat.name, {href: seat.link, target: "_blank"}));
  const actions = element("div", "", {className: "buttons"});
  const cell = element("td");
  cell.append(actions);
  for (const [verb, word] of [["up", "Start"], ["down", "Stop"], ["reset", "Reset"]]) {
    const button = element("button", word, {type: "button"});
    button.setAttribute("aria-label", `${word} ${seat.name}`);
    button.addEventListener("click", () => link.send({type: "do", verb, seat: seat.number}));
    actions.append(button);
  }
  made.append(name, element("td", "", {className: "state"}),
              element("td", "", {className: "number"}), element("td", "", {className: "number"}),
              element("td", "", {className: "last"}),
              cell);
  byId("seats").tBodies[0].append(made);
  rows.set(seat.number, made);
  return made;
}

function fill(made, seat, steps) {
  const [, state, pages, passed, last] = made.cells;
  const trouble = seat.failed ? seat.said : seat.problem;
  state.textContent = seat.busy || (trouble ? `${seat.state}: ${trouble}` : seat.state);
  state.dataset.state = seat.busy || seat.state;
  pages.textContent = seat.watchers;
  passed.textContent = steps ? `${seat.passed} of ${steps}` : "";
  last.textContent = seat.last;
}

for (const button of document.querySelectorAll("[data-all]")) {
  button.addEventListener("click", () =>
    link.send({type: "do", verb: button.dataset.all, seat: "all"}));
}
