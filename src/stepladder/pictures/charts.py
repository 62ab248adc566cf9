"""Charts of a climb: learning curves, learning rates, confusion, and the place among published results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from stepladder.pictures import style

Step = dict[str, Any]

_WIDTH = 820.0
_MISTAKES = LinearSegmentedColormap.from_list("mistakes", [style.PAPER, style.mix(style.COLOURS[1], 0.7)])
_STATISTICS = {
    "mean": ("s", "mean of several runs"),
    "single": ("o", "one run"),
    "best": ("^", "best of several"),
}


def curves(steps: Sequence[Step], target: float | None, split: str) -> Figure:
    """Return loss and accuracy over the epochs, in training and on the evaluated images.

    Args:
        steps: with "number", "title" and "runs", each with its "rows"; a thin line a run, a thick one for the mean.
        target: accuracy to reach in percent, drawn as a line; None for none.
        split: what the evaluated images are, "test" or "holdout".
    """
    with style.context():
        figure = style.blank(_WIDTH, 480)
        axes = figure.subplots(2, 2, sharex=True)
        figure.subplots_adjust(left=0.06, right=0.985, top=0.88, bottom=0.075, wspace=0.13, hspace=0.22)
        panels = (
            ("train_loss", "Training loss"),
            ("evaluation_loss", f"{split.capitalize()} loss"),
            ("train", "Training accuracy (%)"),
            ("evaluation", f"{split.capitalize()} accuracy (%)"),
        )
        for axis, (value, title) in zip(axes.flat, panels, strict=True):
            for step in steps:
                _curve(axis, step, value)
            axis.set_title(title)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        for axis in axes[0]:
            _loss_axis(axis)
        limits = _accuracy_limits(steps, target)
        for axis in axes[1]:
            axis.set_xlabel("epoch")
            axis.set_ylim(*limits)
            if target is not None:
                axis.axhline(target, color=style.SOFT, linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
        if target is not None:
            # At the left the curves are far below the line; at the right they run along it.
            place = (0.01, target)
            axes[1][1].annotate(
                f"target {target:g}%",
                place,
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                fontsize=8,
                color=style.SOFT,
            )
        _legend(figure, axes[0][0], 0.995)
    return figure


def schedules(steps: Sequence[Step]) -> Figure:
    """Return the learning rates over the epochs.

    Args:
        steps: with "number", "title", "epochs" or "runs" (for how many epochs there are), and "learning_rates", the
            same number an epoch.
    """
    with style.context():
        figure = style.blank(_WIDTH, 230)
        axis = figure.add_axes((0.06, 0.165, 0.925, 0.57))
        for place, step in enumerate(steps):
            # Rates may be equal; of lines on top of each other the lower ones are wider.
            width = 1.4 + 0.6 * (len(steps) - 1 - place)
            colour = style.colour_of(step["number"])
            rates = step["learning_rates"]
            axis.plot(_rate_epochs(step), rates, color=colour, linewidth=width, label=_title(step))
        axis.set_xlabel("epoch")
        axis.set_title("Learning rate")
        axis.set_ylim(bottom=0)
        axis.margins(x=0.01)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _legend(figure, axis, 0.99)
    return figure


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Return a confusion matrix; colour shows the mistakes, so that right answers do not drown them.

    Args:
        matrix: counts, a row for each true class and a column for each predicted one.
        classes: their names.
    """
    counts = numpy.array(matrix)
    wrong = counts.copy()
    numpy.fill_diagonal(wrong, 0)
    long = max(map(len, classes)) > 3
    side = 26.0 * len(classes)
    left, top = (90.0, 92.0) if long else (52.0, 48.0)
    with style.context():
        figure = style.blank(left + side + 18, top + side + 18)
        width, height = left + side + 18, top + side + 18
        axis = figure.add_axes((left / width, 18 / height, side / width, side / height))
        axis.grid(visible=False)
        axis.imshow(wrong, cmap=_MISTAKES, vmin=0, vmax=max(int(wrong.max()), 1), interpolation="none")
        for label, predicted in numpy.ndindex(*counts.shape):
            if value := int(counts[label, predicted]):
                right = label == predicted
                properties: dict[str, Any] = {"color": style.SOFT} if right else {"fontweight": "bold"}
                axis.text(predicted, label, f"{value}", ha="center", va="center", fontsize=7.6, **properties)
        axis.set_xticks(
            numpy.arange(len(classes)), classes, rotation=60 if long else 0, ha="left" if long else "center"
        )
        axis.set_yticks(numpy.arange(len(classes)), classes)
        axis.set_xticks(numpy.arange(len(classes) + 1) - 0.5, minor=True)
        axis.set_yticks(numpy.arange(len(classes) + 1) - 0.5, minor=True)
        axis.grid(which="minor", linewidth=0.7)
        axis.tick_params(which="both", length=0, top=False, labeltop=True, labelbottom=False)
        axis.set_xlabel("predicted")
        axis.xaxis.set_label_position("top")
        axis.set_ylabel("true")
        axis.spines[:].set_visible(False)
    return figure


