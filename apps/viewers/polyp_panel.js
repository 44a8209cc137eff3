// What can be done, beside the frame: whether it counts, its box in numbers, the right size, reasons, saving.

const HELP = "Drag a side or a corner, or move the box. D, then drag: draw it anew. Wheel: zoom. ← →: other frames.";

class Panel {
  constructor(view, parent) {
    this.view = view;
    this.buildFrame(make(parent, "section"));
    this.buildSize(make(parent, "section"));
    const reasons = make(parent, "section");
    make(reasons, "div", "Reasons", "quiet");
    this.reasons = make(reasons, "div", "", "chips");
    this.buildEnd(make(parent, "section"));
  }

  buildFrame(parent) {
    const { view } = this;
    this.name = make(parent, "div", "", "name");
    this.use = make(parent, "div", "", "use");
    this.alone = make(parent, "div", "", "quiet");
    const pair = make(parent, "div", "", "pair");
    this.toggler = this.button(pair, "", () => view.toggle());
    this.denier = this.button(pair, "No lesion (N)", () => view.deny());
    const second = make(parent, "div", "", "pair");
    this.drawer = this.button(second, "Draw box (D)", () => view.stage.drawing(!view.stage.isDrawing));
    this.resetter = this.button(second, "As in the run", () => view.markFrame(view.look, null, null));
    this.corners = make(parent, "div", "", "corners");
    this.fields = ["x0", "y0", "x1", "y1"].map((name) => {
      const label = make(this.corners, "label", name), field = make(label, "input");
      Object.assign(field, { type: "number", min: 0, step: 1 });
      field.setAttribute("aria-label", name);
      field.onchange = () => this.typedBox();
      return field;
    });
  }

  buildSize(parent) {
    const row = make(parent, "label", "Right size", "right");
    this.right = make(row, "input");
    Object.assign(this.right, { type: "number", min: 0.1, step: 0.1, placeholder: "mm" });
    this.right.setAttribute("aria-label", "Right size in mm");
    this.right.onchange = () => this.typedSize();
    make(row, "span", "mm");
    const bound = make(parent, "label", "", "check");
    this.atLeast = make(bound, "input");
    this.atLeast.type = "checkbox";
    this.atLeast.onchange = () => this.typedSize();
    make(bound, "span", "at least that large");
    this.known = this.button(parent, "", () => this.view.step(["size", ...this.view.data.size.true]));
  }

  buildEnd(parent) {
    const { view } = this;
    this.sizer = this.button(parent, "Size again", () => view.askAgain());
    this.answer = make(parent, "div", "", "answer");
    this.taker = this.button(parent, "Take this size", () => view.step(["size", tenths(view.data.again.mm), false]));
    this.saver = this.button(parent, "", () => view.save());
    this.saver.className = "primary";
    this.undoer = this.button(parent, "Undo step", () => view.undo());
    this.state = make(parent, "div", "", "quiet");
    make(parent, "div", HELP, "quiet");
  }

  button(parent, text, act) {
    const button = make(parent, "button", text);
    button.onclick = act;
    return button;
  }

  // A field that is typed into keeps its text.
  isTyped(field) {
    return field === field.getRootNode().activeElement;
  }

  tellFrame() {
    const { view } = this, one = view.frame(), none = !one;
    for (const button of [this.toggler, this.denier, this.drawer, this.resetter]) button.disabled = none;
    this.corners.style.display = none ? "none" : "";
    if (none) {
      this.name.textContent = "no frames";
      return;
    }
    const isIn = view.isIn(), box = view.boxOf(), byYou = isIn !== one.used;
    this.name.textContent = `${view.look + 1} of ${view.data.frames.length}: ${one.shown}`;
    this.name.title = one.shown;
    const why = isIn ? (byYou ? "put in by you" : "") : byYou ? (box === null ? "no lesion, you say" : "put out by you") : one.reason;
    this.use.textContent = `${isIn ? "counts" : "left out"}${why ? `: ${why}` : ""}`;
    this.use.className = `use ${isIn ? "in" : "out"}`;
    this.alone.textContent = one.told;
    this.toggler.textContent = isIn ? "Put out (I)" : "Put in (I)";
    this.toggler.disabled = box === null;
    this.denier.disabled = box === null;
    this.drawer.disabled = !view.canDraw();
    this.resetter.disabled = same(view.mark(), [null, null]);
    this.fields.forEach((field, i) => {
      if (!this.isTyped(field)) field.value = box ? box[i] : "";
      field.max = i % 2 ? one.height || 65535 : one.width || 65535;
    });
  }

