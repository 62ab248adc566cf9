// The living net: draw, and see probabilities, every layer's maps, and where the strongest values look.

class Living {
  constructor(net, { classes, layers }) {
    this.net = Net.read(net);
    this.classes = classes;
    this.layers = layers;
    [, this.rows, this.columns] = net.input_shape;
    this.seen = document.getElementById("seen");
    this.region = document.getElementById("seen-region");
    this.says = document.getElementById("says");
    this.chosen = null;
    this.buildAnswers();
    this.blocks = this.buildBlocks();
    this.pad = document.getElementById("pad");
    if (this.pad) this.listen();
    const examples = document.getElementById("examples").querySelectorAll("button");
    for (const button of examples) {
      button.addEventListener("click", () => {
        this.clearPad();
        this.answer(Uint8Array.from(atob(button.dataset.pixels), (character) => character.charCodeAt(0)));
      });
    }
    examples[Math.min(examples.length - 1, 3)]?.click();
  }

  buildAnswers() {
    const list = document.getElementById("answers");
    this.bars = this.classes.map((name) => {
      const item = make(list, "li");
      make(item, "span", { class: "class" }, name);
      const bar = make(make(item, "span", { class: "track" }), "i");
      const share = make(item, "span", { class: "share" });
      return { item, bar, share };
    });
  }

  /** Group operations as people speak of layers: a convolution with what follows it, a pooling; and make their maps. */
  buildBlocks() {
    const heads = new Set(["convolution", "linear", "max-pool", "average-pool"]);
    const blocks = [];
    this.net.operations.forEach((operation, index) => {
      if (heads.has(operation.kind) || !blocks.length) blocks.push({ layer: operation.layer });
      blocks.at(-1).last = index;
    });
    const root = document.getElementById("maps");
    for (const block of blocks) {
      const row = this.net.operations[block.last].row;
      Object.assign(block, this.layers[row], { token: this.layers[block.layer].token });
      block.element = make(root, "div", { class: "block" });
      const name = make(block.element, "button", { type: "button", class: "name", "aria-pressed": "false" });
      make(name, "code", {}, block.token);
      const sees = block.receptive_field ? `, each value sees ${block.receptive_field.join("×")}` : "";
      name.append(` ${block.output_shape.join("×")}${sees}`);
      name.addEventListener("click", () => this.choose(block, null));
      block.name = name;
      block.maps = this.buildMaps(block);
    }
    // The last maps are the logits: one a class.
    blocks.at(-1).maps.forEach((map, index) => make(map.button, "small", {}, this.classes[index].slice(0, 3)));
    return blocks;
  }

  buildMaps(block) {
    const channels = make(block.element, "div", { class: "channels" });
    const [count, rows = 1, columns = 1] = block.output_shape;
    const width = columns > 1 ? Math.max(34, Math.min(64, Math.round(columns * 1.9))) : 17;
    return Array.from({ length: Math.min(count, 128) }, (_, channel) => {
      // One stop a layer for the keyboard, on its name; the maps are for the pointer.
      const button = make(channels, "button", { type: "button", tabindex: "-1", "aria-label": `channel ${channel + 1} of ${count}` });
      const canvas = make(button, "canvas", { width: columns, height: rows });
      canvas.style.width = `${width}px`;
      canvas.style.height = `${(width * rows) / columns}px`;
      const mark = make(button, "i", { hidden: "" });
      const map = { button, canvas, mark, rows, columns };
      button.addEventListener("pointerenter", () => this.choose(block, channel));
      button.addEventListener("click", () => this.choose(block, channel));
      return map;
    });
  }

  /** Answer for pixels from 0 to 255, channel by channel. */
  answer(pixels) {
    this.pixels = pixels;
    const outputs = Net.forward(this.net, pixels);
    const shares = Net.softmax(outputs.at(-1).values);
    const top = shares.indexOf(Math.max(...shares));
    this.says.textContent = `The net says ${this.classes[top]} (${percent(shares[top])}).`;
    this.bars.forEach(({ item, bar, share }, index) => {
      item.classList.toggle("top", index === top);
      bar.style.width = percent(shares[index]);
      share.textContent = percent(shares[index]);
    });
    this.paintSeen(pixels);
    for (const block of this.blocks) this.paintMaps(block, outputs[block.last]);
    const spatial = this.blocks.filter((block) => block.output_shape.length === 3 && block.output_shape[1] > 1);
    const block = this.chosen?.block ?? spatial[Math.max(0, spatial.length - 2)] ?? this.blocks[0];
    this.choose(block, this.chosen?.channel ?? null);
    return shares;
  }

