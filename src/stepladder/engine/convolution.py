"""Convolutions, written for their sizes: sums stay in registers while weights and pixels stream by.

A map lies in memory with its channels last, in words of 32 bits: one float32, or two neighbouring bfloat16, whose
products the processor adds in pairs. A sum for every output channel of several neighbouring pixels is kept in vector
registers; each word of the input is then read once for all output channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from stepladder.engine.emit import F32, I32, I64, Emitter, chunks

_REGISTERS = 14
"""Vector registers for the sums of a convolution: enough to hide the latency of a multiplication."""
_GRADIENT_REGISTERS = 24
"""Those of a weight gradient, which has no weights to hold."""
_UNROLLED = 8
"""At most so many input words are written out one after another."""

Sink = Callable[[Any, Any, int, Any], None]


@dataclass(frozen=True)
class Taps:
    """Where a convolution looks: word offsets from its first word.

    Args:
        bases: offsets of the repeated part.
        local: offsets inside it.
    """

    bases: tuple[int, ...]
    local: tuple[int, ...]

    @classmethod
    def of(cls, kernel: tuple[int, int], dilation: tuple[int, int], pitch: int, words: int) -> Taps:
        """Return the taps of a kernel on a map of ``pitch`` columns with so many words a pixel."""
        rows = [row * dilation[0] * pitch * words for row in range(kernel[0])]
        columns = [column * dilation[1] * words for column in range(kernel[1])]
        if kernel[1] * words <= _UNROLLED:
            return cls(tuple(rows), tuple(column + word for column in columns for word in range(words)))
        size = max(size for size in range(1, _UNROLLED + 1) if words % size == 0)
        starts = range(0, words, size)
        return cls(
            tuple(row + column + start for row in rows for column in columns for start in starts), tuple(range(size))
        )


@dataclass(frozen=True)
class Convolution:
    """The sizes of one convolution.

    Args:
        pitch: columns of the map that comes in, with its padding.
        words: of a pixel of that map.
        kernel: rows and columns.
        stride: likewise.
        dilation: likewise.
        out: rows and columns that go out.
        lanes: channels that go out, a multiple of 4.
        paired: whether a word is two bfloat16.
    """

    pitch: int
    words: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]
    lanes: int
    paired: bool

    @property
    def taps(self) -> Taps:
        """Return where it looks."""
        return Taps.of(self.kernel, self.dilation, self.pitch, self.words)

    def write(self, e: Emitter, source: Any, weights: Any, first: Sequence[Any], sink: Sink) -> None:
        """Write the convolution of one map.

        Args:
            e: where.
            source: address of the map.
            weights: address of the weights, (taps, lanes) words.
            first: what the sums begin with, a vector for each chunk of the channels.
            sink: takes row, column, first channel and the vector of every sum.
        """
        count = len(chunks(self.lanes))
        fitting = max(1, _REGISTERS // count)
        rows, columns = self.out
        width = -(-columns // -(-columns // fitting))
        height = max(1, min(rows, fitting // columns)) if columns <= fitting else 1
        _tiled(
            e,
            rows,
            height,
            lambda row, tall: _tiled(
                e,
                columns,
                width,
                lambda column, wide: self._tile(e, source, weights, first, sink, (row, column), (tall, wide)),
            ),
        )

    def _tile(
        self,
        e: Emitter,
        source: Any,
        weights: Any,
        first: Sequence[Any],
        sink: Sink,
        place: tuple[Any, Any],
        size: tuple[int, int],
    ) -> None:
        vectors = chunks(self.lanes)
        spots = [(row, column) for row in range(size[0]) for column in range(size[1])]
        down, across = self.stride[0] * self.pitch * self.words, self.stride[1] * self.words
        base = e.at(source, e.sum(e.product(place[0], down), e.product(place[1], across)), F32)
        taps = self.taps
        sums = [value for _ in spots for value in first]
        inside = [row * down + column * across for row, column in spots]
        if len(taps.bases) == 1:
            sums = self._add(e, e.at(base, taps.bases[0], F32), weights, taps.local, inside, sums)
        else:
            table = _table(e, taps.bases)
            with e.loop(0, len(taps.bases), sums) as loop:
                offset = e.load(e.at(table, loop.index, I64), I64)
                part = e.at(weights, e.product(loop.index, len(taps.local) * self.lanes), F32)
                loop.next = self._add(e, e.at(base, offset, F32), part, taps.local, inside, loop.values)
            sums = loop.results
        for spot, (row, column) in enumerate(spots):
            for chunk, (start, _) in enumerate(vectors):
                sink(e.sum(place[0], row), e.sum(place[1], column), start, sums[spot * len(vectors) + chunk])

    def _add(
        self, e: Emitter, source: Any, weights: Any, local: Sequence[int], inside: Sequence[int], sums: Sequence[Any]
    ) -> list[Any]:
        vectors = chunks(self.lanes)
        sums = list(sums)
        for tap, offset in enumerate(local):
            weight = [load_words(e, weights, tap * self.lanes + start, lanes, self.paired) for start, lanes in vectors]
            for spot, place in enumerate(inside):
                word = e.load(e.at(source, place + offset, F32), I32 if self.paired else F32)
                for chunk, (_, lanes) in enumerate(vectors):
                    at = spot * len(vectors) + chunk
                    sums[at] = multiply(e, e.splat(word, lanes), weight[chunk], sums[at], self.paired)
        return sums


def write_weight_gradient(
    e: Emitter,
    source: Any,
    gradient: Any,
    target: Any,
    *,
    taps: Sequence[tuple[int, int]],
    lanes: int,
    rows: int,
    columns: int,
    down: int,
    across: int,
    paired: bool,
) -> None:
    """Write: add one map's weight gradient to the target.

    Args:
        e: where.
        source: address of what went into the convolution, in words.
        gradient: address of the gradient of what came out, (rows, columns, lanes) words.
        target: address of the sums, float32 (weights, lanes).
        taps: for each weight the offset of the word that it saw, from the first word of its pixel, and its row in the
            target.
        lanes: channels that came out.
        rows: of the gradient.
        columns: likewise; with paired words, pairs of columns.
        down: words from one row of the gradient to the next, in the source.
        across: words from one column of the gradient to the next, in the source.
        paired: whether a word is two bfloat16.
    """
    vectors = chunks(lanes)
    most = max(1, _GRADIENT_REGISTERS // len(vectors))
    groups = -(-len(taps) // most)
    size = -(-len(taps) // groups)
    for begin in range(0, len(taps), size):
        group = taps[begin : begin + size]
        zeros = [e.splat(0.0, count) for _ in group for _, count in vectors]
        with e.loop(0, rows, zeros) as row:
            from_row = e.at(source, e.product(row.index, down), F32)
            gradient_row = e.at(gradient, e.product(row.index, columns * lanes), F32)
            with e.loop(0, columns, row.values) as column:
                pixel = e.at(from_row, e.product(column.index, across), F32)
                at = e.at(gradient_row, e.product(column.index, lanes), F32)
                values = [load_words(e, at, start, count, paired) for start, count in vectors]
                sums = list(column.values)
                for index, (offset, _) in enumerate(group):
                    word = e.load(e.at(pixel, offset, F32), I32 if paired else F32)
                    for chunk, (_, count) in enumerate(vectors):
                        place = index * len(vectors) + chunk
                        sums[place] = multiply(e, e.splat(word, count), values[chunk], sums[place], paired)
                column.next = sums
            row.next = column.results
        for index, (_, row_of_target) in enumerate(group):
            for chunk, (start, count) in enumerate(vectors):
                offset = row_of_target * lanes + start
                before = e.load_numbers(target, offset, count, "float32")
                after = e.builder.fadd(before, row.results[index * len(vectors) + chunk])
                e.store_numbers(after, target, offset, "float32")


def load_words(e: Emitter, pointer: Any, offset: Any, lanes: int, paired: bool) -> Any:
    """Return a vector of words."""
    return e.load(e.at(pointer, offset, F32), ir.VectorType(I32 if paired else F32, lanes))


def multiply(e: Emitter, left: Any, right: Any, addend: Any, paired: bool) -> Any:
    """Return the addend and the products of words, lane by lane."""
    return e.multiply_pairs(left, right, addend) if paired else e.fma(left, right, addend)


def _tiled(e: Emitter, length: int, size: int, write: Callable[[Any, int], None]) -> None:
    """Write full tiles as a loop, where there are several, and what is left."""
    full, rest = divmod(length, size)
    if full == 1:
        write(0, size)
    elif full:
        with e.loop(0, full * size, step=size) as loop:
            write(loop.index, size)
    if rest:
        write(full * size, rest)


def _table(e: Emitter, values: Sequence[int]) -> Any:
    """Return the address of a constant table."""
    name = "table." + ".".join(map(str, values))
    table = e.module.globals.get(name)
    if table is None:
        kind = ir.ArrayType(I64, len(values))
        table = ir.GlobalVariable(e.module, kind, name)
        table.initializer = ir.Constant(kind, list(values))
        table.global_constant = True
        table.linkage = "internal"
    return table
