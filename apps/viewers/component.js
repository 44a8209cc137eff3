// What components that take corrections share: it stands before their own script, in one module. Steps are
// numbered in this window, and sent again with every message until the server has acknowledged them.

const PATIENCE_MS = 3000; // after which an answer that did not come is not waited for
const AGAIN_MS = 100; // between two looks whether it has come
const tab = crypto.getRandomValues(new Uint32Array(4)).join("-"); // the name of this window's steps
let steps = 0;
const history = new Map(); // key of an item, to what undoes each of its steps in this window

const make = (parent, tag, text = "", className = "") => {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text;
  element.className = className;
  return element;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

class Component {
  constructor(root) {
    this.root = root;
    this.stock = new Map(); // pictures that are decoded, by their id, the latest last
    this.pending = [];
    this.sent = 0;
  }

  push(step) {
    this.pending.push({ key: this.data.key, number: steps++, step: structuredClone(step) });
  }

  // The first step says where marking began, so that the steps alone tell what is marked.
  settle(marks) {
    if (!this.data.own && !this.isWaiting()) this.push(["begin", marks]);
  }

  // What undoes the steps of the item that is shown, the latest last.
  stack() {
    if (!history.has(this.data.key)) history.set(this.data.key, []);
    return history.get(this.data.key);
  }

  // Whether a step of the item that is shown is not yet acknowledged.
  isWaiting() {
    return this.pending.some((one) => one.key === this.data.key);
  }

  acknowledge({ tab: other, acked, answered }) {
    if (other !== tab) return;
    this.pending = this.pending.filter((one) => one.number > acked);
    if (answered >= this.sent) this.until = 0;
  }

  // What was sent and could not be kept is tried again, but not at once.
  waitIfRefused() {
    const refused = this.pending.length && !this.until && this.pending[0].number <= (this.last ?? -1);
    if (refused) this.until = performance.now() + PATIENCE_MS;
  }

  // What a message says beside the steps.
  message() {
    return { have: [...this.stock.keys()], save: Boolean(this.saving) };
  }

  // All that the server has not answered yet goes in each message, one at a time: none is lost, whichever is.
  flush(now = false) {
    if (!now && performance.now() < (this.until ?? 0)) {
      clearTimeout(this.again);
      this.again = setTimeout(() => this.flush(), AGAIN_MS);
      return;
    }
    this.until = performance.now() + PATIENCE_MS;
    this.last = this.pending.at(-1)?.number ?? this.last;
    this.send("told", {
      tab,
      message: ++this.sent,
      key: this.data.key,
      steps: this.pending.map(({ key, number, step }) => [key, number, ...step]),
      ...this.message(),
    });
  }
}

const shown = new WeakMap(); // element of a mounted component, to its view

const mount = (selector, View, { data, parentElement, setTriggerValue }) => {
  const root = parentElement.querySelector(selector);
  if (!shown.has(root)) {
    const view = new View(root), onKey = (event) => {
      if (root.isConnected) view.key(event);
      else document.removeEventListener("keydown", onKey, true);
    };
    shown.set(root, view);
    document.addEventListener("keydown", onKey, true);
  }
  const view = shown.get(root);
  view.send = setTriggerValue;
  view.show(data);
};

