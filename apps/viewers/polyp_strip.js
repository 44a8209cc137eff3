// The frames of a polyp as a strip of small pictures: the one that is looked at, and which of them count.

class Strip {
  constructor(view, parent) {
    this.view = view;
    this.strip = parent;
    this.strip.setAttribute("role", "listbox");
    this.strip.setAttribute("aria-label", "Frames");
    this.strip.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  // The cells of another polyp.
  build() {
    this.strip.replaceChildren();
    this.strip.scrollLeft = 0;
    this.cells = this.view.data.frames.map((one, number) => {
      const cell = make(this.strip, "button", "", "cell");
      cell.setAttribute("role", "option");
      cell.onclick = () => this.view.go(number);
      const picture = make(cell, "div", "", "picture");
      return { cell, image: make(picture, "img"), badge: make(picture, "i"), words: make(cell, "span"), under: make(cell, "small") };
    });
    for (const { image } of this.cells) image.alt = "";
    this.reveal();
  }

  reveal() {
    const cell = this.cells[this.view.look]?.cell;
    if (!cell) return;
    const left = cell.offsetLeft - this.strip.offsetLeft, right = left + cell.offsetWidth;
    if (left < this.strip.scrollLeft + 20) this.strip.scrollLeft = left - 40;
    if (right > this.strip.scrollLeft + this.strip.clientWidth - 20) this.strip.scrollLeft = right - this.strip.clientWidth + 40;
  }

  // The frame in the middle.
  seen() {
    if (!this.cells?.length) return 0;
    const wide = this.cells[0].cell.offsetWidth + 6;
    const middle = this.strip.scrollLeft + Math.min(this.strip.clientWidth, this.strip.scrollWidth) / 2;
    return clamp(Math.floor(middle / wide), 0, this.cells.length - 1);
  }

  scrolled() {
    const { view } = this;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => view.data && view.lacking() && view.flush(), 150);
  }

  tell() {
    const { view } = this;
    view.data.frames.forEach((one, number) => {
      const { cell, image, badge, words, under } = this.cells[number], picture = view.pictures[number];
      const thumb = picture?.id ? view.thumbs.get(picture.id) : null, changed = !same(view.mark(number), [null, null]);
      if (thumb && image.src !== thumb) image.src = thumb;
      image.style.visibility = thumb ? "" : "hidden";
      const isIn = view.isIn(number), mine = changed && isIn !== one.used;
      cell.className = `cell ${isIn ? "in" : "out"}${number === view.look ? " here" : ""}${changed ? " changed" : ""}`;
      cell.setAttribute("aria-selected", number === view.look);
      badge.textContent = changed ? "✎" : "";
      words.textContent = one.mm === null ? "–" : `${one.mm.toFixed(1)} mm`;
      under.textContent = isIn ? (mine ? "put in" : "") : mine ? "put out" : view.boxOf(number) === null && !one.reason ? "no lesion" : one.reason;
      cell.title = [one.shown, isIn ? "counts" : `left out: ${one.reason || "by you"}`, picture?.error].filter(Boolean).join("\n");
    });
  }
}

