// An image of a crowd to be counted: beside it what was counted, the layers over it, and what can be done with its
// heads (apps/viewers/crowd_view.py). The view holds what the server says and the heads that are marked; its stage
// draws them. Names are set as text, never as HTML.

const STOCK = 12; // pictures that are kept decoded
const HELP = "Click: add a head. Click on a head: remove it. Wheel: zoom. Drag: move.";
const LAYERS = [["heat", "Heat map"], ["zones", "Zones"], ["gate", "Gate"], ["predicted", "Model's heads"], ["marked", "Marked heads"]];

const number = (value) => value.toLocaleString("en");

class View extends Component {
  constructor(root) {
    super(root);
    this.pictures = {};
    this.points = [];
    this.stage = new ImageStage(this, make(root, "div", "", "stage"));
    this.buildAside();
  }

  buildAside() {
    const aside = make(this.root, "aside");
    const count = make(aside, "div", "", "count");
    this.count = make(count, "b");
    this.interval = make(count, "span");
    this.zones = make(aside, "table");
    const layers = make(aside, "div", "", "layers");
    this.layers = {};
    for (const [name, title] of LAYERS) {
      const row = make(layers, "label"), box = make(row, "input");
      Object.assign(box, { type: "checkbox", checked: on[name] });
      make(row, "span", title);
      box.onchange = () => {
        on[name] = box.checked;
        this.stage.paintSoon();
      };
      this.layers[name] = { row, box };
    }
    const slider = make(layers, "input");
    Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.05, value: strength });
    slider.setAttribute("aria-label", "Heat map opacity");
    slider.oninput = () => {
      strength = Number(slider.value);
      if (!on.heat) this.layers.heat.box.click();
      this.stage.paintSoon();
    };
    this.layers.heat.row.after(slider);
    const marking = make(aside, "div", "", "marking");
    this.told = make(marking, "div", "", "told");
    this.saver = make(marking, "button", "", "primary");
    this.saver.onclick = () => this.save();
    const tools = make(marking, "div", "", "tools");
    this.undoer = make(tools, "button", "Undo click");
    this.undoer.onclick = () => this.undo();
    this.clearer = make(tools, "button", "Remove all");
    this.clearer.onclick = () => this.begin([]);
    this.beginner = make(marking, "button", "Begin with the model's heads");
    this.beginner.onclick = () => {
      this.wanting = true;
      this.flush();
    };
    this.state = make(marking, "div", "", "state");
    make(aside, "div", HELP, "help");
  }

  // What the server says, drawn when its pictures are decoded.
  async show(data) {
    this.latest = data;
    const pictures = {};
    await Promise.all(Object.entries(data.pictures).map(async ([name, { id, url, box }]) => {
      let image = this.stock.get(id);
      if (!image && url) {
        image = new Image();
        image.src = url;
        await image.decode();
      }
      if (image) pictures[name] = { id, box, image };
    }));
    if (this.latest !== data) return;
    const lacking = Object.keys(data.pictures).some((name) => !pictures[name]);
    this.keep(pictures);
    const other = this.data?.key !== data.key;
    Object.assign(this, { data, pictures });
    this.acknowledge(data);
    if (!this.isWaiting()) this.points = pairs(data.points);
    if (other) {
      Object.assign(this, { wanting: false, saving: false });
      this.stage.reset();
    }
    if (data.offer && this.wanting) {
      this.wanting = false;
      this.begin(pairs(data.offer));
    }
    if (!this.until) this.saving = false;
    this.showFacts(data);
    this.stage.resized();
    this.waitIfRefused();
    if (this.pending.length || lacking) this.flush(lacking);
  }

  keep(pictures) {
    for (const { id, image } of Object.values(pictures)) {
      this.stock.delete(id);
      this.stock.set(id, image);
    }
    for (const id of [...this.stock.keys()].slice(0, -STOCK)) this.stock.delete(id);
  }

  showFacts(data) {
    this.count.textContent = data.count;
    this.interval.textContent = data.interval;
    this.zones.replaceChildren();
    for (const { name, colour, told } of data.zones) {
      const row = make(this.zones, "tr");
      make(make(row, "td"), "i").style.background = colour;
      make(row, "td", name).title = name;
      make(row, "td", told);
    }
    const there = { heat: data.pictures.heat, zones: data.zones.length, gate: data.pictures.gate, predicted: data.predicted, marked: true };
    for (const [name, { row }] of Object.entries(this.layers)) row.style.display = there[name] ? "" : "none";
    this.predicted = data.predicted ? pairs(data.predicted) : [];
    this.stage.describe(data.title);
    this.beginner.style.display = data.canBegin ? "" : "none";
    this.tell();
  }

  // What is marked, and whether it is kept.
  tell() {
    const count = this.points.length, own = this.data.own || this.stack().length, some = own || count;
    this.told.replaceChildren();
    make(this.told, "b", number(count));
    make(this.told, "span", ` ${count === 1 ? "head" : "heads"} marked${own || !count ? "" : `, ${this.data.origin}`}`);
    this.saver.textContent = some ? `Save ${number(count)} as the count (S)` : "Save 0: nobody is there";
    this.saver.disabled = Boolean(this.saving);
    this.saver.classList.toggle("primary", Boolean(some));
    this.undoer.disabled = !this.stack().length;
    this.clearer.disabled = !count;
    this.state.textContent = this.isWaiting() ? "keeping…" : own ? "Every click is kept. To save is to judge." : "";
  }

  // Keys of the page, but none that is typed into a field.
  key(event) {
    const from = event.composedPath()[0];
    if (from.isContentEditable || /^(input|textarea|select)$/i.test(from.tagName) && from.type !== "checkbox" && from.type !== "range") return;
    if (!this.data || event.altKey || event.metaKey && event.key !== "z") return;
    if ((event.ctrlKey || event.metaKey) && event.key === "z" || event.key === "Backspace") {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.undo();
    } else if (event.key.toLowerCase() === "s" && !event.ctrlKey && !event.repeat) {
      if (this.points.length || this.data.own || this.stack().length) this.save();
    }
  }

  add(point) {
    if (!on.marked) this.layers.marked.box.click();
    this.step(["add", ...point], ["remove", ...point]);
  }

  remove(point) {
    this.step(["remove", ...point], ["add", ...point]);
  }

  begin(points) {
    this.step(["begin", points], ["begin", this.points]);
  }

  undo() {
    const back = this.data && this.stack().pop();
    if (back) this.take(back);
  }

  step(step, back) {
    this.settle(this.points);
    this.stack().push(back);
    this.take(step);
  }

  take(step) {
    this.push(step);
    const [kind, ...rest] = step;
    if (kind === "begin") this.points = [...rest[0]];
    else if (kind === "add") this.points = [...this.points, rest];
    else {
      const place = this.points.findIndex(([x, y]) => x === rest[0] && y === rest[1]);
      if (place >= 0) this.points = this.points.toSpliced(place, 1);
    }
    this.tell();
    this.stage.paintSoon();
    this.flush();
  }

  save() {
    if (this.saving) return;
    this.settle(this.points);
    this.saving = true;
    this.tell();
    this.flush(true);
  }

  message() {
    return { ...super.message(), look: this.stage.looked ?? null, offer: Boolean(this.wanting) };
  }
}

export default (given) => mount(".crowd", View, given);
