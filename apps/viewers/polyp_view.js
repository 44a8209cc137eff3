// A polyp: its size on a scale, a strip of its frames, one of them large with the lesion's box, and what can be
// done with it (apps/viewers/polyp_view.py). The view holds what the server says and what the reviewer marked;
// its parts draw that and ask it for changes. Names are set as text, never as HTML.

const STOCK = 30, THUMBS = 600; // large pictures that are kept decoded, and small ones

class View extends Component {
  constructor(root) {
    super(root);
    this.thumbs = new Map(); // urls of small pictures, by the id of the large one
    this.size = new Size(this, make(root, "div", "", "size"));
    const body = make(root, "div", "", "body"), seen = make(body, "div", "", "seen");
    this.stage = new FrameStage(this, make(seen, "div", "", "stage"));
    this.strip = new Strip(this, make(seen, "div", "", "strip"));
    this.panel = new Panel(this, make(body, "aside"));
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
    const other = this.data?.key !== data.key;
    this.pictures = this.outlined(other ? {} : this.pictures, data.pictures);
    this.data = data;
    this.acknowledge(data);
    if (!this.isWaiting()) this.marks = structuredClone(data.marks);
    if (other) {
      Object.assign(this, { look: data.look, saving: false, asking: false });
      this.stage.reset();
      this.stage.drawing(false);
      this.strip.build();
    }
    if (!this.until) Object.assign(this, { saving: false, asking: false });
    this.tell();
    this.stage.resized();
    this.waitIfRefused();
    if (this.pending.length || this.lacking() && !this.asked?.has(this.wish())) this.flush();
  }

  // Pictures that are known with those that came. An outline comes with the large picture alone.
  outlined(known, came) {
    const all = { ...known, ...came };
    for (const [number, one] of Object.entries(known)) {
      if (came[number] && !came[number].outline.length) all[number].outline = one.outline;
    }
    return all;
  }

  // A picture that should be seen and is not here.
  lacking() {
    const here = (number) => {
      const one = this.pictures[number];
      return one && (!one.id || this.thumbs.has(one.id));
    };
    const one = this.picture();
    return this.data.frames.length && (!one || one.id && !this.stock.has(one.id) || !here(this.strip.seen()));
  }

  wish() {
    return `${this.data.key} ${this.look} ${this.strip.seen()}`;
  }

  picture() {
    return this.pictures?.[this.look];
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

  // Whether the run's size is of other frames or boxes.
  isStale() {
    return this.data.frames.some((one, number) => this.isIn(number) !== one.used || one.used && !same(this.boxOf(number), one.box));
  }

  canDraw() {
    return Boolean(this.frame() && this.picture()?.id);
  }

  own() {
    return this.data.own || this.stack().length > 0;
  }

  // All words and the strip, from what is marked.
  tell() {
    this.size.tell();
    this.strip.tell();
    this.panel.tellFrame();
    if (this.frame()) this.stage.tell();
    this.panel.tellMarks();
  }

  go(number) {
    if (!this.data?.frames.length) return;
    const to = clamp(number, 0, this.data.frames.length - 1);
    if (to === this.look) return;
    this.look = to;
    this.stage.reset();
    this.stage.drawing(false);
    this.strip.reveal();
    this.tell();
    this.stage.resized();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.flush(), 60); // keys that are held go past many frames
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

  markFrame(number, use, box) {
    const mark = [use, box];
    if (!same(mark, this.mark(number))) this.step(["frame", this.frame(number).name, ...mark]);
  }

  // Keys of the page, but none that is typed into a field.
  key(event) {
    const from = event.composedPath()[0], { stage } = this;
    if (from.isContentEditable || /^(textarea|select)$/i.test(from.tagName)) return;
    if (/^input$/i.test(from.tagName) && from.type !== "checkbox") return;
    if (!this.data || event.altKey || (event.ctrlKey || event.metaKey) && event.key !== "z") return;
    const acts = {
      arrowleft: () => this.go(this.look - 1),
      arrowright: () => this.go(this.look + 1),
      i: () => this.toggle(),
      n: () => this.deny(),
      d: () => this.canDraw() && stage.drawing(!stage.isDrawing),
      s: () => event.repeat || this.panel.saver.disabled || this.save(),
      escape: () => stage.drawing(false),
      backspace: () => this.undo(),
    };
    const act = event.ctrlKey || event.metaKey ? () => this.undo() : acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  }

  // What is as `step` will change it.
  before([kind, name]) {
    if (kind === "frame") return ["frame", name, ...(this.marks.frames[name] ?? [null, null])];
    return kind === "size" ? ["size", this.marks.mm, this.marks.bound] : ["reasons", this.marks.reasons];
  }

  step(step) {
    this.settle(this.marks);
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
    this.stage.paintSoon();
    this.flush();
  }

  save() {
    this.saving = true;
    this.panel.tellMarks();
    this.flush(true);
  }

  askAgain() {
    this.asking = true;
    this.panel.tellMarks();
    this.flush(true);
  }

  message() {
    this.asked = (this.asked ?? new Set()).add(this.wish());
    const thumbs = [...this.thumbs.keys()].map((id) => `${id} thumb`);
    return {
      have: [...this.stock.keys(), ...thumbs],
      look: this.look,
      seen: this.strip.seen(),
      save: Boolean(this.saving),
      again: Boolean(this.asking),
    };
  }
}

export default (given) => mount(".polyp", View, given);
