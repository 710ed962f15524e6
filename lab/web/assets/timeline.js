"use strict";
// The timeline and the figures of the run, drawn from its traces as far as they go.

const EVERY = 5000; // milliseconds

class Timeline {
  // shown() is told when a person wants to see it.
  constructor(shown) {
    this.shown = shown;
    this.open = false;
    byId("timing").addEventListener("click", () => this.choose());
    byId("draw").addEventListener("click", () => this.draw());
    byId("live").addEventListener("change", () => this.draw());
    byId("report").addEventListener("load", () => {
      clearTimeout(this.timer);
      if (this.open && byId("live").checked) this.timer = setTimeout(() => this.draw(), EVERY);
    });
  }

  show({traced}) {
    byId("more").hidden = !traced;
    if (!traced && this.open) this.hide();
  }

  choose() {
    this.shown();
    this.open = true;
    byId("timeline").hidden = false;
    byId("timing").setAttribute("aria-selected", "true");
    this.draw();
  }

  hide() {
    this.open = false;
    byId("timeline").hidden = true;
    byId("timing").setAttribute("aria-selected", "false");
  }

  draw() {
    byId("report").src = location.pathname.replace(/\/$/, "") + "/report?" + Date.now();
  }
}
