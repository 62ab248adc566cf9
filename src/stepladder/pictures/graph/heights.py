"""How far down the things of a layered drawing stand: each as high as what is above it lets it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

_ASIDE = 3.0
"""Points that are kept free to the left and right of everything."""


@dataclass(frozen=True)
class Bar:
    """What takes part of a layer, or the bend of an edge between two layers, in points.

    Args:
        left: its left end.
        right: its right end.
        height: from top to bottom.
        sinks: whether it is moved down again as far as possible; for bends.
    """

    left: float
    right: float
    height: float
    sinks: bool = False


def stacked(
    items: Sequence[Sequence[Bar]], bends: Sequence[Sequence[Bar]], gap: float, start: float
) -> tuple[list[list[float]], list[list[float]]]:
    """Return the tops of items and of bends, so that nothing overlaps except bends of one gap.

    Args:
        items: of each layer.
        bends: of the gap below each layer.
        gap: points between items below each other.
        start: where the uppermost things stand.
    """
    below_items, below_bends = _Skyline(start), _Skyline(start)
    item_tops, bend_tops = [], []
    for layer, between in zip(items, bends, strict=True):
        item_tops.append([below_items.highest(item) for item in layer])
        for item, top in zip(layer, item_tops[-1], strict=True):
            below_items.build(item, top + item.height + gap)
            below_bends.build(item, top + item.height)
        bend_tops.append([below_bends.highest(bend) for bend in between])
        for bend, top in zip(between, bend_tops[-1], strict=True):
            below_items.build(bend, top + bend.height)
            below_bends.build(bend, top + bend.height)
    # A bend into an item is drawn right above it, and not where there is room for it first.
    above = _Skyline(-inf)
    for number in reversed(range(len(items))):
        for place, bend in enumerate(bends[number]):
            lowest = -above.highest(bend)
            if bend.sinks and lowest < inf:
                bend_tops[number][place] = max(bend_tops[number][place], lowest - bend.height)
        for things, tops in ((bends[number], bend_tops[number]), (items[number], item_tops[number])):
            for thing, top in zip(things, tops, strict=True):
                above.build(thing, -top)
    return item_tops, bend_tops


class _Skyline:
    """How far down something reaches at each place from left to right.

    Args:
        start: how far everywhere at first.
    """

    def __init__(self, start: float) -> None:
        self._edges, self._heights = [-inf], [start]

    def highest(self, bar: Bar) -> float:
        """Return the furthest down that anything reaches between the ends of a bar."""
        first = bisect_right(self._edges, bar.left - _ASIDE) - 1
        return max(self._heights[first : bisect_left(self._edges, bar.right + _ASIDE)])

    def build(self, bar: Bar, height: float) -> None:
        """Let something reach down to a height between the ends of a bar."""
        first, last = self._split(bar.left - _ASIDE), self._split(bar.right + _ASIDE)
        reached = [max(one, height) for one in self._heights[first:last]]
        # What is of one height is one piece, or there would be ever more of them.
        kept = [place for place, one in enumerate(reached) if not place or one != reached[place - 1]]
        self._edges[first:last] = [self._edges[first + place] for place in kept]
        self._heights[first:last] = [reached[place] for place in kept]

    def _split(self, place: float) -> int:
        at = bisect_left(self._edges, place)
        if at == len(self._edges) or self._edges[at] != place:
            self._edges.insert(at, place)
            self._heights.insert(at, self._heights[at - 1])
        return at
