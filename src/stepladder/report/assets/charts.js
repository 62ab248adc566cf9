// Learning curves of several steps on shared axes: one pointer reads all panels at the same epoch.

class Curves {
  constructor(root, series, { split, target }) {
    this.root = root;
    this.series = series;
    this.epochs = Math.max(...series.map((one) => one.runs[0].train.length));
    this.hidden = new Set();
    this.epoch = this.epochs;
    const title = split[0].toUpperCase() + split.slice(1);
    this.panels = [
      { name: "Training loss", value: "trainLoss", logarithmic: true },
      { name: `${title} loss`, value: "evaluationLoss", logarithmic: true },
      { name: "Training accuracy (%)", value: "train", target },
      { name: `${title} accuracy (%)`, value: "evaluation", target },
      { name: "Learning rate", value: "rates", full: true },
    ];
    this.build();
    new ResizeObserver(() => this.draw()).observe(this.grid);
  }

  build() {
    const legend = make(this.root, "div", { class: "legend" });
    for (const one of this.series) {
      const button = make(legend, "button", { type: "button", "aria-pressed": "true", style: `--step:var(--s${one.colour})` });
      button.textContent = `${one.number}: ${one.title}`;
      button.addEventListener("click", () => this.toggle(one, button));
    }
    this.says = make(legend, "span", { class: "small soft" });
    this.grid = make(this.root, "div", {
      class: "panels",
      tabindex: "0",
      role: "group",
      "aria-label": "Learning curves. Left and right arrow keys move through the epochs; the same values stand in the table of every epoch.",
    });
    for (const panel of this.panels) {
      const figure = make(this.grid, "figure", { class: panel.full ? "panel full" : "panel" });
      const head = make(figure, "div", { class: "title" });
      make(head, "span", {}, panel.name);
      panel.reading = make(head, "span", { class: "reading" });
      panel.svg = shape(figure, "svg", { role: "img", "aria-label": `${panel.name} over the epochs` });
      panel.svg.addEventListener("pointermove", (event) => this.point(panel, event));
      panel.svg.addEventListener("pointerdown", (event) => this.point(panel, event));
    }
    this.grid.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!move) return;
      event.preventDefault();
      this.read(this.epoch + move);
    });
  }

  toggle(one, button) {
    const hide = !this.hidden.has(one.number);
    if (hide) this.hidden.add(one.number);
    else this.hidden.delete(one.number);
    button.setAttribute("aria-pressed", String(!hide));
    this.draw();
  }

  shown() {
    return this.series.filter((one) => !this.hidden.has(one.number));
  }

  /** Return the lines of one step in a panel: points [x in epochs, value]; the last line is the mean. */
  lines(one, panel) {
    if (panel.value === "rates") {
      // The same number an epoch, from its first step to its last: where a schedule falls between epochs, so does the line.
      const count = one.rates.length / one.runs[0].train.length;
      const x = (index) => Math.floor(index / count) + (index % count) / Math.max(1, count - 1);
      return [one.rates.map((rate, index) => [x(index), rate])];
    }
    const runs = one.runs.map((run) => run[panel.value]);
    const average = runs[0].map((_, index) => mean(runs.map((run) => run[index])));
    const lines = runs.length > 1 ? [...runs, average] : [average];
    return lines.map((values) => values.map((value, index) => [index + 1, value]));
  }

  /** Return the range of values to show: of accuracies the end, where the steps differ. */
  range(panel) {
    const steps = this.series;
    if (panel.value === "rates") return [0, Math.max(...steps.flatMap((one) => one.rates)) * 1.06];
    const all = panel.target === undefined ? [panel.value] : ["train", "evaluation"];
    const from = panel.target === undefined ? 0 : Math.floor(this.epochs / 3);
    const values = steps.flatMap((one) => one.runs.flatMap((run) => all.flatMap((name) => run[name].slice(from))));
    if (panel.logarithmic) return [Math.max(Math.min(...values) * 0.9, 1e-9), Math.max(...values) * 1.1];
    const low = Math.min(...values, panel.target);
    const high = Math.max(...values, panel.target);
    const margin = Math.max((high - low) * 0.08, 0.05);
    return [low - margin, Math.min(high + margin, 100)];
  }

  draw() {
    for (const panel of this.panels) this.drawPanel(panel);
    this.read(this.epoch);
  }

  drawPanel(panel) {
    const svg = panel.svg;
    const { width, height } = svg.getBoundingClientRect();
    if (!width) return;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const box = { left: 44, right: width - 22, top: 8, bottom: height - 22 };
    const [low, high] = this.range(panel);
    const turn = panel.logarithmic ? Math.log : (value) => value;
    panel.x = (epoch) => box.left + ((box.right - box.left) * epoch) / this.epochs;
    panel.y = (value) => box.bottom - ((box.bottom - box.top) * (turn(Math.max(value, 1e-9)) - turn(low))) / (turn(high) - turn(low));
    panel.box = box;
    this.drawAxes(panel, low, high);
    const clip = `${this.root.id}-${panel.value}`;
    const area = shape(shape(svg, "clipPath", { id: clip }), "rect", { x: box.left, y: box.top - 3 });
    area.setAttribute("width", box.right - box.left + 6);
    area.setAttribute("height", box.bottom - box.top + 6);
    for (const one of this.shown()) {
      const group = shape(svg, "g", { style: `--step:var(--s${one.colour})`, "clip-path": `url(#${clip})` });
      const lines = this.lines(one, panel);
      lines.forEach((points, index) => {
        const place = points.map(([x, value]) => `${panel.x(x).toFixed(1)} ${panel.y(value).toFixed(1)}`);
        shape(group, "path", { class: index < lines.length - 1 ? "curve seed" : "curve", d: `M${place.join("L")}` });
      });
    }
    this.drawEnds(panel);
    panel.cursor = shape(svg, "g", { class: "cursor" });
  }

  /** Write each step's number at the end of its curve, moved apart where they meet. */
  drawEnds(panel) {
    const ends = this.shown().map((one) => ({ one, y: panel.y(this.lines(one, panel).at(-1).at(-1)[1]) }));
    ends.sort((first, second) => first.y - second.y);
    // First down from the top, then up from the axis, where the last epoch's number stands.
    ends.forEach((end, index) => { end.y = Math.max(end.y, index ? ends[index - 1].y + 11 : panel.box.top + 4); });
    for (let index = ends.length - 1; index >= 0; index -= 1) {
      const end = ends[index];
      end.y = Math.min(end.y, index + 1 < ends.length ? ends[index + 1].y - 11 : panel.box.bottom);
    }
    for (const end of ends) {
      const attributes = { x: panel.box.right + 8, y: end.y + 4, "font-size": 12, "font-weight": 700, fill: `var(--s${end.one.colour})` };
      shape(panel.svg, "text", attributes, end.one.number);
    }
  }

  drawAxes(panel, low, high) {
    const { box, svg } = panel;
    const axis = shape(svg, "g", { class: "axis" });
    let levels = ticks(low, high, 4);
    let write = (value) => withDigits(value, levels[1] - levels[0] || 1);
    if (panel.logarithmic) {
      const powers = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
      const inside = powers.filter((value) => value >= low && value <= high);
      if (inside.length > 2) levels = inside;
      write = (value) => String(Number(value.toPrecision(2)));
    }
    for (const value of levels) {
      shape(axis, "line", { x1: box.left, x2: box.right, y1: panel.y(value), y2: panel.y(value) });
      shape(axis, "text", { x: box.left - 6, y: panel.y(value) + 4, "text-anchor": "end" }, write(value));
    }
    for (const epoch of ticks(0, this.epochs, Math.min(this.epochs, 6)).filter((value) => Number.isInteger(value))) {
      shape(axis, "text", { x: panel.x(epoch), y: box.bottom + 16, "text-anchor": "middle" }, epoch || "epoch");
    }
    if (panel.target === undefined) return;
    const target = shape(svg, "g", { class: "target" });
    shape(target, "line", { x1: box.left, x2: box.right, y1: panel.y(panel.target), y2: panel.y(panel.target) });
    shape(target, "text", { x: box.left + 4, y: panel.y(panel.target) - 4 }, `target ${panel.target}%`);
  }

  point(panel, event) {
    const bounds = panel.svg.getBoundingClientRect();
    const share = (event.clientX - bounds.left - panel.box.left) / (panel.box.right - panel.box.left);
    this.read(Math.round(share * this.epochs));
  }

  /** Show every panel's values at an epoch. */
  read(epoch) {
    this.epoch = Math.min(this.epochs, Math.max(1, epoch));
    this.says.textContent = `epoch ${this.epoch} of ${this.epochs}`;
    for (const panel of this.panels) {
      if (!panel.cursor) continue;
      panel.cursor.replaceChildren();
      panel.reading.replaceChildren();
      const x = panel.x(this.epoch);
      shape(panel.cursor, "line", { x1: x, x2: x, y1: panel.box.top, y2: panel.box.bottom });
      for (const one of this.shown()) {
        const value = this.valueAt(one, panel);
        if (value === undefined) continue;
        const y = panel.y(value);
        const inside = y >= panel.box.top - 3 && y <= panel.box.bottom + 3;
        if (inside) shape(panel.cursor, "circle", { cx: x, cy: y, r: 4, style: `--step:var(--s${one.colour})` });
        const reading = make(panel.reading, "span", { style: `color:var(--s${one.colour})` });
        make(reading, "b", {}, `${one.number} `);
        reading.append(one.readings[panel.value][this.epoch - 1]);
      }
    }
  }

  valueAt(one, panel) {
    const points = this.lines(one, panel).at(-1);
    if (panel.value !== "rates") return points[this.epoch - 1]?.[1];
    return points[(points.length / one.runs[0].train.length) * this.epoch - 1]?.[1];
  }
}

