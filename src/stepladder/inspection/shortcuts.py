"""Shapes of the commonest operations, worked out here.

torch's own way on tensors without values is written in Python, and its first call imports torch's compiler and a
computer algebra system, which takes longer than all the rest. Where an operation is not of the plain kind, torch is
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def shortcut(call: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return what an operation on meta tensors gives, new and without values, or None: torch is to be asked then.

    Args:
        call: the operation, such as ``torch.ops.aten.relu.default``.
        args: its arguments, with those tensors.
        kwargs: its named arguments.
    """
    made = _MADE.get(call)
    if made is None or kwargs:
        return None
    tensors = [one for one in args if isinstance(one, Tensor)]
    if made is _grouped:
        return made(*args)  # its offsets are whole numbers
    # What is laid out in another order gives results that are, but for products of matrices.
    in_order = made is _product or made is _product_added or all(tensor.is_contiguous() for tensor in tensors)
    if not in_order or not all(tensor.is_meta and tensor.dtype.is_floating_point for tensor in tensors):
        return None
    return made(*args)


def _like(tensor: Tensor, *_: Any) -> Tensor:
    return _new(tensor.shape, tensor)


def _new(shape: Sequence[int], tensor: Tensor) -> Tensor:
    # torch.empty_like and new_empty are written in Python, too.
    return torch.empty(shape, dtype=tensor.dtype, device="meta")


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor | None:
    if transposed or x.dim() != weight.dim() or x.shape[1] != weight.shape[1] * groups or x.dtype != weight.dtype:
        return None
    if weight.shape[0] % groups or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    sizes = _windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return None if sizes is None else _new((x.shape[0], weight.shape[0], *sizes), x)


def _max_pool(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor] | None:
    kernel, padding = _each(kernel), _each(padding)
    if x.dim() != 4 or ceil_mode or any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
        return None
    sizes = _windows(x.shape[2:], kernel, _each(stride or kernel), padding, _each(dilation))
    if sizes is None:
        return None
    shape = (*x.shape[:2], *sizes)
    return _new(shape, x), torch.empty(shape, dtype=torch.int64, device="meta")


def _each(values: Sequence[int]) -> Sequence[int]:
    return tuple(values) * 2 if len(values) == 1 else values


def _windows(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> list[int] | None:
    """Return how often a window fits along each axis; None if it does not fit once, or the axes are not as many."""
    if not len(sizes) == len(kernel) == len(stride) == len(padding) == len(dilation):
        return None
    found = [
        (size + 2 * pad - step * (width - 1) - 1) // move + 1
        for size, width, move, pad, step in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    return found if min(found, default=0) > 0 else None


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor] | None:
    held = [one for one in (weight, bias, mean, variance) if one is not None]
    if (
        training
        or x.dim() < 2
        or x.dtype.itemsize < 4
        or any(one.shape != x.shape[1:2] or one.dtype != x.dtype for one in held)
    ):
        return None
    return _like(x), _new(x.shape[1:2], x), _new(x.shape[1:2], x)  # mean and deviation, as training keeps them


def _pair(x: Tensor, y: Any) -> Tensor | None:
    return _like(x) if isinstance(y, Tensor) and x.shape == y.shape and x.dtype == y.dtype else None


def _into(x: Tensor, *others: Any) -> Tensor | None:
    """Return the tensor that is written into."""
    return x if all(one.shape == x.shape for one in others if isinstance(one, Tensor)) else None


def _product(x: Tensor, y: Tensor) -> Tensor | None:
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[0] or x.dtype != y.dtype:
        return None
    return _new((x.shape[0], y.shape[1]), x)


def _product_added(bias: Tensor, x: Tensor, y: Tensor) -> Tensor | None:
    return _product(x, y) if bias.dtype == x.dtype and bias.shape == y.shape[1:] else None


def _grouped(x: Tensor, y: Tensor, offsets: Tensor | None = None, *_: Any) -> Tensor | None:
    """Return the product by groups of rows: torch asks on tensors without values for types that processors need not."""
    if x.dim() != 2 or y.dim() != 3 or x.shape[1] != y.shape[1] or x.dtype != y.dtype:
        return None
    return _new((x.shape[0], y.shape[2]), x)


def _mean(x: Tensor, axes: Sequence[int] | None, keep: bool = False, *_: Any) -> Tensor | None:
    if not axes or not all(-x.dim() <= axis < x.dim() for axis in axes):
        return None
    gone = {axis % x.dim() for axis in axes}
    return _new([1 if axis in gone else size for axis, size in enumerate(x.shape) if keep or axis not in gone], x)


_MADE: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: _convolution,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.native_batch_norm.default: _batch_norm,
    aten.mm.default: _product,
    aten.addmm.default: _product_added,
    aten.mean.dim: _mean,
    **({aten._grouped_mm.default: _grouped} if hasattr(aten, "_grouped_mm") else {}),
    aten.add.Tensor: _pair,
    aten.mul.Tensor: _pair,
    aten.add_.Tensor: _into,
    aten.relu_.default: _into,
    aten.relu.default: _like,
    aten.gelu.default: _like,
    aten.silu.default: _like,
    aten.sigmoid.default: _like,
    aten.tanh.default: _like,
    aten.hardswish.default: _like,
    aten.hardsigmoid.default: _like,
    aten.hardtanh.default: _like,
    aten.leaky_relu.default: _like,
    aten.elu.default: _like,
}
