"""Artists that become one SVG group with an id, so that a page can light up a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text


class Group(Artist):
    """Shapes and texts in the data coordinates of axes, drawn in the order they were added.

    Args:
        axes: where they are drawn.
        name: the id of the SVG group.
    """

    def __init__(self, axes: Axes, name: str) -> None:
        super().__init__()
        self.set_gid(name)
        self._children: list[Artist] = []
        self.zorder = 3
        axes.add_artist(self)

    def add(self, artist: Artist) -> None:
        """Put one more artist on top."""
        assert self.axes is not None
        artist.set_figure(self.axes.get_figure())  # type: ignore[arg-type]
        artist.set_transform(self.axes.transData)
        self._children.append(artist)

    def rectangle(
        self, left: float, top: float, width: float, height: float, face: str, edge: str, linewidth: float
    ) -> None:
        """Add a rectangle."""
        self.add(Rectangle((left, top), width, height, facecolor=face, edgecolor=edge, linewidth=linewidth))

    def polygons(self, corners: Any, faces: Sequence[str], edge: str, linewidth: float) -> None:
        """Add polygons, each a sequence of (x, y)."""
        self.add(PolyCollection(corners, facecolors=faces, edgecolors=edge, linewidths=linewidth))

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, linewidth: float) -> None:
        """Add a line through points."""
        self.add(Line2D(xs, ys, color=colour, linewidth=linewidth, solid_capstyle="round"))

    def text(self, x: float, y: float, text: str, **properties: Any) -> None:
        """Add a text whose baseline has its middle at (x, y)."""
        self.add(Text(x, y, text, **{"ha": "center", "va": "baseline", **properties}))

    def get_children(self) -> list[Artist]:
        """Return the artists of the group."""
        return self._children

    def draw(self, renderer: RendererBase) -> None:
        """Draw the artists as one group."""
        renderer.open_group("layer", gid=self.get_gid())
        for child in self._children:
            child.draw(renderer)
        renderer.close_group("layer")
        self.stale = False