def published(results: Sequence[dict[str, Any]], steps: Sequence[Step]) -> Figure:
    """Return test accuracy against parameters: published results in grey, a climb's steps in their colours.

    Args:
        results: with "parameters", "accuracy" and "statistic": "mean", "single" or "best".
        steps: with "number", "title", "parameters", "evaluation" and "runs".
    """
    with style.context():
        figure = style.blank(_WIDTH, 320)
        axis = figure.add_axes((0.06, 0.135, 0.925, 0.635))
        for statistic, (marker, text) in _STATISTICS.items():
            chosen = [one for one in results if one["statistic"] == statistic]
            axis.scatter(
                [one["parameters"] for one in chosen],
                [one["accuracy"] for one in chosen],
                marker=marker,
                s=42,
                facecolor=style.PAPER,
                edgecolor=style.SOFT,
                label=f"published: {text}",
            )
        for step in steps:
            several = len(step["runs"]) > 1
            marker, text = _STATISTICS["mean" if several else "single"]
            axis.scatter(
                [step["parameters"]],
                [step["evaluation"]["mean"]],
                marker=marker,
                color=style.colour_of(step["number"]),
                s=70,
                label=f"{_title(step)} ({'mean of ' + str(len(step['runs'])) + ' seeds' if several else text})",
                zorder=3,
            )
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(which="minor", axis="x", linewidth=0.3)
        axis.set_xlabel("parameters")
        axis.set_title("Test accuracy (%)")
        _legend(figure, axis, 0.99)
    return figure


def _title(step: Step) -> str:
    return str(step["title"])


def _curve(axis: Axes, step: Step, value: str) -> None:
    runs = [[_value(row, value) for row in run["rows"]] for run in step["runs"]]
    shortest = min(map(len, runs))
    lines = numpy.array([run[:shortest] for run in runs])
    epochs = numpy.arange(1, shortest + 1)
    colour = style.colour_of(step["number"])
    if len(lines) > 1:
        axis.plot(epochs, lines.T, color=colour, linewidth=0.6, alpha=0.4)
    # A single epoch makes no line; the point shows it.
    marker = "o" if shortest == 1 else ""
    axis.plot(epochs, lines.mean(0), color=colour, linewidth=1.9, label=_title(step), marker=marker, markersize=4)


def _rate_epochs(step: Step) -> numpy.ndarray:
    """Return where on the epoch axis the learning rates of a step are: evenly from first to last step of an epoch."""
    epochs = step.get("epochs") or len(step["runs"][0]["rows"])
    an_epoch = len(step["learning_rates"]) // epochs
    steps = step["runs"][0]["rows"][0]["steps"] if step.get("runs") else an_epoch
    within = numpy.linspace(0, 1 - 1 / steps, an_epoch)
    return (numpy.arange(epochs)[:, None] + within).ravel()


def _loss_axis(axis: Axes) -> None:
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    # Enough round numbers to read a value from, however narrow or wide the range is.
    for bases in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(numpy.linspace(1, 9.8, 45))):
        ticks = [base * 10.0**power for power in range(-10, 4) for base in bases]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) >= 3:
            break
    else:
        shown = list(numpy.geomspace(low, high, 3))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_yticks(shown[:: -(-len(shown) // 9)])
    axis.set_ylim(low, high)


def _legend(figure: Figure, axis: Axes, top: float) -> None:
    handles, labels = axis.get_legend_handles_labels()
    columns = 3 if max(map(len, labels)) > 24 or len(labels) > 4 else len(labels)
    figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0.05, top),
        ncols=columns,
        columnspacing=2.2,
        handlelength=1.6,
    )


def _value(row: dict[str, Any], name: str) -> float:
    if name in ("train", "evaluation"):
        return 100 * float(row[f"{name}_correct"]) / float(row[f"{name}_count"])
    # A loss of nothing has no place on a logarithmic axis.
    return max(float(row[name]), 1e-9)


def _accuracy_limits(steps: Sequence[Step], target: float | None) -> tuple[float, float]:
    """Return limits that show the end of the curves, where they differ, and the target."""
    finals = [
        _value(row, name)
        for step in steps
        for run in step["runs"]
        for row in run["rows"][-max(1, 2 * len(run["rows"]) // 3) :]
        for name in ("train", "evaluation")
    ]
    goal = [] if target is None else [target]
    low, high = min([*finals, *goal]), max([*finals, *goal])
    margin = max((high - low) * 0.08, 0.05)
    return low - margin, min(high + margin, 100.02)
