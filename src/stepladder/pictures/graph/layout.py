"""Where the nodes, frames and edges of a net's graph are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stepladder.pictures.graph.nodes import Frame, Node


@dataclass(frozen=True)
class Size:
    """What a node takes, in points.

    Args:
        left: from its axis, where edges enter and leave, to its left end.
        right: from its axis to its right end.
        height: from top to bottom.
        ports: half of the width along which edges may enter.
        radius: of a circle around the axis; 0 for a box.
    """

    left: float
    right: float
    height: float
    ports: float
    radius: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where a node is: its axis and its top, in points from the left upper corner."""

    x: float
    top: float
    size: Size

    @property
    def rectangle(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom."""
        return self.x - self.size.left, self.top, self.x + self.size.right, self.top + self.size.height


@dataclass(frozen=True)
class FramePlace:
    """Where a frame is, how deep it lies, and between which places its name is written, in points."""

    frame: Frame
    left: float
    top: float
    right: float
    bottom: float
    depth: int
    name_left: float


@dataclass(frozen=True, order=True)
class Segment:
    """A piece of an edge, upright at both ends: straight where these are one below the other, else a curve."""

    x0: float
    y0: float
    x1: float
    y1: float

    def moved(self, x: float, y: float) -> Segment:
        """Return it elsewhere."""
        return Segment(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)

    def points(self, count: int = 12) -> Iterator[tuple[float, float]]:
        """Yield points on it, from its upper to its lower end."""
        middle = (self.y0 + self.y1) / 2
        for step in range(count + 1):
            t = step / count
            u = 1 - t
            yield (
                (u**3 + 3 * u * u * t) * self.x0 + (3 * u * t * t + t**3) * self.x1,
                u**3 * self.y0 + 3 * u * t * middle + t**3 * self.y1,
            )


@dataclass
class Layout:
    """Where everything is, in points from the left upper corner.

    Args:
        places: of the nodes.
        frames: outer ones first.
        segments: pieces of the edges.
        tips: where edges enter nodes.
        layers: for each node the layer in its frame.
        width: of all.
        height: of all.
    """

    places: dict[Node, Place] = field(default_factory=dict)
    frames: list[FramePlace] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    tips: list[tuple[float, float]] = field(default_factory=list)
    layers: dict[Node, int] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0
