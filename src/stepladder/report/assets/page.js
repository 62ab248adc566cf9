// Wakes the page up: every part works on what the page already says, so that it reads without scripts too.

(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const find = (id) => document.getElementById(id);

  for (const [name, series] of Object.entries(facts.series)) {
    const root = document.querySelector(`[data-series="${name}"]`);
    if (root && series.length) new Curves(root, series, facts);
  }

  const looking = find("stage") && new Looking(find("stage"), find("depth"), find("field-says"), find("field-table"), facts.field, facts.inputShape);
  const pictures = [...document.querySelectorAll("#field-examples button")];
  for (const button of pictures) {
    const image = button.querySelector("img");
    button.addEventListener("click", () => looking.show(image.src, image.className));
  }
  pictures[Math.min(pictures.length - 1, 3)]?.click();

  const living = facts.living ? new Living(facts.living, facts) : null;
  if (find("gallery")) new Errors();
  for (const button of document.querySelectorAll("#gallery .ask")) {
    button.addEventListener("click", () => {
      living.clearPad();
      living.answer(pixelsOf(button.closest("li").querySelector("img")));
      find("living").scrollIntoView();
    });
  }

  /** Return an image element's pixels as the net takes them. */
  function pixelsOf(image) {
    const [channels, rows, columns] = facts.inputShape;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: columns, height: rows });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, columns, rows);
    const size = rows * columns;
    const pixels = new Uint8Array(channels * size);
    for (let index = 0; index < size; index += 1) {
      // Ink is shown dark on light; the net takes it light on dark.
      if (channels === 3) for (let part = 0; part < 3; part += 1) pixels[index + part * size] = data[4 * index + part];
      else pixels[index] = facts.isInk ? 255 - data[4 * index] : data[4 * index];
    }
    return pixels;
  }

  if (find("published")) drawPublished(find("published"), find("published-tip"), facts.published, facts.own);

  // The drawing and the table of layers point at each other.
  const drawing = find("drawing");
  const lines = [...document.querySelectorAll("#layers tr[data-layer]")];
  const parts = drawing ? [...drawing.querySelectorAll("[id*='layer-']")] : [];
  const layerOf = (element) => element.id.match(/layer-(\d+)/)?.[1];
  function light(layer) {
    for (const line of lines) line.classList.toggle("lit", line.dataset.layer === layer);
    for (const part of parts) part.classList.toggle("lit", layerOf(part) === layer);
    drawing?.classList.toggle("dimmed", parts.some((part) => layerOf(part) === layer));
  }
  for (const line of lines) {
    line.addEventListener("pointerenter", () => light(line.dataset.layer));
    line.addEventListener("pointerleave", () => light(null));
  }
  for (const part of parts) {
    part.addEventListener("pointerenter", () => light(layerOf(part)));
    part.addEventListener("pointerleave", () => light(null));
  }

  find("copy").addEventListener("click", async () => {
    const command = find("command").textContent;
    try {
      await navigator.clipboard.writeText(command);
    } catch {
      // Without the right to the clipboard the selection is the next best: one key away.
      getSelection().selectAllChildren(find("command"));
    }
    find("copy").textContent = "Copied";
    setTimeout(() => { find("copy").textContent = "Copy"; }, 2000);
  });

  // What scrolls sideways can be scrolled with the keyboard too.
  const watch = new ResizeObserver((entries) => {
    for (const { target } of entries) target.toggleAttribute("tabindex", target.scrollWidth > target.clientWidth);
    for (const { target } of entries) if (target.hasAttribute("tabindex")) target.tabIndex = 0;
  });
  for (const region of document.querySelectorAll(".scroll:not(.drawing), pre")) watch.observe(region);

  find("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // For those who want to ask the net themselves, and for the tests.
  window.stepladder = { facts, living, Net };
})();
