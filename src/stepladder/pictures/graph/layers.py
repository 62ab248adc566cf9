"""A layered drawing of one directed graph: which layer, which order in it, and how far to the side.

After Sugiyama, Tagawa, Toda: Methods for visual understanding of hierarchical system structures, 1981. The last step
is a simple one of ours: vertices that should stand straight below each other are tied into spines, as Brandes and Köpf
do (Fast and simple horizontal coordinate assignment, 2001), and the spines are moved to where their other neighbours
are as far as their neighbours to the left and right let them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from stepladder.pictures.graph.sideways import settled

_SWEEPS = 12


@dataclass(frozen=True)
class Extent:
    """How far something reaches to the left and to the right of its axis, in points."""

    left: float = 0.0
    right: float = 0.0


@dataclass(frozen=True)
class Link:
    """An edge, and where it leaves and enters, in points to the right of its ends' axes."""

    source: int
    target: int
    leaves: float = 0.0
    enters: float = 0.0


@dataclass(frozen=True)
class Layered:
    """Where everything is.

    Args:
        layers: vertices of each layer from left to right; from the number of items on they are lanes of long links.
        x: axis of each vertex, in points.
        lanes: for each link the vertices on its way.
    """

    layers: list[list[int]]
    x: list[float]
    lanes: dict[Link, list[int]]


def layered(
    extents: Sequence[Extent],
    links: Sequence[Link],
    *,
    first: Sequence[int] = (),
    last: Sequence[int] = (),
    gap: float = 14.0,
    lane: float = 5.0,
) -> Layered:
    """Return a drawing in which every link leads from a layer to a later one.

    Args:
        extents: of each item.
        links: without a cycle, in the order in which their sources should be thought of.
        first: items of a layer above all others.
        last: items of a layer below all others.
        gap: points between items beside each other.
        lane: points that a lane takes to each side.
    """
    depth = _depths(len(extents), links, first, last)
    proper = _Proper(list(extents), list(links), depth, Extent(lane, lane))
    proper.order()
    return Layered(proper.layers, proper.place(gap), proper.lanes)


