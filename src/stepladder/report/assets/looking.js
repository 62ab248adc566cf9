// The receptive field: what one value of a layer sees of a real image, its neighbours' fields, all centres.

class Looking {
  constructor(stage, slider, says, table, layers, inputShape) {
    Object.assign(this, { stage, slider, says, table, layers });
    [, this.rows, this.columns] = inputShape;
    this.at = [0.5, 0.5];
    this.margin = Math.max(2, Math.round(this.rows / 9));
    const margin = this.margin;
    this.svg = shape(stage, "svg", {
      viewBox: `${-margin} ${-margin} ${this.columns + 2 * margin} ${this.rows + 2 * margin}`,
      role: "img",
      "aria-label": "The image with the receptive field of one value; the text beside it says what is seen",
    });
    this.image = shape(this.svg, "image", { x: 0, y: 0, width: this.columns, height: this.rows });
    shape(this.svg, "rect", { class: "field-frame", x: 0, y: 0, width: this.columns, height: this.rows });
    this.marks = shape(this.svg, "g");
    this.svg.addEventListener("click", (event) => this.moveTo(event));
    slider.addEventListener("input", () => this.draw());
    for (const row of table.querySelectorAll("tbody tr")) {
      row.addEventListener("pointerenter", () => this.choose(Number(row.dataset.depth)));
    }
    this.draw();
  }

  show(address, kind) {
    this.image.setAttribute("href", address);
    this.image.setAttribute("class", kind);
  }

  choose(depth) {
    this.slider.value = depth;
    this.draw();
  }

  moveTo(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    this.at = [point.y / this.rows, point.x / this.columns].map((share) => Math.min(0.999, Math.max(0, share)));
    this.draw();
  }

  /** Return which value of a layer's map lies nearest to the chosen place, along both axes. */
  position(layer) {
    return [0, 1].map((axis) => {
      const pixel = this.at[axis] * (axis ? this.columns : this.rows);
      const nearest = Math.round((pixel - layer.start[axis]) / layer.jump[axis]);
      return Math.min(layer.maps[axis] - 1, Math.max(0, nearest));
    });
  }

  rectangle(layer, [row, column], kind) {
    const y = layer.start[0] + row * layer.jump[0] - layer.size[0] / 2;
    const x = layer.start[1] + column * layer.jump[1] - layer.size[1] / 2;
    shape(this.marks, "rect", { class: kind, x, y, width: layer.size[1], height: layer.size[0] });
  }

  draw() {
    const depth = Number(this.slider.value);
    const pixel = { token: "the image", size: [1, 1], jump: [1, 1], start: [0.5, 0.5], maps: [this.rows, this.columns] };
    const layer = depth ? this.layers[depth - 1] : pixel;
    this.marks.replaceChildren();
    const at = this.position(layer);
    for (const inner of this.layers.slice(0, Math.max(0, depth - 1))) {
      if (inner.maps[0] * inner.maps[1] > 1) this.rectangle(inner, this.position(inner), "field-inner");
    }
    const dot = Math.min(0.22, this.rows / 120);
    if (layer.maps[0] * layer.maps[1] <= 4096 && depth) {
      for (let row = 0; row < layer.maps[0]; row += 1) {
        for (let column = 0; column < layer.maps[1]; column += 1) {
          const place = { cx: layer.start[1] + column * layer.jump[1], cy: layer.start[0] + row * layer.jump[0], r: dot };
          shape(this.marks, "circle", { class: "field-dot", ...place });
        }
      }
    }
    for (const [down, right] of [[0, 1], [1, 0]]) {
      const next = [at[0] + down, at[1] + right];
      if (next[0] < layer.maps[0] && next[1] < layer.maps[1]) this.rectangle(layer, next, "field-next");
    }
    this.rectangle(layer, at, "field-box");
    this.says.textContent = this.sentence(layer, depth);
    this.slider.setAttribute("aria-valuetext", depth ? `${depth}: ${layer.token}` : "the image itself");
    for (const row of this.table.querySelectorAll("tbody tr")) row.classList.toggle("lit", Number(row.dataset.depth) === depth);
  }

  sentence(layer, depth) {
    if (!depth) return "The image itself: every value is one pixel.";
    const by = (values) => (values[0] === values[1] ? `${values[0]}×${values[0]}` : `${values[0]}×${values[1]}`);
    const seen = [0, 1].map((axis) => Math.min(layer.size[axis], axis ? this.columns : this.rows));
    const share = percent((seen[0] * seen[1]) / (this.rows * this.columns));
    const all = seen[0] === this.rows && seen[1] === this.columns;
    const much = all ? "the whole image" : `${share} of the image`;
    const start = `Layer ${depth} of ${this.layers.length}, ${layer.token}: one value sees ${by(layer.size)} pixels, ${much}.`;
    if (layer.maps[0] * layer.maps[1] === 1) return `${start} There is only one value a channel, so there are no neighbours.`;
    const [jump, size] = [layer.jump[1], layer.size[1]];
    const shared = size > jump ? `share ${size - jump} of ${size} columns` : "share nothing";
    return `${start} Its neighbour looks ${jump} pixel${jump === 1 ? "" : "s"} further on (the jump), so the two ${shared}.`;
  }
}
