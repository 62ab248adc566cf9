"""A summary as the lines of a table: blocks with their sums, rows within them, folded where there are too many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from stepladder.inspection.summary import Block, Field, Row, Summary
from stepladder.layers import Shape, Window

ROOM = 60
"""Lines that a table has when nobody says how deep it should go, if it can be folded to them."""
_ALIKE = 3
"""Blocks in a row that are alike from this many on share a line."""


@dataclass(frozen=True)
class Line:
    """One line: a row, an open block (its lines follow), or a folded block with what its rows sum to.

    Args:
        name: the last part of its name, within the block that holds it; ``full`` is all of it.
        level: how many lines of blocks it lies under.
        count: the blocks that share the line, 1 for most; 0 for a row.
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


@dataclass(frozen=True)
class Outline:
    """The lines, whether some rows are folded away, and how deep the lines go, from 1."""

    lines: tuple[Line, ...]
    folded: bool
    depth: int


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
    if outer.last != index:
        return outer.last < index
    return block is None or block.last > index or outer.depth >= block.depth


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
        node = nodes[index]
        opened = bool(node.children) and level + 1 < depth
        alike = _run(nodes, index) if merge and node.line.block else 1
        if opened:
            yield replace(node.line, open=True)
            yield from _lines(node.children, level + 1, depth, merge=merge)
            index += 1
            alike -= 1
        if alike >= _ALIKE - opened:
            yield _merged([one.line for one in nodes[index : index + alike]])
            index += alike
        elif not opened:
            yield node.line
            index += 1


def _run(nodes: Sequence[_Node], index: int) -> int:
    """Return how many nodes from this one on are alike."""
    end = index + 1
    while end < len(nodes) and nodes[end].line.block and nodes[end].signature == nodes[index].signature:
        end += 1
    return end - index


def _merged(lines: Sequence[Line]) -> Line:
    first, last = lines[0], lines[-1]
    dash = "–" if first.name.isdigit() and last.name.isdigit() else " … "
    return replace(
        first,
        name=f"{first.name}{dash}{last.name}",
        full=f"{first.full} … {last.full}",
        count=len(lines),
        rows=(first.rows[0], last.rows[1]),
        output_shapes=last.output_shapes,
        parameters=sum(line.parameters for line in lines),
        trainable=sum(line.trainable for line in lines),
        buffers=sum(line.buffers for line in lines),
        macs=sum(line.macs for line in lines),
        kept_bytes=sum(line.kept_bytes for line in lines),
        field=last.field,
    )
