"""The report's drawings, each from facts to the bytes of an SVG or PNG file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

Step = dict[str, Any]

# Okabe and Ito's palette: told apart by colour-blind eyes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "svg.fonttype": "none",
    # Equal facts give equal bytes.
    "svg.hashsalt": "stepladder",
}


def curves(steps: Sequence[Step], target: float, split: str) -> bytes:
    """Return the learning curves of steps as SVG: thin lines a seed, a thick one for their mean."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        axes = figure.subplots(2, 2, sharex=True)
        panels = (
            (axes[0][0], "train_loss", "Training loss"),
            (axes[0][1], "evaluation_loss", f"{split.capitalize()} loss"),
            (axes[1][0], "train", "Training accuracy (%)"),
            (axes[1][1], "evaluation", f"{split.capitalize()} accuracy (%)"),
        )
        for axis, value, title in panels:
            for step, colour in zip(steps, _colours(steps), strict=True):
                lines = numpy.array([[_value(row, value) for row in run["rows"]] for run in step["runs"]])
                epochs = numpy.arange(1, lines.shape[1] + 1)
                if len(lines) > 1:
                    axis.plot(epochs, lines.T, color=colour, linewidth=0.6, alpha=0.4)
                axis.plot(
                    epochs,
                    lines.mean(0),
                    color=colour,
                    linewidth=2,
                    label=step["title"],
                    marker="o",
                    markersize=3,
                )
            axis.set_title(title, loc="left")
        for axis in axes[0]:
            axis.set_yscale("log")
        for axis in axes[1]:
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axis.axhline(target, color="#666666", linestyle="--", linewidth=1)
            axis.set_ylim(*_accuracy_limits(steps, target))
        axes[1][1].annotate(f"target {target:g}%", (1, target), fontsize=8, color="#666666", ha="left", va="bottom")
        axes[0][0].legend()
        return _svg(figure)


def schedules(steps: Sequence[Step]) -> bytes:
    """Return the learning rates of steps over the epochs as SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 2.8), layout="constrained")
        axis = figure.subplots()
        for step, colour in zip(steps, _colours(steps), strict=True):
            rates = step["learning_rates"]
            epochs = numpy.linspace(0, len(step["runs"][0]["rows"]), len(rates))
            axis.plot(epochs, rates, color=colour, linewidth=2, label=step["title"])
        axis.set_xlabel("epoch")
        axis.set_title("Learning rate", loc="left")
        axis.set_ylim(bottom=0)
        axis.legend()
        return _svg(figure)


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> bytes:
    """Return a confusion matrix as SVG; colour shows the mistakes, so that right answers do not drown them."""
    counts = numpy.array(matrix)
    wrong = counts.copy()
    numpy.fill_diagonal(wrong, 0)
    with mpl.rc_context({**_STYLE, "axes.grid": False}):
        figure = Figure(figsize=(6, 5.6), layout="constrained")
        axis = figure.subplots()
        largest = max(int(wrong.max()), 1)
        axis.imshow(wrong, cmap="Oranges", vmin=0, vmax=largest * 1.3)
        for label, predicted in numpy.ndindex(*counts.shape):
            value = int(counts[label, predicted])
            if value:
                weight = "bold" if label == predicted else "normal"
                colour = "#888888" if label == predicted else "#111111"
                axis.text(
                    predicted,
                    label,
                    f"{value}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=colour,
                    fontweight=weight,
                )
        axis.set_xticks(range(len(classes)), classes)
        axis.set_yticks(range(len(classes)), classes)
        axis.set_xlabel("predicted")
        axis.set_ylabel("true")
        axis.spines[:].set_visible(False)
        return _svg(figure)


def mistakes(found: Sequence[dict[str, Any]], data: dict[str, Any]) -> bytes:
    """Return the misclassified images as one PNG: 10 a row, each with its labels and both probabilities."""
    columns = 10
    rows = max(1, -(-len(found) // columns))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(columns * 1.05, rows * 1.5), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axis in grid.flat:
            axis.set_axis_off()
        for axis, mistake in zip(grid.flat, found, strict=False):
            axis.imshow(pixels(mistake, data), cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
            label, predicted = data["classes"][mistake["label"]], data["classes"][mistake["predicted"]]
            axis.set_title(
                f"{label} taken for {predicted}\n{mistake['label_probability']:.0%} : "
                f"{mistake['predicted_probability']:.0%}",
                fontsize=7,
                fontweight="normal",
            )
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
        return stream.getvalue()


def published(results: Sequence[dict[str, Any]], steps: Sequence[Step]) -> bytes:
    """Return accuracy against parameters as SVG: published results and this climb's steps."""
    markers = {"mean": "s", "single": "o", "best": "^"}
    names = {"mean": "mean of several runs", "single": "one run", "best": "best of several"}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        axis = figure.subplots()
        for statistic, marker in markers.items():
            chosen = [one for one in results if one["statistic"] == statistic]
            axis.scatter(
                [one["parameters"] for one in chosen],
                [one["accuracy"] for one in chosen],
                marker=marker,
                facecolor="none",
                edgecolor="#666666",
                label=f"published: {names[statistic]}",
            )
        for step, colour in zip(steps, _colours(steps), strict=True):
            several = len(step["runs"]) > 1
            axis.scatter(
                [step["parameters"]],
                [step["evaluation"]["mean"]],
                marker="s" if several else "o",
                color=colour,
                s=60,
                label=f"{step['title']} ({'mean of ' + str(len(step['runs'])) + ' seeds' if several else 'one run'})",
                zorder=3,
            )
        axis.set_xscale("log")
        axis.set_xlabel("parameters")
        axis.set_title("Test accuracy (%)", loc="left")
        axis.legend(fontsize=8, loc="lower right")
        return _svg(figure)


def pixels(mistake: dict[str, Any], data: dict[str, Any]) -> numpy.ndarray:
    """Return the first channel of a kept image, uint8 of shape (rows, columns)."""
    flat = numpy.frombuffer(base64.b64decode(mistake["pixels"]), dtype=numpy.uint8)
    channels, rows, columns = data["input_shape"]
    return numpy.asarray(flat.reshape(channels, rows, columns)[0])


def thumbnail(mistake: dict[str, Any], data: dict[str, Any]) -> str:
    """Return a kept image as a PNG data address, dark on light."""
    stream = io.BytesIO()
    Image.fromarray(255 - pixels(mistake, data)).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _colours(steps: Sequence[Step]) -> list[str]:
    # By the step's number, so that a step has one colour in all drawings.
    return [COLOURS[(step["number"] - 1) % len(COLOURS)] for step in steps]


def _value(row: dict[str, Any], name: str) -> float:
    if name in ("train", "evaluation"):
        return 100 * float(row[f"{name}_correct"]) / float(row[f"{name}_count"])
    return max(float(row[name]), 1e-9)


def _accuracy_limits(steps: Sequence[Step], target: float) -> tuple[float, float]:
    """Return limits that show the end of the curves, where they differ, and the target."""
    finals = [
        _value(row, name)
        for step in steps
        for run in step["runs"]
        for row in run["rows"][-max(1, 2 * len(run["rows"]) // 3) :]
        for name in ("train", "evaluation")
    ]
    low, high = min([*finals, target]), max([*finals, target])
    margin = max((high - low) * 0.08, 0.05)
    return low - margin, min(high + margin, 100.02)


def _svg(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
