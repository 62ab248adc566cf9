"""Drawings of a climb of questions as SVG: the way up, learning curves, the range test; colours are the page's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log, log10
from typing import Any

from markupsafe import Markup, escape

from stepladder.report.gauges import svg
from stepladder.report.parts import SERIES, series

Facts = dict[str, Any]

_ACCURACIES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95)
_BETWEEN = (*range(10, 100), *(99 + tenth / 10 for tenth in range(1, 10)))
"""For axes so short that hardly a round accuracy is on them."""
_LEAST_ERROR = 0.02
_LETTER = 6.6
"""Width of a letter, at most in the mean, of words in small drawings."""


@dataclass(frozen=True)
class AccuracyAxis:
    """Accuracies in percent on a scale where halving the errors is the same way everywhere."""

    low: float
    high: float
    top: float
    bottom: float

    @classmethod
    def of(cls, accuracies: Iterable[float], top: float, bottom: float) -> AccuracyAxis:
        """Return the axis from ``bottom`` to ``top`` (units of the drawing, downwards) that shows all accuracies."""
        errors = [_error(one) for one in accuracies]
        return cls(100 - max(errors) * 1.12, 100 - min(errors) / 1.12, top, bottom)

    def at(self, accuracy: float) -> float:
        """Return how far down an accuracy is."""
        low, high = log(_error(self.low)), log(_error(self.high))
        return self.bottom - (self.bottom - self.top) * (low - log(_error(accuracy))) / (low - high)

    def ticks(self, apart: float) -> list[float]:
        """Return round accuracies at least so far apart."""
        round_ones = self._fitting(_ACCURACIES, apart)
        return round_ones if len(round_ones) > 2 else self._fitting(_BETWEEN, apart)

    def _fitting(self, accuracies: Sequence[float], apart: float) -> list[float]:
        found: list[float] = []
        for one in reversed(accuracies):
            inside = self.low <= one <= self.high
            if inside and (not found or self.at(one) - self.at(found[-1]) >= apart):
                found.append(one)
        return found


def colour(index: int) -> str:
    """Return the colour of a step's candidate; the first, which stood before, is grey."""
    return f"var(--s{series(index)})" if index else "var(--soft)"


def is_dashed(index: int) -> bool:
    """Return whether a candidate's curve is dashed, since one before it has its colour."""
    return index > SERIES


def curves(rows: Sequence[Facts], taken: str) -> Markup:
    """Return the candidates' learning curves, holdout accuracy after each epoch in the mean over seeds.

    Args:
        rows: candidates, each with "name" and "curve".
        taken: name of the one that stands now, drawn thicker and last.
    """
    shown = [(row, index) for index, row in enumerate(rows) if row["curve"]]
    width, height, left, right, top, bottom = 420.0, 190.0, 42.0, 10.0, 10.0, 24.0
    epochs = max(len(row["curve"]) for row, _ in shown)
    axis = AccuracyAxis.of((value for row, _ in shown for value in row["curve"]), top, height - bottom)

    def x(epoch: int) -> float:
        return left + (width - left - right) * (epoch - 1) / max(1, epochs - 1)

    parts = [_level(axis.at(tick), left, width - right, f"{tick:g}") for tick in axis.ticks(20)]
    for epoch in _whole(1, epochs, 6):
        parts.append(f'<text x="{x(epoch):.1f}" y="{height - 8}" text-anchor="middle">{epoch}</text>')
    for row, index in sorted(shown, key=lambda one: one[0]["name"] == taken):
        points = [f"{x(epoch):.1f} {axis.at(value):.1f}" for epoch, value in enumerate(row["curve"], start=1)]
        line = f'd="M{"L".join(points)}"' if len(points) > 1 else f'd="M{points[0]}h.1" stroke-linecap="round"'
        thick = 3.2 if row["name"] == taken else 1.7
        dashes = ' stroke-dasharray="5 3"' if is_dashed(index) else ""
        look = f'stroke="{colour(index)}" stroke-width="{thick}"{dashes} stroke-linejoin="round"'
        parts.append(f'<path {line} fill="none" {look}/>')
    ends = ", ".join(f"{row['name']} {row['curve'][-1]:.2f}%" for row, _ in shown)
    return svg(
        width, height, "".join(parts), f"Holdout accuracy over {epochs} epochs, at the end: {ends}", "small-curves"
    )


