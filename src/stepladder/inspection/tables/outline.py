"""A summary as the lines of a table: blocks with their sums, rows within them, folded where there are too many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from stepladder.inspection.summary import Block, Field, Row, Summary
from stepladder.layers import Shape, Window

ROOM = 60
"""Lines that a table has when nobody says how deep it should go, if it can be folded to them."""
_ALIKE = 3
"""Blocks in a row that are alike, or patterns of blocks that repeat, share a line from this many on."""
_LONGEST = 4
"""Blocks of the longest pattern that is looked for."""


@dataclass(frozen=True)
class Line:
    """One line: a row, an open block (its lines follow), or a folded block with what its rows sum to.

    Args:
        name: the last part of its name, within the block that holds it; ``full`` is all of it.
        level: how many lines of blocks it lies under.
        count: the blocks, or repeated patterns of blocks, that share the line, 1 for most; 0 for a row.
        open: whether lines of this block follow.
        rows: indices of the first of its rows and of the one after the last.
        field: what the last of its rows sees.
        note: what is special.
    """

    name: str
    full: str
    kind: str
    level: int
    count: int
    open: bool
    rows: tuple[int, int]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    parameters: int
    trainable: int
    shared: int
    buffers: int
    macs: int
    kept_bytes: int
    window: Window | None
    groups: int
    field_in: Field | None
    field: Field | None
    note: str

    @property
    def block(self) -> bool:
        """Whether it is a block."""
        return self.count > 0

    @property
    def folds(self) -> bool:
        """Whether it is a block whose rows are summed in this line instead of following it."""
        return self.block and not self.open and self.rows[1] > self.rows[0]

    @property
    def unused(self) -> bool:
        """Whether it is a row that nothing came out of: it was never called, or not reached."""
        return not self.block and not self.output_shapes and bool(self.note)


@dataclass(frozen=True)
class Outline:
    """The lines, whether some rows are folded away, and how deep the lines go, from 1."""

    lines: tuple[Line, ...]
    folded: bool
    depth: int

    @property
    def reached(self) -> int:
        """Return how many lines come before those, at the end, of what was never called or not reached."""
        end = len(self.lines)
        while end and self.lines[end - 1].unused:
            end -= 1
        return end


@dataclass
class _Node:
    line: Line
    signature: tuple[object, ...] = ()
    children: list[_Node] = field(default_factory=list)


def outline(summary: Summary, depth: int | None = None, room: int = ROOM) -> Outline:
    """Return the lines of a table.

    Rows under more than ``depth - 1`` blocks are summed into the line of their block. Without a depth everything is
    shown while that takes at most ``room`` lines; else blocks in a row that are alike share a line, and the table goes
    as deep as it can. The parameters, MACs and kept bytes of all lines that are not open sum to those of the rows.
    """
    nodes = _tree(summary)
    deepest = max((_height(node) for node in nodes), default=1)
    if depth is not None:
        lines = tuple(_lines(nodes, 0, depth, merge=False))
        return Outline(lines, depth < deepest, min(depth, deepest))
    everything = tuple(_lines(nodes, 0, deepest, merge=False))
    if len(everything) <= room:
        return Outline(everything, False, deepest)
    lines, level = everything, deepest
    for level in range(deepest, 0, -1):
        lines = tuple(_lines(nodes, 0, level, merge=True))
        if len(lines) <= room:
            break
    return Outline(lines, len(lines) < len(everything), level)


def _tree(summary: Summary) -> list[_Node]:
    """Return rows and blocks as they lie in each other, by the ranges of the blocks."""
    starts: dict[int, list[Block]] = {}
    for block in summary.blocks:
        starts.setdefault(block.first, []).append(block)
    roots: list[_Node] = []
    open_blocks: list[tuple[Block, _Node]] = []
    for index in range(len(summary.rows) + 1):
        for block in (*starts.get(index, ()), None):
            while open_blocks and _is_over(open_blocks[-1][0], index, block):
                _close(open_blocks.pop()[1])
            siblings = open_blocks[-1][1].children if open_blocks else roots
            parent = open_blocks[-1][0].name if open_blocks else ""
            if block is not None:
                siblings.append(_Node(_block_line(summary, block, _within(block.name, parent), len(open_blocks))))
                open_blocks.append((block, siblings[-1]))
            elif index < len(summary.rows):
                row = summary.rows[index]
                siblings.append(_row_node(row, _within(row.name, parent), len(open_blocks), index))
    return roots


def _is_over(outer: Block, index: int, block: Block | None) -> bool:
    """Whether an open block has ended where a block begins, or the row of this index where that is None.

    Blocks without rows begin where others end; how deep they lie says whether they are inside.
    """
    return outer.last == index and (block is None or block.last > index or outer.depth >= block.depth)


def _close(node: _Node) -> None:
    own = node.line
    node.signature = (own.kind, own.output_shapes, *((child.line.name, child.signature) for child in node.children))


def _within(name: str, parent: str) -> str:
    return name.removeprefix(f"{parent}.") if parent else name


def _row_node(row: Row, name: str, level: int, index: int) -> _Node:
    line = Line(
        name=name,
        full=row.name,
        kind=row.label,
        level=level,
        count=0,
        open=False,
        rows=(index, index + 1),
        input_shapes=row.input_shapes,
        output_shapes=row.output_shapes,
        parameters=row.parameters,
        trainable=row.trainable,
        shared=row.shared,
        buffers=row.buffers,
        macs=row.macs,
        kept_bytes=row.kept_bytes,
        window=row.window,
        groups=row.groups,
        field_in=row.field_in,
        field=row.field,
        note=row.note,
    )
    return _Node(
        line,
        (row.kind, row.role, row.output_shapes, row.parameters, row.trainable, row.shared, row.window, row.groups),
    )


def _block_line(summary: Summary, block: Block, name: str, level: int) -> Line:
    rows = summary.rows[block.first : block.last]
    return Line(
        name=name,
        full=block.name,
        kind=block.kind,
        level=level,
        count=1,
        open=False,
        rows=(block.first, block.last),
        input_shapes=block.input_shapes,
        output_shapes=block.output_shapes,
        parameters=sum(row.parameters for row in rows),
        trainable=sum(row.trainable for row in rows),
        shared=0,
        buffers=sum(row.buffers for row in rows),
        macs=sum(row.macs for row in rows),
        kept_bytes=sum(row.kept_bytes for row in rows),
        window=None,
        groups=1,
        field_in=rows[0].field_in if rows else None,
        field=rows[-1].field if rows else None,
        note="",
    )


def _height(node: _Node) -> int:
    return 1 + max(map(_height, node.children), default=0)


def _lines(nodes: Sequence[_Node], level: int, depth: int, *, merge: bool) -> Iterator[Line]:
    index = 0
    while index < len(nodes):
        period, times = _repeats(nodes, index) if merge else (1, 1)
        end = index + period
        if times < _ALIKE:
            yield from _shown(nodes[index], level, depth, merge=merge)
            index += 1
            continue
        opened = level + 1 < depth and any(node.children for node in nodes[index:end])
        if opened:
            # The first of them is shown, and stands for the others.
            for node in nodes[index:end]:
                yield from _shown(node, level, depth, merge=merge)
        rest = nodes[end if opened else index : index + period * times]
        yield _merged([node.line for node in rest], period)
        index += period * times


def _shown(node: _Node, level: int, depth: int, *, merge: bool) -> Iterator[Line]:
    if not node.children or level + 1 >= depth:
        yield node.line
        return
    yield replace(node.line, open=True)
    yield from _lines(node.children, level + 1, depth, merge=merge)


def _repeats(nodes: Sequence[_Node], index: int) -> tuple[int, int]:
    """Return of how many blocks the pattern is made that repeats from here on, and how often it stands in a row."""
    best = (1, 1)
    for period in range(1, _LONGEST + 1):
        if index + period > len(nodes) or not all(node.line.block for node in nodes[index : index + period]):
            break
        pattern = [node.signature for node in nodes[index : index + period]]
        times = 1
        while [node.signature for node in nodes[index + times * period : index + (times + 1) * period]] == pattern:
            times += 1
        if times >= _ALIKE and times * period > best[0] * best[1]:
            best = period, times
    return best


def _merged(lines: Sequence[Line], period: int) -> Line:
    first, last = lines[0], lines[-1]
    kinds = [line.kind for line in lines[:period]]
    pattern = f"{period} {kinds[0]}" if len(set(kinds)) == 1 else ", ".join(kinds)
    dash = "–" if first.name.isdigit() and last.name.isdigit() else " … "
    return replace(
        first,
        name=f"{first.name}{dash}{last.name}",
        full=f"{first.full} … {last.full}",
        kind=f"({pattern})" if period > 1 else kinds[0],
        count=len(lines) // period,
        rows=(first.rows[0], last.rows[1]),
        output_shapes=last.output_shapes,
        parameters=sum(line.parameters for line in lines),
        trainable=sum(line.trainable for line in lines),
        buffers=sum(line.buffers for line in lines),
        macs=sum(line.macs for line in lines),
        kept_bytes=sum(line.kept_bytes for line in lines),
        field=last.field,
    )
