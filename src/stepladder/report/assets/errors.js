// The misclassified images: filters, and the confusion matrix whose cells set them.

class Errors {
  constructor() {
    const find = (id) => document.getElementById(id);
    this.actual = find("filter-true");
    this.predicted = find("filter-predicted");
    this.doubtful = find("filter-doubtful");
    this.items = [...find("gallery").children];
    this.cells = [...find("confusion").querySelectorAll("button")];
    for (const control of [this.actual, this.predicted, this.doubtful]) control?.addEventListener("change", () => this.apply());
    find("filter-reset").addEventListener("click", () => {
      this.actual.value = "";
      this.predicted.value = "";
      if (this.doubtful) this.doubtful.checked = false;
      this.apply();
    });
    for (const cell of this.cells) {
      cell.addEventListener("click", () => {
        const off = cell.getAttribute("aria-pressed") === "true";
        this.actual.value = off ? "" : cell.dataset.true;
        this.predicted.value = off ? "" : cell.dataset.predicted;
        this.apply();
        if (!off) find("filters").scrollIntoView({ block: "start" });
      });
    }
    this.apply();
  }

  apply() {
    let count = 0;
    for (const item of this.items) {
      const fits = (select, value) => select.value === "" || select.value === value;
      const shown =
        fits(this.actual, item.dataset.true) &&
        fits(this.predicted, item.dataset.predicted) &&
        !(this.doubtful?.checked && item.dataset.doubtful);
      item.hidden = !shown;
      count += Number(shown);
    }
    for (const cell of this.cells) {
      const chosen = cell.dataset.true === this.actual.value && cell.dataset.predicted === this.predicted.value;
      cell.setAttribute("aria-pressed", String(chosen));
    }
    document.getElementById("filter-count").textContent = `${count} of ${this.items.length} shown`;
    document.getElementById("gallery-empty").hidden = count > 0;
  }
}
