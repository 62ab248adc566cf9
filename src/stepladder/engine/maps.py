"""Loops over whole maps and arrays that the phases share."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from stepladder.engine.emit import BYTE, F32, F64, I64, POINTER, Emitter, chunks
from stepladder.engine.layout import BlockLayout


def padded_offset(e: Emitter, here: BlockLayout, row: Any, column: Any, start: int) -> Any:
    """Return where a number of a block's input lies, in the map with its padding."""
    block = here.block
    pixel = e.sum(e.product(row, block.padded[1]), column, block.padding[0] * block.padded[1] + block.padding[1])
    return e.sum(e.product(pixel, block.lanes_in), start)


def pair_columns(
    e: Emitter, source: Any, target: Any, size: tuple[int, int], lanes: int, *, step: int, distance: int
) -> None:
    """Write words of two bfloat16: each column, ``step`` by step, with the one so far to its right, or 0."""
    rows, columns = size
    width = -(-columns // step)
    whole = max(0, -(-(columns - distance) // step))
    with e.loop(0, rows) as row:

        def pair(column: Any, has_right: bool) -> None:
            from_ = e.product(e.sum(e.product(row.index, columns), e.product(column, step)), lanes)
            to = e.product(e.sum(e.product(row.index, width), column), lanes)
            for start, count in chunks(lanes):
                low = e.load_numbers(source, e.sum(from_, start), count, "float32")
                right = e.sum(from_, start + distance * lanes)
                high = e.load_numbers(source, right, count, "float32") if has_right else None
                e.store(e.pairs(low, high), e.at(target, e.sum(to, start), F32))

        with e.loop(0, whole) as column:
            pair(column.index, True)
        for last in range(whole, width):
            pair(last, False)


def add_pixels(e: Emitter, source: Any, target: Any, pixels: int, lanes: int) -> None:
    """Write: add every pixel of a float32 map to the target."""
    vectors = chunks(lanes)
    before = [e.load_numbers(target, start, count, "float32") for start, count in vectors]
    with e.loop(0, pixels, before) as pixel:
        offset = e.product(pixel.index, lanes)
        pixel.next = [
            e.builder.fadd(total, e.load_numbers(source, e.sum(offset, start), count, "float32"))
            for total, (start, count) in zip(pixel.values, vectors, strict=True)
        ]
    for total, (start, _) in zip(pixel.results, vectors, strict=True):
        e.store_numbers(total, target, start, "float32")


def add_totals(e: Emitter, totals: Any, lanes: int, found: list[tuple[Any, Any]]) -> None:
    """Write: add an image's two sums, a pair of vectors a chunk, to the part's float64."""
    for (start, count), pair in zip(chunks(lanes), found, strict=True):
        for which, values in enumerate(pair):
            kind = ir.VectorType(F64, count)
            place = e.at(totals, which * lanes + start, F64)
            e.store(e.builder.fadd(e.load(place, kind), e.builder.fpext(values, kind)), place)


def clear(e: Emitter, pointer: Any, count: int, kind: Any) -> None:
    """Write: set so many float32 or float64 to 0."""
    zero = ir.Constant(BYTE, 0)
    size = count * (8 if kind is F64 else 4)
    name = "llvm.memset.p0.i64"
    function = e.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(ir.VoidType(), [POINTER, BYTE, I64, ir.IntType(1)])
        function = ir.Function(e.module, signature, name)
    e.builder.call(function, [pointer, zero, e.number(size), ir.Constant(ir.IntType(1), 0)])
