"use strict";
// The connection to the server. It comes back by itself when the server or the network was away.

const FIRST_TRY = 250, LAST_TRY = 4000; // milliseconds

class Link {
  // hello: what is said first each time; text, binary: take messages; lost: hears of a break;
  // unsent: hears that a message of a person cannot be sent now.
  constructor({hello = () => null, text = () => {}, binary = () => {}, lost = () => {},
               unsent = () => {}}) {
    Object.assign(this, {hello, text, binary, lost, unsent, pause: FIRST_TRY});
    this.open();
    addEventListener("online", () => this.again());
    document.addEventListener("visibilitychange", () => document.hidden || this.again());
  }

  open() {
    const where = new URL(location.href);
    where.protocol = where.protocol === "https:" ? "wss:" : "ws:";
    where.pathname = where.pathname.replace(/\/$/, "") + "/socket";
    where.hash = "";
    this.timer = 0;
    this.socket = new WebSocket(where);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.pause = FIRST_TRY;
      const words = this.hello();
      if (words) this.send(words);
    };
    this.socket.onmessage = ({data}) =>
      typeof data === "string" ? this.text(JSON.parse(data)) : this.binary(new Uint8Array(data));
    this.socket.onclose = () => {
      this.lost();
      this.timer = setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(2 * this.pause, LAST_TRY);
    };
  }

  // Try now, if a try is due later.
  again() {
    if (!this.timer) return;
    clearTimeout(this.timer);
    this.open();
  }

  // Whether it could be sent. No person sends messages of type "size".
  send(message) {
    const open = this.socket.readyState === WebSocket.OPEN;
    if (open) this.socket.send(JSON.stringify(message));
    else if (message.type !== "size") this.unsent();
    return open;
  }
}

// An element with a text, which is never read as HTML.
function element(tag, text = "", about = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  return Object.assign(made, about);
}

function byId(id) {
  return document.getElementById(id);
}
