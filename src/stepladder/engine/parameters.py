"""Between the module's parameters and the kernels': packing weights, folding statistics, adding up gradients."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from stepladder.engine.emit import F32, F64, I16, Emitter, chunks
from stepladder.engine.layout import PARTS, BlockLayout

Strides = tuple[int, int, int, int]
"""Of a weight tensor in memory: outputs, inputs, rows, columns."""


def write_packing(e: Emitter, layout: BlockLayout, strides: Strides, weight: Any, bias: Any, arena: Any) -> None:
    """Write: put the weights into the orders that the convolutions forward and back read."""
    block = layout.block
    forward, back = e.at(arena, layout.weights), e.at(arena, layout.weights_back)
    rows, columns = block.kernel
    with e.loop(0, rows) as row, e.loop(0, columns) as column:
        tap = e.sum(e.product(row.index, columns), column.index)
        mirrored = e.builder.sub(e.number(layout.taps - 1), tap)
        spot = e.sum(e.product(row.index, strides[2]), e.product(column.index, strides[3]))
        with e.loop(0, block.inputs) as come, e.loop(0, block.outputs) as go:
            offset = e.sum(spot, e.product(go.index, strides[0]), e.product(come.index, strides[1]))
            value = e.load(e.at(weight, offset, F32), F32)
            _pack(e, forward, value, tap, come.index, go.index, layout.words_in, block.lanes_out, layout.is_paired)
            if block.index > 0:
                _pack(
                    e, back, value, mirrored, go.index, come.index, layout.words_out, block.lanes_in, layout.is_paired
                )
    if block.has_bias:
        with e.loop(0, block.outputs) as go:
            value = e.load(e.at(bias, go.index, F32), F32)
            e.store(value, e.at(e.at(arena, layout.bias), go.index, F32))


def _pack(
    e: Emitter, target: Any, value: Any, tap: Any, inner: Any, outer: Any, words: int, lanes: int, paired: bool
) -> None:
    """Store one weight at [tap][inner][outer], or with two inner channels in a word."""
    if not paired:
        offset = e.sum(e.product(e.sum(e.product(tap, words), inner), lanes), outer)
        e.store(value, e.at(target, offset, F32))
        return
    word = e.builder.lshr(inner, e.number(1))
    half = e.builder.and_(inner, e.number(1))
    offset = e.sum(e.product(e.sum(e.product(tap, words), word), lanes), outer)
    bits = e.halves(e.splat(value, 4))
    first = e.builder.extract_element(bits, ir.Constant(ir.IntType(32), 0))
    e.store(first, e.at(target, e.sum(e.product(offset, 2), half), I16))


def write_statistics(
    e: Emitter,
    layout: BlockLayout,
    *,
    arena: Any,
    scratch: Any,
    outer: Any,
    keep: Any,
    count: Any,
    is_training: Any,
    is_first: Any,
    epsilon: float,
    momentum: float,
) -> None:
    """Write: fold normalisation and dropout's compensation into a factor and an addend a channel.

    Args:
        e: where.
        layout: of the block.
        arena: address of the arena.
        scratch: address of the thread's scratch.
        outer: gives the address of one of the block's outer arrays.
        keep: what dropout multiplies by, float32.
        count: numbers of a channel in the batch, 64 bits.
        is_training: whether the batch's statistics are taken, one bit; otherwise the running ones are.
        is_first: whether this thread moves the running statistics, one bit.
        epsilon: of the normalisation.
        momentum: likewise.
    """
    block, b = layout.block, e.builder
    scale, shift = e.at(scratch, layout.scale), e.at(scratch, layout.shift)
    if not block.has_norm:
        with e.loop(0, block.outputs) as channel:
            e.store(keep, e.at(scale, channel.index, F32))
        return
    gamma, beta = outer("gamma"), outer("beta")
    means, variances = outer("mean"), outer("variance")
    number = b.sitofp(count, F64)
    with e.loop(0, block.outputs) as channel:
        old_mean = e.load(e.at(means, channel.index, F32), F32)
        old_variance = e.load(e.at(variances, channel.index, F32), F32)
        total, square = _totals(e, e.at(arena, layout.totals), block.lanes_out, channel.index)
        batch_mean = b.fdiv(total, number)
        raw = b.fsub(b.fdiv(square, number), b.fmul(batch_mean, batch_mean))
        # Rounding may leave a variance of nothing a little below it.
        batch_variance = b.select(b.fcmp_ordered(">", raw, _double(0.0)), raw, _double(0.0))
        mean = b.select(is_training, batch_mean, b.fpext(old_mean, F64))
        variance = b.select(is_training, batch_variance, b.fpext(old_variance, F64))
        inverse = b.fdiv(_double(1.0), e.square_root(b.fadd(variance, _double(epsilon))))
        e.store(mean, e.at(e.at(scratch, layout.mean), channel.index, F64))
        e.store(inverse, e.at(e.at(scratch, layout.inverse), channel.index, F64))
        factor = b.fmul(b.fpext(e.load(e.at(gamma, channel.index, F32), F32), F64), inverse)
        addend = b.fsub(b.fpext(e.load(e.at(beta, channel.index, F32), F32), F64), b.fmul(mean, factor))
        wide = b.fpext(keep, F64)
        e.store(b.fptrunc(b.fmul(factor, wide), F32), e.at(scale, channel.index, F32))
        e.store(b.fptrunc(b.fmul(addend, wide), F32), e.at(shift, channel.index, F32))
        with e.when(b.and_(is_training, is_first)):
            unbiased = b.fdiv(b.fmul(batch_variance, number), b.fsub(number, _double(1.0)))
            for pointer, old, new in ((means, old_mean, batch_mean), (variances, old_variance, unbiased)):
                before = b.fpext(old, F64)
                moved = b.fadd(before, b.fmul(_double(momentum), b.fsub(new, before)))
                e.store(b.fptrunc(moved, F32), e.at(pointer, channel.index, F32))


def write_back_statistics(
    e: Emitter, layout: BlockLayout, *, arena: Any, scratch: Any, outer: Any, keep: Any, count: Any, is_first: Any
) -> None:
    """Write: from the batch's sums, what takes a gradient back through the normalisation, and gamma's and beta's own.

    With g what flows back and x̂ the normalised x, dx = γ/σ (g - mean(g) - x̂ mean(g x̂)) (Ioffe and Szegedy, Batch
    normalization, 2015, section 3), which is a factor of g, a factor of x and an addend for each channel.
    """
    block, b = layout.block, e.builder
    by_gradient = e.at(scratch, layout.by_gradient)
    if not block.has_norm:
        with e.loop(0, block.outputs) as channel:
            e.store(keep, e.at(by_gradient, channel.index, F32))
        return
    wide, number = b.fpext(keep, F64), b.sitofp(count, F64)
    with e.loop(0, block.outputs) as channel:
        at = channel.index
        total, product = _totals(e, e.at(arena, layout.totals_back), block.lanes_out, at)
        total, product = b.fmul(total, wide), b.fmul(product, wide)
        mean = e.load(e.at(e.at(scratch, layout.mean), at, F64), F64)
        inverse = e.load(e.at(e.at(scratch, layout.inverse), at, F64), F64)
        correlation = b.fmul(b.fsub(product, b.fmul(mean, total)), inverse)
        gamma = b.fpext(e.load(e.at(outer("gamma"), at, F32), F32), F64)
        factor = b.fmul(gamma, inverse)
        from_output = b.fdiv(b.fmul(b.fmul(factor, correlation), inverse), b.fneg(number))
        constant = b.fsub(b.fdiv(b.fmul(factor, total), b.fneg(number)), b.fmul(from_output, mean))
        for place, value in (
            (layout.by_gradient, b.fmul(factor, wide)),
            (layout.by_output, from_output),
            (layout.constant, constant),
        ):
            e.store(b.fptrunc(value, F32), e.at(e.at(scratch, place), at, F32))
        with e.when(is_first):
            e.store(b.fptrunc(correlation, F32), e.at(outer("d_gamma"), at, F32))
            e.store(b.fptrunc(total, F32), e.at(outer("d_beta"), at, F32))


def write_reduction(e: Emitter, layout: BlockLayout, strides: Strides, d_weight: Any, d_bias: Any, arena: Any) -> None:
    """Write: add up the parts' weight gradients and put them where the module's lie."""
    block = layout.block
    lanes, lanes_in, columns = block.lanes_out, block.lanes_in, block.kernel[1]
    parts = e.at(arena, layout.d_weights)
    size = layout.taps * lanes_in * lanes
    with e.loop(0, block.kernel[0]) as row, e.loop(0, columns) as column, e.loop(0, block.inputs) as come:
        tap = e.sum(e.product(row.index, columns), column.index)
        start = e.product(e.sum(e.product(tap, lanes_in), come.index), lanes)
        spot = e.sum(
            e.product(row.index, strides[2]), e.product(column.index, strides[3]), e.product(come.index, strides[1])
        )
        _scatter(e, parts, start, size, d_weight, spot, strides[0], block.outputs, lanes)
    if block.has_bias:
        _scatter(e, e.at(arena, layout.d_bias), e.number(0), lanes, d_bias, e.number(0), 1, block.outputs, lanes)


def _scatter(
    e: Emitter, parts: Any, start: Any, size: int, target: Any, spot: Any, stride: int, outputs: int, lanes: int
) -> None:
    for first, count in chunks(lanes):
        total = e.load_numbers(parts, e.sum(start, first), count, "float32")
        for part in range(1, PARTS):
            total = e.builder.fadd(total, e.load_numbers(parts, e.sum(start, first + part * size), count, "float32"))
        for lane in range(min(count, outputs - first)):
            value = e.builder.extract_element(total, ir.Constant(ir.IntType(32), lane))
            e.store(value, e.at(target, e.sum(spot, (first + lane) * stride), F32))


def _totals(e: Emitter, pointer: Any, lanes: int, channel: Any) -> tuple[Any, Any]:
    """Return a channel's two sums over all parts."""
    first, second = _double(0.0), _double(0.0)
    for part in range(PARTS):
        first = e.builder.fadd(first, e.load(e.at(pointer, e.sum(channel, 2 * part * lanes), F64), F64))
        second = e.builder.fadd(second, e.load(e.at(pointer, e.sum(channel, (2 * part + 1) * lanes), F64), F64))
    return first, second


def _double(value: float) -> Any:
    return ir.Constant(F64, value)
