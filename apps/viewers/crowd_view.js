// An image of a crowd with layers over it, and heads that are marked by clicks (apps/viewers/crowd_view.py).
// Places are px of the upright image in the file, 0, 0 at its outer corner. Names are set as text, never as HTML.

const STILL_MS = 140; // without a move, before a sharper part is asked for
const REACH_PX = 8; // how near to a head a click must be to remove it
const STOCK = 12; // pictures that are kept decoded
const SLIP_PX = 4; // how far the pointer may move and it is still a click
const MOST_SCALE = 32; // px of the screen for one of the image
const MARK = "#ff2e88", EDGE = "#fff", SHADE = "#000b", DOOMED = "#ff3b1f";
const HELP = "Click: add a head. Click on a head: remove it. Wheel: zoom. Drag: move.";
const LAYERS = [["heat", "Heat map"], ["zones", "Zones"], ["gate", "Gate"], ["predicted", "Model's heads"], ["marked", "Marked heads"]];
const on = { heat: true, zones: true, gate: false, predicted: false, marked: true }; // kept from item to item
let strength = 0.6; // of the heat map
const history = new Map(); // key of an item, to what undoes each of its steps in this window

const cents = (value) => Math.round(value * 100) / 100;
const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
const number = (value) => value.toLocaleString("en");

