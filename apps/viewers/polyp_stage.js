// One frame, large, with the lesion's box, which can be moved and drawn anew. Boxes are x0, y0, x1, y1 in px of
// the upright frame.

const REACH_PX = 9; // how near to a side or a corner of the box it is gripped
const LEAST_PX = 3; // of the frame: sides of a box
const IN = "#56ccf2", OUT = "#f2b25a", GREY = "#bbb";

const tenths = (value) => Math.round(value * 10) / 10;
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const isLarge = (box) => box[2] - box[0] >= LEAST_PX && box[3] - box[1] >= LEAST_PX;

class FrameStage extends Stage {
  constructor(view, parent) {
    super(parent, { whole: "whole frame", step: 1.5, most: 24, heights: [240, 280, 0.45] });
    this.view = view;
    this.problem = make(parent, "div", "", "problem");
    this.canvas.after(this.problem);
  }

  // Where the frame's picture lies: not all of the frame can be seen.
  extent() {
    const { view } = this;
    if (!view.data) return null;
    const one = view.frame(), picture = view.picture();
    return picture?.id ? picture.box : [0, 0, one?.width || 4, one?.height || 3];
  }

  tell() {
    const error = this.view.picture()?.error;
    this.problem.textContent = error ?? "";
    this.problem.style.display = error ? "" : "none";
    this.describe(`frame ${this.view.frame().shown}`);
  }

  // Whether the next drag draws the box anew.
  drawing(on) {
    this.isDrawing = on;
    this.view.panel.tellDrawing(on);
    this.canvas.style.cursor = on ? "crosshair" : "default";
  }

  paint() {
    if (!this.centre) return;
    const { pen, canvas, view } = this, picture = view.picture(), unit = devicePixelRatio;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(unit, 0, 0, unit, 0, 0);
    const [left, top, right, bottom] = this.extent(), [x, y] = this.place(left, top), { scale } = this;
    const image = picture?.id && (view.stock.get(picture.id) ?? this.small(picture.id));
    pen.imageSmoothingQuality = "high";
    if (image) pen.drawImage(image, x, y, (right - left) * scale, (bottom - top) * scale);
    const one = view.frame();
    if (!one) return;
    const box = this.grip?.box ?? view.boxOf(), isIn = view.isIn(), colour = isIn ? IN : OUT, given = same(box, one.box);
    if (one.box && !given) this.drawBox(one.box, GREY, 1, [4, 4]);
    if (given) for (const line of picture?.outline ?? []) this.drawOutline(line, colour);
    if (!box) return;
    const outlined = picture?.outline?.length && given;
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
    const url = this.view.thumbs.get(id);
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
    const box = this.view.frame() && this.view.boxOf();
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
    const { view } = this;
    if (!handle) return this.isDrawing || view.canDraw() && !view.boxOf() ? "crosshair" : this.zoom > 1 ? "grab" : "default";
    if (handle.length === 4) return "move";
    if (handle.length === 1) return handle[0] % 2 ? "ns-resize" : "ew-resize";
    return same(handle, [0, 1]) || same(handle, [2, 3]) ? "nwse-resize" : "nesw-resize";
  }

  canGrip() {
    return super.canGrip() && Boolean(this.view.picture()?.id);
  }

  // handle: what of the box would move. anew: whether another box is drawn. Without both the frame is moved.
  gripAt(from) {
    const handle = this.handle(...from), before = this.view.boxOf();
    return { ...super.gripAt(from), handle, before, anew: (this.isDrawing || !before) && !handle, box: null };
  }

  hover(x, y) {
    this.canvas.style.cursor = this.cursor(this.handle(x, y));
  }

  drag(grip, x, y) {
    if (!grip.box && Math.hypot(x - grip.from[0], y - grip.from[1]) < 3) return;
    const a = this.under(...grip.from), b = this.under(x, y);
    if (grip.anew) grip.box = this.within([Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])]);
    else if (grip.handle) grip.box = this.moved(grip.before, grip.handle, [b[0] - a[0], b[1] - a[1]]);
    else this.pan(grip, x, y);
    if (grip.box) this.view.panel.tellBox(grip.box);
    this.paintSoon();
  }

  release({ box, before, anew }) {
    if (box && !same(box, before) && isLarge(box)) this.view.setBox(box);
    else this.view.panel.tellFrame();
    if (anew) this.drawing(false);
    this.paintSoon();
  }

  // Width and height of the frame in px.
  sides() {
    const one = this.view.frame(), ends = this.extent();
    return [one.width || ends[2], one.height || ends[3]];
  }

  within(box) {
    const sides = this.sides();
    return box.map((place, i) => tenths(clamp(place, 0, sides[i % 2])));
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
}

