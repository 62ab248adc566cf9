"""Small drawings of single facts, as SVG that takes its colours from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

Facts = dict[str, Any]


def answer(final: Facts, goal: Facts, judged: bool) -> dict[str, Markup]:
    """Return the drawings under the answer's numbers: parameters, accuracy with its interval, the last epochs."""
    return {
        "parameters": parameters(final["parameters"], goal["budget"]),
        "accuracy": _accuracy(final["evaluation"], goal["target"]),
        "held": _held(final["runs"], goal["held"], goal["target"], judged),
    }


def effect(difference: Facts, limit: float) -> Markup:
    """Return a difference with its 95% interval on an axis from -limit to limit, in points."""
    width, middle, half = 260.0, 130.0, 112.0

    def x(points: float) -> float:
        return middle + half * points / (limit or 1.0)

    low, high, centre = x(difference["low"]), x(difference["high"]), x(difference["points"])
    colour = "var(--soft)"
    if difference["is_clear"]:
        colour = "var(--good)" if difference["points"] > 0 else "var(--bad)"
    text = f"{difference['points']:+.2f} points ({difference['low']:+.2f} to {difference['high']:+.2f})"
    label = f"Against “{difference['against']}”: {text}"
    return svg(
        width,
        48,
        f'<text x="0" y="10">{escape(text)}</text>'
        f'<line x1="{middle - half}" x2="{middle + half}" y1="27" y2="27" stroke="var(--line)"/>'
        f'<line x1="{middle}" x2="{middle}" y1="18" y2="36" stroke="var(--soft)"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="27" y2="27" stroke="{colour}" stroke-width="4"/>'
        f'<circle cx="{centre:.1f}" cy="27" r="5" fill="{colour}"/>'
        f'<text x="{middle}" y="47" text-anchor="middle">no difference to step before</text>',
        label,
        "effect",
    )


def per_class(classes: Sequence[Facts], names: Sequence[str]) -> Markup:
    """Return each class's accuracy with its interval, one row a class."""
    shown = [one for one in classes if one["count"]]
    low = float(min(one["interval"]["low"] for one in shown))
    width, left, right, row = 420.0, 70.0, 54.0, 24.0
    height = row * len(shown) + 26

    def x(percent: float) -> float:
        return left + (width - left - right) * (percent - low) / (100.0 - low or 1.0)

    overall = 100 * sum(one["correct"] for one in shown) / sum(one["count"] for one in shown)
    parts = [
        f'<line x1="{x(overall):.1f}" x2="{x(overall):.1f}" y1="2" y2="{height - 22:.1f}" stroke="var(--soft)" '
        'stroke-dasharray="4 4"/>'
    ]
    for index, one in enumerate(shown):
        y = row * index + 14
        share = 100 * one["correct"] / one["count"]
        interval = one["interval"]
        parts.append(
            f'<text class="name" x="{left - 12}" y="{y + 4}" text-anchor="end">{escape(names[one["label"]][:9])}</text>'
            f'<line x1="{x(interval["low"]):.1f}" x2="{x(interval["high"]):.1f}" y1="{y}" y2="{y}" '
            'stroke="var(--accent)" stroke-width="3" opacity=".45"/>'
            f'<circle cx="{x(share):.1f}" cy="{y}" r="4.5" fill="var(--accent)"/>'
            f'<text x="{width - right + 8}" y="{y + 4}">{share:.2f}</text>'
        )
    for percent, anchor in ((low, "start"), (100.0, "end")):
        parts.append(f'<text x="{x(percent):.1f}" y="{height - 4}" text-anchor="{anchor}">{percent:.1f}%</text>')
    return svg(width, height, "".join(parts), "Accuracy of each class with its 95% interval", "per-class")


def parameters(count: int, budget: int) -> Markup:
    """Return how much of a budget so many parameters take."""
    share = min(count / budget, 1.0)
    colour = "var(--accent)" if count < budget else "var(--bad)"
    rest = f"{budget - count:,} left" if count < budget else f"{count - budget + 1:,} too many"
    return svg(
        240,
        36,
        f'<rect y="8" width="240" height="9" rx="4.5" fill="var(--tint)"/>'
        f'<rect y="8" width="{240 * share:.1f}" height="9" rx="4.5" fill="{colour}"/>'
        f'<text x="0" y="32">0</text><text x="240" y="32" text-anchor="end">{budget:,}</text>'
        f'<text x="120" y="32" text-anchor="middle">{rest}</text>',
        f"{share:.0%} of the budget",
    )


