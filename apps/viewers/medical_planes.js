// Three linked planes of a volume (apps/viewers/medical_slices.py), drawn on canvases in their proportions in mm.
// A place is a voxel [a, b, c] of the turned volume. Names are set as text, never as HTML.

const LETTER = "#e5ddb4", CROSS = "#6ec1ff", BARS_MM = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const GAP_PX = 9; // half the gap in the middle of the cross
const PATIENCE_MS = 3000; // after which an answer that did not come is not waited for
const MOST_ZOOM = 12;
const opacity = { mask: 0.55, doubt: 0.9 }; // as the person set it, from item to item
const HELP = "Click or drag: move. Wheel, arrows: slices. Shift and wheel: zoom. Right button: window.";

const make = (parent, tag, text = "") => {
  const element = parent.appendChild(document.createElement(tag));
  element.textContent = text;
  return element;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

class Plane {
  constructor(view, number) {
    this.view = view;
    this.number = number;
    this.figure = view.root.insertBefore(document.createElement("figure"), view.aside);
    this.canvas = make(this.figure, "canvas");
    this.canvas.tabIndex = 0;
    this.pen = this.canvas.getContext("2d");
    this.wide = make(this.figure, "button", "⤢");
    this.wide.className = "wide";
    this.wide.onclick = () => view.enlarge(number);
    const caption = make(this.figure, "figcaption");
    this.title = make(caption, "b");
    this.slider = make(caption, "input");
    this.slider.type = "range";
    this.slider.oninput = () => view.move({ [this.info.cut]: Number(this.slider.value) });
    this.place = make(caption, "span");
    this.listen();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  show(info) {
    this.info = info;
    this.title.textContent = info.title;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${info.title} slice`);
    this.slider.setAttribute("aria-label", `${info.title} slice number`);
    this.wide.setAttribute("aria-label", `enlarge ${info.title}`);
    this.slider.max = this.view.data.shape[info.cut] - 1;
    this.draw();
  }

  // Pixels per mm, and where on the canvas the picture begins.
  measure() {
    const { across, down } = this.info, { shape, spacing } = this.view.data, at = this.view.at;
    const size = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.round(side * devicePixelRatio));
    if (this.canvas.width !== size[0]) this.canvas.width = size[0];
    if (this.canvas.height !== size[1]) this.canvas.height = size[1];
    const mm = [across, down].map((axis) => shape[axis] * spacing[axis]);
    this.scale = Math.min(size[0] / mm[0], size[1] / mm[1]) * this.view.zoom;
    // Zoomed in, the cross is in the middle, as far as the picture reaches; it stays where it is during a drag.
    this.centre = [across, down].map((axis, i) => {
      const half = size[i] / (2 * this.scale), wanted = (at[axis] + 0.5) * spacing[axis];
      if (this.grip && this.centre) return this.centre[i];
      return 2 * half >= mm[i] ? mm[i] / 2 : clamp(wanted, half, mm[i] - half);
    });
    this.corner = this.centre.map((middle, i) => size[i] / 2 - middle * this.scale);
    return { size, box: [...this.corner, mm[0] * this.scale, mm[1] * this.scale] };
  }

  draw() {
    if (!this.info || !this.canvas.clientWidth) return;
    const { pen, view, info } = this, { size, box } = this.measure();
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, ...size);
    for (const [kind, picture] of view.layers(info)) {
      pen.globalAlpha = kind === "mask" && view.data.outlined ? 1 : opacity[kind] ?? 1;
      pen.imageSmoothingEnabled = kind === "image" || picture.width > box[2]; // outlines are finer
      pen.drawImage(picture, ...box);
    }
    pen.globalAlpha = 1;
    this.drawCross(size);
    this.drawLetters(size);
    this.drawBar(size);
    this.slider.value = view.at[info.cut];
    this.place.textContent = `${view.at[info.cut] + 1} / ${view.data.shape[info.cut]}`;
  }

  drawCross([width, height]) {
    const { pen, info, view } = this, gap = GAP_PX * devicePixelRatio;
    const [x, y] = [info.across, info.down].map(
      (axis, i) => this.corner[i] + (view.at[axis] + 0.5) * view.data.spacing[axis] * this.scale);
    pen.strokeStyle = CROSS;
    pen.globalAlpha = 0.75;
    pen.lineWidth = devicePixelRatio;
    pen.beginPath();
    for (const [x0, y0, x1, y1] of [[0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]]) {
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  drawLetters([width, height]) {
    const { pen, info } = this, unit = devicePixelRatio, margin = 4 * unit, [left, right, top, bottom] = info.letters;
    pen.font = `600 ${13 * unit}px sans-serif`;
    pen.fillStyle = LETTER;
    pen.shadowColor = "#000";
    pen.shadowBlur = 3 * unit;
    const write = (letter, x, y, align, baseline) => {
      pen.textAlign = align;
      pen.textBaseline = baseline;
      pen.fillText(letter, x, y);
    };
    write(left, margin, height / 2, "left", "middle");
    write(right, width - margin, height / 2, "right", "middle");
    write(top, width / 2, margin, "center", "top");
    write(bottom, width / 2, height - margin, "center", "bottom");
    pen.shadowBlur = 0;
  }

  drawBar([width, height]) {
    const { pen } = this, unit = devicePixelRatio, most = 0.3 * width / this.scale;
    const mm = BARS_MM.filter((length) => length <= most).pop();
    if (!mm) return;
    const x = 8 * unit, y = height - 8 * unit;
    pen.fillStyle = LETTER;
    pen.fillRect(x, y - 2 * unit, mm * this.scale, 2 * unit);
    pen.font = `${11 * unit}px sans-serif`;
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    pen.fillText(`${mm} mm`, x, y - 4 * unit);
  }

  // The move that takes the cross to where the pointer is.
  under(event) {
    const box = this.canvas.getBoundingClientRect(), { across, down } = this.info, { shape, spacing } = this.view.data;
    const pixels = [event.clientX - box.left, event.clientY - box.top].map((one) => one * devicePixelRatio);
    const move = {};
    [across, down].forEach((axis, i) => {
      const voxel = Math.floor((pixels[i] - this.corner[i]) / this.scale / spacing[axis]);
      move[axis] = clamp(voxel, 0, shape[axis] - 1);
    });
    return move;
  }

  step(by) {
    this.view.move({ [this.info.cut]: clamp(this.view.at[this.info.cut] + by, 0, this.view.data.shape[this.info.cut] - 1) });
  }

  listen() {
    const { canvas, view } = this;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      if (event.button === 2) this.from = { x: event.clientX, y: event.clientY, window: view.data.window };
      else if (event.button === 0) {
        this.grip = true;
        view.move(this.under(event));
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.grip) view.move(this.under(event));
      if (!this.from) return;
      const { x, y, window: [level, width] } = this.from, unit = Math.max(width, view.data.window[1]) / 250;
      view.level([level + (event.clientY - y) * unit, Math.max(width + (event.clientX - x) * unit, width / 100)]);
    });
    const end = () => {
      this.grip = false;
      this.from = null;
      view.draw();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => view.enlarge(this.number));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const delta = event.deltaY || event.deltaX; // shift turns the wheel sideways
      if (event.shiftKey || event.ctrlKey) view.magnify(Math.exp(-delta * 0.002));
      else {
        this.turned = (this.turned ?? 0) + delta * (event.deltaMode ? 33 : 1);
        const steps = Math.trunc(this.turned / 50);
        this.turned -= steps * 50;
        if (steps) this.step(clamp(steps, -5, 5));
      }
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
      if (!by) return;
      event.preventDefault();
      this.step(by);
    });
  }
}

class View {
  constructor(root) {
    this.root = root;
    this.aside = make(root, "aside");
    this.readout = make(this.aside, "dl");
    const sliders = make(this.aside, "div");
    sliders.className = "opacity";
    this.sliders = Object.entries({ mask: "Mask opacity", doubt: "Uncertainty opacity" }).map(([kind, name]) => this.slider(sliders, kind, name));
    const tools = make(this.aside, "div");
    tools.className = "tools";
    make(tools, "button", "All").onclick = () => this.send("hidden", []);
    make(tools, "button", "Only this").onclick = () =>
      this.send("hidden", this.data.legend.filter((one) => !one.current).map((one) => one.value));
    make(tools, "button", "None").onclick = () => this.send("hidden", this.data.legend.map((one) => one.value));
    this.legend = make(this.aside, "div");
    this.legend.className = "legend";
    make(this.aside, "div", HELP).className = "help";
    this.planes = [];
    this.pictures = {};
    this.zoom = 1;
    this.large = null;
  }

  slider(parent, kind, name) {
    const label = make(parent, "span", name), slider = make(parent, "input");
    Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.05, value: opacity[kind] });
    slider.setAttribute("aria-label", name);
    slider.oninput = () => {
      opacity[kind] = Number(slider.value);
      this.draw();
    };
    return { kind, parts: [label, slider] };
  }

  // What the server says, drawn when its pictures are decoded: no plane flickers, none is ahead of another.
  async show(data) {
    this.latest = data;
    const pictures = {};
    await Promise.all(Object.entries(data.pictures).map(async ([name, png]) => {
      const before = this.pictures[name];
      if (before?.png === png) pictures[name] = before;
      else {
        const image = new Image();
        image.src = `data:image/png;base64,${png}`;
        await image.decode();
        pictures[name] = { png, image };
      }
    }));
    if (this.latest !== data) return;
    const other = this.data?.key !== data.key;
    Object.assign(this, { data, pictures });
    if (other || !this.ahead) this.at = [...data.at];
    if (other) Object.assign(this, { zoom: 1, ahead: false });
    while (this.planes.length > data.planes.length) {
      const gone = this.planes.pop();
      gone.observer.disconnect();
      gone.figure.remove();
    }
    data.planes.forEach((info, number) => (this.planes[number] ??= new Plane(this, number)).show(info));
    this.aside.classList.toggle("aside-wide", data.planes.length % 2 === 0);
    this.showFacts(data);
    this.arrange();
    this.answered();
  }

  showFacts(data) {
    this.readout.replaceChildren();
    for (const [name, value] of data.readout) {
      make(this.readout, "dt", name);
      make(this.readout, "dd", value);
    }
    for (const { kind, parts } of this.sliders) {
      const used = Object.keys(data.pictures).some((name) => name.endsWith(` ${kind}`));
      for (const part of parts) part.style.display = used ? "" : "none";
    }
    const text = JSON.stringify(data.legend);
    if (text === this.told) return;
    this.told = text;
    this.legend.replaceChildren();
    for (const { value, name, colour, note, shown, current } of data.legend) {
      const row = make(this.legend, "label"), box = make(row, "input");
      row.classList.toggle("current", current);
      Object.assign(box, { type: "checkbox", checked: shown });
      make(row, "i").style.background = colour;
      make(row, "b", name);
      make(row, "span", note);
      box.onchange = () => {
        const hidden = this.data.legend.filter((one) => !one.shown).map((one) => one.value);
        this.send("hidden", box.checked ? hidden.filter((one) => one !== value) : [...hidden, value]);
      };
      if (current) requestAnimationFrame(() => (this.legend.scrollTop = row.offsetTop - this.legend.offsetTop - 40));
    }
  }

  *layers({ plane, layers }) {
    for (const name of layers) {
      const found = this.pictures[`${plane} ${name}`];
      if (found) yield [name === "truth" ? "mask" : name, found.image];
    }
  }

  draw() {
    for (const plane of this.planes) plane.draw();
  }

  arrange() {
    this.planes.forEach(({ figure }, number) => figure.classList.toggle("large", number === this.large));
  }

  enlarge(number) {
    this.large = this.large === number ? null : number;
    this.arrange();
  }

  magnify(by) {
    this.zoom = clamp(this.zoom * by, 1, MOST_ZOOM);
    this.draw();
  }

  // The cross moves at once; the slices follow, the latest wish first, one request at a time.
  move(by) {
    const to = this.at.map((now, axis) => by[axis] ?? now);
    if (String(to) === String(this.at)) return;
    this.at = to;
    this.ahead = true;
    this.draw();
    this.ask("at", to);
  }

  level(window) {
    this.ask("window", window);
  }

  ask(name, value) {
    this.wish = [name, value];
    if (performance.now() < (this.until ?? 0)) return;
    this.wish = null;
    this.until = performance.now() + PATIENCE_MS;
    this.send(name, value);
  }

  answered() {
    this.until = 0;
    if (this.wish) this.ask(...this.wish);
    else this.ahead = false;
  }
}

const shown = new WeakMap(); // element of a mounted component, to its view

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".view");
  if (!shown.has(root)) shown.set(root, new View(root));
  const view = shown.get(root);
  view.send = setTriggerValue;
  view.show(data);
}
