// Draws wafer maps on canvases: packed ones (pipelines/wafer/drawing.py), and shares of a lot's maps in cells.
// Lengths are mm from the wafer's centre, x right, y up, the notch down. Names are set as text, never as HTML.

const LIGHT = { wafer: "#f1f3f4", edge: "#8e969e", die: "#d3d9df", mark: "#16324a", ring: "#d55e00" };
const DARK = { wafer: "#272c31", edge: "#737d87", die: "#434c55", mark: "#d6e6f2", ring: "#f0934a" };
const MARGIN = 1.03; // of the radius
const NOTCH = 0.045; // half its width and its depth, as a share of the radius; drawn larger than it is
const NO_DIE = 0, FAIL = 2, RESULTS = ["", "pass", "fail"];
const REACH_PX = 9; // how near to a defect the pointer must be
const MOST_ZOOM = 200;

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

function unpack(text) {
  const map = JSON.parse(text), radius = map.d / 2, made = { radius, places: null, grid: null };
  if (map.g) {
    const [rows, columns, data] = map.g, [left, top, width, height] = map.b, packed = bytes(data);
    const status = Uint8Array.from({ length: rows * columns }, (_, i) => (packed[i >> 2] >> (2 * (i & 3))) & 3);
    made.grid = { rows, columns, left, top, width, height, status, results: map.p === undefined };
  }
  if (map.p !== undefined) {
    const raw = bytes(map.p), view = new DataView(raw.buffer);
    made.places = Float64Array.from({ length: raw.length >> 1 },
      (_, i) => (view.getUint16(2 * i, true) / 65535 - 0.5) * 2 * map.d);
  }
  return made;
}

class Picture {
  constructor(figure, interactive) {
    this.canvas = figure.appendChild(document.createElement("canvas"));
    this.pen = this.canvas.getContext("2d");
    this.tip = null;
    this.home();
    if (interactive) this.listen(figure);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  home() {
    this.zoom = 1;
    this.centre = [0, 0];
    this.hovered = null;
  }

  show(picture, tones) {
    const text = JSON.stringify(picture);
    if (text !== this.text) {
      this.text = text;
      this.map = picture.packed ? unpack(picture.packed) : null;
      this.shares = picture.shares ? bytes(picture.shares) : null;
      this.radius = this.map ? this.map.radius : picture.radius;
      this.home();
      this.hide();
    }
    this.tones = tones;
    this.draw();
  }

  // Pixels per mm, and the canvas set up so that mm can be drawn.
  begin() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    this.scale = (side / (2 * this.radius * MARGIN)) * this.zoom;
    const [x, y] = this.centre;
    this.pen.setTransform(1, 0, 0, 1, 0, 0);
    this.pen.clearRect(0, 0, side, side);
    this.pen.setTransform(this.scale, 0, 0, -this.scale, side / 2 - x * this.scale, side / 2 + y * this.scale);
    return side;
  }

  draw() {
    if (!this.radius || !this.begin()) return;
    const { pen, tones, radius, map } = this, outline = new Path2D(), half = Math.asin(NOTCH);
    outline.arc(0, 0, radius, -Math.PI / 2 + half, 1.5 * Math.PI - half);
    outline.lineTo(0, (NOTCH - 1) * radius);
    outline.closePath();
    pen.fillStyle = tones.wafer;
    pen.fill(outline);
    if (this.shares) this.drawShares();
    if (map?.grid) {
      pen.save();
      if (!map.grid.results) pen.clip(outline); // dies are only the ground there, and may reach over the edge
      this.drawDies(map.grid);
      pen.restore();
    }
    if (map?.places) this.drawDefects(map.places);
    pen.lineWidth = (1.2 * devicePixelRatio) / this.scale;
    pen.strokeStyle = tones.edge;
    pen.stroke(outline);
    if (this.hovered) this.ring();
  }

  drawShares() {
    const cells = Math.round(Math.sqrt(this.shares.length)), step = (2 * this.radius) / cells;
    this.pen.fillStyle = this.tones.mark;
    this.shares.forEach((share, i) => {
      if (!share) return;
      this.pen.globalAlpha = 0.12 + (0.88 * share) / 255;
      this.pen.fillRect((i % cells) * step - this.radius, Math.floor(i / cells) * step - this.radius, step, step);
    });
    this.pen.globalAlpha = 1;
  }

  drawDies(grid) {
    const { pen, tones, scale } = this, pixel = devicePixelRatio / scale;
    const gap = Math.min(grid.width, grid.height) > 4 * pixel ? pixel / 2 : 0;
    for (const failing of [false, true]) {
      pen.fillStyle = failing && grid.results ? tones.mark : tones.die;
      grid.status.forEach((status, i) => {
        if (status === NO_DIE || (status === FAIL) !== failing) return;
        const x = grid.left + (i % grid.columns) * grid.width, y = grid.top - Math.floor(i / grid.columns) * grid.height;
        pen.fillRect(x, y - grid.height + gap, grid.width - gap, grid.height - gap);
      });
    }
  }

  drawDefects(places) {
    const { pen, scale, tones } = this, count = places.length / 2, small = this.canvas.clientWidth < 260 ? 0.7 : 1;
    const size = (count < 60 ? 2.6 : count < 600 ? 1.8 : 1.3) * small * Math.min(this.zoom, 4) ** 0.4;
    pen.fillStyle = tones.mark;
    pen.beginPath();
    for (let i = 0; i < places.length; i += 2) {
      pen.moveTo(places[i], places[i + 1]);
      pen.arc(places[i], places[i + 1], (size * devicePixelRatio) / scale, 0, 2 * Math.PI);
    }
    pen.fill();
  }

