// A canvas with a picture on it, which the wheel and three buttons zoom and a drag moves. Places are px of the
// picture, those on the canvas are CSS px. A page's own stage adds extent(), where the picture lies, or null as long
// as there is none; paint(); and hover(x, y), drag(grip, x, y) and release(grip), what the pointer does.

const SHADE = "#000b"; // behind lines and words, which then show on any picture

class Stage {
  // whole: what the button that shows everything is called. step: of the buttons. most: px of the screen for one
  // of the picture. heights: of the canvas, the least, the most, and the most as a share of the window.
  constructor(parent, { whole, step, most, heights }) {
    this.most = most;
    this.heights = heights;
    this.canvas = make(parent, "canvas");
    this.canvas.tabIndex = 0;
    this.pen = this.canvas.getContext("2d");
    const zoom = make(parent, "div", "", "zoom");
    for (const [text, name, by] of [["−", "zoom out", 1 / step], ["fit", whole, 0], ["+", "zoom in", step]]) {
      const button = make(zoom, "button", text);
      button.setAttribute("aria-label", name);
      button.onclick = () => this.zoomBy(by, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
    }
    this.reset();
    this.listen();
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.canvas);
  }

  // The whole picture again, once it is `resized`.
  reset() {
    Object.assign(this, { zoom: 1, centre: null, grip: null });
  }

  // Px of the screen for one of the picture.
  get scale() {
    return this.fit * this.zoom;
  }

  describe(words) {
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", words);
  }

  // Pixels of the canvas, and the view within its bounds.
  resized() {
    const { canvas } = this, ends = this.extent();
    if (!ends || !canvas.clientWidth) return;
    const across = ends[2] - ends[0], down = ends[3] - ends[1], [least, most, share] = this.heights;
    const tall = clamp((canvas.clientWidth * down) / across, least, Math.max(most, share * innerHeight));
    if (Math.abs(canvas.clientHeight - tall) > 1) canvas.style.height = `${tall}px`;
    const size = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * devicePixelRatio));
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    this.refit(Math.min(canvas.clientWidth / across, canvas.clientHeight / down));
    this.hold();
    this.paintSoon();
  }

  // fit: the scale at which the whole picture is seen.
  refit(fit) {
    this.fit = fit;
  }

  hold() {
    const ends = this.extent(), sides = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.zoom = clamp(this.zoom, 1, Math.max(1, this.most / this.fit));
    this.centre = [0, 1].map((i) => {
      const low = ends[i], high = ends[i + 2], middle = (low + high) / 2, half = sides[i] / 2 / this.scale;
      return 2 * half >= high - low ? middle : clamp(this.centre?.[i] ?? middle, low + half, high - half);
    });
  }

  // From the picture to the canvas, and back.
  place(x, y) {
    const { canvas, centre, scale } = this;
    return [(x - centre[0]) * scale + canvas.clientWidth / 2, (y - centre[1]) * scale + canvas.clientHeight / 2];
  }

  under(x, y) {
    const { canvas, centre, scale } = this;
    return [centre[0] + (x - canvas.clientWidth / 2) / scale, centre[1] + (y - canvas.clientHeight / 2) / scale];
  }

  // What is under x, y stays there. by: 0 for the whole picture.
  zoomBy(by, x, y) {
    if (!this.centre) return;
    const before = this.under(x, y);
    this.zoom = by ? this.zoom * by : 1;
    this.hold();
    const after = this.under(x, y);
    this.centre = this.centre.map((place, i) => place + before[i] - after[i]);
    this.hold();
    this.paintSoon();
  }

  // The picture moves with the pointer, from where it was gripped.
  pan(grip, x, y) {
    this.centre = grip.centre.map((place, i) => place - ([x, y][i] - grip.from[i]) / this.scale);
    this.hold();
  }

  // Once for all that changed since the last picture on the screen.
  paintSoon() {
    this.painting ??= requestAnimationFrame(() => {
      this.painting = null;
      this.paint();
    });
  }

  canGrip() {
    return Boolean(this.centre);
  }

  // What a drag that begins at `from` knows.
  gripAt(from) {
    return { from, centre: this.centre };
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
      if (event.button || !this.canGrip()) return;
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      this.grip = this.gripAt(at(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.centre) return;
      if (this.grip) this.drag(this.grip, ...at(event));
      else this.hover(...at(event));
    });
    canvas.addEventListener("pointerup", () => {
      const { grip } = this;
      this.grip = null;
      if (grip) this.release(grip);
    });
    canvas.addEventListener("pointercancel", () => (this.grip = null));
  }
}