def range_test(test: Facts) -> Markup:
    """Return the loss against the learning rate, with the suggested rate and the highest that still learned."""
    width, height, left, right, top, bottom = 420.0, 200.0, 42.0, 12.0, 24.0, 36.0
    both = zip(test["rates"], test["losses"], strict=True)
    pairs = [(float(rate), float(loss)) for rate, loss in both if loss is not None and isfinite(loss)]
    # Where training falls apart the loss has no bound; what happens below is what is read.
    ceiling = 1.6 * max(loss for _, loss in pairs[: max(1, len(pairs) // 4)])
    shown = [(rate, min(loss, ceiling)) for rate, loss in pairs]
    low, high = min(loss for _, loss in shown), max(loss for _, loss in shown)
    first, last = log10(shown[0][0]), log10(shown[-1][0])

    def x(rate: float) -> float:
        return left + (width - left - right) * (log10(rate) - first) / ((last - first) or 1.0)

    def y(loss: float) -> float:
        return height - bottom - (height - top - bottom) * (loss - low) / ((high - low) or 1.0)

    parts = [_level(y(value), left, width - right, f"{value:.2g}") for value in (low, (low + high) / 2, high)]
    for power in range(round(first + 0.49), round(last - 0.49) + 1):
        parts.append(f'<text x="{x(10.0**power):.1f}" y="{height - 20}" text-anchor="middle">{10.0**power:g}</text>')
    taken = 0.0  # how far the words before reach
    for name, colour, anchor, shift in (("suggested", "var(--good)", "end", -5), ("highest", "var(--bad)", "start", 5)):
        rate = test.get(name)
        if rate:
            words, at, line = f"{name} {rate:.2g}", x(rate) + shift, top - 10
            if anchor == "start":
                at = min(at, width - _LETTER * len(words))
                line += 16 if at < taken else 0
            taken = at
            parts.append(
                f'<line x1="{x(rate):.1f}" x2="{x(rate):.1f}" y1="{top - 6}" y2="{height - bottom}" stroke="{colour}" '
                f'stroke-width="1.6" stroke-dasharray="4 3"/><text x="{at:.1f}" y="{line:g}" '
                f'text-anchor="{anchor}" style="fill:{colour}">{words}</text>'
            )
    points = "L".join(f"{x(rate):.1f} {y(loss):.1f}" for rate, loss in shown)
    parts.append(f'<path d="M{points}" fill="none" stroke="var(--accent)" stroke-width="2.2" stroke-linejoin="round"/>')
    parts.append(f'<text x="{width - right}" y="{height - 4}" text-anchor="end">learning rate, logarithmic</text>')
    parts.append(f'<text x="0" y="{top - 12}">loss</text>')
    label = f"Loss against learning rate; suggested is {test.get('suggested') or 0:.2g}"
    return svg(width, height, "".join(parts), label, "small-curves")


def path(points: Sequence[Facts], goal: Facts, *, width: float = 1000.0, height: float = 430.0) -> Markup:
    """Return accuracy against parameters, a numbered point a step that changed what stands, and lines for the goal.

    Args:
        points: as ``stepladder.story.path`` gives them.
        goal: with "target" and "budget".
        width: of the drawing; below 600 names take a line of their own less.
        height: of the drawing.
    """
    narrow = width < 600
    left, right, top, bottom = 46.0, 16.0, 26.0, 46.0
    most = max([goal["budget"], *(point["parameters"] for point in points)])
    least = min(point["parameters"] for point in points)
    low = max(0.0, least - 0.45 * (most - least) - 0.04 * most)
    span = (most - low) * 1.05
    highest = max([*(point["accuracy"] for point in points), goal["target"]])
    # Room above, for the name of what is highest.
    shown = [*(point["accuracy"] for point in points), goal["target"], 100 - _error(highest) / 1.35]
    axis = AccuracyAxis.of(shown, top, height - bottom)

    def x(parameters: float) -> float:
        return float(left + (width - left - right) * (parameters - low) / span)

    places = [(x(point["parameters"]), axis.at(point["accuracy"])) for point in points]
    parts = [_level(axis.at(tick), left, width - right, f"{tick:g}%") for tick in axis.ticks(26)]
    for tick in _whole(int(low), int(most), 4 if narrow else 8):
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 26}" text-anchor="middle">{tick:,}</text>')
    parts.append(f'<text x="{width - right}" y="{height - 6}" text-anchor="end">parameters</text>')
    parts.append(_goal(axis.at(goal["target"]), x(goal["budget"]), left, width - right, top, height - bottom, goal))
    for index, (start, end) in enumerate(pairwise(places), start=1):
        dashed = ' stroke-dasharray="3 5"' if points[index]["split"] == "test" else ""
        parts.append(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" class="way"{dashed}/>'
        )
    parts += _names(points, places, (left, width - right, top, height - bottom))
    for point, (across, down) in zip(points, places, strict=True):
        final = point["split"] == "test"
        text = "★" if final else str(point["numbers"][0])
        parts.append(
            f'<g class="stop{" final" if final else ""}"><circle cx="{across:.1f}" cy="{down:.1f}" r="11"/>'
            f'<text x="{across:.1f}" y="{down + 4:.1f}" text-anchor="middle">{text}</text></g>'
        )
    words = "; ".join(f"{one['name']} {one['accuracy']:.2f}%, {one['parameters']:,} parameters" for one in points)
    return svg(
        width, height, "".join(parts), f"Accuracy against parameters: {words}", f"path {'narrow' if narrow else 'wide'}"
    )


def _goal(y: float, x: float, left: float, right: float, top: float, bottom: float, goal: Facts) -> str:
    """Return the lines of the goal, and a tint where both parts of it are met."""
    return (
        f'<rect class="met" x="{left:.1f}" y="{top:.1f}" width="{max(x - left, 0):.1f}" '
        f'height="{max(y - top, 0):.1f}"/>'
        f'<line class="goal" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<line class="goal" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
        f'<text x="{right:.1f}" y="{y - 5:.1f}" text-anchor="end">target {goal["target"]:g}%</text>'
        f'<text x="{x:.1f}" y="{top - 9:.1f}" text-anchor="end">budget {goal["budget"]:,}</text>'
    )


def _names(points: Sequence[Facts], places: Sequence[tuple[float, float]], box: tuple[float, ...]) -> list[str]:
    """Return what stands beside the points, moved apart where two would meet."""
    left, right, top, bottom = box
    apart = 31.0
    parts = []
    for side in (-1, 1):
        chosen = [(point, place) for point, place in zip(points, places, strict=True) if _side(place[0], box) == side]
        chosen.sort(key=lambda one: one[1][1])
        downs = [max(place[1], top + 10) for _, place in chosen]
        for index in range(1, len(downs)):
            downs[index] = max(downs[index], downs[index - 1] + apart)
        for index in range(len(downs) - 1, -1, -1):
            limit = bottom - 16 if index == len(downs) - 1 else downs[index + 1] - apart
            downs[index] = min(downs[index], limit)
        for (point, (across, down)), y in zip(chosen, downs, strict=True):
            start, anchor = across + side * 18, "end" if side < 0 else "start"
            if abs(y - down) > 4:
                parts.append(
                    f'<line class="leader" x1="{across + side * 11:.1f}" x2="{start + side * 8:.1f}" y1="{down:.1f}" '
                    f'y2="{y:.1f}"/>'
                )
                start += side * 12
            rest = point["numbers"][1:]
            name = f"{point['numbers'][0]} · {point['name']}" if point["numbers"] else point["name"]
            after = f"; {_numbers(rest)} changed nothing" if rest and right - left > 500 else ""
            parts.append(
                f'<text class="name" x="{start:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(name)}</text>'
                f'<text x="{start:.1f}" y="{y + 14:.1f}" text-anchor="{anchor}">{point["accuracy"]:.2f}%'
                f"{' on the test set' if point['split'] == 'test' else ''}, {point['parameters']:,}{after}</text>"
            )
    return parts


def _side(across: float, box: tuple[float, ...]) -> int:
    return -1 if across > (box[0] + box[1]) / 2 else 1


def _numbers(numbers: Sequence[int]) -> str:
    """Return 4 to 6 for 4, 5, 6."""
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _level(y: float, left: float, right: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def _whole(first: int, last: int, count: int) -> list[int]:
    """Return round whole numbers from first to last, at most about so many."""
    raw = max(1.0, (last - first) / count)
    power = 10 ** int(log10(raw))
    step = next(int(factor * power) for factor in (1, 2, 5, 10) if factor * power >= raw)
    start = -(-first // step) * step
    found = list(range(start, last + 1, step))
    return (
        found
        if found and (first != 1 or found[0] == 1)
        else [first, *[one for one in found if one - first >= step / 2]]
    )


def _error(accuracy: float) -> float:
    return max(100 - accuracy, _LEAST_ERROR)
