"""What follows a convolution, in one pass over its output each way: normalisation, ReLU, dropout and pooling.

The forward pass keeps one bit for every number: whether its gradient flows back, which says at once what ReLU, dropout
and max pooling let through. Nothing but the convolution's output and these bits is needed on the way back.

Dropout compares 16 random bits with a threshold. They come from an integer hash of the number's place and a key, so no
generator has a state, and any thread can draw any number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from stepladder.engine.emit import I32, Emitter, chunks
from stepladder.engine.plan import Block

_UNROLLED = 4
"""Windows of at most so many numbers are written out."""

Values = list[Any]


@dataclass(frozen=True)
class Draws:
    """Where dropout's random bits come from: the key of this step, the threshold of 65,536 and the image."""

    key: Any
    threshold: Any
    image: Any


class Chain:
    """What follows one block's convolution, for one image.

    Args:
        e: where to write.
        block: which.
        outputs: address of the image's convolution output, (rows, columns, lanes) numbers.
        bits: address of its bits, 16 a vector.
        precision: of the stored numbers.
    """

    def __init__(self, e: Emitter, block: Block, outputs: Any, bits: Any, precision: str) -> None:
        self.e, self.block, self.precision = e, block, precision
        self.outputs, self.bits = outputs, bits
        self.vectors = chunks(block.lanes_out)
        self.area = block.window[0] * block.window[1]

    def forward(self, scale: Any, shift: Any, draws: Draws, write: Callable[[Any, Any, int, Any], None]) -> None:
        """Write the pass forward; ``write`` takes row, column, first channel and vector of every number that goes out.

        Args:
            scale: address of what each channel is multiplied by, with dropout's compensation.
            shift: address of what is added then.
            draws: of dropout.
            write: where results go.
        """
        e = self.e
        scales, shifts = self._coefficients(scale), self._coefficients(shift)

        def visit(place: tuple[Any, Any], none: Values) -> Values:
            for chunk, (start, lanes) in enumerate(self.vectors):
                if self.block.pooling == "max":
                    result = self._forward_max(place, chunk, scales[chunk], shifts[chunk], draws)
                else:
                    sums = [e.splat(0.0, lanes)]

                    def add(row: Any, column: Any, sums: Values, chunk: int = chunk) -> Values:
                        live, value = self._activate(row, column, chunk, scales[chunk], shifts[chunk], draws)
                        e.store_mask(live, self.bits, self._bit_offset(row, column, chunk))
                        return [e.builder.fadd(sums[0], value)]

                    sums = self._elements(place, sums, add)
                    result = e.builder.fmul(sums[0], e.splat(1 / self.area, lanes))
                write(place[0], place[1], start, result)
            return none

        self._windows([], visit)

    def recompute(self, scale: Any, shift: Any, write: Callable[[Any, Any, int, Any], None]) -> None:
        """Write: what went out, once more, from the kept bits."""
        e = self.e
        scales, shifts = self._coefficients(scale), self._coefficients(shift)

        def visit(place: tuple[Any, Any], none: Values) -> Values:
            for chunk, (start, lanes) in enumerate(self.vectors):

                def add(row: Any, column: Any, sums: Values, chunk: int = chunk, lanes: int = lanes) -> Values:
                    value = e.fma(self._output(row, column, chunk), scales[chunk], shifts[chunk])
                    value = e.builder.select(self._live(row, column, chunk), value, e.splat(0.0, lanes))
                    return [e.builder.fadd(sums[0], value) if sums else value]

                sums = self._elements(place, [] if self.area == 1 else [e.splat(0.0, lanes)], add)
                result = sums[0]
                if self.block.pooling == "average":
                    result = e.builder.fmul(result, e.splat(1 / self.area, lanes))
                write(place[0], place[1], start, result)
            return none

        self._windows([], visit)

    def sums(self, gradient: Callable[[Any, Any, int, int], Any]) -> list[tuple[Any, Any]]:
        """Write the sums that normalisation's gradient needs; return, for each chunk, those of g and of g·y.

        Args:
            gradient: gives the gradient of what went out, from row, column, first channel and lanes.
        """
        e = self.e

        def visit(place: tuple[Any, Any], totals: Values) -> Values:
            for chunk, (start, lanes) in enumerate(self.vectors):
                incoming = self._shared(gradient(place[0], place[1], start, lanes), lanes)

                def add(
                    row: Any,
                    column: Any,
                    sums: Values,
                    chunk: int = chunk,
                    incoming: Any = incoming,
                    lanes: int = lanes,
                ) -> Values:
                    value = e.builder.select(self._live(row, column, chunk), incoming, e.splat(0.0, lanes))
                    product = e.fma(value, self._output(row, column, chunk), sums[1])
                    return [e.builder.fadd(sums[0], value), product]

                totals[2 * chunk : 2 * chunk + 2] = self._elements(place, totals[2 * chunk : 2 * chunk + 2], add)
            return totals

        zeros = [e.splat(0.0, lanes) for _, lanes in self.vectors for _ in range(2)]
        found = self._windows(zeros, visit)
        return [(found[2 * chunk], found[2 * chunk + 1]) for chunk in range(len(self.vectors))]

    def backward(
        self,
        by_gradient: Any,
        by_output: Any,
        constant: Any,
        gradient: Callable[[Any, Any, int, int], Any],
        write: Callable[[Any, Any, int, Any], None],
    ) -> None:
        """Write the pass back: the gradient of the convolution's output.

        Args:
            by_gradient: address of the factors of the gradient that flows, one a channel.
            by_output: of the factors of the convolution's output; without normalisation it is not read.
            constant: of what is added; likewise.
            gradient: gives the gradient of what went out, from row, column, first channel and lanes.
            write: takes row, column, first channel and vector of every gradient.
        """
        e = self.e
        factors, by_outputs = self._coefficients(by_gradient), self._coefficients(by_output)
        constants = self._coefficients(constant)

        def change(row: Any, column: Any, chunk: int) -> Any:
            return e.fma(self._output(row, column, chunk), by_outputs[chunk], constants[chunk])

        def visit(place: tuple[Any, Any], none: Values) -> Values:
            for chunk, (start, lanes) in enumerate(self.vectors):
                incoming = self._shared(gradient(place[0], place[1], start, lanes), lanes)
                incoming = e.builder.fmul(incoming, factors[chunk])

                def give(
                    row: Any,
                    column: Any,
                    none: Values,
                    chunk: int = chunk,
                    incoming: Any = incoming,
                    start: int = start,
                    lanes: int = lanes,
                ) -> Values:
                    value = e.builder.select(self._live(row, column, chunk), incoming, e.splat(0.0, lanes))
                    if self.block.has_norm:
                        value = e.builder.fadd(value, change(row, column, chunk))
                    write(row, column, start, value)
                    return none

                self._elements(place, [], give)
            return none

        self._windows([], visit)
        for rows, columns in self._left_over():
            with e.loop(*rows) as row, e.loop(*columns) as column:
                for chunk, (start, lanes) in enumerate(self.vectors):
                    value = change(row.index, column.index, chunk) if self.block.has_norm else e.splat(0.0, lanes)
                    write(row.index, column.index, start, value)

    def _forward_max(self, place: tuple[Any, Any], chunk: int, scale: Any, shift: Any, draws: Draws) -> Any:
        """Write one window and return its maximum; of equal ones the first gets the gradient, as torch has it."""
        e = self.e
        lives: Values = []
        values: Values = []
        spots: list[tuple[Any, Any]] = []
        for down in range(self.block.window[0]):
            for across in range(self.block.window[1]):
                row = e.sum(e.product(place[0], self.block.window[0]), down)
                column = e.sum(e.product(place[1], self.block.window[1]), across)
                live, value = self._activate(row, column, chunk, scale, shift, draws)
                lives.append(live)
                values.append(value)
                spots.append((row, column))
        largest = values[0]
        for value in values[1:]:
            largest = e.maximum(largest, value)
        open_ = None
        for (row, column), live, value in zip(spots, lives, values, strict=True):
            if self.area > 1:
                is_largest = e.builder.fcmp_ordered("==", value, largest)
                live = e.builder.and_(live, is_largest if open_ is None else e.builder.and_(is_largest, open_))
                missed = e.builder.not_(is_largest)
                open_ = missed if open_ is None else e.builder.and_(open_, missed)
            e.store_mask(live, self.bits, self._bit_offset(row, column, chunk))
        return largest

    def _activate(self, row: Any, column: Any, chunk: int, scale: Any, shift: Any, draws: Draws) -> tuple[Any, Any]:
        """Return which numbers live, and their values, of one pixel's chunk."""
        e = self.e
        lanes = self.vectors[chunk][1]
        value = e.fma(self._output(row, column, chunk), scale, shift)
        zero = e.splat(0.0, lanes)
        live = e.builder.fcmp_ordered(">", value, zero) if self.block.has_relu else None
        if self.block.has_dropout:
            kept = self._kept(row, column, chunk, draws)
            live = kept if live is None else e.builder.and_(live, kept)
        if live is None:
            return ir.Constant(ir.VectorType(ir.IntType(1), lanes), [1] * lanes), value
        return live, e.builder.select(live, value, zero)

    def _kept(self, row: Any, column: Any, chunk: int, draws: Draws) -> Any:
        """Return which numbers dropout keeps."""
        e = self.e
        lanes = self.vectors[chunk][1]
        pixels = self.block.out[0] * self.block.out[1]
        pixel = e.sum(e.product(draws.image, pixels), e.product(row, self.block.out[1]), column)
        vector = e.sum(e.product(pixel, len(self.vectors)), chunk)
        first = e.builder.trunc(e.product(vector, 16), I32)
        numbers = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
        place = e.builder.add(e.splat(first, lanes), numbers)
        bits = mixed(e, e.builder.xor(place, e.splat(draws.key, lanes)))
        low = e.builder.lshr(bits, e.splat(16, lanes))
        return e.builder.icmp_unsigned(">=", low, e.splat(draws.threshold, lanes))

    def _shared(self, incoming: Any, lanes: int) -> Any:
        """Return what of a gradient each number of its window gets."""
        if self.block.pooling == "max":
            return incoming
        return self.e.builder.fmul(incoming, self.e.splat(1 / self.area, lanes))

    def _windows(self, carried: Values, visit: Callable[[tuple[Any, Any], Values], Values]) -> Values:
        """Visit every place that goes out, row by row."""
        e = self.e
        with e.loop(0, self.block.pooled[0], carried) as row:
            with e.loop(0, self.block.pooled[1], row.values) as column:
                column.next = visit((row.index, column.index), column.values)
            row.next = column.results
        return row.results

    def _elements(self, place: tuple[Any, Any], carried: Values, visit: Callable[[Any, Any, Values], Values]) -> Values:
        """Visit every number of a place's window."""
        e, (rows, columns) = self.e, self.block.window
        top, left = e.product(place[0], rows), e.product(place[1], columns)
        if self.area <= _UNROLLED:
            for down in range(rows):
                for across in range(columns):
                    carried = visit(e.sum(top, down), e.sum(left, across), carried)
            return carried
        with e.loop(0, rows, carried) as row:
            with e.loop(0, columns, row.values) as column:
                column.next = visit(e.sum(top, row.index), e.sum(left, column.index), column.values)
            row.next = column.results
        return row.results

    def _left_over(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return the rows and columns that no window covers."""
        (rows, columns), window, pooled = self.block.out, self.block.window, self.block.pooled
        bottom, right = pooled[0] * window[0], pooled[1] * window[1]
        found = []
        if bottom < rows:
            found.append(((bottom, rows), (0, columns)))
        if right < columns:
            found.append(((0, bottom), (right, columns)))
        return found

    def _coefficients(self, pointer: Any) -> Values:
        return [self.e.load_numbers(pointer, start, lanes, "float32") for start, lanes in self.vectors]

    def _output(self, row: Any, column: Any, chunk: int) -> Any:
        start, lanes = self.vectors[chunk]
        pixel = self.e.sum(self.e.product(row, self.block.out[1]), column)
        offset = self.e.sum(self.e.product(pixel, self.block.lanes_out), start)
        return self.e.load_numbers(self.outputs, offset, lanes, self.precision)

    def _bit_offset(self, row: Any, column: Any, chunk: int) -> Any:
        pixel = self.e.sum(self.e.product(row, self.block.out[1]), column)
        return self.e.sum(self.e.product(pixel, len(self.vectors)), chunk)

    def _live(self, row: Any, column: Any, chunk: int) -> Any:
        return self.e.load_mask(self.bits, self._bit_offset(row, column, chunk), self.vectors[chunk][1])


def mixed(e: Emitter, bits: Any) -> Any:
    """Return bits that look random, other ones for every argument.

    The integer hash "lowbias32" (Wellons, Hash Prospector, 2018).
    """
    lanes = bits.type.count
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = e.builder.xor(bits, e.builder.lshr(bits, e.splat(shift, lanes)))
        bits = e.builder.mul(bits, e.splat(factor, lanes))
    return e.builder.xor(bits, e.builder.lshr(bits, e.splat(16, lanes)))