  tellBox(box) {
    this.fields.forEach((field, i) => (field.value = box[i]));
  }

  tellDrawing(on) {
    this.drawer.classList.toggle("chosen", on);
    this.drawer.setAttribute("aria-pressed", on);
  }

  tellMarks() {
    const { view, right, atLeast } = this, { data, marks } = view, [true_mm, true_bound] = data.size.true;
    if (!this.isTyped(right)) right.value = marks.mm ?? "";
    right.max = data.mostMm;
    atLeast.checked = marks.bound;
    atLeast.disabled = marks.mm === null;
    this.known.style.display = true_mm === null || marks.mm === true_mm && marks.bound === true_bound ? "none" : "";
    this.known.textContent = `Take the known size, ${true_bound ? "≥" : ""}${true_mm} mm`;
    this.tellReasons();
    const said = marks.mm !== null || marks.reasons.length || Object.keys(marks.frames).length;
    this.sizer.style.display = view.isStale() && data.canSize && !data.again ? "" : "none";
    this.sizer.textContent = view.asking ? "Sizing…" : "Size again";
    this.sizer.disabled = Boolean(view.asking);
    this.answer.textContent = data.again ? `Again: ${data.again.told}` : "";
    this.taker.style.display = data.again?.mm != null && marks.mm !== tenths(data.again.mm) ? "" : "none";
    const kept = marks.mm === null ? (data.size.mm === null ? "without a size" : `with ${data.size.mm.toFixed(1)} mm`) : `${marks.bound ? "≥" : ""}${marks.mm} mm`;
    this.saver.textContent = said ? (marks.mm === null ? `Save changes, ${kept} (S)` : `Save ${kept} (S)`) : "Nothing to save";
    this.saver.disabled = !said || Boolean(view.saving);
    this.undoer.disabled = !view.stack().length;
    this.state.textContent = view.isWaiting() ? "keeping…" : view.own() ? "Every step is kept. To save is to judge." : data.origin && said ? `Shown ${data.origin}.` : "";
  }

  tellReasons() {
    const { reasons } = this.view.data;
    if (this.reasons.childElementCount !== reasons.length) {
      this.reasons.replaceChildren();
      for (const one of reasons) {
        this.button(this.reasons, one, () => {
          const now = this.view.marks.reasons;
          this.view.step(["reasons", now.includes(one) ? now.filter((other) => other !== one) : [...now, one]]);
        });
      }
    }
    for (const chip of this.reasons.children) {
      const is = this.view.marks.reasons.includes(chip.textContent);
      chip.classList.toggle("chosen", is);
      chip.setAttribute("aria-pressed", is);
    }
  }

  typedBox() {
    const { view } = this, box = this.fields.map((field) => field.valueAsNumber);
    if (!view.frame() || box.some((one) => !Number.isFinite(one))) return;
    const fitted = view.stage.within(box);
    if (isLarge(fitted) && !same(fitted, view.boxOf())) view.setBox(fitted);
    this.tellBox(view.boxOf() ?? box);
  }

  typedSize() {
    const { view, right } = this, { mostMm } = view.data, mm = right.valueAsNumber;
    const good = Number.isFinite(mm) && mm > 0 && mm <= mostMm;
    right.setCustomValidity(good || right.value === "" ? "" : `above 0 and at most ${mostMm} mm`);
    if (!good && right.value !== "") {
      right.reportValidity();
      return;
    }
    const step = good ? ["size", Math.round(mm * 100) / 100, this.atLeast.checked] : ["size", null, false];
    if (!same(step, ["size", view.marks.mm, view.marks.bound])) view.step(step);
  }
}