def seeds(accuracies: Sequence[float], target: float) -> Markup:
    """Return the accuracy of every seed, their mean and the target on one line, in percent."""
    values = [*accuracies, target]
    low, high = float(min(values)), float(max(values))
    margin = (high - low) * 0.12 or 0.1

    def x(percent: float) -> float:
        return 240 * (percent - low + margin) / (high - low + 2 * margin)

    centre = sum(accuracies) / len(accuracies)
    anchor = "start" if x(target) < 60 else "end" if x(target) > 180 else "middle"
    dots = "".join(
        f'<circle cx="{x(one):.1f}" cy="12" r="4.5" fill="var(--accent)" opacity=".5"/>' for one in accuracies
    )
    return svg(
        240,
        36,
        '<line x1="0" x2="240" y1="12" y2="12" stroke="var(--line)"/>'
        f"{dots}"
        f'<line x1="{x(centre):.1f}" x2="{x(centre):.1f}" y1="4" y2="20" stroke="var(--accent)" stroke-width="3"/>'
        f'<line x1="{x(target):.1f}" x2="{x(target):.1f}" y1="3" y2="21" stroke="var(--ink)" stroke-width="2"/>'
        f'<text x="{x(target):.1f}" y="33" text-anchor="{anchor}">target {target:g}%</text>',
        f"Seeds: {', '.join(f'{one:.2f}%' for one in accuracies)}; target {target:g}%",
    )


def verdicts(tally: Facts) -> Markup:
    """Return how many candidates were kept, dropped and left undecided, as one bar with its numbers."""
    kinds = (("keep", "var(--good)", "✓"), ("drop", "var(--bad)", "✗"), ("undecided", "var(--soft)", "?"))
    total = sum(tally[kind] for kind, _, _ in kinds) or 1
    parts, left = ['<rect y="8" width="240" height="9" rx="4.5" fill="var(--tint)"/>'], 0.0
    for kind, colour, _ in kinds:
        width = 240 * tally[kind] / total
        parts.append(
            f'<rect x="{left:.1f}" y="8" width="{max(width - 1.5, 0):.1f}" height="9" rx="2" fill="{colour}"/>'
        )
        left += width
    words = {"keep": "kept", "drop": "dropped", "undecided": "undecided"}
    texts = (
        f'<tspan fill="{colour}" font-weight="700">{sign}</tspan> {tally[kind]} {words[kind]}'
        for kind, colour, sign in kinds
    )
    parts.append(f'<text x="0" y="32" xml:space="preserve">{"   ".join(texts)}</text>')
    label = ", ".join(f"{tally[kind]} {words[kind]}" for kind, _, _ in kinds)
    return svg(240, 36, "".join(parts), label)


def _accuracy(evaluation: Facts, target: float) -> Markup:
    values = (evaluation["low"], evaluation["high"], target)
    low, high = float(min(values)), float(max(values))
    margin = (high - low) * 0.18 or 0.1

    def x(percent: float) -> float:
        return 240 * (percent - low + margin) / (high - low + 2 * margin)

    anchor = "start" if x(target) < 60 else "end" if x(target) > 180 else "middle"
    return svg(
        240,
        36,
        '<line x1="0" x2="240" y1="12" y2="12" stroke="var(--line)"/>'
        f'<line x1="{x(evaluation["low"]):.1f}" x2="{x(evaluation["high"]):.1f}" y1="12" y2="12" '
        'stroke="var(--accent)" stroke-width="5" opacity=".45"/>'
        f'<circle cx="{x(evaluation["mean"]):.1f}" cy="12" r="5.5" fill="var(--accent)"/>'
        f'<line x1="{x(target):.1f}" x2="{x(target):.1f}" y1="3" y2="21" stroke="var(--ink)" stroke-width="2"/>'
        f'<text x="{x(target):.1f}" y="33" text-anchor="{anchor}">target {target:g}%</text>',
        f"{evaluation['mean']:.2f}%, interval {evaluation['low']:.2f} to {evaluation['high']:.2f}, target {target:g}%",
    )


def _held(runs: Sequence[Facts], held: int, target: float, judged: bool) -> Markup:
    """Return the last epochs as columns of dots against the target, one dot a seed."""
    columns = [
        [100 * run["rows"][at]["evaluation_correct"] / run["rows"][at]["evaluation_count"] for run in runs]
        for at in range(-min(held, len(runs[0]["rows"])), 0)
    ]
    values = [value for column in columns for value in column]
    low, high = float(min([*values, target])), float(max([*values, target]))

    def y(percent: float) -> float:
        return 22 - 16 * (percent - low) / (high - low or 1)

    parts = [f'<line x1="0" x2="240" y1="{y(target):.1f}" y2="{y(target):.1f}" stroke="var(--ink)" opacity=".6"/>']
    last = runs[0]["rows"][-1]["epoch"]
    for index, column in enumerate(columns):
        x = 240 * (index + 0.5) / len(columns)
        for value in column:
            colour = "var(--accent)" if not judged else "var(--good)" if value >= target else "var(--bad)"
            parts.append(f'<circle cx="{x:.1f}" cy="{y(value):.1f}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{x:.1f}" y="37" text-anchor="middle">{last - len(columns) + 1 + index}</text>')
    return svg(240, 36, "".join(parts), f"The last {len(columns)} epochs against the target of {target:g}%")


def svg(width: float, height: float, content: str, label: str, name: str = "gauge") -> Markup:
    """Return a drawing of a width and height, with words for those who do not see it and a class for the style."""
    return Markup(
        f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="xMinYMid meet" role="img" '
        f'aria-label="{escape(label)}">{content}</svg>'
    )
