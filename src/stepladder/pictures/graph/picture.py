"""The picture of any net's graph: layers as boxes, branches as branches, skip connections beside what they skip."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Outline

from stepladder.errors import SpecError
from stepladder.files import write_bytes
from stepladder.pictures import style
from stepladder.pictures.graph import words
from stepladder.pictures.graph.cards import LONGEST, cut, draw_node, measured, scale, size_of
from stepladder.pictures.graph.folding import graph_of
from stepladder.pictures.graph.layout import FramePlace, Layout, Place
from stepladder.pictures.graph.nested import layout_of
from stepladder.pictures.graph.nodes import Frame, Graph

_MARGIN = 20.0
_NARROWEST = 380.0
_TITLE, _TITLE_LINE = 11.5, 16.0
_LEGEND_LINE = 13.0
_NAME = 7.0
_PNG_LARGEST = 24_000
"""Points: what matplotlib can paint is limited to 65,536 dots."""
_EDGE = style.mix(style.SOFT, 0.8)


def graph(facts: dict[str, Any], depth: int | None = None) -> Figure:
    """Return the picture of a net's graph, from its inputs at the top to its outputs at the bottom.

    A layer is drawn with the normalisation and activation that follow it as one box: what it does, the shape of what it
    gives, its parameters and its receptive field; the box is the wider the more channels there are, on a log scale.
    Additions are circles, concatenations are boxes with a bar that shows what is laid side by side. Modules that hold
    several boxes are frames around them. In an SVG file each box is a group ``row-<index>``, where the index is that of
    its first row, or ``input-<number>`` or ``output-<number>``.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
        depth: modules as deep as this, from 1, are drawn as one box, and identical ones that follow each other as one
            with their number; None for as deep as 60 boxes allow.
    """
    drawn = graph_of(facts, depth)
    width_of = scale(list(drawn.root.nodes()))
    layout = layout_of(drawn, lambda node: size_of(node, width_of), lambda frame: measured(_name(frame), _NAME))
    width = max(layout.width, _NARROWEST) + 2 * _MARGIN
    title = textwrap.wrap(facts["net"], int((width - 2 * _MARGIN) / (_TITLE * 0.605))) or [""]
    about = _wrapped(_about(facts), 8.6, width - 2 * _MARGIN)
    legend = _legend_lines(drawn, width - 2 * _MARGIN)
    notes = [line for note in _notes(drawn) for line in _wrapped(note, 7.6, width - 2 * _MARGIN)]
    head = _MARGIN + _TITLE_LINE * len(title) + 12 * len(about) + 14
    foot = 20 + _LEGEND_LINE * len(legend) + 11 * len(notes)
    height = head + layout.height + foot + 12
    with style.context():
        figure = style.blank(width, height)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        _write(axes, _MARGIN + 10, title, _TITLE_LINE, fontsize=_TITLE, fontweight="bold", fontfamily="monospace")
        _write(axes, _MARGIN + 12 + _TITLE_LINE * len(title), about, 12, fontsize=8.6, color=style.SOFT)
        left = (width - layout.width) / 2
        for frame in layout.frames:
            _draw_frame(axes, frame, left, head)
        _draw_edges(axes, layout, left, head)
        for node, place in layout.places.items():
            draw_node(axes, node, Place(place.x + left, place.top + head, place.size))
        y = head + layout.height + 28
        for line in legend:
            _draw_legend(axes, line, y)
            y += _LEGEND_LINE
        _write(axes, y + 2, notes, 11, fontsize=7.6, color=style.SOFT)
    return figure


def save(facts: dict[str, Any], path: Path, depth: int | None = None) -> None:
    """Write the picture of a net's graph to a file whose name ends in .svg, .png or .pdf.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
        path: of the file; it is whole or absent.
        depth: as for ``graph``.

    Raises:
        SpecError: if the name has another end, or the picture is too large for a PNG file.
        StepladderError: if the file cannot be written.
    """
    from stepladder.pictures.draw import suffix_of

    suffix = suffix_of(path)
    figure = graph(facts, depth)
    largest = max(figure.get_size_inches()) * style.POINTS
    if suffix == "png" and largest > _PNG_LARGEST:
        raise SpecError(
            "the picture of this graph is too large for a PNG file",
            given=f"{len(facts['rows'])} rows, {largest:,.0f} points",
            repair="write an SVG file, or give a smaller depth",
        )
    write_bytes(path, style.save(figure, suffix))


def _name(frame: Frame) -> str:
    return cut(f"{cut(frame.name)} · {frame.kind}", 2 * LONGEST)


def _draw_frame(axes: Axes, frame: FramePlace, x: float, y: float) -> None:
    shape = FancyBboxPatch(
        (frame.left + x, frame.top + y),
        frame.right - frame.left,
        frame.bottom - frame.top,
        boxstyle="round,pad=0,rounding_size=5",
        facecolor=style.mix(style.COLOURS[0], 0.035 * (frame.depth + 1)),
        edgecolor=style.mix(style.SOFT, 0.35),
        linewidth=0.6,
        zorder=1 + 0.01 * frame.depth,
    )
    axes.add_patch(shape)
    axes.text(
        frame.name_left + x, frame.top + y + 10, _name(frame.frame), fontsize=_NAME, color=style.SOFT, parse_math=False
    )


def _draw_edges(axes: Axes, layout: Layout, x: float, y: float) -> None:
    vertices: list[tuple[float, float]] = []
    codes: list[Any] = []
    for piece in layout.segments:
        vertices.append((piece.x0 + x, piece.y0 + y))
        codes.append(Outline.MOVETO)
        if piece.x0 == piece.x1:
            vertices.append((piece.x1 + x, piece.y1 + y))
            codes.append(Outline.LINETO)
        else:
            middle = (piece.y0 + piece.y1) / 2 + y
            vertices += [(piece.x0 + x, middle), (piece.x1 + x, middle), (piece.x1 + x, piece.y1 + y)]
            codes += [Outline.CURVE4] * 3
    if vertices:
        shape = PathPatch(Outline(vertices, codes), fill=False, edgecolor=_EDGE, linewidth=0.95, capstyle="round")
        shape.set_zorder(2)
        axes.add_patch(shape)
        heads = [
            [(tx + x - 2.4, ty + y - 5.0), (tx + x + 2.4, ty + y - 5.0), (tx + x, ty + y - 0.4)]
            for tx, ty in layout.tips
        ]
        axes.add_collection(PolyCollection(heads, facecolors=_EDGE, linewidths=0, zorder=2.1))


def _about(facts: dict[str, Any]) -> str:
    totals = facts["totals"]
    shapes = "\u00a0and\u00a0".join(words.size(one["shape"]) for one in facts["inputs"])
    text = f"{totals['parameters']:,} parameters · {totals['macs']:,} multiply-accumulates (MACs)"
    return f"{text} · input\u00a0{shapes}" if shapes else text


def _notes(drawn: Graph) -> list[str]:
    nodes = list(drawn.root.nodes())
    notes = [
        "In a box: the shape of what it gives · its parameters · how much of the input one of its values sees. "
        "The wider a box, the more channels it gives (log scale)."
    ]
    if any(node.shares for node in nodes):
        notes.append(
            "Boxes that stand for several layers: ×2 is two alike, one after the other; the strip is where "
            "the parameters are."
        )
    return notes


def _legend_lines(drawn: Graph, width: float) -> list[list[tuple[str, str, float]]]:
    """Return the lines of the legend: text, colour and left end of each entry."""
    nodes = list(drawn.root.nodes())
    used = {node.colour for node in nodes} | {key for node in nodes for key, _ in node.shares}
    lines: list[list[tuple[str, str, float]]] = [[]]
    left = 0.0
    for key, (text, colour) in words.COLOURS.items():
        if key in used:
            needed = 12 + measured(text, 7.8)
            if lines[-1] and left + needed > width:
                lines.append([])
                left = 0.0
            lines[-1].append((text, colour, left))
            left += needed + 16
    return lines


def _draw_legend(axes: Axes, line: Sequence[tuple[str, str, float]], y: float) -> None:
    for text, colour, left in line:
        box = FancyBboxPatch((_MARGIN + left, y - 7), 8, 8, boxstyle="round,pad=0,rounding_size=1.5")
        box.set(facecolor=style.mix(colour, 0.3), edgecolor=colour, linewidth=0.7)
        axes.add_patch(box)
        axes.text(_MARGIN + left + 12, y, text, fontsize=7.8, color=style.SOFT, va="baseline")


def _wrapped(text: str, size: float, width: float) -> list[str]:
    """Return lines of a text that are not longer than a width in points."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measured(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _write(axes: Axes, y: float, lines: Sequence[str], height: float, **properties: Any) -> None:
    for line in lines:
        axes.text(_MARGIN, y, line, va="baseline", parse_math=False, **properties)
        y += height
