"use strict";
// The teacher's page: all seats of the class.

const rows = new Map();

const link = new Link({
  text: show,
  lost: () => {
    byId("state").textContent = "connecting";
    connected(false);
  },
});

function connected(open) {
  for (const button of document.querySelectorAll("button")) button.disabled = !open;
}

connected(false);

function show(room) {
  connected(true);
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
  const close = element("button", "Close", {type: "button"});
  close.addEventListener("click", () =>
    link.send({type: "close", seat: seat.number, closed: close.textContent === "Close"}));
  actions.append(close);
  made.append(name, element("td", "", {className: "state"}),
              element("td", "", {className: "number"}), element("td", "", {className: "number"}),
              element("td", "", {className: "last"}),
              cell);
  byId("seats").tBodies[0].append(made);
  rows.set(seat.number, made);
  return made;
}

function fill(made, seat, steps) {
  const [, state, pages, passed, last, actions] = made.cells;
  const close = actions.querySelector("button:last-child");
  close.textContent = seat.closed ? "Open" : "Close";
  close.setAttribute("aria-label", `${close.textContent} ${seat.name}`);
  const trouble = seat.failed ? seat.said : seat.problem;
  state.replaceChildren(seat.busy ? seat.busy + (seat.before === null ? "" : " (waits)") : seat.state);
  if (trouble && !seat.busy) state.append(element("p", trouble, {className: "trouble"}));
  state.dataset.state = seat.busy || seat.state;
  pages.textContent = seat.watchers;
  passed.textContent = steps ? `${seat.passed} of ${steps}` : "";
  last.textContent = seat.last;
}

for (const button of document.querySelectorAll("[data-all]")) {
  button.addEventListener("click", () =>
    link.send({type: "do", verb: button.dataset.all, seat: "all"}));
}

byId("links").href = location.pathname.replace(/\/$/, "") + "/links";

function say(text) {
  link.send({type: "say", seat: "all", text});
}

byId("say").addEventListener("submit", (event) => {
  event.preventDefault(); // the page says it by its own connection
  say(byId("words").value);
});
byId("unsay").addEventListener("click", () => {
  byId("words").value = "";
  say("");
});
