"""Compiled kernels for what torch does slowly on processors: batch normalisation and what follows it, pooling, warping.

A small net's convolutions run near the speed of the machine, but the layers between them do little arithmetic on much
memory, and torch passes over that memory once for each of them. Here each pass does all that can be done on the way.
Numba compiles the kernels when they are first used and keeps them on disk.

Maps come with channels last, as rows of ``lanes`` numbers, a multiple of the channels: rows that long fill the
processor's vectors however few the channels are. Numbers are float32, or bfloat16 as its 16 bits in uint16. Sums are
taken over fixed parts, so they do not depend on the number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy
from numba import njit, prange, types
from numba.extending import overload

LEVELS = 4294967296
"""Dropout compares 32 random bits with a threshold below this."""

_ROWS = 64
"""Rows that are added up in float32 before the sum goes on in float64."""
_PARTS = 16
_ZERO = numpy.float32(0)
_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": True, "error_model": "numpy"}


def _widen(value: Any) -> Any:
    """Return a stored number as float32."""
    raise NotImplementedError


def _narrow(target: Any, value: Any) -> Any:
    """Return a float32 as the array stores it, rounded to nearest even."""
    raise NotImplementedError


# Numba compares the signatures of an overload and its implementation, annotations included: these have none.
@overload(_widen)
def _widen_overload(value):  # type: ignore[no-untyped-def]
    if isinstance(value, types.Float):
        return lambda value: value
    return lambda value: numpy.uint32(numpy.uint32(value) << numpy.uint32(16)).view(numpy.float32)


@overload(_narrow)
def _narrow_overload(target, value):  # type: ignore[no-untyped-def]
    if isinstance(target.dtype, types.Float):
        return lambda target, value: value

    def rounded(target, value):  # type: ignore[no-untyped-def]
        bits = numpy.float32(value).view(numpy.uint32)
        even = (bits >> numpy.uint32(16)) & numpy.uint32(1)
        return numpy.uint16((bits + numpy.uint32(0x7FFF) + even) >> numpy.uint32(16))

    return rounded


@njit(**_OPTIONS)
def _folded(partial: Any, channels: int) -> Any:
    """Return the sums of all parts, channel by channel."""
    folded = numpy.zeros(channels)
    for part in range(partial.shape[0]):
        for lane in range(partial.shape[1]):
            folded[lane % channels] += partial[part, lane]
    return folded


@njit(**_OPTIONS)
def _tiled(values: Any, lanes: int) -> Any:
    """Return the channels' values repeated over the lanes."""
    tiled = numpy.empty(lanes, numpy.float32)
    for lane in range(lanes):
        tiled[lane] = values[lane % len(values)]
    return tiled


@njit(**_OPTIONS)
def _mixed(bits: Any) -> Any:
    """Return 32 bits that look random, other ones for every argument.

    The integer hash "lowbias32" (Wellons, Hash Prospector, 2018). Numba widens sums and products of 32 bits to 64, so
    each is cut back.
    """
    bits = numpy.uint32(bits ^ (bits >> numpy.uint32(16)))
    bits = numpy.uint32(bits * numpy.uint32(0x7FEB352D))
    bits = numpy.uint32(bits ^ (bits >> numpy.uint32(15)))
    bits = numpy.uint32(bits * numpy.uint32(0x846CA68B))
    return numpy.uint32(bits ^ (bits >> numpy.uint32(16)))


@njit(**_OPTIONS)
def _bound(part: int, rows: int) -> int:
    return part * rows // _PARTS


