"""What each of torch's elementary operations does to what values see, and how many multiply-accumulates it takes.

An operation that has no rule here and works on each value by itself is known by torch's own tag for it; of what any
other gives, the receptive field is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from stepladder.inspection.placed import Placed, shape_of, together
from stepladder.inspection.rules import places  # noqa: F401 (its rules are registered by importing it)
from stepladder.inspection.rules.products import attention, grouped
from stepladder.inspection.rules.registry import RULES, Call, operations, tensors_in
from stepladder.inspection.rules.windows import average_pool, each, max_pool, pool_window
from stepladder.layers import Window

aten = torch.ops.aten

_POINTWISE = frozenset(
    operations("hardswish", "hardswish_", "prelu", "_prelu_kernel", "rrelu_with_noise", "log_sigmoid_forward", "rsub")
    + operations(
        "special_erf", "polar", "complex", "tril", "triu", "masked_fill_", "bernoulli", "alpha_dropout", "floor_divide"
    )
)
"""Operations on each value by itself that torch does not tag as such."""
_CONVOLUTIONS = (aten.convolution, aten._convolution)


def placed_after(call: Call) -> Sequence[Placed]:
    """Return how each tensor that an operation gave is placed."""
    placed = [call.lookup(source) for source in tensors_in((*call.args, *call.kwargs.values()))]
    if not any(one.sights for one in placed):
        return [Placed.constant(one.shape) for one in call.given]
    known = RULES.get(call.operation.overloadpacket)
    if known is not None:
        found = list(known(call))
    elif torch.Tag.pointwise in call.operation.tags or call.operation.overloadpacket in _POINTWISE:
        found = [together(placed)] * len(call.given)
    else:
        found = []
    missing = _unknown(placed, call.operation.overloadpacket.__name__)
    found += [missing(one) for one in call.given[len(found) :]]
    return [
        one if shape_of(one.dims) == tuple(tensor.shape) else missing(tensor)
        for one, tensor in zip(found, call.given, strict=True)
    ]


def _unknown(placed: Sequence[Placed], name: str) -> Callable[[Tensor], Placed]:
    """Return what makes a tensor that may depend on all that these depend on, no one knows how."""

    def make(tensor: Tensor) -> Placed:
        sights = {axis: sight for one in placed for axis, sight in one.sights.items()}
        constant = Placed.constant(tensor.shape)
        return Placed(constant.dims, sights).unknown(constant.dims, f"what {name} does to places")

    return make


def macs(operation: Any, args: Sequence[Any], given: Sequence[Tensor]) -> int:
    """Return the multiply-accumulates of an operation: those of convolutions and matrix products; 0 for all others."""
    packet = operation.overloadpacket
    if packet in _CONVOLUTIONS:
        source, weight, transposed = args[0], args[1], args[6]
        moved = source if transposed else given[0]
        return int(moved.numel() * prod(weight.shape[1:]))
    if packet in (aten.mm, aten.bmm, aten.mv, aten.dot):
        return int(given[0].numel() * args[0].shape[-1])
    if packet in (aten.addmm, aten.baddbmm, aten.addmv):
        return int(given[0].numel() * args[1].shape[-1])
    if packet is aten.addbmm:
        return int(args[1].numel() * args[2].shape[-1])
    if packet is aten.linear:
        return int(given[0].numel() * args[0].shape[-1])
    if RULES.get(packet) is grouped:
        left, right = args[:2]
        if left.dim() == right.dim() == 2:  # the groups share out what is summed over
            return int(left.shape[0] * left.shape[1] * right.shape[1])
        return int(given[0].numel() * left.shape[-1])
    if RULES.get(packet) is attention:
        query, key, value = args[:3]
        scores = prod(query.shape[:-1]) * key.shape[-2]
        return int(scores * (query.shape[-1] + value.shape[-1]))
    return 0


def window_of(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Window, int, bool] | None:
    """Return the window, the groups and whether it is transposed of a convolution or pooling; None for all others."""
    packet = operation.overloadpacket
    if packet in _CONVOLUTIONS:
        axes = args[1].dim() - 2
        stride, padding, dilation = (tuple(each(values, axes)) for values in args[3:6])
        return Window(tuple(args[1].shape[2:]), stride, padding, dilation), args[8], bool(args[6])
    known = RULES.get(packet)
    if known is max_pool or known is average_pool:
        return pool_window(args, kwargs, takes_dilation=known is max_pool), 1, False
    return None
