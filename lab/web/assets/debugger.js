"use strict";
// The debugger: a terminal among the consoles, with buttons for what is typed most often.

const gdb = {name: "GDB", panel: byId("gdb"), on: false};

gdb.begin = (of) => {
  if (!link.send({type: "do", verb: "debug", of})) return;
  consoles.choose(gdb.name, true);
};

gdb.show = (seat) => {
  gdb.on = seat.debugging;
  const {checked} = seat;
  byId("debug-lab").disabled = gdb.on || !["running", "stands"].includes(seat.state);
  byId("debug-check").disabled = gdb.on || Boolean(seat.busy) || !checked.run || checked.passed;
  for (const button of gdb.panel.querySelectorAll("[data-gdb]")) button.disabled = !gdb.on;
};

byId("debug-lab").addEventListener("click", () => gdb.begin("lab"));
byId("debug-check").addEventListener("click", () => gdb.begin("check"));
for (const button of gdb.panel.querySelectorAll("[data-gdb]")) {
  button.addEventListener("click", () => {
    const words = button.dataset.gdb;
    // What a person had begun to type is taken away first (Ctrl+U).
    const text = words === "interrupt" ? "\x03" : `\x15${words}\r`;
    link.send({type: "type", on: gdb.name, text});
    consoles.choose(gdb.name, true);
  });
}
