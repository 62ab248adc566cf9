"""The layout of a net's graph: each frame is laid out by itself, and then is one item of the frame around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import sqrt

from stepladder.pictures.graph.heights import Bar, stacked
from stepladder.pictures.graph.layers import Extent, Layered, Link, layered
from stepladder.pictures.graph.layout import FramePlace, Layout, Place, Segment, Size
from stepladder.pictures.graph.nodes import Frame, Graph, Node

_HEAD, _LESS = 14.0, 6.0
_PAD = 9.0
_GAP = 14.0
_EXIT_GAP = 9.0
_SLOPE, _STEEPEST = 0.09, 22.0
_PORTS = 12.0
_SAME, _TINY = 0.01, 1e-6


_Ends = tuple[Node | Frame | None, Node | Frame | None, Node]
"""Where a piece of an edge starts and ends in a frame, None for the frame's border, and the node that the edge is from.
"""


_Step = tuple[int, int, float, float]
"""The upper and the lower vertex of a step of a link, and where it leaves and enters them."""


def layout_of(graph: Graph, size: Callable[[Node], Size], name_width: Callable[[Frame], float]) -> Layout:
    """Return where everything of a graph is drawn.

    Args:
        graph: what is drawn.
        size: of a node.
        name_width: points that a frame's name takes.
    """
    local = _local_edges(graph)
    laid = _Laid(graph.root, local, size, name_width)
    layout = Layout(width=laid.left + laid.right, height=laid.height)
    laid.collect(layout, laid.left, 0.0, 0)
    return layout


def _local_edges(graph: Graph) -> dict[Frame, dict[_Ends, None]]:
    """Return for each frame the pieces of edges in it."""
    parents: dict[Node | Frame, Frame] = {}
    local: dict[Frame, dict[_Ends, None]] = {}

    def walk(frame: Frame) -> None:
        local[frame] = {}
        for child in frame.children:
            parents[child] = frame
            if isinstance(child, Frame):
                walk(child)

    walk(graph.root)
    for source, target in graph.edges:
        up, down = _path(source, parents), _path(target, parents)
        while len(up) > 2 and len(down) > 2 and up[-2] is down[-2]:
            up.pop()
            down.pop()
        common = up[-1]
        assert isinstance(common, Frame)
        for child, frame in pairwise(up[:-1]):
            assert isinstance(frame, Frame)
            local[frame][child, None, source] = None
        local[common][up[-2], down[-2], source] = None
        for child, frame in pairwise(down[:-1]):
            assert isinstance(frame, Frame)
            local[frame][None, child, source] = None
    return local


def _path(node: Node, parents: dict[Node | Frame, Frame]) -> list[Node | Frame]:
    """Return the node and all frames around it, the innermost first."""
    path: list[Node | Frame] = [node]
    while path[-1] in parents:
        path.append(parents[path[-1]])
    return path


class _Laid:
    """A frame that is laid out, relative to its axis and its top.

    Args:
        frame: what is laid out.
        local: pieces of edges by frame.
        size: of a node.
        name_width: of a frame's name.
    """

    def __init__(
        self,
        frame: Frame,
        local: dict[Frame, dict[_Ends, None]],
        size: Callable[[Node], Size],
        name_width: Callable[[Frame], float],
    ) -> None:
        self.frame = frame
        self.entries: dict[Node, float] = {}
        self.exits: dict[Node, float] = {}
        self.inner = {
            child: _Laid(child, local, size, name_width) for child in frame.children if isinstance(child, Frame)
        }
        self.sizes = {child: size(child) for child in frame.children if isinstance(child, Node)}
        pieces = list(local[frame])
        entries: list[Node] = list(dict.fromkeys(source for start, _, source in pieces if start is None))
        exits: list[Node] = list(dict.fromkeys(source for _, end, source in pieces if end is None))
        # Items are numbered: entries, children, exits.
        self.first = len(entries)
        self.last = self.first + len(frame.children)
        self.is_named = bool(frame.kind)
        number = {child: self.first + place for place, child in enumerate(frame.children)}
        links: dict[Link, None] = {}
        for start, end, source in pieces:
            leaves = self.inner[start].exits[source] if isinstance(start, Frame) else 0.0
            enters = self.inner[end].entries[source] if isinstance(end, Frame) else 0.0
            one = number[start] if start is not None else entries.index(source)
            other = number[end] if end is not None else self.last + exits.index(source)
            links[Link(one, other, leaves, enters)] = None
        self.extents = [Extent(6.0, 6.0)] * self.first
        self.extents += [self._extent(child) for child in frame.children]
        self.extents += [Extent(6.0, 6.0)] * len(exits)
        self.drawing = layered(
            self.extents, list(links), first=range(self.first), last=range(self.last, len(self.extents)), gap=_GAP
        )
        self.layer = {vertex: number for number, layer in enumerate(self.drawing.layers) for vertex in layer}
        self._upright(list(links))
        self._sideways(entries, exits, name_width(frame) if self.is_named else 0.0)
        self._draw(list(links))

    def _extent(self, child: Node | Frame) -> Extent:
        if isinstance(child, Frame):
            return Extent(self.inner[child].left, self.inner[child].right)
        return Extent(self.sizes[child].left, self.sizes[child].right)

    def _height(self, item: int) -> float:
        if item < self.first:
            # What follows an edge's way past the name does not need all of the gap.
            return -_LESS if self.is_named else 0.0
        if item >= self.last:
            return 0.0
        child = self.frame.children[item - self.first]
        return self.inner[child].height if isinstance(child, Frame) else self.sizes[child].height

    def _upright(self, links: list[Link]) -> None:
        """Find the tops of all items, and from where to where edges bend."""
        layers, x = self.drawing.layers, self.drawing.x
        self.ports = self._ports(links)
        items = [[item for item in layer if item < len(self.extents)] for layer in layers]
        boxes = [
            [
                Bar(x[item] - self.extents[item].left, x[item] + self.extents[item].right, self._height(item))
                for item in some
            ]
            for some in items
        ]
        across: list[dict[_Step, tuple[float, float]]] = [{} for _ in layers]
        for link in links:
            for step in _steps(link, self.drawing):
                start, end = sorted(self._ends(step))
                if end - start >= _SAME:
                    across[self.layer[step[0]]][step] = (start, end)
        bends: list[dict[_Step, Bar]] = []
        for some in across:
            # The bends of one gap are of one height, so that what forks or meets does so in one place.
            height = _GAP + min(_SLOPE * max((end - start for start, end in some.values()), default=0.0), _STEEPEST)
            bends.append({step: Bar(*ends, height, sinks=step[1] < len(self.extents)) for step, ends in some.items()})
        head = _HEAD if self.is_named else 0.0
        tops, bend_tops = stacked(boxes, [list(some.values()) for some in bends], _GAP, head)
        self.tops = {
            item: top for some, ys in zip(items, tops, strict=True) for item, top in zip(some, ys, strict=True)
        }
        self.bends = {
            step: (top, top + bar.height)
            for bars, ys in zip(bends, bend_tops, strict=True)
            for (step, bar), top in zip(bars.items(), ys, strict=True)
        }
        bottom = max((top + self._height(item) for item, top in self.tops.items() if item < self.last), default=head)
        bottom = max([bottom, *(end for _, end in self.bends.values())])
        has_exit = self.last < len(self.extents)
        self.height = bottom + (_EXIT_GAP if has_exit and self.is_named else _PAD if self.is_named else 0.0)
        self.tops |= dict.fromkeys(range(self.first), 0.0)
        self.tops |= dict.fromkeys(range(self.last, len(self.extents)), self.height)

    def _ends(self, step: _Step) -> tuple[float, float]:
        """Return where a step of a link starts and ends from left to right."""
        upper, lower, leaves, enters = step
        return self.drawing.x[upper] + leaves, self.drawing.x[lower] + enters + self.ports.get(
            (upper, lower, leaves), 0.0
        )

    def _sideways(self, entries: list[Node], exits: list[Node], name_width: float) -> None:
        """Find how far it reaches to the left and right of its axis, and where edges pass its border."""
        x = self.drawing.x
        self.axis = x[0] if x else 0.0
        lanes = [Extent(5.0, 5.0)] * (len(x) - len(self.extents))
        reach = [*self.extents, *lanes]
        pad = _PAD if self.is_named else 0.0
        self.left = self.axis - min((at - one.left for at, one in zip(x, reach, strict=True)), default=0.0) + pad
        self.right = max((at + one.right for at, one in zip(x, reach, strict=True)), default=0.0) - self.axis + pad
        self.entries = {source: x[place] - self.axis for place, source in enumerate(entries)}
        self.exits = {source: x[self.last + place] - self.axis for place, source in enumerate(exits)}
        # The name stands beside where edges come in, on the side with more room.
        needed = name_width + 14
        before = self.left + min(self.entries.values(), default=self.right)
        after = self.right - max(self.entries.values(), default=-self.left)
        if before >= min(needed, after):
            self.left += max(0.0, needed - before)
            self.name_left = 6.0 - self.left
        else:
            self.right += max(0.0, needed - after)
            self.name_left = self.right - name_width - 6.0

    def _draw(self, links: list[Link]) -> None:
        """Find the pieces of the edges."""
        pieces: dict[Segment, None] = {}
        self.tips: list[tuple[float, float]] = []
        for link in links:
            x = self.drawing.x[link.source] + link.leaves - self.axis
            y = self.tops[link.source] + (self._height(link.source) if link.source >= self.first else 0.0)
            for step in _steps(link, self.drawing):
                if step in self.bends:
                    top, bottom = self.bends[step]
                    if top > y + _TINY:
                        pieces[Segment(x, y, x, top)] = None
                    end = self._ends(step)[1] - self.axis
                    pieces[Segment(x, top, end, bottom)] = None
                    x, y = end, bottom
            tip = self.tops[link.target]
            child = self.frame.children[link.target - self.first] if link.target < self.last else None
            if isinstance(child, Node):
                radius, beside = self.sizes[child].radius, x + self.axis - self.drawing.x[link.target]
                tip += radius - sqrt(max(radius**2 - beside**2, 0.0))
                self.tips.append((x, tip))
            if tip > y + _TINY:
                pieces[Segment(x, y, x, tip)] = None
        self.pieces = list(pieces)

    def _ports(self, links: list[Link]) -> dict[tuple[int, int, float], float]:
        """Return for the last steps into nodes how far from the axis they enter; what comes straight stays straight."""
        arriving: dict[int, list[tuple[float, int, float]]] = {}
        for link in links:
            if self.first <= link.target < self.last and self.frame.children[link.target - self.first] in self.sizes:
                *_, (upper, _, leaves, _) = _steps(link, self.drawing)
                arriving.setdefault(link.target, []).append((self.drawing.x[upper] + leaves, upper, leaves))
        ports: dict[tuple[int, int, float], float] = {}
        for target, found in arriving.items():
            found.sort()
            size = self.sizes[self.frame.children[target - self.first]]  # type: ignore[index]
            straight = [place for place, (at, _, _) in enumerate(found) if abs(at - self.drawing.x[target]) < _SAME]
            middle = straight[0] if straight else (len(found) - 1) / 2
            furthest = max(middle, len(found) - 1 - middle, 1)
            step = min(_PORTS, size.ports / furthest)
            for place, (_, upper, leaves) in enumerate(found):
                ports[upper, target, leaves] = (place - middle) * step
        return ports

    def collect(self, layout: Layout, x: float, y: float, depth: int) -> None:
        """Add everything to a layout, with the axis and the top at a place."""
        if self.is_named:
            layout.frames.append(
                FramePlace(self.frame, x - self.left, y, x + self.right, y + self.height, depth, x + self.name_left)
            )
        layout.segments += [piece.moved(x, y) for piece in self.pieces]
        layout.tips += [(x + tip[0], y + tip[1]) for tip in self.tips]
        for place, child in enumerate(self.frame.children, start=self.first):
            at = (x + self.drawing.x[place] - self.axis, y + self.tops[place])
            if isinstance(child, Frame):
                self.inner[child].collect(layout, *at, depth + self.is_named)
            else:
                layout.places[child] = Place(*at, self.sizes[child])
                layout.layers[child] = self.layer[place]


def _steps(link: Link, drawing: Layered) -> Iterator[_Step]:
    """Yield the steps of a link from lane to lane."""
    way = [link.source, *drawing.lanes[link], link.target]
    for number, (upper, lower) in enumerate(pairwise(way)):
        yield upper, lower, link.leaves if number == 0 else 0.0, link.enters if number == len(way) - 2 else 0.0
