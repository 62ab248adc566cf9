"""Matrix products and attention, sums over dimensions, and what weighs the values of a dimension against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stepladder.inspection.placed import Placed, together
from stepladder.inspection.rules.registry import Call, operations, rule
from stepladder.inspection.rules.windows import channels_mixed
from stepladder.inspection.terms import Atom

aten = torch.ops.aten


def _product(call: Call, left: Tensor, right: Tensor) -> Placed:
    """Return the product over the last dimension of one tensor and the last but one of the other."""
    one, two = call.lookup(left), call.lookup(right)
    one = one.mixed([len(one.dims) - 1])
    two = two.mixed([len(two.dims) - 2])
    rows = Placed((*one.dims[:-1], ()), one.sights)
    columns = Placed((*two.dims[:-2], (), two.dims[-1]), two.sights)
    # A tensor times itself has the same atoms twice; they are different indices of the product.
    fresh = {atom: Atom(atom.size) for atom in two.dims[-1]}
    columns = columns.with_dims(
        (*columns.dims[:-1], tuple(fresh[atom] for atom in two.dims[-1])), lambda sight: sight.renamed(fresh)
    )
    return together([rows, columns])


@rule(aten.mm, aten.bmm)
def _matrices(call: Call) -> Sequence[Placed]:
    return [_product(call, call.args[0], call.args[1])]


@rule(aten.addmm, aten.baddbmm)
def _added_matrices(call: Call) -> Sequence[Placed]:
    return [together([_product(call, call.args[1], call.args[2]), call.lookup(call.args[0])])]


@rule(*operations("_grouped_mm"))
def grouped(call: Call) -> Sequence[Placed]:
    """Return what products see of which each group of rows has a matrix of its own, as in a mixture of experts."""
    if call.lookup(call.args[1]).sights:
        return []
    placed = call.lookup(call.args[0])
    return [channels_mixed(placed, len(placed.dims) - 1, call.given[0].shape[-1])]


@rule(aten.linear)
def _linear(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    return [channels_mixed(placed, len(placed.dims) - 1, call.given[0].shape[-1])]


@rule(
    *operations(
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_fused_attention_overrideable",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_attention_math",
    )
)
def attention(call: Call) -> Sequence[Placed]:
    """Return what attention sees: each query itself and all keys and values."""
    query, key, value = (call.lookup(one) for one in call.args[:3])
    last = len(query.dims) - 1
    query = query.mixed([last])
    key, value = key.mixed([last - 1, last]), value.mixed([last - 1])
    queries = Placed((*query.dims[:-1], ()), query.sights)
    keys = Placed((*key.dims[:-2], (), ()), key.sights)
    values = Placed((*value.dims[:-2], (), value.dims[-1]), value.sights)
    return [together([queries, values, keys])]


@rule(aten.embedding)
def _embedding(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[1])
    return [Placed((*placed.dims, (Atom(call.given[0].shape[-1]),)), placed.sights)]


def _dimensions(args: Sequence[Any], kwargs: dict[str, Any], position: int = 1) -> list[int]:
    chosen = args[position] if len(args) > position else kwargs.get("dim")
    if type(chosen) is int:
        return [chosen]
    return list(chosen) if isinstance(chosen, list | tuple) and chosen else list(range(args[0].dim()))


@rule(
    *operations("mean", "sum", "nansum", "prod", "std", "var", "var_mean", "std_mean", "norm", "linalg_vector_norm"),
    *operations("amax", "amin", "max", "min", "argmax", "argmin", "median", "logsumexp", "any", "all", "count_nonzero"),
)
def _reduced(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    if len(call.args) > 1 and isinstance(call.args[1], Tensor):
        return [together([placed, call.lookup(call.args[1])])]  # the larger of two tensors
    norm = call.operation.overloadpacket in (aten.norm, aten.linalg_vector_norm)
    dimensions = _dimensions(call.args, call.kwargs, 2 if norm else 1)  # a norm's order comes first
    return [placed.reduced(dimensions, keep=one.dim() == len(placed.dims)) for one in call.given]


@rule(*operations("_softmax", "_log_softmax", "_safe_softmax"), *operations("cumsum", "cumprod", "logcumsumexp"))
@rule(*operations("cummax", "cummin"))
def _weighed(call: Call) -> Sequence[Placed]:
    mixed = call.lookup(call.args[0]).mixed([_one_dimension(call, 1)])
    return [mixed] * len(call.given)


@rule(*operations("sort", "topk", "kthvalue"))
def _ordered(call: Call) -> Sequence[Placed]:
    counted = "k" in call.kwargs or call.operation.overloadpacket is not aten.sort
    dimension = _one_dimension(call, 2 if counted else 1)
    mixed = call.lookup(call.args[0]).mixed([dimension])
    return [
        mixed.replaced(dimension, Atom(one.shape[dimension]))
        if one.dim() == len(mixed.dims)
        else mixed.reduced([dimension], keep=False)
        for one in call.given
    ]


@rule(*operations("_fft_c2c", "_fft_r2c", "_fft_c2r"))
def _transformed(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    for dimension in call.args[1]:
        placed = placed.mixed([dimension])
        size = call.given[0].shape[dimension]
        if size != call.args[0].shape[dimension]:  # of real values, half of the frequencies say all
            placed = placed.replaced(dimension % len(placed.dims), Atom(size))
    return [placed]


def _one_dimension(call: Call, position: int) -> int:
    chosen: int = call.args[position] if len(call.args) > position else call.kwargs.get("dim", -1)
    return chosen % max(1, int(call.args[0].dim()))


@rule(
    *operations("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "batch_norm"),
    *operations("native_layer_norm", "native_group_norm", "_fused_rms_norm", "cudnn_batch_norm", "native_dropout"),
)
def _normalised(call: Call) -> Sequence[Placed]:
    # What statistics see is left out, as the literature does.
    return [call.lookup(call.args[0])]
