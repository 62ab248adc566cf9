// From pen strokes to an image as MNIST was made: the drawing fits a box of 20 of 28 pixels, keeping its shape, and its
// centre of mass is the centre of the image.

const Strokes = (() => {
  const BOX = 20 / 28;
  // The median width of a stroke in MNIST's training images; here it stays the same however large one draws.
  const PEN = 2.6 / 28;

  function distance(x, y, from, to) {
    const dx = to.x - from.x;
    const dy = to.y - from.y;
    const length = dx * dx + dy * dy;
    const along = length ? Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / length)) : 0;
    return Math.hypot(x - from.x - along * dx, y - from.y - along * dy);
  }

  /** Return brightness from 0 to 1, row by row, of strokes in pixels; edges are as soft as one pixel. */
  function rasterise(strokes, rows, columns, pen) {
    const values = new Float64Array(rows * columns);
    for (const stroke of strokes) {
      for (let index = 0; index < stroke.length; index += 1) {
        const from = stroke[Math.max(0, index - 1)];
        const to = stroke[index];
        const reach = pen / 2 + 1;
        const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
        const bottom = Math.min(rows - 1, Math.ceil(Math.max(from.y, to.y) + reach));
        const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - reach));
        const right = Math.min(columns - 1, Math.ceil(Math.max(from.x, to.x) + reach));
        for (let row = top; row <= bottom; row += 1) {
          for (let column = left; column <= right; column += 1) {
            const cover = pen / 2 + 0.5 - distance(column + 0.5, row + 0.5, from, to);
            const place = row * columns + column;
            values[place] = Math.max(values[place], Math.min(1, Math.max(0, cover)));
          }
        }
      }
    }
    return values;
  }

  const move = (strokes, scale, dx, dy) =>
    strokes.map((stroke) => stroke.map((point) => ({ x: point.x * scale + dx, y: point.y * scale + dy })));

  /** Return pixels from 0 to 255, or null for no strokes. Points are in any unit; `pad` is the width drawn on. */
  function image(strokes, rows, columns, pad) {
    const points = strokes.flat();
    if (!points.length) return null;
    const side = Math.min(rows, columns);
    const pen = PEN * side;
    const low = { x: Math.min(...points.map((point) => point.x)), y: Math.min(...points.map((point) => point.y)) };
    const high = { x: Math.max(...points.map((point) => point.x)), y: Math.max(...points.map((point) => point.y)) };
    // A dot is a dot, not a line blown up to the whole box.
    const extent = Math.max(high.x - low.x, high.y - low.y, pad / 10);
    const factor = (BOX * side - pen) / extent;
    let placed = move(strokes, factor, columns / 2 - ((low.x + high.x) / 2) * factor, rows / 2 - ((low.y + high.y) / 2) * factor);
    const mass = rasterise(placed, rows, columns, pen);
    let sum = 0;
    let x = 0;
    let y = 0;
    mass.forEach((value, index) => {
      sum += value;
      x += value * ((index % columns) + 0.5);
      y += value * (Math.floor(index / columns) + 0.5);
    });
    placed = move(placed, 1, columns / 2 - x / sum, rows / 2 - y / sum);
    return rasterise(placed, rows, columns, pen).map((value) => Math.round(255 * value));
  }

  return { image };
})();
