"""The boxes and circles of a net's graph: how large they are, what is written on them, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import log2

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.textpath import text_to_path

from stepladder.pictures import style
from stepladder.pictures.graph import words
from stepladder.pictures.graph.layout import Place, Size
from stepladder.pictures.graph.nodes import Node
from stepladder.pictures.group import Group

_BOLD, _SMALL = 8.2, 7.2
_TALL, _SHORT, _STRIP, _BEHIND, _RADIUS = 28.0, 18.0, 5.0, 3.6, 8.5
_WIDENING = 90.0
"""Points that the box with the most channels is wider than that with the fewest, if there is a factor of 8 between."""
LONGEST = 26
"""Characters of a title or of what follows a layer; more are cut off."""


@lru_cache(maxsize=4096)
def measured(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a text in points."""
    properties = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0])


def cut(text: str, longest: int = LONGEST) -> str:
    """Return a text with at most so many characters; an ellipsis stands for the rest."""
    return text if len(text) <= longest else text[: longest - 1].rstrip(" ·") + "…"


def _title(node: Node) -> str:
    return cut(node.title) + (f" ×{node.times}" if node.times > 1 else "")


def _facts_line(node: Node) -> str:
    """Return the second line of a box."""
    parameters = "shared" if node.is_shared else words.compact(node.parameters)
    parts = (words.size(node.shape) if node.shape else "", parameters, node.sees)
    return " · ".join(part for part in parts if part)


def _is_short(node: Node) -> bool:
    """Whether a node is an input or output, written in one line."""
    return not node.rows


def _needed(node: Node) -> float:
    """Return the width that a box needs for its texts."""
    if _is_short(node):
        return measured(_title(node), _BOLD, "bold") + measured("  " + words.size(node.shape), _SMALL) + 16
    first = measured(_title(node), _BOLD, "bold") + (measured("  " + cut(node.chain), _SMALL) if node.chain else 0.0)
    return max(first, measured(_facts_line(node), _SMALL)) + 14


def scale(nodes: Sequence[Node]) -> Callable[[int], float]:
    """Return the width of a box by its channels: a log scale on which all texts fit."""
    boxes = [node for node in nodes if not node.sign]
    logs = [log2(node.channels) for node in boxes] or [0.0]
    step = _WIDENING / max(max(logs) - min(logs), 3.0)
    base = max((_needed(node) - step * log2(node.channels) for node in boxes), default=80.0)
    return lambda channels: base + step * log2(channels)


def size_of(node: Node, width_of: Callable[[int], float]) -> Size:
    """Return what a node takes, with room for its texts.

    Args:
        node: any.
        width_of: a box by its channels, as ``scale`` gives it.
    """
    if node.sign:
        text = max(measured(line, _SMALL) for line in _join_lines(node))
        return Size(_RADIUS, _RADIUS + 4 + text, 2 * _RADIUS, 6.4, _RADIUS)
    half = width_of(node.channels) / 2
    if _is_short(node):
        return Size(half, half, _SHORT, half - 8)
    extra = (_STRIP if node.shares or node.is_concat else 0.0) + (_BEHIND if node.times > 1 else 0.0)
    return Size(half, half, _TALL + extra, half - 8)


def _join_lines(node: Node) -> list[str]:
    return [cut(" · ".join(part for part in (node.title, node.chain) if part)), _facts_line(node)]


def draw_node(axes: Axes, node: Node, place: Place) -> None:
    """Draw a node as a group with its identity.

    Args:
        axes: in points, from the top down.
        node: any.
        place: where it is.
    """
    group = Group(axes, node.identity)
    colour = words.COLOURS[node.colour][1]
    left, top, right, bottom = place.rectangle
    edge = style.mix(colour, 0.85, style.INK)
    if node.sign:
        middle = top + _RADIUS
        group.add(Circle((place.x, middle), _RADIUS, facecolor=style.PAPER, edgecolor=edge, linewidth=1.0))
        for x0, y0, x1, y1 in _strokes(node.sign):
            group.line([place.x + x0, place.x + x1], [middle + y0, middle + y1], style.INK, 1.2)
        if not _strokes(node.sign):
            group.text(place.x, middle + 3.2, node.sign, fontsize=9.5, color=style.INK)
        what, numbers = _join_lines(node)
        beside = place.x + _RADIUS + 4
        group.text(beside, middle - 1.4, what, fontsize=_SMALL, color=style.INK, ha="left", parse_math=False)
        group.text(beside, middle + 7.4, numbers, fontsize=_SMALL, color=style.SOFT, ha="left")
        return
    if node.times > 1:
        top += _BEHIND
        for back in (_BEHIND, _BEHIND / 2):
            _rounded(group, left + back, top - back, right - left, bottom - top, style.PAPER, edge, 0.6)
    face = style.TINT if node.colour in ("block", "join") else style.mix(colour, 0.2)
    _rounded(group, left, top, right - left, bottom - top, face, edge, 0.8, dashed=node.title == "never called")
    if node.is_concat:
        parts = [(words.COLOURS[key][1], count) for key, count in node.parts]
        _strip(group, parts, left + 3, top + 2.6, right - left - 6)
        top += _STRIP
    elif node.shares:
        parts = [(words.COLOURS[key][1], count) for key, count in node.shares]
        _strip(group, parts, left + 3, bottom - 2.6 - 3.6, right - left - 6)
    _card_text(group, node, place.x, top)


def _card_text(group: Group, node: Node, x: float, top: float) -> None:
    title, short = _title(node), _is_short(node)
    rest = words.size(node.shape) if short else cut(node.chain)
    title_width = measured(title, _BOLD, "bold")
    whole = title_width + (measured("  " + rest, _SMALL) if rest else 0.0)
    group.text(
        x - whole / 2,
        top + 11.8,
        title,
        fontsize=_BOLD,
        fontweight="bold",
        color=style.mix(words.COLOURS[node.colour][1], 0.45, style.INK),
        ha="left",
        parse_math=False,
    )
    if rest:
        group.text(x + whole / 2, top + 11.8, rest, fontsize=_SMALL, color=style.INK, ha="right", parse_math=False)
    if not short:
        group.text(x, top + 22.4, _facts_line(node), fontsize=_SMALL, color=style.SOFT)


def _strokes(sign: str) -> list[tuple[float, float, float, float]]:
    """Return the lines of a sign about its middle; nothing for signs that are written."""
    across, upright = (-4.2, 0.0, 4.2, 0.0), (0.0, -4.2, 0.0, 4.2)
    return {
        "+": [across, upright],
        "−": [across],
        "×": [(-3.0, -3.0, 3.0, 3.0), (-3.0, 3.0, 3.0, -3.0)],
    }.get(sign, [])


def _rounded(
    group: Group,
    left: float,
    top: float,
    width: float,
    height: float,
    face: str,
    edge: str,
    linewidth: float,
    *,
    dashed: bool = False,
) -> None:
    shape = FancyBboxPatch((left, top), width, height, boxstyle="round,pad=0,rounding_size=3")
    shape.set(facecolor=face, edgecolor=edge, linewidth=linewidth, linestyle="--" if dashed else "-")
    group.add(shape)


def _strip(group: Group, parts: Sequence[tuple[str, int]], left: float, top: float, width: float) -> None:
    """Draw a bar whose parts are shares of a whole, with a space where they meet."""
    total = sum(count for _, count in parts) or 1
    for colour, count in parts:
        part = width * count / total
        group.rectangle(left, top, max(part - 1.2, 0.4), 3.6, style.mix(colour, 0.8), style.PAPER, 0)
        left += part