  ring() {
    const { pen, hovered, tones, scale } = this;
    pen.lineWidth = (2 * devicePixelRatio) / scale;
    pen.strokeStyle = tones.ring;
    if (hovered.box) pen.strokeRect(...hovered.box);
    else {
      pen.beginPath();
      pen.arc(hovered.x, hovered.y, (6 * devicePixelRatio) / scale, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  // mm under the pointer.
  place(event) {
    const box = this.canvas.getBoundingClientRect(), scale = this.scale / devicePixelRatio;
    return [
      this.centre[0] + (event.clientX - box.left - box.width / 2) / scale,
      this.centre[1] - (event.clientY - box.top - box.height / 2) / scale,
    ];
  }

  // What the pointer is on: the nearest defect in reach, else the die, else null.
  under([x, y]) {
    const { places, grid } = this.map, reach = (REACH_PX * devicePixelRatio) / this.scale;
    let nearest = reach * reach, defect = -1;
    for (let i = 0; places && i < places.length; i += 2) {
      const distance = (places[i] - x) ** 2 + (places[i + 1] - y) ** 2;
      if (distance < nearest) [nearest, defect] = [distance, i];
    }
    if (defect >= 0) [x, y] = [places[defect], places[defect + 1]];
    const column = grid ? Math.floor((x - grid.left) / grid.width) : -1;
    const row = grid ? Math.floor((grid.top - y) / grid.height) : -1;
    const inside = grid && column >= 0 && row >= 0 && column < grid.columns && row < grid.rows;
    const status = inside ? grid.status[row * grid.columns + column] : NO_DIE;
    const die = status !== NO_DIE ? `column ${column + 1}, row ${row + 1}` : "";
    if (defect >= 0) return { x, y, lines: [`x ${x.toFixed(3)} mm, y ${y.toFixed(3)} mm`, die && `die: ${die}`] };
    if (!die) return null;
    const left = grid.left + column * grid.width, top = grid.top - row * grid.height;
    const [middle, centre] = [left + grid.width / 2, top - grid.height / 2];
    const result = grid.results ? RESULTS[status] : "inspected";
    const where = `x ${middle.toFixed(2)} mm, y ${centre.toFixed(2)} mm`;
    return { box: [left, top - grid.height, grid.width, grid.height], lines: [`${die}: ${result}`, where] };
  }

  listen(figure) {
    this.tip = figure.appendChild(document.createElement("div"));
    this.tip.className = "tip";
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const before = this.place(event), wanted = this.zoom * Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015));
      const zoom = Math.min(Math.max(wanted, 1), MOST_ZOOM);
      this.scale *= zoom / this.zoom;
      this.zoom = zoom;
      const after = this.place(event);
      this.move(before[0] - after[0], before[1] - after[1]);
      this.hover(event);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") return; // a finger scrolls the page
      canvas.setPointerCapture(event.pointerId);
      this.grip = this.place(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.grip) {
        const [x, y] = this.place(event);
        this.move(this.grip[0] - x, this.grip[1] - y);
      }
      this.hover(event);
    });
    canvas.addEventListener("pointerup", () => (this.grip = null));
    canvas.addEventListener("pointercancel", () => (this.grip = null));
    canvas.addEventListener("pointerleave", () => this.hide());
    canvas.addEventListener("dblclick", () => {
      this.home();
      this.draw();
    });
  }

  move(x, y) {
    const most = this.radius * (1 - 1 / this.zoom) * MARGIN + this.radius * 0.2;
    this.centre = [this.centre[0] + x, this.centre[1] + y].map((value) => Math.min(Math.max(value, -most), most));
    this.draw();
  }

  hover(event) {
    const found = this.map && this.under(this.place(event));
    if (!found) return this.hide();
    this.hovered = found;
    this.tip.replaceChildren(...found.lines.filter(Boolean).map((line) => {
      const element = document.createElement("div");
      element.textContent = line;
      return element;
    }));
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    this.tip.style.display = "block";
    this.tip.style.left = `${x > box.width / 2 ? x - this.tip.offsetWidth - 12 : x + 14}px`;
    this.tip.style.top = `${Math.max(0, y - this.tip.offsetHeight - 8)}px`;
    this.draw();
  }

  hide() {
    const was = this.hovered;
    this.hovered = null;
    if (this.tip) this.tip.style.display = "none";
    if (was) this.draw();
  }
}

const shown = new WeakMap(); // element of a mounted component, to its figures

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".pictures"), tones = data.dark ? DARK : LIGHT;
  root.classList.toggle("alone", data.interactive);
  const figures = shown.get(root) ?? [];
  shown.set(root, figures);
  while (figures.length > data.pictures.length) {
    const { figure, picture } = figures.pop();
    picture.observer.disconnect();
    figure.remove();
  }
  data.pictures.forEach(({ title, note, ...drawn }, i) => {
    if (!figures[i]) {
      const figure = root.appendChild(document.createElement("figure"));
      const picture = new Picture(figure, data.interactive), caption = document.createElement("figcaption");
      caption.append(document.createElement("b"), document.createElement("span"));
      figures[i] = { figure, picture, caption: figure.appendChild(caption) };
    }
    const { picture, caption } = figures[i];
    picture.canvas.setAttribute("role", "img");
    picture.canvas.setAttribute("aria-label", `wafer map ${title}`);
    caption.children[0].textContent = data.interactive ? "" : title;
    caption.children[1].textContent = note ?? "";
    picture.show(drawn, tones);
  });
}