def _depths(count: int, links: Sequence[Link], first: Sequence[int], last: Sequence[int]) -> list[int]:
    """Return each item's layer: below all that leads to it; what nothing leads to is just above what it leads to."""
    out: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for link in links:
        out[link.source].append(link.target)
        waiting[link.target] += 1
    fixed = set(first)
    depth = [0 if item in fixed or not first else 1 for item in range(count)]
    ready = [item for item in range(count) if not waiting[item]]
    order = []
    while ready:
        item = ready.pop()
        order.append(item)
        for target in out[item]:
            depth[target] = max(depth[target], depth[item] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    if len(order) != count:
        raise ValueError("a layered drawing needs a graph without cycles")
    entered = {link.target for link in links}
    for item in range(count):
        if item not in entered and item not in fixed and out[item]:
            depth[item] = min(depth[target] for target in out[item]) - 1
    if last:
        bottom = max([depth[item] + 1 for item in range(count) if item not in last], default=1)
        for item in last:
            depth[item] = bottom
    return depth


class _Proper:
    """The graph with a lane vertex in each layer that a link passes; links of one source share their lane.

    Args:
        extents: of each item.
        links: of the graph.
        depth: layer of each item.
        lane: extent of a lane.
    """

    def __init__(self, extents: list[Extent], links: list[Link], depth: list[int], lane: Extent) -> None:
        self.items = len(extents)
        self.extents = extents
        self.links = links
        self.depth = depth
        self.layers: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
        self.lanes: dict[Link, list[int]] = {}
        # Upper and lower vertex: where the segments between them leave and enter.
        self.segments: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for item, layer in enumerate(depth):
            self.layers[layer].append(item)
        ways: dict[tuple[int, float], list[int]] = {}
        for link in links:
            way = ways.setdefault((link.source, link.leaves), [])
            length = depth[link.target] - depth[link.source] - 1
            while len(way) < length:
                vertex = len(self.extents)
                self.extents.append(lane)
                self.layers[depth[link.source] + 1 + len(way)].append(vertex)
                self._join(way[-1] if way else link.source, vertex, 0.0 if way else link.leaves, 0.0)
                way.append(vertex)
            self.lanes[link] = way[:length]
            upper = way[length - 1] if length else link.source
            self._join(upper, link.target, 0.0 if length else link.leaves, link.enters)
        count = len(self.extents)
        self.above: list[list[int]] = [[] for _ in range(count)]
        self.below: list[list[int]] = [[] for _ in range(count)]
        for upper, lower in self.segments:
            self.above[lower].append(upper)
            self.below[upper].append(lower)
        self.position = [0] * count

    def _join(self, upper: int, lower: int, leaves: float, enters: float) -> None:
        self.segments.setdefault((upper, lower), []).append((leaves, enters))

    def order(self) -> None:
        """Put each layer's vertices in an order with few crossings."""
        self._number()
        best, fewest = [list(layer) for layer in self.layers], self._crossings()
        for sweep in range(_SWEEPS):
            if not fewest:
                break
            self._sweep(down=sweep % 2 == 0)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(layer) for layer in self.layers], crossings
        self.layers = best
        self._number()

    def _number(self) -> None:
        for layer in self.layers:
            for place, vertex in enumerate(layer):
                self.position[vertex] = place

    def _sweep(self, *, down: bool) -> None:
        """Move vertices to the mean position of their neighbours in the layer before, layer by layer."""
        for layer in self.layers if down else reversed(self.layers):
            neighbours = self.above if down else self.below
            means = {
                vertex: sum(self.position[one] for one in neighbours[vertex]) / len(neighbours[vertex])
                if neighbours[vertex]
                else self.position[vertex]
                for vertex in layer
            }
            layer.sort(key=lambda vertex: (means[vertex], self.position[vertex]))
            for place, vertex in enumerate(layer):
                self.position[vertex] = place

    def _crossings(self) -> int:
        """Return how many pairs of segments cross."""
        crossings = 0
        for layer in self.layers:
            ends = [
                self.position[lower]
                for upper in layer
                for lower in sorted(self.below[upper], key=self.position.__getitem__)
            ]
            seen: list[int] = []
            for end in ends:
                place = bisect_right(seen, end)
                crossings += len(seen) - place
                seen.insert(place, end)
        return crossings

    def place(self, gap: float) -> list[float]:
        """Return the axis of each vertex."""
        spine, offset = self._spines()
        count = max(spine, default=-1) + 1
        # For each spine: those to the left or right of it, and how far apart their axes are at least.
        left: list[dict[int, float]] = [{} for _ in range(count)]
        right: list[dict[int, float]] = [{} for _ in range(count)]
        for layer in self.layers:
            for one, other in pairwise(layer):
                apart = self.extents[one].right + self.extents[other].left + self._gap(one, other, gap)
                a, b = spine[one], spine[other]
                apart += offset[one] - offset[other]
                right[a][b] = left[b][a] = max(apart, right[a].get(b, apart))
        pulls: list[list[tuple[int, float]]] = [[] for _ in range(count)]
        for (upper, lower), places in self.segments.items():
            a, b = spine[upper], spine[lower]
            for leaves, enters in places if a != b else ():
                shift = offset[upper] + leaves - offset[lower] - enters
                pulls[b].append((a, shift))
                pulls[a].append((b, -shift))
        x = settled(left, right, pulls)
        return [x[spine[vertex]] + offset[vertex] for vertex in range(len(self.extents))]

    def _gap(self, one: int, other: int, gap: float) -> float:
        return gap * (0.0 if min(one, other) >= self.items else 0.35 if max(one, other) >= self.items else 1.0)

    def _spines(self) -> tuple[list[int], list[float]]:
        """Return for each vertex its spine, and its axis to the right of the spine's."""
        up = self._wanted()
        tied: dict[int, int] = {}
        for layer in self.layers:
            # Lanes first: they are what has to be straight. Ties must not cross each other.
            wanted = [
                (min(up[lower], lower) < self.items, up[lower], lower) for lower in self._next(layer) if lower in up
            ]
            taken: list[tuple[int, int]] = []
            for _, upper, lower in sorted(wanted):
                ends = (self.position[upper], self.position[lower])
                if all((ends[0] - one) * (ends[1] - two) > 0 for one, two in taken):
                    taken.append(ends)
                    tied[lower] = upper
        spine = [-1] * len(self.extents)
        offset = [0.0] * len(self.extents)
        count = 0
        for layer in self.layers:
            for vertex in layer:
                if vertex in tied:
                    upper = tied[vertex]
                    leaves, enters = self.segments[upper, vertex][0]
                    spine[vertex], offset[vertex] = spine[upper], offset[upper] + leaves - enters
                else:
                    spine[vertex], count = count, count + 1
        return spine, offset

    def _next(self, layer: list[int]) -> list[int]:
        return list(dict.fromkeys(lower for upper in layer for lower in self.below[upper]))

    def _wanted(self) -> dict[int, int]:
        """Return for vertices the one above that they want to stand straight under.

        That is the way through most layers where there are one or two, and the middle one of three or five; what an
        even number of branches leads to stands between them.
        Skip connections, which pass by what their source leads to otherwise, do not count as ways.
        """
        out: list[list[Link]] = [[] for _ in range(self.items)]
        into: list[list[Link]] = [[] for _ in range(self.items)]
        for link in self.links:
            out[link.source].append(link)
            into[link.target].append(link)
        height = [0] * self.items
        for item in sorted(range(self.items), key=lambda item: -self.depth[item]):
            height[item] = max((height[link.target] + 1 for link in out[item]), default=0)

        def longest(links: list[Link], lengths: dict[Link, int], *, up: bool) -> Link | None:
            ways = [link for link in links if not self.lanes[link] or len(out[link.source]) == 1] or links[:1]
            ways.sort(key=lambda link: -lengths[link])
            all_enter = all(lengths[link] < 0 for link in ways)
            if len(ways) == 1 or (ways and (len(ways) == 2 or all_enter) and lengths[ways[0]] > lengths[ways[1]]):
                return ways[0]
            if len(ways) % 2 == 0:
                return None
            # Of three or five branches that in the middle may as well be straight.
            ways.sort(key=lambda link: self.position[(link.source, *self.lanes[link], link.target)[-2 if up else 1]])
            return ways[len(ways) // 2]

        wanted = {}
        for item in range(self.items):
            # Of what comes into the drawing the last is what was made last.
            found = longest(
                into[item], {one: self.depth[one.source] or one.source - self.items for one in into[item]}, up=True
            )
            if found is None:
                continue
            back = longest(out[found.source], {one: height[one.target] for one in out[found.source]}, up=False)
            if back is found or (self.lanes[found] and len(out[found.source]) > 1):
                wanted[item] = self.lanes[found][-1] if self.lanes[found] else found.source
        for link, way in self.lanes.items():
            for upper, lower in pairwise(way):
                wanted[lower] = upper
            if way and len(out[link.source]) == 1:
                wanted[way[0]] = link.source
        return wanted