  paintSeen(pixels) {
    const context = this.seen.getContext("2d");
    const size = this.rows * this.columns;
    const colour = this.net.input_shape[0] === 3;
    const picture = context.createImageData(this.columns, this.rows);
    for (let index = 0; index < size; index += 1) {
      for (let part = 0; part < 3; part += 1) picture.data[4 * index + part] = pixels[colour ? index + part * size : index];
      picture.data[4 * index + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  /** Paint a block's maps on one scale from its weakest to its strongest value, so that channels can be compared. */
  paintMaps(block, { values }) {
    let low = Infinity;
    let high = -Infinity;
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    block.values = values;
    const size = block.maps[0].rows * block.maps[0].columns;
    block.maps.forEach((map, channel) => {
      const context = map.canvas.getContext("2d");
      const picture = context.createImageData(map.columns, map.rows);
      for (let index = 0; index < size; index += 1) {
        const share = (values[channel * size + index] - low) / (high - low || 1);
        // From night blue over orange to near white: brightness rises all along, for every kind of eye.
        picture.data.set([18 + 237 * share ** 0.6, 26 + 214 * share ** 1.25, 58 + 152 * share ** 2.6, 255], 4 * index);
      }
      context.putImageData(picture, 0, 0);
    });
  }

  /** Frame what a block's strongest value (of one channel, or of all) looks at. */
  choose(block, channel) {
    if (!block?.values) return;
    this.chosen = { block, channel };
    const size = block.maps[0].rows * block.maps[0].columns;
    let strongest = channel === null ? 0 : channel * size;
    const end = channel === null ? block.maps.length * size : (channel + 1) * size;
    for (let index = strongest; index < end; index += 1) if (block.values[index] > block.values[strongest]) strongest = index;
    const at = strongest % size;
    const row = Math.floor(at / block.maps[0].columns);
    const column = at % block.maps[0].columns;
    const shown = Math.floor(strongest / size);
    for (const other of this.blocks) {
      other.element.classList.toggle("chosen", other === block);
      other.name.setAttribute("aria-pressed", String(other === block));
      other.maps.forEach((map, index) => {
        const here = other === block && index === shown;
        map.button.classList.toggle("chosen", here);
        map.mark.hidden = !here || map.rows * map.columns === 1;
        if (!map.mark.hidden) {
          const place = { left: column / map.columns, top: row / map.rows, width: 1 / map.columns, height: 1 / map.rows };
          for (const [side, share] of Object.entries(place)) map.mark.style[side] = `${100 * share}%`;
        }
      });
    }
    this.frame(block, row, column);
  }

  frame(block, row, column) {
    this.region.replaceChildren();
    const field = block.receptive_field ?? [this.rows, this.columns];
    const [jump, start] = block.receptive_field ? [block.jump, block.start] : [[1, 1], [this.rows / 2, this.columns / 2]];
    const [top, left] = [0, 1].map((axis) => start[axis] + (axis ? column : row) * jump[axis] - field[axis] / 2);
    const limits = [this.rows, this.columns];
    const begin = [Math.max(0, top), Math.max(0, left)];
    const end = [0, 1].map((axis) => Math.min(limits[axis], (axis ? left : top) + field[axis]));
    const size = { x: begin[1], y: begin[0], width: Math.max(0, end[1] - begin[1]), height: Math.max(0, end[0] - begin[0]) };
    shape(this.region, "rect", { class: "field-box", ...size });
  }

  listen() {
    this.strokes = [];
    this.context = this.pad.getContext("2d");
    this.pad.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.pad.setPointerCapture(event.pointerId);
      this.strokes.push([this.place(event)]);
      this.redraw();
    });
    this.pad.addEventListener("pointermove", (event) => {
      if (!event.buttons || !this.strokes.length) return;
      // Fast fingers report several places an event.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) this.strokes.at(-1).push(this.place(one));
      this.redraw();
    });
    document.getElementById("clear").addEventListener("click", () => {
      this.clearPad();
      this.answer(new Uint8Array(this.rows * this.columns));
      this.says.textContent = "Draw a digit.";
    });
    this.clearPad();
  }

  place(event) {
    const bounds = this.pad.getBoundingClientRect();
    const factor = this.pad.width / bounds.width;
    return { x: (event.clientX - bounds.left) * factor, y: (event.clientY - bounds.top) * factor };
  }

  clearPad() {
    if (!this.context) return;
    this.strokes = [];
    this.context.clearRect(0, 0, this.pad.width, this.pad.height);
    document.getElementById("hint").hidden = false;
  }

  redraw() {
    const { context } = this;
    document.getElementById("hint").hidden = true;
    context.clearRect(0, 0, this.pad.width, this.pad.height);
    Object.assign(context, { lineWidth: this.pad.width / 16, lineCap: "round", lineJoin: "round", strokeStyle: "#1b1f24" });
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x, stroke[0].y);
      for (const point of stroke) context.lineTo(point.x, point.y);
      context.stroke();
    }
    const pixels = Strokes.image(this.strokes, this.rows, this.columns, this.pad.width);
    if (pixels) this.answer(pixels);
  }
}
