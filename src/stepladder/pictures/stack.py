"""One block's output as a stack of feature maps, and the window through which a value looks at the stack before."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.pictures import style
from stepladder.pictures.blocks import Block
from stepladder.pictures.group import Group

_PLATES = 24
_CELLS = 16
_CELL = 6.4
_LABEL_WIDTH = 62.0
_LARGEST_SIDE = 96.0
_SMALLEST_SIDE = 56.0
_LEAST = 4.0
_GAP = 9.0


class Stack:
    """Where a block's output is drawn; all lengths are in points.

    Args:
        block: what is drawn.
        scale: points a pixel of the maps.
    """

    def __init__(self, block: Block, scale: float) -> None:
        self.block = block
        self.centre = 0.0
        self.middle = 0.0
        channels = block.shape[0]
        if block.is_column:
            self.plates = min(channels, _CELLS)
            self.side = (_CELL, _CELL)
            self.shift = 0.0
            self.width, self.height = _CELL, self.plates * _CELL * 1.25 + (6 if channels > _CELLS else 0)
        else:
            rows, columns = block.shape[1:]
            self.side = (max(rows * scale, _LEAST), max(columns * scale, _LEAST))
            depth = 5 + min(0.32 * max(self.side), 22)
            # On a small map hundreds of plates would be one dark blot.
            self.plates = min(channels, _PLATES, max(8, round(depth)))
            self.shift = min(3.4, depth / max(self.plates - 1, 1))
            spread = self.shift * (self.plates - 1)
            self.width, self.height = self.side[1] + spread, self.side[0] + spread

    @property
    def left(self) -> float:
        """Return the left end."""
        return self.centre - self.width / 2

    @property
    def right(self) -> float:
        """Return the right end."""
        return self.centre + self.width / 2

    @property
    def column_right(self) -> float:
        """Return the right end of the column of the stack and the texts under it."""
        return self.centre + max(self.width, _LABEL_WIDTH) / 2

    @property
    def front(self) -> tuple[float, float]:
        """Return the left upper corner of the plate in front, at the right lower end of the stack."""
        return self.right - self.side[1], self.middle + self.height / 2 - self.side[0]

    def draw(self, group: Group) -> None:
        """Draw the maps from the back to the front, or the values one below the other."""
        colour = self.block.colour
        if self.block.is_column:
            corners = [_square(self.left, top, _CELL, _CELL) for top in self._tops()]
            group.polygons(corners, [style.mix(colour, 0.55)], style.mix(colour, 0.8, style.INK), 0.5)
            if self.block.shape[0] > _CELLS:
                for dot in (-2.2, 0.0, 2.2):
                    group.rectangle(self.centre - 0.6, self.middle + dot - 0.6, 1.2, 1.2, style.SOFT, style.SOFT, 0.2)
            return
        left, top = self.front
        backwards = [self.shift * (self.plates - 1 - plate) for plate in range(self.plates)]
        corners = [_square(left - back, top - back, self.side[1], self.side[0]) for back in backwards]
        tones = [0.42 - 0.24 * (plate + 1) / self.plates for plate in range(self.plates)]
        edge = style.mix(colour, 0.75, style.PAPER) if self.plates > 12 else style.mix(colour, 0.9, style.INK)
        group.polygons(corners, [style.mix(colour, tone) for tone in tones], edge, min(0.5, max(0.3 * self.shift, 0.2)))

    def draw_window(self, group: Group, before: Stack) -> None:
        """Draw what one value of this stack sees of the stack before, with lines to that value."""
        value, seen = self._value(before)
        target = self._place(value)
        ends = before.window_corners(seen)
        colour = style.mix(self.block.colour, 0.75, style.INK)
        if seen is not None:
            left, top, right, bottom = *ends[0], *ends[3]
            group.polygons(
                [_square(left, top, right - left, bottom - top)], [style.mix(self.block.colour, 0.5)], colour, 0.8
            )
        for x, y in (ends[1], ends[3]) if seen is None or before.block.is_column else ends:
            group.line([x, target[0]], [y, target[1]], style.mix(self.block.colour, 0.6), 0.55)
        group.rectangle(target[0] - 1.1, target[1] - 1.1, 2.2, 2.2, colour, colour, 0.3)

    def window_corners(self, seen: tuple[float, float, float, float] | None) -> list[tuple[float, float]]:
        """Return the corners of (top, left, bottom, right) in pixels of the front map; None means the whole stack."""
        left, top = self.front
        if seen is None or self.block.is_column:
            upper, lower = (
                (self.middle - self.height / 2, self.middle + self.height / 2)
                if self.block.is_column
                else (top, top + self.side[0])
            )
            return [(x, y) for y in (upper, lower) for x in (left, self.right)]
        rows, columns = self.block.shape[1:]
        xs = [left + at * self.side[1] / columns for at in (seen[1], seen[3])]
        ys = [top + at * self.side[0] / rows for at in (seen[0], seen[2])]
        return [(x, y) for y in ys for x in xs]

    def _value(self, before: Stack) -> tuple[tuple[int, int], tuple[float, float, float, float] | None]:
        """Return the (row, column) of the value whose window is shown, and the window cut to the map before."""
        block = self.block
        if before.block.is_column or len(block.shape) == 1:
            return (0, 0), None
        at = (int(block.shape[1] * 0.3), int(block.shape[2] * 0.55))
        # A layer without a window, such as ReLU, works on each value alone.
        kernel, stride, padding, dilation = block.window or ((1, 1), (1, 1), (0, 0), (1, 1))
        low = [max(at[axis] * stride[axis] - padding[axis], 0) for axis in (0, 1)]
        reach = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
        high = [
            min(at[axis] * stride[axis] - padding[axis] + reach[axis], before.block.shape[axis + 1]) for axis in (0, 1)
        ]
        return at, (low[0], low[1], high[0], high[1])

    def _place(self, value: tuple[int, int]) -> tuple[float, float]:
        left, top = self.front
        if self.block.is_column:
            return self.left + 1.6, self._tops()[(self.plates - 1) // 2] + _CELL / 2
        rows, columns = self.block.shape[1:]
        return left + (value[1] + 0.5) * self.side[1] / columns, top + (value[0] + 0.5) * self.side[0] / rows

    def _tops(self) -> list[float]:
        gap = 6 if self.block.shape[0] > _CELLS else 0
        top = self.middle - self.height / 2
        return [top + at * _CELL * 1.25 + (gap if at >= self.plates / 2 else 0) for at in range(self.plates)]


def place_stacks(blocks: Sequence[Block], width: float) -> list[list[Stack]]:
    """Return the stacks line by line, centred in their columns: one line where they fit, else as few as do.

    Args:
        blocks: the input and the blocks of a net.
        width: of a line, in points.
    """
    largest = max((max(block.shape[1:]) for block in blocks if not block.is_column), default=1)
    sides = (_LARGEST_SIDE, 84.0, 72.0, _SMALLEST_SIDE)
    found: list[list[Stack]] = []
    for side in sides:
        stacks = [Stack(block, side / largest) for block in blocks]
        found = _lines(stacks, width)
        if len(found) == 1:
            break
    else:
        stacks = [Stack(block, 72.0 / largest) for block in blocks]
        found = _lines(stacks, width)
    for line in found:
        _spread(line, width)
    return found


def _lines(stacks: Sequence[Stack], width: float) -> list[list[Stack]]:
    """Return the stacks in as few lines as hold them, each about as full as the others."""
    count = 1
    while True:
        limit = sum(_column(stack) for stack in stacks) / count
        lines: list[list[Stack]] = [[]]
        used = 0.0
        for stack in stacks:
            middle = used + _column(stack) / 2
            if lines[-1] and middle > limit * len(lines) and len(lines) < count:
                lines.append([])
            lines[-1].append(stack)
            used += _column(stack)
        if count >= len(stacks) or all(sum(map(_column, line)) - _GAP <= width for line in lines):
            return lines
        count += 1


def _spread(line: Sequence[Stack], width: float) -> None:
    """Put the stacks of a line beside each other, with what is left of the width between them."""
    spare = width - (sum(map(_column, line)) - _GAP)
    extra = min(max(spare / max(len(line) - 1, 1), 0.0), 46.0)
    left = 0.0
    for stack in line:
        column = _column(stack) - _GAP
        stack.centre = left + column / 2
        left += column + _GAP + extra


def _column(stack: Stack) -> float:
    return max(stack.width, _LABEL_WIDTH) + _GAP


def _square(left: float, top: float, width: float, height: float) -> list[tuple[float, float]]:
    return [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