@njit(parallel=True, **_OPTIONS)
def normalise(
    x: Any,
    y: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_variance: Any,
    momentum: float,
    epsilon: float,
    key: int,
    threshold: int,
    saved: Any,
) -> None:
    """Batch normalisation, ReLU and dropout of x into y; the running statistics move as torch's do.

    Args:
        x: what comes in, (rows, lanes).
        y: where it goes, likewise.
        weight: gamma of each channel, float32.
        bias: beta, likewise.
        running_mean: changed in place.
        running_variance: changed in place, with the unbiased variance.
        momentum: share of the batch in the running statistics.
        epsilon: added to the variance.
        key: 32 bits that the dropout's mask follows from.
        threshold: of the mask's 32 bits those below are dropped; 0 for no dropout.
        saved: float64 (2, channels), which gets mean and inverse deviation for ``normalise_backward``.
    """
    rows, lanes = x.shape
    channels = len(weight)
    totals = numpy.zeros((_PARTS, lanes))
    squares = numpy.zeros((_PARTS, lanes))
    for part in prange(_PARTS):
        some = numpy.empty(lanes, numpy.float32)
        some_squares = numpy.empty(lanes, numpy.float32)
        start, stop = _bound(part, rows), _bound(part + 1, rows)
        while start < stop:
            end = min(start + _ROWS, stop)
            some[:] = 0
            some_squares[:] = 0
            for row in range(start, end):
                for lane in range(lanes):
                    value = _widen(x[row, lane])
                    some[lane] += value
                    some_squares[lane] += value * value
            for lane in range(lanes):
                totals[part, lane] += some[lane]
                squares[part, lane] += some_squares[lane]
            start = end
    count = rows * lanes // channels
    mean = _folded(totals, channels) / count
    variance = _folded(squares, channels) / count - mean * mean
    keep = 1.0 - threshold / LEVELS
    factor = numpy.empty(channels)
    shift = numpy.empty(channels)
    for channel in range(channels):
        # Rounding may leave a variance of nothing a little below it.
        variance[channel] = max(variance[channel], 0.0)
        inverse = 1 / math.sqrt(variance[channel] + epsilon)
        saved[0, channel] = mean[channel]
        saved[1, channel] = inverse
        # What is kept is divided by its probability here: ReLU lets positive factors through.
        factor[channel] = weight[channel] * inverse / keep
        shift[channel] = (bias[channel] - mean[channel] * weight[channel] * inverse) / keep
        running_mean[channel] += momentum * (mean[channel] - running_mean[channel])
        unbiased = variance[channel] * count / (count - 1)
        running_variance[channel] += momentum * (unbiased - running_variance[channel])
    factors = _tiled(factor, lanes)
    shifts = _tiled(shift, lanes)
    if threshold == 0:
        for part in prange(_PARTS):
            for row in range(_bound(part, rows), _bound(part + 1, rows)):
                for lane in range(lanes):
                    value = _widen(x[row, lane]) * factors[lane] + shifts[lane]
                    y[row, lane] = _narrow(y, value if value > 0 else _ZERO)
    else:
        key_bits = numpy.uint32(key)
        dropped = numpy.uint32(threshold)
        for part in prange(_PARTS):
            for row in range(_bound(part, rows), _bound(part + 1, rows)):
                first = numpy.uint32(row * lanes)
                for lane in range(lanes):
                    value = _widen(x[row, lane]) * factors[lane] + shifts[lane]
                    bits = _mixed(numpy.uint32(first + numpy.uint32(lane)) ^ key_bits)
                    y[row, lane] = _narrow(y, value if (value > 0) & (bits >= dropped) else _ZERO)


@njit(parallel=True, **_OPTIONS)
def normalise_backward(
    x: Any, y: Any, dy: Any, dx: Any, weight: Any, saved: Any, threshold: int, weight_gradient: Any, bias_gradient: Any
) -> None:
    """Turn the gradient of y into those of x, weight and bias.

    Where y is 0 nothing flows back, be it for ReLU or for dropout, so the mask need not be drawn again. With g what
    flows back and x̂ the normalised x, dx = γ/σ (g - mean(g) - x̂ mean(g x̂)) (Ioffe and Szegedy, Batch
    normalization, 2015, section 3).
    """
    rows, lanes = x.shape
    channels = len(weight)
    totals = numpy.zeros((_PARTS, lanes))
    products = numpy.zeros((_PARTS, lanes))
    for part in prange(_PARTS):
        some = numpy.empty(lanes, numpy.float32)
        some_products = numpy.empty(lanes, numpy.float32)
        start, stop = _bound(part, rows), _bound(part + 1, rows)
        while start < stop:
            end = min(start + _ROWS, stop)
            some[:] = 0
            some_products[:] = 0
            for row in range(start, end):
                for lane in range(lanes):
                    value = _widen(dy[row, lane]) if _widen(y[row, lane]) > 0 else _ZERO
                    some[lane] += value
                    some_products[lane] += value * _widen(x[row, lane])
            for lane in range(lanes):
                totals[part, lane] += some[lane]
                products[part, lane] += some_products[lane]
            start = end
    keep = 1.0 - threshold / LEVELS
    count = rows * lanes // channels
    total = _folded(totals, channels) / keep
    product = _folded(products, channels) / keep
    from_gradient = numpy.empty(channels)
    from_input = numpy.empty(channels)
    constant = numpy.empty(channels)
    for channel in range(channels):
        mean, inverse = saved[0, channel], saved[1, channel]
        correlation = (product[channel] - mean * total[channel]) * inverse
        weight_gradient[channel] = correlation
        bias_gradient[channel] = total[channel]
        factor = weight[channel] * inverse
        from_gradient[channel] = factor / keep
        from_input[channel] = -factor * correlation * inverse / count
        constant[channel] = -factor * total[channel] / count - from_input[channel] * mean
    by_gradient = _tiled(from_gradient, lanes)
    by_input = _tiled(from_input, lanes)
    constants = _tiled(constant, lanes)
    for part in prange(_PARTS):
        for row in range(_bound(part, rows), _bound(part + 1, rows)):
            for lane in range(lanes):
                value = _widen(dy[row, lane]) if _widen(y[row, lane]) > 0 else _ZERO
                change = by_gradient[lane] * value + by_input[lane] * _widen(x[row, lane]) + constants[lane]
                dx[row, lane] = _narrow(dx, change)