class View extends Component {
  constructor(root) {
    super(root);
    this.pictures = {};
    this.dots = {};
    this.points = [];
    const stage = make(root, "div", "", "stage");
    this.canvas = make(stage, "canvas");
    this.canvas.tabIndex = 0;
    this.pen = this.canvas.getContext("2d");
    const zoom = make(stage, "div", "", "zoom");
    for (const [text, name, by] of [["−", "zoom out", 1 / 1.6], ["fit", "whole image", 0], ["+", "zoom in", 1.6]]) {
      const button = make(zoom, "button", text);
      button.setAttribute("aria-label", name);
      button.onclick = () => this.zoomBy(by, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
    }
    this.buildAside();
    this.listen();
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.canvas);
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
        this.draw();
      };
      this.layers[name] = { row, box };
    }
    const slider = make(layers, "input");
    Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.05, value: strength });
    slider.setAttribute("aria-label", "Heat map opacity");
    slider.oninput = () => {
      strength = Number(slider.value);
      if (!on.heat) this.layers.heat.box.click();
      this.draw();
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
    if (data.tab === tab) {
      this.pending = this.pending.filter((one) => one.number > data.acked);
      if (data.answered >= this.sent) this.until = 0;
    }
    if (!this.pending.some((one) => one.key === data.key)) this.points = pairs(data.points);
    if (other) Object.assign(this, { hovered: null, wanting: false, saving: false, looked: null, scale: 0 });
    if (data.offer && this.wanting) {
      this.wanting = false;
      this.begin(pairs(data.offer));
    }
    if (!this.until) this.saving = false;
    this.showFacts(data);
    this.resized();
    // What was sent and could not be kept is tried again, but not at once.
    const refused = this.pending.length && !this.until && this.pending[0].number <= (this.last ?? -1);
    if (refused) this.until = performance.now() + PATIENCE_MS;
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
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", data.title);
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
    const waiting = this.pending.filter((one) => one.key === this.data.key).length;
    this.state.textContent = waiting ? "keeping…" : own ? "Every click is kept. To save is to judge." : "";
  }

  stack() {
    if (!history.has(this.data.key)) history.set(this.data.key, []);
    return history.get(this.data.key);
  }

  // Pixels of the canvas, and the view within its bounds.
  resized() {
    const { data, canvas } = this;
    if (!data || !canvas.clientWidth) return;
    const tall = clamp((canvas.clientWidth * data.height) / data.width, 260, Math.max(320, 0.78 * innerHeight));
    if (Math.abs(canvas.clientHeight - tall) > 1) canvas.style.height = `${tall}px`;
    const size = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * devicePixelRatio));
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const fit = Math.min(canvas.clientWidth / data.width, canvas.clientHeight / data.height);
    if (!this.scale || this.scale <= this.fit * 1.001) this.scale = fit;
    this.fit = fit;
    this.bound();
    this.draw();
    this.watch();
  }

  bound() {
    const { canvas, data } = this;
    this.scale = clamp(this.scale, this.fit, Math.max(MOST_SCALE, this.fit));
    const sides = [canvas.clientWidth, canvas.clientHeight], whole = [data.width, data.height];
    const centre = this.centre ?? whole.map((side) => side / 2);
    this.centre = centre.map((place, i) => {
      const half = sides[i] / 2 / this.scale;
      return 2 * half >= whole[i] ? whole[i] / 2 : clamp(place, half, whole[i] - half);
    });
  }

  // From the image to the canvas in CSS px, and back.
  place([x, y]) {
    return [(x - this.centre[0]) * this.scale + this.canvas.clientWidth / 2, (y - this.centre[1]) * this.scale + this.canvas.clientHeight / 2];
  }

  under(x, y) {
    return [this.centre[0] + (x - this.canvas.clientWidth / 2) / this.scale, this.centre[1] + (y - this.canvas.clientHeight / 2) / this.scale];
  }

  zoomBy(by, x, y) {
    if (!this.data) return;
    const before = this.under(x, y);
    this.scale = by ? this.scale * by : this.fit;
    this.bound();
    const after = this.under(x, y);
    this.centre = this.centre.map((place, i) => place + before[i] - after[i]);
    this.bound();
    this.draw();
    this.watch();
  }

  // A sharper part, once the view is still and what is here is not sharp enough.
  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const look = this.look();
      if (!look || JSON.stringify(look) === JSON.stringify(this.looked)) return;
      this.looked = look;
      this.flush();
    }, STILL_MS);
  }

  look() {
    const { data, canvas, pictures } = this, needed = Math.min(this.scale * devicePixelRatio, data.native);
    const sharp = ({ image, box }) => image.naturalWidth / (box[2] - box[0]) >= 0.9 * needed;
    if (!pictures.whole || sharp(pictures.whole)) return null;
    const [left, top] = this.under(0, 0), [right, bottom] = this.under(canvas.clientWidth, canvas.clientHeight);
    const seen = [Math.max(left, 0), Math.max(top, 0), Math.min(right, data.width), Math.min(bottom, data.height)];
    const part = pictures.part;
    if (part && sharp(part) && part.box[0] <= seen[0] && part.box[1] <= seen[1] && part.box[2] >= seen[2] && part.box[3] >= seen[3]) return null;
    return { box: seen.map(cents), pixels: canvas.width };
  }

  // Once for all that changed since the last picture on the screen.
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  paint() {
    const { pen, canvas, data, pictures } = this;
    if (!data || !this.scale || !pictures.whole) return;
    const unit = devicePixelRatio, [x, y] = this.place([0, 0]);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(unit * this.scale, 0, 0, unit * this.scale, unit * x, unit * y);
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, data.width, data.height); // blocks of the map reach beyond it
    pen.clip();
    pen.imageSmoothingQuality = "high";
    for (const name of ["whole", "part"]) this.drawPicture(name, 1, true);
    if (on.heat) this.drawPicture("heat", strength, true);
    if (on.gate) this.drawPicture("gate", 0.4, false);
    pen.restore();
    pen.setTransform(unit, 0, 0, unit, 0, 0);
    if (on.zones) for (const zone of data.zones) this.drawZone(zone);
    if (on.predicted) this.drawHeads(this.predicted, false);
    if (on.marked) this.drawHeads(this.points, true);
    if (on.zones) for (const zone of data.zones) this.labelZone(zone);
    if (this.hovered) this.drawDoomed();
  }

  drawPicture(name, alpha, smooth) {
    const found = this.pictures[name];
    if (!found) return;
    const [left, top, right, bottom] = found.box;
    this.pen.globalAlpha = alpha;
    this.pen.imageSmoothingEnabled = smooth;
    this.pen.drawImage(found.image, left, top, right - left, bottom - top);
    this.pen.globalAlpha = 1;
  }

  drawZone({ rings, colour }) {
    const { pen } = this, path = new Path2D();
    for (const ring of rings) {
      pairs(ring).forEach((corner, i) => path[i ? "lineTo" : "moveTo"](...this.place(corner)));
      path.closePath();
    }
    for (const [width, style] of [[4, SHADE], [2, colour]]) {
      pen.lineWidth = width;
      pen.strokeStyle = style;
      pen.stroke(path);
    }
  }

  labelZone({ rings, colour, name, told }) {
    const { pen, canvas } = this, corners = pairs(rings[0]), places = corners.map((corner) => this.place(corner));
    const reach = [0, 1].map((i) => places.map((place) => place[i])).map((all) => [Math.min(...all), Math.max(...all)]);
    if (reach[0][1] < 0 || reach[1][1] < 0 || reach[0][0] > canvas.clientWidth || reach[1][0] > canvas.clientHeight) return;
    const [x, y] = this.place(corners.reduce((a, b) => (a[0] + a[1] <= b[0] + b[1] ? a : b)));
    const words = `${name.length > 40 ? `${name.slice(0, 39)}…` : name}: ${told}`;
    pen.font = "600 12px sans-serif";
    const width = pen.measureText(words).width + 10, left = clamp(x, 0, Math.max(0, this.canvas.clientWidth - width));
    const top = clamp(y, 0, this.canvas.clientHeight - 20);
    pen.fillStyle = SHADE;
    pen.fillRect(left, top, width, 20);
    pen.fillStyle = colour;
    pen.textBaseline = "middle";
    pen.fillText(words, left + 5, top + 10.5);
  }

  radius(many) {
    return clamp((many > 400 ? 1.3 : many > 120 ? 2.4 : 4) + 1.1 * Math.log2(this.scale / this.fit), 1.3, 6);
  }

  drawHeads(points, marked) {
    const { pen, canvas } = this, width = canvas.clientWidth, height = canvas.clientHeight;
    const places = points.map((point) => this.place(point)).filter(([x, y]) => x > -9 && y > -9 && x < width + 9 && y < height + 9);
    const radius = this.radius(points.length);
    if (radius < 2) {
      for (const [style, side] of [[SHADE, 2 * radius + 1], [marked ? MARK : EDGE, 2 * radius]]) {
        pen.fillStyle = style;
        for (const [x, y] of places) pen.fillRect(x - side / 2, y - side / 2, side, side);
      }
      return;
    }
    const dot = this.dot(radius, marked), half = dot.width / 2 / devicePixelRatio;
    for (const [x, y] of places) pen.drawImage(dot, x - half, y - half, 2 * half, 2 * half);
  }

  // One head, drawn once and copied. An edge around dots that are smaller would hide the image.
  dot(radius, marked) {
    const name = `${radius.toFixed(2)} ${devicePixelRatio}`, known = this.dots[marked];
    if (known?.name === name) return known.dot;
    const edge = radius > 3 ? 1.5 : 1;
    const outer = radius + (marked ? 0 : 1.5), side = Math.ceil(2 * (outer + 3) * devicePixelRatio);
    const dot = Object.assign(document.createElement("canvas"), { width: side, height: side }), pen = dot.getContext("2d");
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.arc(side / 2 / devicePixelRatio, side / 2 / devicePixelRatio, outer, 0, 2 * Math.PI);
    pen.fillStyle = MARK;
    for (const [style, width] of [[SHADE, 2 * edge], [EDGE, edge]]) {
      pen.strokeStyle = style;
      pen.lineWidth = width;
      pen.stroke();
      if (marked) pen.fill();
    }
    this.dots[marked] = { name, dot };
    return dot;
  }

  drawDoomed() {
    const { pen } = this, [x, y] = this.place(this.hovered), radius = this.radius(this.points.length) + 3;
    pen.lineWidth = 2;
    pen.strokeStyle = DOOMED;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.moveTo(x - radius, y - radius);
    pen.lineTo(x + radius, y + radius);
    pen.stroke();
  }

  // The marked head under the pointer.
  head(x, y) {
    if (!on.marked) return null;
    let nearest = REACH_PX ** 2, found = null;
    for (const point of this.points) {
      const [across, down] = this.place(point), distance = (across - x) ** 2 + (down - y) ** 2;
      if (distance < nearest) [nearest, found] = [distance, point];
    }
    return found;
  }

  listen() {
    const { canvas } = this;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.06 : 0.0018)), ...at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || !this.data) return;
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      this.grip = { from: at(event), centre: this.centre, moved: false };
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event), grip = this.grip;
      if (grip) {
        grip.moved ||= Math.hypot(x - grip.from[0], y - grip.from[1]) > SLIP_PX;
        if (!grip.moved) return;
        this.centre = grip.centre.map((place, i) => place - ([x, y][i] - grip.from[i]) / this.scale);
        this.bound();
        this.watch();
      }
      this.hovered = grip ? null : this.data && this.head(x, y);
      canvas.style.cursor = grip?.moved ? "grabbing" : this.hovered ? "pointer" : "crosshair";
      this.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const grip = this.grip;
      this.grip = null;
      if (grip && !grip.moved) this.click(...grip.from);
    });
    canvas.addEventListener("pointercancel", () => (this.grip = null));
    canvas.addEventListener("pointerleave", () => {
      this.hovered = null;
      this.draw();
    });
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

  click(x, y) {
    const found = this.head(x, y), point = this.under(x, y).map(cents);
    if (found) this.step(["remove", ...found], ["add", ...found]);
    else if (point[0] >= 0 && point[1] >= 0 && point[0] <= this.data.width && point[1] <= this.data.height) {
      if (!on.marked) this.layers.marked.box.click();
      this.step(["add", ...point], ["remove", ...point]);
    }
    this.hovered = this.head(x, y);
    this.draw();
  }

  begin(points) {
    this.step(["begin", points], ["begin", this.points]);
  }

  undo() {
    const back = this.data && this.stack().pop();
    if (back) this.take(back);
  }

  step(step, back) {
    this.settle();
    this.stack().push(back);
    this.take(step);
  }

  // The first step says where marking began, so that the steps alone tell what is marked.
  settle() {
    if (!this.data.own && !this.pending.some((one) => one.key === this.data.key)) this.push(["begin", this.points]);
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
    this.draw();
    this.flush();
  }

  save() {
    if (this.saving) return;
    this.settle();
    this.saving = true;
    this.tell();
    this.flush(true);
  }

  message() {
    return { ...super.message(), look: this.looked ?? null, offer: Boolean(this.wanting) };
  }
}

export default (given) => mount(".crowd", View, given);
