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

WIDTH = 860.0
_MARGIN = 18.0
_LABELS = 68.0
_BETWEEN_LINES = 26.0
_TITLE = 11.5
_TEXT = 7.8


def architecture(facts: dict[str, Any]) -> Figure:
    """Return the picture of a net.

    Convolutions and linear layers are drawn with what follows them as one block, whose output is a stack of maps:
    sides to scale, one plate a channel. Block by block the SVG file has a group ``layer-<index>``, where the index is
    that of the block's first row.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
    """
    blocks = blocks_of(facts)
    lines = place_stacks(blocks, WIDTH - 2 * _MARGIN)
    title = _wrapped(facts["net"], int((WIDTH - 2 * _MARGIN) / (_TITLE * 0.605)))
    head = 2 * _MARGIN + 16 * len(title) + 22
    bars = [("where the parameters are", "parameters"), ("where the work is (MACs)", "macs")]
    heights = [max(stack.height for stack in line) + _LABELS for line in lines]
    total = head + sum(heights) + _BETWEEN_LINES * (len(lines) - 1) + 38 * len(bars) + 40
    with style.context():
        figure = style.blank(WIDTH, total)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(total, 0))
        axes.set_axis_off()
        _heading(axes, facts, title)
        groups = [Group(axes, f"layer-{block.index}" if block.index >= 0 else "input") for block in blocks]
        top = head
        for number, (line, height) in enumerate(zip(lines, heights, strict=True)):
            middle = top + (height - _LABELS) / 2
            for stack in line:
                stack.middle = middle
            if number:
                _continued(axes, lines[number - 1][-1], line[0], top - _BETWEEN_LINES / 2)
            top += height + _BETWEEN_LINES
        top += 14 - _BETWEEN_LINES
        stacks = [stack for line in lines for stack in line]
        starts = {id(line[0]) for line in lines}
        for at, (stack, group) in enumerate(zip(stacks, groups, strict=True)):
            stack.draw(group)
            _labels(group, stack, max(one.height for one in next(line for line in lines if stack in line)))
            if at and id(stack) not in starts:
                stack.draw_window(group, stacks[at - 1])
        for text, name in bars:
            _bar(axes, groups, blocks, name, f"{text}: {facts['totals'][name]:,}", top)
            top += 38
        _legend(axes, blocks, top + 4)
    return figure


def _heading(axes: Axes, facts: dict[str, Any], title: Sequence[str]) -> None:
    for row, line in enumerate(title):
        axes.text(
            _MARGIN,
            _MARGIN + 12 + 16 * row,
            line,
            fontsize=_TITLE,
            fontweight="bold",
            fontfamily="monospace",
            va="baseline",
        )
    totals, shape = facts["totals"], "×".join(map(str, facts["input"]))
    text = (
        f"{totals['parameters']:,} parameters · {totals['macs']:,} multiply-accumulates (MACs) an image · input {shape}"
    )
    axes.text(_MARGIN, _MARGIN + 14 + 16 * len(title), text, fontsize=8.8, color=style.SOFT, va="baseline")


def _labels(group: Group, stack: Stack, height: float) -> None:
    block = stack.block
    y = stack.middle + height / 2 + 17
    group.text(stack.centre, y, "×".join(map(str, block.shape)), fontsize=8.6, fontweight="bold")
    rows = [(block.operation, style.mix(block.colour, 0.8, style.INK)), (block.chain, style.SOFT)]
    if block.index >= 0:
        rows += [
            (f"{block.parameters:,} param." if block.parameters else "", style.SOFT),
            (f"{block.macs:,} MACs" if block.macs else "", style.SOFT),
        ]
    y += 12
    for text, colour in rows:
        if text:
            group.text(
                stack.centre, y, text, fontsize=_TEXT if len(text) < 15 else _TEXT * 14 / len(text), color=colour
            )
            y += 10.8


def _continued(axes: Axes, last: Stack, first: Stack, y: float) -> None:
    """Draw the way from the end of one line of stacks to the beginning of the next."""
    right, left = WIDTH - _MARGIN / 2, _MARGIN / 2
    xs = [last.right + 5, right, right, left, left, first.left - 4]
    ys = [last.middle, last.middle, y, y, first.middle, first.middle]
    axes.add_line(Line2D(xs, ys, color=style.mix(style.SOFT, 0.45), linewidth=0.9, solid_joinstyle="round"))
    axes.add_line(
        Line2D(
            [first.left - 7], [first.middle], marker=">", markersize=4, color=style.mix(style.SOFT, 0.6), linewidth=0
        )
    )


def _bar(axes: Axes, groups: Sequence[Group], blocks: Sequence[Block], name: str, text: str, top: float) -> None:
    """Draw one bar whose parts are the blocks' shares."""
    axes.text(_MARGIN, top, text, fontsize=8.2, color=style.SOFT, va="baseline")
    width = WIDTH - 2 * _MARGIN
    total = sum(getattr(block, name) for block in blocks)
    left = _MARGIN
    for block, group in zip(blocks, groups, strict=True):
        share = getattr(block, name) / total if total else 0.0
        if share:
            group.rectangle(left, top + 5, share * width, 14, style.mix(block.colour, 0.3), style.PAPER, 1.2)
            label = f"{block.token} {share:.0%}"
            if share * width > 5 * len(label):
                colour = style.mix(block.colour, 0.45, style.INK)
                group.text(left + share * width / 2, top + 14.8, label, fontsize=7.2, color=colour)
        left += share * width


def _legend(axes: Axes, blocks: Sequence[Block], top: float) -> None:
    left = _MARGIN
    for kind, (text, colour) in KINDS.items():
        if any(block.kind == kind for block in blocks):
            axes.add_patch(Rectangle((left, top - 7), 8, 8, facecolor=style.mix(colour, 0.3), edgecolor=colour, lw=0.7))
            axes.text(left + 12, top, text, fontsize=7.8, color=style.SOFT, va="baseline")
            left += 28 + 4.9 * len(text)


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