@njit(parallel=True, **_OPTIONS)
def pool(x: Any, y: Any, columns: int, channels: int) -> None:
    """2×2 max pooling: x has two rows of pixels a row, y one of ``columns`` pixels."""
    width = 2 * columns * channels
    for row in prange(y.shape[0]):
        for column in range(columns):
            at = 2 * column * channels
            for channel in range(channels):
                upper = max(_widen(x[row, at + channel]), _widen(x[row, at + channels + channel]))
                below = width + at + channel
                lower = max(_widen(x[row, below]), _widen(x[row, below + channels]))
                y[row, column * channels + channel] = _narrow(y, max(upper, lower))


@njit(parallel=True, **_OPTIONS)
def pool_backward(x: Any, y: Any, dy: Any, dx: Any, columns: int, channels: int) -> None:
    """Give each gradient to the first of the four values that was the largest, as torch does."""
    width = 2 * columns * channels
    for row in prange(y.shape[0]):
        for column in range(columns):
            at = 2 * column * channels
            for channel in range(channels):
                largest = _widen(y[row, column * channels + channel])
                # What is left to give: nothing, once it has been given. Selections in place of branches fill vectors.
                left = _widen(dy[row, column * channels + channel])
                share = left if _widen(x[row, at + channel]) == largest else _ZERO
                dx[row, at + channel] = _narrow(dx, share)
                left = left - share
                share = left if _widen(x[row, at + channels + channel]) == largest else _ZERO
                dx[row, at + channels + channel] = _narrow(dx, share)
                left = left - share
                share = left if _widen(x[row, width + at + channel]) == largest else _ZERO
                dx[row, width + at + channel] = _narrow(dx, share)
                dx[row, width + at + channels + channel] = _narrow(dx, left - share)


@njit(parallel=True, **_OPTIONS)
def warp(images: Any, chosen: Any, maps: Any, means: Any, deviations: Any, out: Any) -> None:
    """Look up the chosen images through affine maps, bilinearly, and normalise them; what lies outside is 0.

    Args:
        images: uint8 (N, channels, rows, columns).
        chosen: which of them, int64 (B,).
        maps: float32 (B, 2, 3) from output to input positions in [-1, 1], as torch's affine_grid takes them.
        means: of each channel, of pixels scaled to [0, 1], float32.
        deviations: likewise.
        out: float32 (B, rows, columns, channels).
    """
    channels, rows, columns = images.shape[1:]
    scale = numpy.float32(1 / 255)
    for sample in prange(len(chosen)):
        picture = images[chosen[sample]]
        place = maps[sample]
        for row in range(rows):
            v = numpy.float32(2 * row + 1) / numpy.float32(rows) - numpy.float32(1)
            for column in range(columns):
                u = numpy.float32(2 * column + 1) / numpy.float32(columns) - numpy.float32(1)
                x = ((place[0, 0] * u + place[0, 1] * v + place[0, 2] + 1) * columns - 1) / 2
                y = ((place[1, 0] * u + place[1, 1] * v + place[1, 2] + 1) * rows - 1) / 2
                left, top = math.floor(x), math.floor(y)
                right_share, bottom_share = numpy.float32(x - left), numpy.float32(y - top)
                for channel in range(channels):
                    value = _ZERO
                    for down in range(2):
                        for across in range(2):
                            r, c = int(top) + down, int(left) + across
                            if 0 <= r < rows and 0 <= c < columns:
                                vertical = bottom_share if down else numpy.float32(1) - bottom_share
                                horizontal = right_share if across else numpy.float32(1) - right_share
                                value += vertical * horizontal * numpy.float32(picture[channel, r, c])
                    out[sample, row, column, channel] = (value * scale - means[channel]) / deviations[channel]