/** Write a name beside a mark where nothing else stands; where there is no room the pointer tells it. */
function nameBeside(group, name, x, y, box, taken) {
  // Of an owner and a repository the repository is enough; of other long names what fits, up to a whole word.
  const own = /^[\w.-]+\/[\w.-]+$/.test(name) ? name.split("/").at(-1) : name;
  const fits = (text) => text.length <= 26;
  const short = [name, own].find(fits) ?? `${own.slice(0, 25).replace(/\W*\s\S*$/, "")}…`;
  const width = short.length * 6.4;
  for (const [left, anchor] of [[x + 11, "start"], [x - 11 - width, "end"]]) {
    const area = [left, y - 7, left + width, y + 7];
    const meets = (other) => area[0] < other[2] && other[0] < area[2] && area[1] < other[3] && other[1] < area[3];
    if (left < box.left || left + width > box.right || taken.some(meets)) continue;
    taken.push(area);
    shape(group, "text", { x: anchor === "start" ? left : x - 11, y: y + 4, "text-anchor": anchor }, short);
    return;
  }
}

/** Accuracy against parameters: published results by what kind of number they are, and this climb's steps in colour. */
function drawPublished(root, tip, published, own) {
  const marks = {
    best: (group, x, y) => shape(group, "path", { class: "mark", d: `M${x} ${y - 7}L${x + 7} ${y + 5}H${x - 7}Z` }),
    single: (group, x, y) => shape(group, "circle", { class: "mark", cx: x, cy: y, r: 5.5 }),
    mean: (group, x, y) => shape(group, "rect", { class: "mark mean", x: x - 5, y: y - 5, width: 10, height: 10 }),
  };
  const svg = shape(root, "svg", { role: "group", "aria-label": "Test accuracy against parameters; the table below says the same" });
  const steps = own.map((one) => ({
    ...one,
    own: true,
    statistic: one.seeds > 1 ? "mean" : "single",
    detail: one.seeds > 1 ? `mean over ${one.seeds} seeds, last epoch` : "one run, last epoch",
  }));
  const all = [...published, ...steps];
  const count = (value) => value.toLocaleString("en");

  function draw() {
    const { width, height } = svg.getBoundingClientRect();
    if (!width) return;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const box = { left: 44, right: width - 14, top: 12, bottom: height - 34 };
    const decades = [Math.min(...all.map((one) => one.parameters)) * 0.7, Math.max(...all.map((one) => one.parameters)) * 1.6].map(Math.log10);
    const values = all.map((one) => one.accuracy);
    const low = Math.min(...values) - 0.12;
    const x = (parameters) => box.left + ((box.right - box.left) * (Math.log10(parameters) - decades[0])) / (decades[1] - decades[0]);
    const y = (accuracy) => box.bottom - ((box.bottom - box.top) * (accuracy - low)) / (100 - low);
    const axis = shape(svg, "g", { class: "axis" });
    const levels = ticks(low, 100, 5);
    for (const value of levels) {
      shape(axis, "line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value) });
      shape(axis, "text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end" }, withDigits(value, levels[1] - levels[0]));
    }
    for (let power = Math.ceil(decades[0]); power <= decades[1]; power += 1) {
      shape(axis, "text", { x: x(10 ** power), y: box.bottom + 16, "text-anchor": "middle" }, count(10 ** power));
    }
    shape(axis, "text", { x: box.right, y: box.bottom + 31, "text-anchor": "end" }, "parameters, logarithmic");
    shape(axis, "text", { x: box.left + 4, y: box.top + 4 }, "test accuracy (%)");
    // Marks, and the numbers beside this climb's own.
    const besides = (one) => (one.own ? 14 + 8 * one.mark.length : 9);
    const taken = all.map((one) => [x(one.parameters) - 9, y(one.accuracy) - 9, x(one.parameters) + besides(one), y(one.accuracy) + 9]);
    for (const one of all) {
      const label = `${one.source}: ${one.text ?? `${one.accuracy}%`}, ${count(one.parameters)} parameters (${one.detail})`;
      const group = shape(svg, "g", { tabindex: 0, role: "img", "aria-label": label });
      if (one.own) group.style.setProperty("--step", `var(--s${one.colour})`);
      const mark = marks[one.statistic](group, x(one.parameters), y(one.accuracy));
      if (one.own) {
        mark.classList.add("mine");
        const right = box.right - x(one.parameters) < 50 + 8 * one.mark.length;
        const attributes = { class: "own", x: x(one.parameters) + (right ? -10 : 10), y: y(one.accuracy) + 4, "text-anchor": right ? "end" : "start" };
        shape(group, "text", attributes, one.mark);
      }
      else nameBeside(group, one.source, x(one.parameters), y(one.accuracy), box, taken);
      for (const kind of ["pointerenter", "focus", "click"]) group.addEventListener(kind, () => { tip.textContent = label; });
    }
  }
  tip.textContent = "Point at a mark to read it.";
  new ResizeObserver(draw).observe(root);
}
