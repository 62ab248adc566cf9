"""A net drawn layer by layer: stacks of feature maps to scale, kernels on them, and where parameters and work are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from stepladder.pictures import style
from stepladder.pictures.blocks import KINDS, Block, blocks_of
from stepladder.pictures.group import Group
from stepladder.pictures.stack import Stack, place_stacks

WIDEST = 880.0
"""Points; a net that needs more is drawn in several lines."""
_NARROWEST = 500.0
_MARGIN = 20.0
_LABELS = 70.0
_BETWEEN_LINES = 30.0
_TITLE = 11.5
_TITLE_LINE = 16.0
_TEXT = 7.8
_TEXT_LINE = 10.8
_BAR = 38.0
_BARS = (("where the parameters are", "parameters"), ("where the work is, in MACs", "macs"))


def architecture(facts: dict[str, Any], *, bare: bool = False) -> Figure:
    """Return the picture of a net.

    Convolutions and linear layers are drawn with what follows them as one block, whose output is a stack of maps:
    sides to scale, one plate a channel (at most 24). The square on a stack is what one value of the next stack sees.
    In an SVG file each block is a group ``layer-<index>``, where the index is that of the block's first row.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
        bare: leave out the heading, the two bars and the legend, where words beside the picture say it all.
    """
    blocks = blocks_of(facts)
    lines = place_stacks(blocks, WIDEST - 2 * _MARGIN)
    needed = max(stack.column_right for line in lines for stack in line) + 2 * _MARGIN
    width = WIDEST if len(lines) > 1 else min(max(needed, _NARROWEST), WIDEST)
    title = _wrapped(facts["net"], int((width - 2 * _MARGIN) / (_TITLE * 0.605)))
    head = _MARGIN if bare else _MARGIN + _TITLE_LINE * len(title) + 40
    heights = [max(stack.height for stack in line) for line in lines]
    stacks_end = head + sum(height + _LABELS + _BETWEEN_LINES for height in heights) - _BETWEEN_LINES + 22
    with style.context():
        height = stacks_end - 14 if bare else stacks_end + _BAR * len(_BARS) + 18
        figure = style.blank(width, height)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        groups = [Group(axes, f"layer-{block.index}" if block.index >= 0 else "layer-input") for block in blocks]
        _draw_lines(axes, lines, heights, groups, head)
        if bare:
            return figure
        _heading(axes, facts, title)
        for number, (text, name) in enumerate(_BARS):
            _bar(axes, blocks, groups, name, f"{text} ({facts['totals'][name]:,})", stacks_end + number * _BAR, width)
        _legend(axes, blocks, height - 14)
    return figure


def _heading(axes: Axes, facts: dict[str, Any], title: Sequence[str]) -> None:
    baseline = _MARGIN + 10
    for line in title:
        axes.text(_MARGIN, baseline, line, fontsize=_TITLE, fontweight="bold", fontfamily="monospace", va="baseline")
        baseline += _TITLE_LINE
    totals, shape = facts["totals"], "×".join(map(str, facts["input"]))
    text = (
        f"{totals['parameters']:,} parameters · {totals['macs']:,} multiply-accumulates (MACs) an image · input {shape}"
    )
    axes.text(_MARGIN, baseline + 2, text, fontsize=8.8, color=style.SOFT, va="baseline")


def _draw_lines(
    axes: Axes, lines: Sequence[Sequence[Stack]], heights: Sequence[float], groups: Sequence[Group], top: float
) -> None:
    remaining = iter(groups)
    before: Stack | None = None
    for line, height in zip(lines, heights, strict=True):
        for stack in line:
            stack.centre += _MARGIN
            stack.middle = top + height / 2
        if before is not None:
            _continued(axes, before, line[0], top - _BETWEEN_LINES / 2)
        for stack, group in zip(line, remaining, strict=False):
            stack.draw(group)
            _labels(group, stack, top + height + 17)
            if before is not None and stack is not line[0]:
                stack.draw_window(group, before)
            before = stack
        top += height + _LABELS + _BETWEEN_LINES


def _labels(group: Group, stack: Stack, baseline: float) -> None:
    """Write what a block is and costs under its stack."""
    block = stack.block
    group.text(stack.centre, baseline, "×".join(map(str, block.shape)), fontsize=8.6, fontweight="bold")
    texts = [(block.operation, style.mix(block.colour, 0.75, style.INK)), (block.chain, style.SOFT)]
    if block.parameters:
        texts.append((f"{block.parameters:,} param.", style.SOFT))
    if block.macs:
        texts.append((f"{block.macs:,} MACs", style.SOFT))
    baseline += 12
    for text, colour in texts:
        if text:
            # A long chain is written smaller rather than over its neighbours.
            size = min(_TEXT, _TEXT * 14.5 / len(text))
            group.text(stack.centre, baseline, text, fontsize=size, color=colour)
            baseline += _TEXT_LINE


def _continued(axes: Axes, last: Stack, first: Stack, y: float) -> None:
    """Draw the way from the end of one line of stacks to the beginning of the next."""
    right, left = WIDEST - _MARGIN / 2, _MARGIN / 2
    colour = style.mix(style.SOFT, 0.5)
    xs = [last.right + 4, right, right, left, left, first.left - 6]
    ys = [last.middle, last.middle, y, y, first.middle, first.middle]
    axes.add_line(Line2D(xs, ys, color=colour, linewidth=0.7, solid_joinstyle="round"))
    axes.add_line(Line2D(xs[-1:], ys[-1:], marker=">", markersize=3.6, color=colour, linewidth=0))


def _bar(
    axes: Axes, blocks: Sequence[Block], groups: Sequence[Group], name: str, text: str, top: float, width: float
) -> None:
    """Draw one bar whose parts are the blocks' shares."""
    axes.text(_MARGIN, top, text, fontsize=8.2, color=style.SOFT, va="baseline")
    total = sum(getattr(block, name) for block in blocks)
    left = _MARGIN
    for block, group in zip(blocks, groups, strict=True):
        part = getattr(block, name) / total * (width - 2 * _MARGIN) if total else 0.0
        if part:
            group.rectangle(left, top + 5, part, 14, style.mix(block.colour, 0.3), style.PAPER, min(1.0, part / 3))
            label = f"{block.token} {getattr(block, name) / total:.0%}"
            if part > 5 * len(label):
                colour = style.mix(block.colour, 0.45, style.INK)
                group.text(left + part / 2, top + 14.8, label, fontsize=7.2, color=colour)
        left += part


def _legend(axes: Axes, blocks: Sequence[Block], baseline: float) -> None:
    left = _MARGIN
    for kind, (text, colour) in KINDS.items():
        if any(block.kind == kind for block in blocks):
            face = style.mix(colour, 0.3)
            axes.add_patch(Rectangle((left, baseline - 7), 8, 8, facecolor=face, edgecolor=colour, linewidth=0.7))
            axes.text(left + 12, baseline, text, fontsize=7.8, color=style.SOFT, va="baseline")
            left += 28 + 4.7 * len(text)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
