"""A walk through a net without widths: what its layers do to the size of the maps and to the receptive field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from stepladder.layers import Pair, Window


@dataclass
class Walk:
    """How far a net has come.

    Args:
        size: rows and columns of the maps.
        seen: what one value sees, in pixels along each axis.
        jump: pixels between the fields of two neighbouring values.
        words: roles and words of the layers so far; the words without their channels.
        maps: sizes at the image, at each halving, and, at the end, before the head.
        odd: sizes that were odd where they were halved.
        seen_before: what a value saw before the last 3×3 convolution.
        positions: places where 3×3 convolutions were computed, which MACs grow with.
    """

    size: Pair
    seen: Pair = (1, 1)
    jump: Pair = (1, 1)
    words: list[tuple[str, str]] = field(default_factory=list)
    maps: list[Pair] = field(default_factory=list)
    odd: list[Pair] = field(default_factory=list)
    seen_before: Pair = (1, 1)
    positions: int = 0

    def convolve(self, *, padded: bool, halved: Sequence[bool] = (False, False)) -> None:
        """Go through a 3×3 convolution, with a stride of 2 along the axes that are halved; such a one is padded."""
        self.seen_before = self.seen
        if any(halved):
            self._note(halved)
        padding = (1, 1) if padded or any(halved) else (0, 0)
        stride = _strides(halved)
        self._look(Window((3, 3), stride, padding))
        self.words.append(("convolution", "C3" + _suffix("s", stride, 1) + _suffix("p", padding, 0)))
        self.positions += prod(self.size)

    def pool(self, halved: Sequence[bool]) -> None:
        """Go through a pooling that halves axes: by 2×2 where their sizes are even, else by 3×3 with padding."""
        uneven = self._note(halved)
        kernel = tuple((3 if uneven else 2) if one else 1 for one in halved)
        padding = tuple(int(uneven and one) for one in halved)
        stride = _strides(halved)
        self._look(Window(kernel, stride, padding))
        # The stride of a pooling is its kernel where nothing else is said.
        said = _suffix("s", stride, 1) + _suffix("p", padding, 0) if uneven else ""
        self.words.append(("pool", "MP" + _pair(kernel) + said))

    def _note(self, halved: Sequence[bool]) -> bool:
        """Note the size at a halving and return whether it is odd along an axis that is halved."""
        self.maps.append(self.size)
        uneven = any(one and size % 2 for one, size in zip(halved, self.size, strict=True))
        if uneven:
            self.odd.append(self.size)
        return uneven

    def _look(self, window: Window) -> None:
        # The rules of receptive fields are those of stepladder.inspection.oneline.
        self.size = (window.output_size(self.size[0], 0), window.output_size(self.size[1], 1))
        rows, columns = ((window.kernel[axis] - 1) * self.jump[axis] for axis in (0, 1))
        self.seen = (self.seen[0] + rows, self.seen[1] + columns)
        self.jump = (self.jump[0] * window.stride[0], self.jump[1] * window.stride[1])


def _strides(halved: Sequence[bool]) -> Pair:
    return (2 if halved[0] else 1, 2 if halved[1] else 1)


def _suffix(letter: str, values: Sequence[int], usual: int) -> str:
    return "" if all(value == usual for value in values) else letter + _pair(values)


def _pair(values: Sequence[int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}x{values[1]}"
