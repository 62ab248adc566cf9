"""One scale for every difference on a page: even where differences are small, logarithmic where they are large.

Batch normalisation may be worth five points and weight decay a twentieth of one. On an even scale the second would be
nothing; on this one a step to the right is a gain of so many points near nought, and of so many times beyond.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import asinh
from typing import Any

from markupsafe import Markup, escape

from stepladder.decide import WORTHWHILE

Facts = dict[str, Any]

SIGNS = {"keep": "✓", "drop": "✗", "undecided": "?"}
COLOURS = {"keep": "var(--good)", "drop": "var(--bad)", "undecided": "var(--soft)"}
PROMISES = {"kept": "keep", "open": "undecided", "broken": "drop"}
"""The verdict whose sign and colour a promise has that was kept, is open, or was broken."""

_TICKS = ((0.1, 0.2, 0.5, 1, 2, 5), (0.2, 0.5, 1, 2, 5, 10), (0.2, 1, 3, 10, 30, 100), (1, 5, 20, 100), (1, 10, 100))
"""Round differences to write on an axis, more of them or fewer."""
_APART = 10.5
"""Percent of the width that two of them need."""
_EDGE = 4.0


@dataclass(frozen=True)
class Scale:
    """Differences from ``-limit`` to ``limit`` points, placed from 0 to 100 percent of a drawing's width."""

    limit: float

    @classmethod
    def of(cls, decisions: Iterable[Facts]) -> Scale:
        """Return the scale that shows every difference and most ends of their intervals.

        The few that are left out, of candidates that learned with one seed and not with another, are drawn up to the
        edge: they would take the room from all the others.
        """
        found = list(decisions)
        ends = sorted(max(abs(one["low"]), abs(one["high"])) for one in found)
        most = [1.1 * abs(one["points"]) for one in found] + ends[: max(1, round(0.85 * len(ends)))]
        limit = max([0.5, *most])
        if ends and ends[-1] < 3 * limit:
            limit = max(limit, ends[-1])
        return cls(min(100.0, limit))

    def at(self, points: float) -> float:
        """Return where a difference is, in percent of the width."""
        share = asinh(points / WORTHWHILE) / asinh(self.limit / WORTHWHILE)
        return 50 + (50 - _EDGE) * max(-1.0, min(1.0, share))

    def ticks(self) -> list[float]:
        """Return the round differences to write on the axis, nought in the middle."""
        for ticks in _TICKS:
            right = [tick for tick in ticks if tick <= self.limit]
            places = [self.at(tick) for tick in (0, *right)]
            if all(second - first >= _APART for first, second in pairwise(places)) and places[-1] > 75:
                break
        return [*(-tick for tick in reversed(right)), 0.0, *right]

    def axis(self) -> Markup:
        """Return the axis, to stand above or below a column of intervals."""
        marks = "".join(
            f'<text x="{self.at(tick):.2f}%" y="12" text-anchor="middle">{tick:+g}</text>'
            if tick
            else '<text class="zero" x="50%" y="12" text-anchor="middle">0</text>'
            for tick in self.ticks()
        )
        return Markup(f'<svg class="axis" height="16" aria-hidden="true">{marks}</svg>')

    def interval(self, decision: Facts, *, taken: bool = False) -> Markup:
        """Return one difference with its interval, and tinted where an interval has to lie to be kept.

        Args:
            decision: with "points", "low", "high", "needed" and "verdict".
            taken: whether the candidate is what stands now; its point is drawn larger.
        """
        colour = COLOURS[decision["verdict"]]
        label = f"{spoken(decision)}: {decision['verdict']}"
        needed = self.at(decision["needed"])
        content = (
            f'<rect class="enough" x="{needed:.2f}%" width="{100 - needed:.2f}%" height="100%"/>'
            + self._grid()
            + f'<line class="needed" x1="{needed:.2f}%" x2="{needed:.2f}%" y1="0" y2="100%"/>'
            + _bar(self, decision["low"], decision["high"], colour)
            + f'<circle cx="{self.at(decision["points"]):.2f}%" cy="50%" r="{6.5 if taken else 4.5}" fill="{colour}"/>'
        )
        if taken:
            content += f'<circle cx="{self.at(decision["points"]):.2f}%" cy="50%" r="2.4" fill="var(--paper)"/>'
        return _drawing(content, label)

    def nought(self) -> Markup:
        """Return what stood before, with which the others are compared."""
        mark = '<circle class="stood" cx="50%" cy="50%" r="4.5"/>'
        return _drawing(self._grid() + mark, "what the others are compared with")

    def promise(self, promised: Sequence[float], came: Sequence[float] | None, outcome: str) -> Markup:
        """Return the promised range as a band, and on it what came with its interval.

        Args:
            promised: lowest and highest, in points.
            came: points, and the ends of their interval; None if nothing was measured.
            outcome: "kept", "open" or "broken".
        """
        left, right = self.at(promised[0]), self.at(promised[1])
        label = f"promised {promised[0]:+.2f} to {promised[1]:+.2f} points"
        width = max(right - left, 0.8)
        content = f'{self._grid()}<rect class="promised" x="{left:.2f}%" y="22%" width="{width:.2f}%" height="56%"/>'
        if came is not None:
            colour = COLOURS[PROMISES[outcome]]
            label += f", came {came[0]:+.2f} ({came[1]:+.2f} to {came[2]:+.2f}): {outcome}"
            content += _bar(self, came[1], came[2], colour)
            content += f'<circle cx="{self.at(came[0]):.2f}%" cy="50%" r="4.5" fill="{colour}"/>'
        return _drawing(content, label)

    def _grid(self) -> str:
        lines = [
            f'<line class="{"zero" if tick == 0 else "grid"}" x1="{self.at(tick):.2f}%" x2="{self.at(tick):.2f}%" '
            'y1="0" y2="100%"/>'
            for tick in self.ticks()
        ]
        return "".join(lines)


def spoken(decision: Facts) -> str:
    """Return a difference and its interval in words."""
    return f"{decision['points']:+.2f} points ({decision['low']:+.2f} to {decision['high']:+.2f})"


def _bar(scale: Scale, low: float, high: float, colour: str) -> str:
    """Return the bar of an interval; an arrow at its end says that it goes on beyond the drawing."""
    left, right = scale.at(low), scale.at(high)
    parts = [f'<line x1="{left:.2f}%" x2="{right:.2f}%" y1="50%" y2="50%" stroke="{colour}" stroke-width="3.4"/>']
    if low < -scale.limit:
        parts.append(f'<text x="{left:.2f}%" y="50%" class="beyond" text-anchor="end" fill="{colour}">◂</text>')
    if high > scale.limit:
        parts.append(f'<text x="{right:.2f}%" y="50%" class="beyond" fill="{colour}">▸</text>')
    return "".join(parts)


def _drawing(content: str, label: str) -> Markup:
    return Markup(f'<svg class="interval" role="img" aria-label="{escape(label)}">{content}</svg>')
