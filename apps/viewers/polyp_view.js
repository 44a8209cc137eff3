// A polyp: its size on a scale, a strip of its frames, one of them large with the lesion's box, which can be
// moved and drawn anew (apps/viewers/polyp_view.py). Boxes are x0, y0, x1, y1 in px of the upright frame.
// Names are set as text, never as HTML.

const REACH_PX = 9; // how near to a side or a corner of the box it is gripped
const LEAST_PX = 3; // of the frame: sides of a box
const STOCK = 30, THUMBS = 600; // large pictures that are kept decoded, and small ones
const MOST_SCALE = 24; // px of the screen for one of the frame
const IN = "#56ccf2", OUT = "#f2b25a", GREY = "#bbb", SHADE = "#000b";
const HELP = "Drag a side or a corner, or move the box. D, then drag: draw it anew. Wheel: zoom. ← →: other frames.";
const SVG = "http://www.w3.org/2000/svg";
const history = new Map(); // key of a polyp, to what undoes each of its steps in this window

const draw = (parent, tag, attributes, text) => {
  const element = parent.appendChild(document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
const tenths = (value) => Math.round(value * 10) / 10;
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

class View extends Component {
  constructor(root) {
    super(root);
    this.thumbs = new Map(); // urls of small ones, by the same id
    this.buildSize(make(root, "div", "", "size"));
    const body = make(root, "div", "", "body");
    const seen = make(body, "div", "", "seen");
    this.buildStage(make(seen, "div", "", "stage"));
    this.strip = make(seen, "div", "", "strip");
    this.buildAside(make(body, "aside"));
    this.strip.setAttribute("role", "listbox");
    this.strip.setAttribute("aria-label", "Frames");
    this.strip.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.listen();
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.canvas);
  }

  buildSize(parent) {
    const told = make(parent, "div", "", "told");
    this.mm = make(told, "b");
    this.interval = make(told, "span");
    this.decision = make(told, "div", "", "decision");
    this.stale = make(told, "div", "of the run's frames and boxes, not of yours", "stale");
    this.facts = make(told, "div", "", "facts");
    this.scale = draw(parent, "svg", { role: "img" });
  }

  buildStage(parent) {
    this.canvas = make(parent, "canvas");
    this.canvas.tabIndex = 0;
    this.pen = this.canvas.getContext("2d");
    this.problem = make(parent, "div", "", "problem");
    const zoom = make(parent, "div", "", "zoom");
    for (const [text, name, by] of [["−", "zoom out", 1 / 1.5], ["fit", "whole frame", 0], ["+", "zoom in", 1.5]]) {
      const button = make(zoom, "button", text);
      button.setAttribute("aria-label", name);
      button.onclick = () => this.zoomBy(by, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
    }
  }

  buildAside(parent) {
    const frame = make(parent, "section");
    this.name = make(frame, "div", "", "name");
    this.use = make(frame, "div", "", "use");
    this.alone = make(frame, "div", "", "quiet");
    const pair = make(frame, "div", "", "pair");
    this.toggler = this.button(pair, "", () => this.toggle());
    this.denier = this.button(pair, "No lesion (N)", () => this.deny());
    const second = make(frame, "div", "", "pair");
    this.drawer = this.button(second, "Draw box (D)", () => this.drawing(!this.isDrawing));
    this.resetter = this.button(second, "As in the run", () => this.markFrame(this.look, null, null));
    this.corners = make(frame, "div", "", "corners");
    this.fields = ["x0", "y0", "x1", "y1"].map((name) => {
      const label = make(this.corners, "label", name), field = make(label, "input");
      Object.assign(field, { type: "number", min: 0, step: 1 });
      field.setAttribute("aria-label", name);
      field.onchange = () => this.typed();
      return field;
    });
    const size = make(parent, "section");
    const row = make(size, "label", "Right size", "right");
    this.right = make(row, "input");
    Object.assign(this.right, { type: "number", min: 0.1, step: 0.1, placeholder: "mm" });
    this.right.setAttribute("aria-label", "Right size in mm");
    this.right.onchange = () => this.typedSize();
    make(row, "span", "mm");
    const bound = make(size, "label", "", "check");
    this.atLeast = make(bound, "input");
    this.atLeast.type = "checkbox";
    this.atLeast.onchange = () => this.typedSize();
    make(bound, "span", "at least that large");
    this.known = this.button(size, "", () => this.step(["size", ...this.data.size.true]));
    const reasons = make(parent, "section");
    make(reasons, "div", "Reasons", "quiet");
    this.reasons = make(reasons, "div", "", "chips");
    const end = make(parent, "section");
    this.sizer = this.button(end, "Size again", () => this.askAgain());
    this.answer = make(end, "div", "", "answer");
    this.taker = this.button(end, "Take this size", () => this.step(["size", tenths(this.data.again.mm), false]));
    this.saver = this.button(end, "", () => this.save());
    this.saver.className = "primary";
    this.undoer = this.button(end, "Undo step", () => this.undo());
    this.state = make(end, "div", "", "quiet");
    make(end, "div", HELP, "quiet");
  }

  button(parent, text, act) {
    const button = make(parent, "button", text);
    button.onclick = act;
    return button;
  }

  // What the server says, drawn when its pictures are decoded.
  async show(data) {
    this.latest = data;
    const fresh = Object.values(data.pictures).filter((one) => one.id);
    for (const { id, thumb } of fresh) if (thumb) this.thumbs.set(id, thumb);
    for (const id of [...this.thumbs.keys()].slice(0, -THUMBS)) this.thumbs.delete(id);
    await Promise.all(fresh.filter((one) => one.large && !this.stock.has(one.id)).map(async ({ id, large }) => {
      const image = new Image();
      image.src = large;
      await image.decode().then(() => this.stock.set(id, image), () => {});
    }));
    if (this.latest !== data) return;
    for (const id of [...this.stock.keys()].slice(0, -STOCK)) this.stock.delete(id);
    const other = this.data?.key !== data.key, known = other ? {} : this.pictures;
    // An outline comes with the large picture alone.
    this.pictures = { ...known, ...data.pictures };
    for (const [number, one] of Object.entries(known)) {
      if (data.pictures[number] && !data.pictures[number].outline.length) this.pictures[number].outline = one.outline;
    }
    this.data = data;
    if (data.tab === tab) {
      this.pending = this.pending.filter((one) => one.number > data.acked);
      if (data.answered >= this.sent) this.until = 0;
    }
    if (!this.pending.some((one) => one.key === data.key)) this.marks = structuredClone(data.marks);
    if (other) {
      Object.assign(this, { look: data.look, saving: false, asking: false, zoom: 1, centre: null, grip: null });
      this.drawing(false);
      this.buildStrip();
    }
    if (!this.until) Object.assign(this, { saving: false, asking: false });
    this.tell();
    this.resized();
    // What was sent and could not be kept is tried again, but not at once.
    const refused = this.pending.length && !this.until && this.pending[0].number <= (this.last ?? -1);
    if (refused) this.until = performance.now() + PATIENCE_MS;
    if (this.pending.length || this.lacking() && !this.asked?.has(this.wish())) this.flush();
  }

  // A picture that should be seen and is not here.
  lacking() {
    const here = (number) => {
      const one = this.pictures[number];
      return one && (!one.id || this.thumbs.has(one.id));
    };
    const one = this.pictures[this.look];
    return this.data.frames.length && (!one || one.id && !this.stock.has(one.id) || !here(this.seen()));
  }

  wish() {
    return `${this.data.key} ${this.look} ${this.seen()}`;
  }

  frame(number = this.look) {
    return this.data.frames[number];
  }

  mark(number = this.look) {
    return this.marks.frames[this.frame(number).name] ?? [null, null];
  }

  boxOf(number = this.look) {
    const [, box] = this.mark(number);
    return box === "none" ? null : box ?? this.frame(number).box;
  }

  isIn(number = this.look) {
    const [use] = this.mark(number);
    return this.boxOf(number) !== null && (use ?? this.frame(number).used);
  }

  isStale() {
    return this.data.frames.some((one, number) => this.isIn(number) !== one.used || one.used && !same(this.boxOf(number), one.box));
  }

  stack() {
    if (!history.has(this.data.key)) history.set(this.data.key, []);
    return history.get(this.data.key);
  }

  own() {
    return this.data.own || this.stack().length > 0;
  }

  buildStrip() {
    this.strip.replaceChildren();
    this.strip.scrollLeft = 0;
    this.cells = this.data.frames.map((one, number) => {
      const cell = make(this.strip, "button", "", "cell");
      cell.setAttribute("role", "option");
      cell.onclick = () => this.go(number);
      const picture = make(cell, "div", "", "picture");
      return { cell, image: make(picture, "img"), badge: make(picture, "i"), words: make(cell, "span"), under: make(cell, "small") };
    });
    for (const { image } of this.cells) image.alt = "";
    this.reveal();
  }

  reveal() {
    const cell = this.cells[this.look]?.cell;
    if (!cell) return;
    const left = cell.offsetLeft - this.strip.offsetLeft, right = left + cell.offsetWidth;
    if (left < this.strip.scrollLeft + 20) this.strip.scrollLeft = left - 40;
    if (right > this.strip.scrollLeft + this.strip.clientWidth - 20) this.strip.scrollLeft = right - this.strip.clientWidth + 40;
  }

  // The frame in the middle of the strip.
  seen() {
    if (!this.cells?.length) return 0;
    const wide = this.cells[0].cell.offsetWidth + 6;
    const middle = this.strip.scrollLeft + Math.min(this.strip.clientWidth, this.strip.scrollWidth) / 2;
    return clamp(Math.floor(middle / wide), 0, this.cells.length - 1);
  }

  scrolled() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.data && this.lacking() && this.flush(), 150);
  }

  // All words and the strip, from what is marked.
  tell() {
    this.tellSize();
    this.tellStrip();
    this.tellFrame();
    this.tellMarks();
  }

  tellSize() {
    const { size } = this.data, stale = this.isStale();
    this.mm.textContent = size.mm === null ? "no size" : `${size.mm.toFixed(1)} mm`;
    this.interval.textContent = size.low === null || size.high === null ? (size.mm === null ? "" : "without an interval") : `${size.low.toFixed(1)} to ${size.high.toFixed(1)} mm`;
    this.decision.textContent = size.decision;
    this.decision.classList.toggle("unsure", ["abstained", "indeterminate"].includes(size.decision));
    this.facts.replaceChildren();
    if (size.reason) make(this.facts, "div", size.reason, "why");
    if (size.trained) make(this.facts, "div", "The model was trained on this polyp, or on its patient.", "trained");
    if (size.mm !== null) make(this.facts, "div", `Scale: ${size.scale}`);
    this.mm.classList.toggle("old", stale);
    this.stale.style.display = stale ? "" : "none";
    this.drawScale();
  }

  drawScale() {
    const { data, scale, marks } = this, { size } = data, [true_mm, true_bound] = size.true, again = data.again?.mm ?? null;
    scale.replaceChildren();
    const sizes = [size.mm, size.high, true_mm, marks.mm, again].filter((one) => one !== null);
    const most = clamp(Math.ceil(Math.max(15, ...sizes.map((one) => one * 1.12)) / 5) * 5, 15, 200);
    const wide = Math.max(scale.clientWidth, 240), base = 76, x = (mm) => 12 + (clamp(mm, 0, most) / most) * (wide - 24);
    scale.setAttribute("viewBox", `0 0 ${wide} 112`);
    scale.setAttribute("aria-label", `${this.mm.textContent}, ${this.interval.textContent}, thresholds at 5 and 10 mm`);
    if (data.size.curve.length) {
      const inside = data.size.curve.filter(([mm]) => mm <= most);
      const line = inside.map(([mm, one]) => `${x(mm).toFixed(1)},${(base - 46 * one).toFixed(1)}`);
      draw(scale, "polygon", { points: `${x(0)},${base} ${line.join(" ")} ${x(inside.at(-1)[0])},${base}`, class: "curve" });
    }
    draw(scale, "line", { x1: x(0), x2: x(most), y1: base, y2: base, class: "axis" });
    const every = most > 80 ? 20 : most > 40 ? 10 : 5;
    for (let mm = 0; mm <= most; mm += every) {
      const special = data.thresholds.includes(mm);
      draw(scale, "line", { x1: x(mm), x2: x(mm), y1: special ? 18 : base, y2: base + 5, class: special ? "threshold" : "axis" });
      draw(scale, "text", { x: x(mm), y: base + 18, class: special ? "number strong" : "number" }, mm === most ? `${mm} mm` : mm);
    }
    const [small, large] = size.chances, percent = (one) => `${Math.round(one * 100)}%`;
    const [low, high] = data.thresholds;
    if (small !== null) draw(scale, "text", { x: (x(0) + x(low)) / 2, y: 12, class: "number" }, `≤${low}: ${percent(small)}`);
    if (small !== null && large !== null) draw(scale, "text", { x: (x(low) + x(high)) / 2, y: 12, class: "number" }, percent(clamp(1 - small - large, 0, 1)));
    if (large !== null) draw(scale, "text", { x: (x(high) + x(most)) / 2, y: 12, class: "number" }, `≥${high}: ${percent(large)}`);
    if (size.low !== null && size.high !== null) {
      draw(scale, "line", { x1: x(size.low), x2: x(size.high), y1: base - 12, y2: base - 12, class: "interval" });
      for (const end of [size.low, size.high]) draw(scale, "line", { x1: x(end), x2: x(end), y1: base - 17, y2: base - 7, class: "end" });
    }
    if (size.mm !== null) draw(scale, "circle", { cx: x(size.mm), cy: base - 12, r: 5.5, class: "point" });
    const below = [];
    if (true_mm !== null) below.push([true_mm, `known ${true_bound ? "≥" : ""}${true_mm}`, "true"]);
    if (again !== null) below.push([again, `again ${again.toFixed(1)}`, "again"]);
    if (marks.mm !== null) below.push([marks.mm, `yours ${marks.bound ? "≥" : ""}${marks.mm}`, "own"]);
    let last = -1e9;
    for (const [mm, words, kind] of below.sort((a, b) => a[0] - b[0])) {
      draw(scale, "path", { d: `M ${x(mm)} ${base + 1} l -5 8 l 10 0 z`, class: kind });
      const place = Math.max(clamp(x(mm), 34, wide - 34), last + 70);
      last = place;
      draw(scale, "text", { x: place, y: base + 33, class: `number ${kind}` }, words);
    }
  }

  tellStrip() {
    this.data.frames.forEach((one, number) => {
      const { cell, image, badge, words, under } = this.cells[number], picture = this.pictures[number];
      const thumb = picture?.id ? this.thumbs.get(picture.id) : null, changed = !same(this.mark(number), [null, null]);
      if (thumb && image.src !== thumb) image.src = thumb;
      image.style.visibility = thumb ? "" : "hidden";
      const isIn = this.isIn(number), mine = changed && isIn !== one.used;
      cell.className = `cell ${isIn ? "in" : "out"}${number === this.look ? " here" : ""}${changed ? " changed" : ""}`;
      cell.setAttribute("aria-selected", number === this.look);
      badge.textContent = changed ? "✎" : "";
      words.textContent = one.mm === null ? "–" : `${one.mm.toFixed(1)} mm`;
      under.textContent = isIn ? (mine ? "put in" : "") : mine ? "put out" : this.boxOf(number) === null && !one.reason ? "no lesion" : one.reason;
      cell.title = [one.shown, isIn ? "counts" : `left out: ${one.reason || "by you"}`, picture?.error].filter(Boolean).join("\n");
    });
  }

  tellFrame() {
    const one = this.frame(), none = !one;
    for (const button of [this.toggler, this.denier, this.drawer, this.resetter]) button.disabled = none;
    this.corners.style.display = none ? "none" : "";
    if (none) {
      this.name.textContent = "no frames";
      return;
    }
    const isIn = this.isIn(), box = this.boxOf(), mark = this.mark(), picture = this.pictures[this.look];
    this.name.textContent = `${this.look + 1} of ${this.data.frames.length}: ${one.shown}`;
    this.name.title = one.shown;
    const byYou = isIn !== one.used;
    const why = isIn ? (byYou ? "put in by you" : "") : byYou ? (box === null ? "no lesion, you say" : "put out by you") : one.reason;
    this.use.textContent = `${isIn ? "counts" : "left out"}${why ? `: ${why}` : ""}`;
    this.use.className = `use ${isIn ? "in" : "out"}`;
    this.alone.textContent = one.told;
    this.toggler.textContent = isIn ? "Put out (I)" : "Put in (I)";
    this.toggler.disabled = box === null;
    this.denier.disabled = box === null;
    this.drawer.disabled = !picture?.id;
    this.resetter.disabled = same(mark, [null, null]);
    this.problem.textContent = picture?.error ?? "";
    this.problem.style.display = picture?.error ? "" : "none";
    this.fields.forEach((field, i) => {
      if (field !== this.root.getRootNode().activeElement) field.value = box ? box[i] : "";
      field.max = i % 2 ? one.height || 65535 : one.width || 65535;
    });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `frame ${one.shown}`);
  }

  tellMarks() {
    const { data, marks, right, atLeast } = this, [true_mm, true_bound] = data.size.true;
    if (right !== this.root.getRootNode().activeElement) right.value = marks.mm ?? "";
    right.max = data.mostMm;
    atLeast.checked = marks.bound;
    atLeast.disabled = marks.mm === null;
    this.known.style.display = true_mm === null || marks.mm === true_mm && marks.bound === true_bound ? "none" : "";
    this.known.textContent = `Take the known size, ${true_bound ? "≥" : ""}${true_mm} mm`;
    if (this.reasons.childElementCount !== data.reasons.length) {
      this.reasons.replaceChildren();
      for (const one of data.reasons) {
        this.button(this.reasons, one, () => {
          const now = this.marks.reasons;
          this.step(["reasons", now.includes(one) ? now.filter((other) => other !== one) : [...now, one]]);
        });
      }
    }
    for (const chip of this.reasons.children) {
      const is = marks.reasons.includes(chip.textContent);
      chip.classList.toggle("chosen", is);
      chip.setAttribute("aria-pressed", is);
    }
    const stale = this.isStale(), said = marks.mm !== null || marks.reasons.length || Object.keys(marks.frames).length;
    this.sizer.style.display = stale && data.canSize && !data.again ? "" : "none";
    this.sizer.textContent = this.asking ? "Sizing…" : "Size again";
    this.sizer.disabled = Boolean(this.asking);
    this.answer.textContent = data.again ? `Again: ${data.again.told}` : "";
    this.taker.style.display = data.again?.mm != null && marks.mm !== tenths(data.again.mm) ? "" : "none";
    const kept = marks.mm === null ? (data.size.mm === null ? "without a size" : `with ${data.size.mm.toFixed(1)} mm`) : `${marks.bound ? "≥" : ""}${marks.mm} mm`;
    this.saver.textContent = said ? (marks.mm === null ? `Save changes, ${kept} (S)` : `Save ${kept} (S)`) : "Nothing to save";
    this.saver.disabled = !said || Boolean(this.saving);
    this.undoer.disabled = !this.stack().length;
    const waiting = this.pending.some((one) => one.key === data.key);
    this.state.textContent = waiting ? "keeping…" : this.own() ? "Every step is kept. To save is to judge." : data.origin && said ? `Shown ${data.origin}.` : "";
  }

  go(number) {
    if (!this.data?.frames.length) return;
    const to = clamp(number, 0, this.data.frames.length - 1);
    if (to === this.look) return;
    Object.assign(this, { look: to, zoom: 1, centre: null });
    this.drawing(false);
    this.reveal();
    this.tell();
    this.resized();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.flush(), 60); // keys that are held go past many frames
  }

  // What of the frame can be seen: where its picture lies.
  extent() {
    const one = this.frame(), picture = this.pictures?.[this.look];
    if (picture?.id) return picture.box;
    return [0, 0, one?.width || 4, one?.height || 3];
  }

  resized() {
    const { canvas } = this;
    if (!this.data || !canvas.clientWidth) return;
    const [left, top, right, bottom] = this.extent();
    const tall = clamp((canvas.clientWidth * (bottom - top)) / (right - left), 240, Math.max(280, 0.45 * innerHeight));
    if (Math.abs(canvas.clientHeight - tall) > 1) canvas.style.height = `${tall}px`;
    const size = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * devicePixelRatio));
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    this.fit = Math.min(canvas.clientWidth / (right - left), canvas.clientHeight / (bottom - top));
    this.hold();
    this.paintSoon();
    if (this.scale.clientWidth !== this.wide) {
      this.wide = this.scale.clientWidth;
      this.drawScale();
    }
  }

  hold() {
    const ends = this.extent(), sides = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.zoom = clamp(this.zoom, 1, Math.max(1, MOST_SCALE / this.fit));
    const scale = this.fit * this.zoom;
    this.centre = [0, 1].map((i) => {
      const low = ends[i], high = ends[i + 2], half = sides[i] / 2 / scale;
      return 2 * half >= high - low ? (low + high) / 2 : clamp(this.centre?.[i] ?? (low + high) / 2, low + half, high - half);
    });
  }

  // From the frame to the canvas in CSS px, and back.
  place(x, y) {
    const scale = this.fit * this.zoom;
    return [(x - this.centre[0]) * scale + this.canvas.clientWidth / 2, (y - this.centre[1]) * scale + this.canvas.clientHeight / 2];
  }

  under(x, y) {
    const scale = this.fit * this.zoom;
    return [this.centre[0] + (x - this.canvas.clientWidth / 2) / scale, this.centre[1] + (y - this.canvas.clientHeight / 2) / scale];
  }

  zoomBy(by, x, y) {
    if (!this.data || !this.centre) return;
    const before = this.under(x, y);
    this.zoom = by ? this.zoom * by : 1;
    this.hold();
    const after = this.under(x, y);
    this.centre = this.centre.map((place, i) => place + before[i] - after[i]);
    this.hold();
    this.paintSoon();
  }

  paintSoon() {
    this.painting ??= requestAnimationFrame(() => {
      this.painting = null;
      this.paint();
    });
  }

  paint() {
    const { pen, canvas } = this, picture = this.pictures?.[this.look], unit = devicePixelRatio;
    if (!this.data || !this.centre) return;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(unit, 0, 0, unit, 0, 0);
    const [left, top, right, bottom] = this.extent(), [x, y] = this.place(left, top), scale = this.fit * this.zoom;
    const image = picture?.id && (this.stock.get(picture.id) ?? this.small(picture.id));
    pen.imageSmoothingQuality = "high";
    if (image) pen.drawImage(image, x, y, (right - left) * scale, (bottom - top) * scale);
    const one = this.frame();
    if (!one) return;
    const box = this.grip?.box ?? this.boxOf(), isIn = this.isIn(), colour = isIn ? IN : OUT;
    if (one.box && !same(box, one.box)) this.drawBox(one.box, GREY, 1, [4, 4]);
    if (same(box, one.box)) for (const line of picture?.outline ?? []) this.drawOutline(line, colour);
    if (!box) return;
    const outlined = picture?.outline?.length && same(box, one.box);
    this.drawBox(box, colour, outlined ? 1 : 2, isIn ? [] : [7, 4]);
    pen.fillStyle = colour;
    pen.strokeStyle = SHADE;
    pen.lineWidth = 1;
    for (const [cx, cy] of [[box[0], box[1]], [box[2], box[1]], [box[0], box[3]], [box[2], box[3]]]) {
      const [px, py] = this.place(cx, cy);
      pen.fillRect(px - 4, py - 4, 8, 8);
      pen.strokeRect(px - 4, py - 4, 8, 8);
    }
  }

  // The small picture of a frame, until the large one is here.
  small(id) {
    const url = this.thumbs.get(id);
    if (!url) return null;
    this.tiny ??= new Map();
    if (!this.tiny.has(id)) {
      const image = new Image();
      image.src = url;
      image.decode().then(() => this.paintSoon(), () => {});
      this.tiny = new Map([[id, image]]);
    }
    const image = this.tiny.get(id);
    return image.complete && image.naturalWidth ? image : null;
  }

  drawBox(box, colour, width, dashes) {
    const { pen } = this, [x0, y0] = this.place(box[0], box[1]), [x1, y1] = this.place(box[2], box[3]);
    for (const [wide, style] of [[width + 2, SHADE], [width, colour]]) {
      pen.lineWidth = wide;
      pen.strokeStyle = style;
      pen.setLineDash(style === SHADE ? [] : dashes);
      if (style !== SHADE || !dashes.length) pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
    pen.setLineDash([]);
  }

  drawOutline(line, colour) {
    const { pen } = this;
    pen.beginPath();
    for (let i = 0; i < line.length; i += 2) pen[i ? "lineTo" : "moveTo"](...this.place(line[i], line[i + 1]));
    pen.closePath();
    for (const [wide, style] of [[4, SHADE], [2, colour]]) {
      pen.lineWidth = wide;
      pen.strokeStyle = style;
      pen.stroke();
    }
  }

  // What of the box is under the pointer: the numbers of the corners' coordinates that would move.
  handle(x, y) {
    const box = this.frame() && this.boxOf();
    if (!box || this.isDrawing) return null;
    const [x0, y0] = this.place(box[0], box[1]), [x1, y1] = this.place(box[2], box[3]);
    if (x < x0 - REACH_PX || x > x1 + REACH_PX || y < y0 - REACH_PX || y > y1 + REACH_PX) return null;
    const near = [Math.abs(x - x0), Math.abs(y - y0), Math.abs(x - x1), Math.abs(y - y1)].map((one) => one <= REACH_PX);
    if (near[0] && near[2]) near[x > (x0 + x1) / 2 ? 0 : 2] = false;
    if (near[1] && near[3]) near[y > (y0 + y1) / 2 ? 1 : 3] = false;
    const some = [0, 1, 2, 3].filter((i) => near[i]);
    return some.length ? some : [0, 1, 2, 3];
  }

  cursor(handle) {
    if (!handle) return this.isDrawing || this.frame() && !this.boxOf() && !this.drawer.disabled ? "crosshair" : this.zoom > 1 ? "grab" : "default";
    if (handle.length === 4) return "move";
    if (handle.length === 1) return handle[0] % 2 ? "ns-resize" : "ew-resize";
    return same(handle, [0, 1]) || same(handle, [2, 3]) ? "nwse-resize" : "nesw-resize";
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
      if (event.button || !this.data || !this.centre || !this.pictures[this.look]?.id) return;
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      const from = at(event), handle = this.handle(...from), begun = this.isDrawing || !this.boxOf();
      this.grip = { from, centre: this.centre, handle, before: this.boxOf(), anew: begun && !handle, box: null };
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event), { grip } = this;
      if (!this.data || !this.centre) return;
      if (!grip) {
        canvas.style.cursor = this.cursor(this.handle(x, y));
        return;
      }
      if (!grip.box && Math.hypot(x - grip.from[0], y - grip.from[1]) < 3) return;
      const a = this.under(...grip.from), b = this.under(x, y);
      if (grip.anew) grip.box = this.within([Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])]);
      else if (grip.handle) grip.box = this.moved(grip.before, grip.handle, [b[0] - a[0], b[1] - a[1]]);
      else {
        const scale = this.fit * this.zoom;
        this.centre = grip.centre.map((place, i) => place - ([x, y][i] - grip.from[i]) / scale);
        this.hold();
      }
      this.fields.forEach((field, i) => grip.box && (field.value = grip.box[i]));
      this.paintSoon();
    });
    canvas.addEventListener("pointerup", () => {
      const { grip } = this;
      this.grip = null;
      if (grip?.box && !same(grip.box, grip.before) && this.large(grip.box)) this.setBox(grip.box);
      else this.tellFrame();
      if (grip?.anew) this.drawing(false);
      this.paintSoon();
    });
    canvas.addEventListener("pointercancel", () => (this.grip = null));
  }

  sides() {
    const one = this.frame(), ends = this.extent();
    return [one.width || ends[2], one.height || ends[3]];
  }

  within(box) {
    const sides = this.sides();
    return box.map((place, i) => tenths(clamp(place, 0, sides[i % 2])));
  }

  large(box) {
    return box[2] - box[0] >= LEAST_PX && box[3] - box[1] >= LEAST_PX;
  }

  moved(before, handle, by) {
    const sides = this.sides(), box = [...before];
    if (handle.length === 4) {
      const step = [0, 1].map((i) => clamp(by[i], -before[i], sides[i] - before[i + 2]));
      return box.map((place, i) => tenths(place + step[i % 2]));
    }
    for (const i of handle) {
      const limits = i < 2 ? [0, box[i + 2] - LEAST_PX] : [box[i - 2] + LEAST_PX, sides[i - 2]];
      box[i] = tenths(clamp(box[i] + by[i % 2], ...limits));
    }
    return box;
  }

  drawing(on) {
    this.isDrawing = on;
    this.drawer.classList.toggle("chosen", on);
    this.drawer.setAttribute("aria-pressed", on);
    this.canvas.style.cursor = on ? "crosshair" : "default";
  }

  // A box that the reviewer gave. It puts in a frame that was left out for want of a lesion.
  setBox(box) {
    const one = this.frame(), [use] = this.mark(), bare = this.boxOf() === null;
    this.markFrame(this.look, bare && !one.used ? true : use, same(box, one.box) ? null : box);
  }

  toggle() {
    if (!this.frame() || !this.boxOf()) return;
    const wanted = !this.isIn();
    this.markFrame(this.look, wanted === this.frame().used ? null : wanted, this.mark()[1]);
  }

  deny() {
    if (this.frame() && this.boxOf()) this.markFrame(this.look, null, "none");
  }

  typed() {
    const box = this.fields.map((field) => field.valueAsNumber);
    if (!this.frame() || box.some((one) => !Number.isFinite(one))) return;
    const fitted = this.within(box);
    if (this.large(fitted) && !same(fitted, this.boxOf())) this.setBox(fitted);
    this.fields.forEach((field, i) => (field.value = (this.boxOf() ?? box)[i]));
  }

  typedSize() {
    const mm = this.right.valueAsNumber;
    const good = Number.isFinite(mm) && mm > 0 && mm <= this.data.mostMm;
    this.right.setCustomValidity(good || this.right.value === "" ? "" : `above 0 and at most ${this.data.mostMm} mm`);
    if (!good && this.right.value !== "") {
      this.right.reportValidity();
      return;
    }
    const step = good ? ["size", Math.round(mm * 100) / 100, this.atLeast.checked] : ["size", null, false];
    if (!same(step, ["size", this.marks.mm, this.marks.bound])) this.step(step);
  }

  // Keys of the page, but none that is typed into a field.
  key(event) {
    const from = event.composedPath()[0];
    if (from.isContentEditable || /^(textarea|select)$/i.test(from.tagName)) return;
    if (/^input$/i.test(from.tagName) && from.type !== "checkbox") return;
    if (!this.data || event.altKey || (event.ctrlKey || event.metaKey) && event.key !== "z") return;
    const acts = {
      arrowleft: () => this.go(this.look - 1),
      arrowright: () => this.go(this.look + 1),
      i: () => this.toggle(),
      n: () => this.deny(),
      d: () => this.drawer.disabled || this.drawing(!this.isDrawing),
      s: () => event.repeat || this.saver.disabled || this.save(),
      escape: () => this.drawing(false),
      backspace: () => this.undo(),
    };
    const act = event.ctrlKey || event.metaKey ? () => this.undo() : acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  }

  markFrame(number, use, box) {
    const mark = [use, box];
    if (!same(mark, this.mark(number))) this.step(["frame", this.frame(number).name, ...mark]);
  }

  // What is as `step` will change it.
  before([kind, name]) {
    if (kind === "frame") return ["frame", name, ...(this.marks.frames[name] ?? [null, null])];
    return kind === "size" ? ["size", this.marks.mm, this.marks.bound] : ["reasons", this.marks.reasons];
  }

  step(step) {
    // The first step says where one began, so that the steps alone tell what is marked.
    if (!this.data.own && !this.pending.some((one) => one.key === this.data.key)) this.push(["begin", this.marks]);
    this.stack().push(this.before(step));
    this.take(step);
  }

  undo() {
    const back = this.data && this.stack().pop();
    if (!back) return;
    if (back[0] === "frame") {
      const number = this.data.frames.findIndex((one) => one.name === back[1]);
      if (number >= 0) this.go(number);
    }
    this.take(back);
  }

  take(step) {
    this.push(step);
    const [kind, ...rest] = step, marks = structuredClone(this.marks);
    if (kind === "frame" && same(rest.slice(1), [null, null])) delete marks.frames[rest[0]];
    else if (kind === "frame") marks.frames[rest[0]] = rest.slice(1);
    else if (kind === "size") [marks.mm, marks.bound] = rest;
    else [marks.reasons] = rest;
    this.marks = marks;
    this.data.again = null; // it is of other marks
    this.tell();
    this.paintSoon();
    this.flush();
  }

  save() {
    this.saving = true;
    this.tellMarks();
    this.flush(true);
  }

  askAgain() {
    this.asking = true;
    this.tellMarks();
    this.flush(true);
  }

  message() {
    this.asked = (this.asked ?? new Set()).add(this.wish());
    const thumbs = [...this.thumbs.keys()].map((id) => `${id} thumb`);
    return {
      have: [...this.stock.keys(), ...thumbs],
      look: this.look,
      seen: this.seen(),
      save: Boolean(this.saving),
      again: Boolean(this.asking),
    };
  }
}

export default (given) => mount(".polyp", View, given);
