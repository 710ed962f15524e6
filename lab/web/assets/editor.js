"use strict";
// The files of a seat: an editor with a tab for each, and the compiler's messages at their lines.

const PAUSE = 800; // milliseconds without a key before a file is saved

class Editor {
  // shown() is told when a file is shown; build(guest, anew) builds and starts a guest;
  // anew: with the whole lab.
  constructor({shown, build}) {
    Object.assign(this, {shown, build});
    this.files = new Map();
    this.open = "";
    this.problems = [];
    this.saving = Promise.resolve();
    byId("build").addEventListener("click", () => this.start());
    byId("renew").addEventListener("click", () => this.renew());
    this.load();
  }

  get url() {
    return location.pathname.replace(/\/$/, "") + "/files";
  }

  async load() {
    const answer = await fetch(this.url);
    if (!answer.ok) return;
    const found = await answer.json();
    this.mirror ||= CodeMirror(byId("source"), {
      lineNumbers: true, indentUnit: 4, indentWithTabs: false, lineWrapping: true,
      gutters: ["marks", "CodeMirror-linenumbers"], inputStyle: "contenteditable",
      extraKeys: {
        "Ctrl-S": () => this.save(this.open), "Cmd-S": () => this.save(this.open),
        "Ctrl-Enter": () => this.start(), "Cmd-Enter": () => this.start(),
        Tab: false, "Shift-Tab": false, // the keyboard must be able to leave the editor
      },
    });
    byId("files").replaceChildren();
    this.files.clear();
    for (const file of found) this.add(file);
    if (this.open) this.show(this.files.has(this.open) ? this.open : found[0].name);
  }

  add({name, text, guests}) {
    const mode = name.endsWith(".yaml") ? "yaml" : /\.[chS]$/.test(name) ? "text/x-csrc" : null;
    const doc = CodeMirror.Doc(text, mode);
    const tab = element("button", name.replace(/^guests\/([^/]+\/)?/, ""), {type: "button"});
    tab.title = name;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "editor");
    tab.addEventListener("click", () => this.show(name));
    byId("files").append(tab);
    const file = {doc, tab, guests, timer: 0, saved: text};
    doc.on("change", () => {
      clearTimeout(file.timer);
      file.timer = setTimeout(() => this.save(name), PAUSE);
      tab.classList.add("news");
    });
    this.files.set(name, file);
  }

  show(name) {
    this.open = name;
    this.mirror.swapDoc(this.files.get(name).doc);
    this.mark();
    this.shown();
    byId("editor").hidden = false;
    this.select();
    this.mirror.refresh();
    this.mirror.focus();
  }

  hide() {
    this.open = "";
    byId("editor").hidden = true;
    this.select();
  }

  select() {
    for (const [name, {tab}] of this.files) {
      tab.setAttribute("aria-selected", String(name === this.open));
    }
  }

  // Save a file, one after the other. Whether the server took it.
  save(name) {
    this.saving = this.saving.then(() => this.put(name), () => this.put(name));
    return this.saving;
  }

  async put(name) {
    const file = this.files.get(name);
    const text = file ? file.doc.getValue() : "";
    if (!file || text === file.saved) return true;
    clearTimeout(file.timer);
    let answer;
    try {
      answer = await fetch(this.url, {method: "PUT", body: JSON.stringify({name, text})});
    } catch {
      notice(`${name} is not saved: the server does not answer`);
      file.timer = setTimeout(() => this.save(name), 5 * PAUSE);
      return false;
    }
    if (answer.ok) {
      file.saved = text;
      if (file.doc.getValue() === text) file.tab.classList.remove("news");
      this.set(this.problems.filter((one) => one.file !== name || !one.mine));
      return true;
    }
    const found = answer.status === 409 ? await answer.json() : {problems: []};
    const mine = found.problems.map((one) => ({...one, mine: true}));
    this.set([...mine, ...this.problems.filter((one) => !one.mine)]);
    if (!mine.length) notice(found.reason || `${name} cannot be saved`);
    return false;
  }

  async saveAll() {
    let well = true;
    for (const name of this.files.keys()) well = await this.save(name) && well;
    return well;
  }

  async start() {
    const name = this.open, guest = (this.files.get(name) || {guests: []}).guests[0];
    // labs.yaml says more than how one guest is: the lab begins anew with it.
    if (await this.saveAll() && guest) this.build(guest, name === "labs.yaml");
  }

  async renew() {
    if (!confirm("Throw away what you changed in all files, and take those of your teacher?")) {
      return;
    }
    await fetch(this.url, {method: "DELETE"});
    this.set([]);
    await this.load();
  }

  // The compiler's messages, or those about labs.yaml.
  set(problems) {
    const mine = problems.map((one) => JSON.stringify(one)).join();
    if (mine === this.told) return;
    this.told = mine;
    this.problems = problems;
    this.mark();
    const list = byId("problems");
    list.replaceChildren(...problems.filter((one) => one.kind !== "note").map((one) => {
      const words = `${one.file.split("/").pop()}:${one.line}: ${one.kind}: ${one.text}`;
      const item = element("li");
      const button = element("button", words, {type: "button", className: one.kind});
      button.addEventListener("click", () => this.go(one));
      item.append(button);
      return item;
    }));
    list.hidden = !list.children.length;
    const first = problems.find((one) => one.kind === "error" && !one.mine);
    if (first && this.open) this.go(first);
  }

  mark() {
    if (!this.mirror) return;
    for (const {doc} of this.files.values()) {
      doc.eachLine((line) => { doc.removeLineClass(line, "background", "wrong"); });
    }
    this.mirror.clearGutter("marks");
    for (const one of this.problems) {
      const file = this.files.get(one.file);
      if (!file || one.kind === "note" || one.line > file.doc.lineCount()) continue;
      file.doc.addLineClass(one.line - 1, "background", "wrong");
      if (one.file === this.open) {
        const sign = element("span", "●", {className: one.kind, title: one.text});
        sign.setAttribute("aria-label", one.text);
        this.mirror.setGutterMarker(one.line - 1, "marks", sign);
      }
    }
  }

  go({file, line, column}) {
    if (!this.files.has(file)) return;
    this.show(file);
    this.mirror.setCursor(line - 1, Math.max(0, column - 1));
    this.mirror.scrollIntoView(null, 60);
  }
}
