"""Convolutions, pooling, resizing and unfolding: what looks at several places of a map."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, gcd
from typing import Any

import torch
from torch import Tensor

from stepladder.inspection.placed import Placed, together
from stepladder.inspection.rules.registry import RULES, Call, Rule, operations, rule
from stepladder.inspection.terms import Atom
from stepladder.layers import Window

aten = torch.ops.aten


def each(values: Any, axes: int) -> list[int]:
    """Return one value for each axis, where torch takes a single one for all."""
    found: list[int] = [values] if isinstance(values, int) else list(values)
    return found * axes if len(found) == 1 else found


def _windows(
    placed: Placed,
    given: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Placed:
    axes = len(kernel)
    for axis in range(axes):
        dimension = len(placed.dims) - axes + axis
        taps = range(-padding[axis], dilation[axis] * (kernel[axis] - 1) + 1 - padding[axis], dilation[axis])
        placed = placed.resampled(dimension, Atom(given.shape[dimension]), [taps], stride[axis])
    return placed


def channels_mixed(placed: Placed, dimension: int, size: int) -> Placed:
    """Return the tensor after every output channel took all input channels."""
    placed = placed.mixed([dimension])
    return placed.replaced(dimension, Atom(size))


@rule(aten.convolution, aten._convolution)
def _convolution(call: Call) -> Sequence[Placed]:
    source, weight, _, stride, padding, dilation, transposed = call.args[:7]
    axes = weight.dim() - 2
    placed = call.lookup(source)
    channel = source.dim() - axes - 1
    kernel = weight.shape[2:]
    stride, padding, dilation = each(stride, axes), each(padding, axes), each(dilation, axes)
    if not transposed:
        placed = _windows(placed, call.given[0], kernel, stride, padding, dilation)
    else:
        for axis in range(axes):
            taps = _transposed_taps(kernel[axis], stride[axis], padding[axis], dilation[axis])
            dimension = channel + 1 + axis
            placed = placed.resampled(dimension, Atom(call.given[0].shape[dimension]), taps, 1)
    found = channels_mixed(placed, channel, call.given[0].shape[channel])
    weights = call.lookup(weight)
    if weights.sights:
        # Weights that are made from the input bring what they see to every value.
        mixed = weights.mixed(range(weight.dim()))
        found = together([found, Placed(((),) * len(found.dims), mixed.sights)])
    return [found]


def _transposed_taps(kernel: int, stride: int, padding: int, dilation: int) -> list[list[int]]:
    """Return for each of the first ``stride`` outputs which inputs reach it: i with i·s - p + d·t = o for a tap t."""
    return [
        sorted(
            (output + padding - dilation * tap) // stride
            for tap in range(kernel)
            if (output + padding - dilation * tap) % stride == 0
        )
        for output in range(stride)
    ]


@rule(
    *operations(
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
        "max_pool1d_with_indices",
        "max_pool1d",
        "max_pool2d",
        "max_pool3d",
    )
)
def max_pool(call: Call) -> Sequence[Placed]:
    """Return what maxima over windows see."""
    window = pool_window(call.args, call.kwargs, takes_dilation=True)
    return [
        _windows(
            call.lookup(call.args[0]), call.given[0], window.kernel, window.stride, window.padding, window.dilation
        )
    ] * len(call.given)


@rule(*operations("avg_pool1d", "avg_pool2d", "avg_pool3d"))
def average_pool(call: Call) -> Sequence[Placed]:
    """Return what means over windows see."""
    window = pool_window(call.args, call.kwargs, takes_dilation=False)
    return [
        _windows(
            call.lookup(call.args[0]), call.given[0], window.kernel, window.stride, window.padding, window.dilation
        )
    ]


def pool_window(args: Sequence[Any], kwargs: dict[str, Any], *, takes_dilation: bool) -> Window:
    """Return the window of a call of one of torch's pooling operations."""
    names = ("kernel_size", "stride", "padding", "dilation")[: 4 if takes_dilation else 3]
    values = dict(zip(names, args[1:], strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
    axes = max(len(each(values["kernel_size"], 1)), args[0].dim() - 2 if args[0].dim() > 2 else 1)
    kernel = each(values["kernel_size"], axes)
    stride = each(values.get("stride") or kernel, axes)
    padding, dilation = each(values.get("padding", 0), axes), each(values.get("dilation", 1), axes)
    return Window(tuple(kernel), tuple(stride), tuple(padding), tuple(dilation))


@rule(
    *operations(
        "_adaptive_avg_pool2d",
        "_adaptive_avg_pool3d",
        "adaptive_avg_pool1d",
        "adaptive_avg_pool2d",
        "adaptive_max_pool1d",
        "adaptive_max_pool2d",
        "adaptive_max_pool3d",
    )
)
def _adaptive_pool(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    axes = len(each(call.args[1], 1))
    for dimension in range(call.args[0].dim() - axes, call.args[0].dim()):
        before, after = call.args[0].shape[dimension], call.given[0].shape[dimension]
        common = gcd(before, after)
        taps = [
            range(floor(output * before / after), ceil((output + 1) * before / after))
            for output in range(after // common)
        ]
        placed = placed.resampled(dimension, Atom(after), taps, before // common)
    return [placed] * len(call.given)


def _resize(neighbours: int, corners: bool) -> Rule:
    """Return the rule of an enlargement or reduction by interpolation.

    Args:
        neighbours: how many inputs along an axis make an output that lies between them: 1, 2 or 4.
        corners: whether the operation takes an argument that says that corners lie on corners.
    """

    def rule(call: Call) -> Sequence[Placed]:
        placed = call.lookup(call.args[0])
        aligned = bool(corners and len(call.args) > 2 and call.args[2])
        for dimension in range(2, call.args[0].dim()):
            before, after = call.args[0].shape[dimension], call.given[0].shape[dimension]
            ratio = Fraction(before, after)
            if aligned:
                ratio = Fraction(before - 1, after - 1) if after > 1 else Fraction(0)
            taps = [_neighbours(output, ratio, neighbours, aligned) for output in range(ratio.denominator)]
            placed = placed.resampled(dimension, Atom(after), taps, ratio.numerator)
        return [placed]

    return rule


def _neighbours(output: int, ratio: Fraction, count: int, aligned: bool) -> list[int]:
    if count == 1:
        return [floor(output * ratio)]
    place = output * ratio if aligned else (output + Fraction(1, 2)) * ratio - Fraction(1, 2)
    first = floor(place)
    if place == first:
        return [first]
    return list(range(first - count // 2 + 1, first + count // 2 + 1))


for _name, _count, _corners in (
    ("upsample_nearest1d", 1, False),
    ("upsample_nearest2d", 1, False),
    ("upsample_nearest3d", 1, False),
    ("_upsample_nearest_exact2d", 2, False),
    ("upsample_linear1d", 2, True),
    ("upsample_bilinear2d", 2, True),
    ("upsample_trilinear3d", 2, True),
    ("upsample_bicubic2d", 4, True),
):
    for _operation in operations(_name):
        RULES[_operation] = _resize(_count, _corners)


@rule(*operations("im2col"))
def _unfolded(call: Call) -> Sequence[Placed]:
    source, kernel, dilation, padding, stride = call.args[:5]
    placed = call.lookup(source)
    batched = source.dim() == 4
    windows: list[tuple[Atom, Atom]] = []
    for axis in (0, 1):
        dimension = source.dim() - 2 + axis
        size = (source.shape[dimension] + 2 * padding[axis] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[
            axis
        ] + 1
        placed, outer, inner = _slid(
            placed, dimension, size, kernel[axis], stride[axis], dilation[axis], -padding[axis]
        )
        windows.append((outer, inner))
    channel = placed.dims[1 if batched else 0]
    (rows, row), (columns, column) = windows
    dims = ((*channel, row, column), (rows, columns))
    return [Placed((placed.dims[0], *dims) if batched else dims, placed.sights)]


@rule(aten.unfold)
def _windows_of(call: Call) -> Sequence[Placed]:
    source, dimension, size, step = call.args[:4]
    dimension %= max(1, source.dim())
    placed, outer, inner = _slid(call.lookup(source), dimension, call.given[0].shape[dimension], size, step, 1, 0)
    dims = list(placed.dims)
    dims[dimension] = (outer,)
    return [Placed((*dims, (inner,)), placed.sights)]


def _slid(
    placed: Placed, dimension: int, count: int, size: int, stride: int, dilation: int, start: int
) -> tuple[Placed, Atom, Atom]:
    """Return a tensor along a dimension of which index i is outer × stride + inner × dilation + start."""
    outer, inner = Atom(count), Atom(size)
    # A slice from start on with as many values as a split into outer and inner needs; then each gets its own jump.
    fine = placed.sliced(dimension, start, 1, count * size * stride * dilation)
    (atom,) = fine.dims[dimension] or (Atom(1),)
    return fine.with_dims(fine.dims, lambda sight: sight.slid(atom, outer, stride, inner, dilation)), outer, inner
