// The size of a polyp, in words and on a scale in mm: with its interval, its probability, the thresholds, and the
// sizes that are known, typed or made again.

const SVG = "http://www.w3.org/2000/svg";

const draw = (parent, tag, attributes, text) => {
  const element = parent.appendChild(document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

class Size {
  constructor(view, parent) {
    this.view = view;
    const told = make(parent, "div", "", "told");
    this.mm = make(told, "b");
    this.interval = make(told, "span");
    this.decision = make(told, "div", "", "decision");
    this.stale = make(told, "div", "of the run's frames and boxes, not of yours", "stale");
    this.facts = make(told, "div", "", "facts");
    this.scale = draw(parent, "svg", { role: "img" });
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.scale);
  }

  resized() {
    if (this.view.data && this.scale.clientWidth !== this.wide) this.drawScale();
  }

  tell() {
    const { size } = this.view.data, stale = this.view.isStale();
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
    const { scale, view: { data, marks } } = this, { size } = data, [true_mm, true_bound] = size.true, again = data.again?.mm ?? null;
    this.wide = scale.clientWidth;
    scale.replaceChildren();
    const sizes = [size.mm, size.high, true_mm, marks.mm, again].filter((one) => one !== null);
    const most = clamp(Math.ceil(Math.max(15, ...sizes.map((one) => one * 1.12)) / 5) * 5, 15, 200);
    const wide = Math.max(this.wide, 240), base = 76, x = (mm) => 12 + (clamp(mm, 0, most) / most) * (wide - 24);
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
}

