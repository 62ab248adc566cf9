"""Images looked up through affine maps, bilinearly, and normalised; what lies outside is background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from stepladder.engine.emit import BYTE, F32, I32, Emitter
from stepladder.engine.layout import Layout

_LANES = 16


def write_warp(
    e: Emitter, layout: Layout, *, picture: Any, place: Any, normalisation: Any, scratch: Any, target: Any
) -> None:
    """Write the lookup of one image.

    Args:
        e: where.
        layout: of everything.
        picture: address of its bytes, (channels, rows, columns).
        place: address of its map, float32 (2, 3), from output to input positions in [-1, 1], as torch's affine_grid
            takes them.
        normalisation: address of what each channel's bytes are multiplied by, then of what is added; float32.
        scratch: address of the thread's scratch.
        target: address of the normalised image, float32 (rows, columns, channels) with the padding around it.
    """
    first = layout.blocks[0]
    (rows, columns), channels = first.size, first.inputs
    pixels = rows * columns
    room = 4 * (pixels + _LANES)
    offsets, across, down, upper, lower = (e.at(scratch, layout.warped + index * room) for index in range(5))
    _write_positions(e, layout, place, offsets, across, down)
    pitch = layout.source_pitch
    for channel in range(channels):
        source = e.at(scratch, layout.source + channel * layout.source_rows * pitch)
        with e.loop(0, rows) as row:
            line = e.load(e.at(picture, e.sum(e.product(row.index, columns), channel * pixels)), _bytes(columns))
            e.store(line, e.at(source, e.sum(e.product(row.index, pitch), pitch + 1)))
        with e.loop(0, pixels) as pixel:
            offset = e.builder.sext(e.load(e.at(offsets, pixel.index, I32), I32), ir.IntType(64))
            # Four bytes at once: the pixel, its neighbour to the right, and two that are not used.
            for words, more in ((upper, 0), (lower, pitch)):
                word = e.load(e.at(source, e.sum(offset, more)), I32, align=1)
                e.store(word, e.at(words, pixel.index, I32))
        factor, addend = (
            e.splat(e.load(e.at(normalisation, channel + start, F32), F32), _LANES) for start in (0, channels)
        )
        is_plain = channels == 1 and first.padding == (0, 0) and pixels % _LANES == 0
        with e.loop(0, pixels, step=_LANES) as vector:
            right = e.load_numbers(across, vector.index, _LANES, "float32")
            above, below = (_blend(e, e.at(words, vector.index, I32), right) for words in (upper, lower))
            bottom = e.load_numbers(down, vector.index, _LANES, "float32")
            value = e.fma(bottom, e.builder.fsub(below, above), above)
            e.store_numbers(e.fma(value, factor, addend), target if is_plain else upper, vector.index, "float32")
        if not is_plain:
            with e.loop(0, rows) as row, e.loop(0, columns) as column:
                value = e.load(e.at(upper, e.sum(e.product(row.index, columns), column.index), F32), F32)
                spot = e.sum(
                    e.product(row.index, first.padded[1]),
                    column.index,
                    first.padding[0] * first.padded[1] + first.padding[1],
                )
                e.store(value, e.at(target, e.sum(e.product(spot, channels), channel), F32))


def _write_positions(e: Emitter, layout: Layout, place: Any, offsets: Any, across: Any, down: Any) -> None:
    """Write where each pixel looks: the byte of its upper left neighbour, and the shares of the others."""
    (rows, columns) = layout.blocks[0].size
    b, pixels = e.builder, rows * columns
    horizontal = _table(e, "columns", [(2 * (at % columns) + 1) / columns - 1 for at in range(pixels)])
    vertical = _table(e, "rows", [(2 * (at // columns) + 1) / rows - 1 for at in range(pixels)])

    def line(start: int, length: int) -> list[Any]:
        """Return the map's row as what turns positions into pixels along one axis."""
        values = [e.load(e.at(place, start + index, F32), F32) for index in range(3)]
        half = ir.Constant(F32, length / 2)
        values[2] = b.fadd(values[2], ir.Constant(F32, 1.0))
        factors = [b.fmul(value, half) for value in values]
        factors[2] = b.fsub(factors[2], ir.Constant(F32, 0.5))
        return [e.splat(factor, _LANES) for factor in factors]

    to_column, to_row = line(0, columns), line(3, rows)
    with e.loop(0, pixels, step=_LANES) as vector:
        u, v = (e.load_numbers(table, vector.index, _LANES, "float32") for table in (horizontal, vertical))
        wholes = []
        for factors, length, shares in ((to_column, columns, across), (to_row, rows, down)):
            position = e.fma(u, factors[0], e.fma(v, factors[1], factors[2]))
            # One pixel outside everything is background already.
            position = e.maximum(position, e.splat(-1.0, _LANES))
            most = e.splat(float(length), _LANES)
            position = b.select(b.fcmp_ordered("<", position, most), position, most)
            floor = e.intrinsic(f"llvm.floor.v{_LANES}f32", position.type, position)
            e.store_numbers(b.fsub(position, floor), shares, vector.index, "float32")
            wholes.append(b.add(b.fptosi(floor, ir.VectorType(I32, _LANES)), e.splat(1, _LANES)))
        offset = b.add(b.mul(wholes[1], e.splat(layout.source_pitch, _LANES)), wholes[0])
        e.store(offset, e.at(offsets, vector.index, I32))


def _blend(e: Emitter, words: Any, right: Any) -> Any:
    """Return the lowest two bytes of each word, blended."""
    b = e.builder
    kind = ir.VectorType(I32, _LANES)
    loaded = e.load(words, kind)
    floats = ir.VectorType(F32, _LANES)
    first = b.sitofp(b.and_(loaded, e.splat(255, _LANES)), floats)
    second = b.sitofp(b.and_(b.lshr(loaded, e.splat(8, _LANES)), e.splat(255, _LANES)), floats)
    return e.fma(right, b.fsub(second, first), first)


def _bytes(count: int) -> Any:
    return ir.VectorType(BYTE, count)


def _table(e: Emitter, name: str, values: Sequence[float]) -> Any:
    """Return the address of constants, filled up to whole vectors."""
    filled = [*values, *[0.0] * (-len(values) % _LANES)]
    kind = ir.ArrayType(F32, len(filled))
    table = ir.GlobalVariable(e.module, kind, f"positions.{name}")
    table.initializer = ir.Constant(kind, filled)
    table.global_constant = True
    table.linkage = "internal"
    return table
