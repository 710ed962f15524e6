"use strict";
// The timeline and the figures of the run, drawn from its traces as far as they go.

const EVERY = 5000; // milliseconds

class Timeline {
  // shown() is told when a person wants to see it.
  constructor(shown) {
    this.shown = shown;
    this.open = false;
    byId("timing").addEventListener("click", () => this.choose());
    byId("of").addEventListener("change", () => this.draw());
    byId("draw").addEventListener("click", () => this.draw());
    byId("live").addEventListener("change", () => this.draw());
    byId("report").addEventListener("load", () => {
      clearTimeout(this.timer);
      if (this.open && byId("live").checked) this.timer = setTimeout(() => this.draw(), EVERY);
    });
  }

  show({traced, checked}) {
    const of = byId("of");
    const [lab, check] = of.options;
    lab.disabled = !traced;
    check.disabled = !checked.traced;
    if (of.selectedOptions[0].disabled) of.value = traced ? "" : "check";
    byId("more").hidden = !traced && !checked.traced;
    if (byId("more").hidden && this.open) this.hide();
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
    const about = new URLSearchParams({of: byId("of").value, at: Date.now()});
    byId("report").src = `${location.pathname.replace(/\/$/, "")}/report?${about}`;
  }
}
