// An image of a crowd with layers over it, and heads that are marked by clicks. Places are px of the upright image
// in the file, 0, 0 at its outer corner.

const STILL_MS = 140; // without a move, before a sharper part is asked for
const REACH_PX = 8; // how near to a head a click must be to remove it
const SLIP_PX = 4; // how far the pointer may move and it is still a click
const MARK = "#ff2e88", EDGE = "#fff", DOOMED = "#ff3b1f";
const on = { heat: true, zones: true, gate: false, predicted: false, marked: true }; // layers, kept from item to item
let strength = 0.6; // of the heat map

const cents = (value) => Math.round(value * 100) / 100;
const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);

class ImageStage extends Stage {
  constructor(view, parent) {
    super(parent, { whole: "whole image", step: 1.6, most: 32, heights: [260, 320, 0.78] });
    this.view = view;
    this.dots = {};
  }

  extent() {
    const { data } = this.view;
    return data ? [0, 0, data.width, data.height] : null;
  }

  reset() {
    super.reset();
    Object.assign(this, { hovered: null, looked: null });
  }

  // The scale stays as it is when the canvas changes, unless the whole image is seen.
  refit(fit) {
    this.zoom = this.zoom > 1.001 ? (this.zoom * this.fit) / fit : 1;
    super.refit(fit);
  }

  hold() {
    super.hold();
    this.watch();
  }

  // A sharper part, once the view is still and what is here is not sharp enough.
  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const look = this.centre && this.look();
      if (!look || JSON.stringify(look) === JSON.stringify(this.looked)) return;
      this.looked = look;
      this.view.flush();
    }, STILL_MS);
  }

  look() {
    const { canvas, view: { data, pictures } } = this, needed = Math.min(this.scale * devicePixelRatio, data.native);
    const sharp = ({ image, box }) => image.naturalWidth / (box[2] - box[0]) >= 0.9 * needed;
    if (!pictures.whole || sharp(pictures.whole)) return null;
    const [left, top] = this.under(0, 0), [right, bottom] = this.under(canvas.clientWidth, canvas.clientHeight);
    const seen = [Math.max(left, 0), Math.max(top, 0), Math.min(right, data.width), Math.min(bottom, data.height)];
    const part = pictures.part;
    if (part && sharp(part) && part.box[0] <= seen[0] && part.box[1] <= seen[1] && part.box[2] >= seen[2] && part.box[3] >= seen[3]) return null;
    return { box: seen.map(cents), pixels: canvas.width };
  }

  paint() {
    const { pen, canvas, view, scale } = this, { data, pictures } = view;
    if (!this.centre || !pictures.whole) return;
    const unit = devicePixelRatio, [x, y] = this.place(0, 0);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(unit * scale, 0, 0, unit * scale, unit * x, unit * y);
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
    if (on.predicted) this.drawHeads(view.predicted, false);
    if (on.marked) this.drawHeads(view.points, true);
    if (on.zones) for (const zone of data.zones) this.labelZone(zone);
    if (this.hovered) this.drawDoomed();
  }

  drawPicture(name, alpha, smooth) {
    const found = this.view.pictures[name];
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
      pairs(ring).forEach((corner, i) => path[i ? "lineTo" : "moveTo"](...this.place(...corner)));
      path.closePath();
    }
    for (const [width, style] of [[4, SHADE], [2, colour]]) {
      pen.lineWidth = width;
      pen.strokeStyle = style;
      pen.stroke(path);
    }
  }

  labelZone({ rings, colour, name, told }) {
    const { pen, canvas } = this, corners = pairs(rings[0]), places = corners.map((corner) => this.place(...corner));
    const reach = [0, 1].map((i) => places.map((place) => place[i])).map((all) => [Math.min(...all), Math.max(...all)]);
    if (reach[0][1] < 0 || reach[1][1] < 0 || reach[0][0] > canvas.clientWidth || reach[1][0] > canvas.clientHeight) return;
    const [x, y] = this.place(...corners.reduce((a, b) => (a[0] + a[1] <= b[0] + b[1] ? a : b)));
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
    return clamp((many > 400 ? 1.3 : many > 120 ? 2.4 : 4) + 1.1 * Math.log2(this.zoom), 1.3, 6);
  }

  drawHeads(points, marked) {
    const { pen, canvas } = this, width = canvas.clientWidth, height = canvas.clientHeight;
    const places = points.map((point) => this.place(...point)).filter(([x, y]) => x > -9 && y > -9 && x < width + 9 && y < height + 9);
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
    const { pen } = this, [x, y] = this.place(...this.hovered), radius = this.radius(this.view.points.length) + 3;
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
    for (const point of this.view.points) {
      const [across, down] = this.place(...point), distance = (across - x) ** 2 + (down - y) ** 2;
      if (distance < nearest) [nearest, found] = [distance, point];
    }
    return found;
  }

  gripAt(from) {
    return { ...super.gripAt(from), moved: false };
  }

  hover(x, y) {
    this.hovered = this.head(x, y);
    this.canvas.style.cursor = this.hovered ? "pointer" : "crosshair";
    this.paintSoon();
  }

  drag(grip, x, y) {
    grip.moved ||= Math.hypot(x - grip.from[0], y - grip.from[1]) > SLIP_PX;
    if (!grip.moved) return;
    this.pan(grip, x, y);
    this.hovered = null;
    this.canvas.style.cursor = "grabbing";
    this.paintSoon();
  }

  release({ from, moved }) {
    if (!moved) this.click(...from);
  }

  listen() {
    super.listen();
    this.canvas.addEventListener("pointerleave", () => {
      this.hovered = null;
      this.paintSoon();
    });
  }

  click(x, y) {
    const { data } = this.view, found = this.head(x, y), point = this.under(x, y).map(cents);
    if (found) this.view.remove(found);
    else if (point[0] >= 0 && point[1] >= 0 && point[0] <= data.width && point[1] <= data.height) this.view.add(point);
    this.hovered = this.head(x, y);
    this.paintSoon();
  }
}

