"use strict";
// The consoles of a lab: a tab and a terminal for each.

const LIGHT = {background: "#ffffff", foreground: "#1a1a1a", cursor: "#1a1a1a",
               cursorAccent: "#ffffff", selectionBackground: "#b3d7ff"};
const DARK = {background: "#101418", foreground: "#e6e6e6", cursor: "#e6e6e6",
              selectionBackground: "#3a5a80"};
const SCROLLBACK = 5000; // lines

class Consoles {
  // typed(name, text), resized(name, rows, columns), showed(name; empty: none) and, if a person
  // wants to see one, chose() are told.
  constructor(tabs, screens, {typed, resized, showed, chose}) {
    Object.assign(this, {tabs, screens, typed, resized, showed, chose});
    this.all = new Map();
    this.shown = this.chosen = "";
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.each((one) => {
      one.terminal.options.theme = this.theme();
    }));
    new ResizeObserver(() => this.fit()).observe(screens);
    document.addEventListener("keydown", (event) => this.key(event), true);
  }

  theme() {
    return this.dark.matches ? DARK : LIGHT;
  }

  each(what) {
    for (const one of this.all.values()) what(one);
  }

  // Have exactly these consoles, and more terminals after them. A lab that begins has none yet: the
  // old ones stay until then.
  set(consoles, more) {
    if (!consoles.length) return;
    const names = [...consoles, ...more];
    for (const [name, one] of this.all) {
      if (names.includes(name)) continue;
      one.terminal.dispose();
      one.tab.remove();
      one.screen.remove();
      this.all.delete(name);
    }
    if (!this.all.has(this.shown)) this.shown = "";
    for (const name of names) if (!this.all.has(name)) this.add(name);
    // A tab that is moved loses the focus, and the click that it was pressed for.
    names.forEach((name, place) => {
      const {tab} = this.all.get(name), there = this.tabs.children[place];
      if (there !== tab) this.tabs.insertBefore(tab, there || null);
    });
    // Until a person chooses one, the last is shown: a guest's, if there is one.
    const last = consoles[consoles.length - 1];
    if (this.chosen === "-") return; // something else is shown
    if (!this.all.has(this.chosen)) this.chosen = "";
    if (last && last !== this.shown && !this.chosen) this.show(last);
  }

  // A new run begins: nothing of the old one is shown any more.
  clear() {
    this.each((one) => {
      one.terminal.reset();
      one.at = undefined;
    });
  }

  add(name) {
    const tab = element("button", name, {type: "button", id: `tab-${name}`});
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", `screen-${name}`);
    tab.addEventListener("click", () => this.choose(name, true));
    this.tabs.append(tab);
    const screen = element("div", "", {id: `screen-${name}`, className: "screen", hidden: true});
    screen.setAttribute("role", "tabpanel");
    screen.setAttribute("aria-labelledby", tab.id);
    this.screens.append(screen);
    const terminal = new Terminal({
      convertEol: true, scrollback: SCROLLBACK, theme: this.theme(), fontSize: 14,
      minimumContrastRatio: 4.5, screenReaderMode: true,
    });
    const fitting = new FitAddon.FitAddon();
    terminal.loadAddon(fitting);
    // Programs may ask a terminal what it is. Several pages may show a console: nobody answers.
    for (const [prefix, final] of [["", "c"], [">", "c"], ["=", "c"], ["", "n"], ["?", "n"]]) {
      terminal.parser.registerCsiHandler({...(prefix && {prefix}), final}, () => true);
    }
    for (const number of [4, 10, 11, 12, 52]) {
      terminal.parser.registerOscHandler(number, () => true);
    }
    terminal.onData((text) => this.typed(name, text));
    terminal.onResize(({rows, cols}) => this.resized(name, rows, cols));
    this.all.set(name, {tab, screen, terminal, fitting, open: false, at: undefined});
  }

  // A person wants to see a console, perhaps before the server has said that it is there.
  choose(name, focus) {
    if (!this.all.has(name)) this.add(name);
    this.chosen = name;
    this.chose();
    this.show(name, focus);
  }

  // Nothing is shown: something else takes the place.
  hide() {
    this.shown = "";
    this.chosen = "-";
    this.screens.hidden = true;
    this.showed("");
    for (const one of this.all.values()) one.tab.setAttribute("aria-selected", "false");
  }

  show(name, focus = false) {
    this.shown = name;
    this.screens.hidden = false;
    this.showed(name);
    for (const [other, one] of this.all) {
      one.screen.hidden = other !== name;
      one.tab.setAttribute("aria-selected", String(other === name));
      one.tab.tabIndex = other === name ? 0 : -1;
    }
    const one = this.all.get(name);
    one.tab.classList.remove("news");
    if (!one.open) one.terminal.open(one.screen); // it must be visible: xterm measures it
    one.open = true;
    this.fit();
    if (focus) one.terminal.focus();
  }

  fit() {
    const one = this.all.get(this.shown);
    if (one && one.screen.clientWidth) one.fitting.fit();
  }

  // Output: a byte with the length of the name, the name, the position behind it, the bytes.
  write(frame) {
    const view = new DataView(frame.buffer, frame.byteOffset);
    const length = view.getUint8(0);
    const name = new TextDecoder().decode(frame.subarray(1, 1 + length));
    const one = this.all.get(name);
    if (!one) return;
    one.at = Number(view.getBigUint64(1 + length));
    one.terminal.write(frame.subarray(9 + length));
    if (name !== this.shown) one.tab.classList.add("news");
  }

  // How far each console was shown.
  places() {
    const found = {};
    for (const [name, one] of this.all) if (one.at !== undefined) found[name] = one.at;
    return found;
  }

  key(event) {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    const inTabs = this.tabs.contains(event.target);
    if (!step || !(inTabs || (event.ctrlKey && event.shiftKey))) return;
    const names = [...this.tabs.children].map((tab) => tab.textContent);
    if (!names.length) return;
    const next = names[(names.indexOf(this.shown) + step + names.length) % names.length];
    this.choose(next, !inTabs);
    if (inTabs) this.all.get(next).tab.focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
