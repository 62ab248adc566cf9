"""What puts values elsewhere: views, slices, joins, padding, shuffles."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from stepladder.inspection.placed import Placed, concatenated, together
from stepladder.inspection.rules.registry import RULES, Call, operations, rule
from stepladder.inspection.terms import Atom

aten = torch.ops.aten


@rule(*operations("view", "_unsafe_view", "reshape", "_reshape_alias"))
def _viewed(call: Call) -> Sequence[Placed]:
    return [call.lookup(call.args[0]).reshaped(call.given[0].shape)]


@rule(
    *operations(
        "clone", "detach", "alias", "_to_copy", "contiguous", "lift_fresh", "positive", "to", "view_as_real_copy"
    )
)
def _same(call: Call) -> Sequence[Placed]:
    return [call.lookup(call.args[0])]


@rule(aten.t)
def _transposed_matrix(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    return [placed.permuted(range(len(placed.dims))[::-1])]


@rule(aten.transpose)
def _transposed(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    order = list(range(len(placed.dims)))
    order[call.args[1]], order[call.args[2]] = order[call.args[2]], order[call.args[1]]
    return [placed.permuted(order)]


@rule(aten.permute)
def _permuted(call: Call) -> Sequence[Placed]:
    return [call.lookup(call.args[0]).permuted([index % len(call.args[1]) for index in call.args[1]])]


@rule(aten.unsqueeze)
def _unsqueezed(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    place = call.args[1] % (len(placed.dims) + 1)
    return [Placed((*placed.dims[:place], (), *placed.dims[place:]), placed.sights)]


@rule(aten.squeeze)
def _squeezed(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    wanted = (
        range(call.args[0].dim())
        if len(call.args) < 2
        else [call.args[1]]
        if isinstance(call.args[1], int)
        else call.args[1]
    )
    chosen = {index % max(1, call.args[0].dim()) for index in wanted}
    for index in sorted(chosen, reverse=True):
        if call.args[0].dim() and call.args[0].shape[index] == 1:
            placed = placed.selected(index, 0)
    return [placed]


@rule(aten.expand)
def _expanded(call: Call) -> Sequence[Placed]:
    return [together([Placed.constant(call.given[0].shape), call.lookup(call.args[0])])]


@rule(aten.slice)
def _sliced(call: Call) -> Sequence[Placed]:
    source, dimension, start, _, step = [*call.args, *(None,) * 5][:5]
    dimension = (dimension or 0) % source.dim()
    size = source.shape[dimension]
    start = 0 if start is None else min(max(start + size if start < 0 else start, 0), size)
    return [call.lookup(source).sliced(dimension, start, step or 1, call.given[0].shape[dimension])]


@rule(aten.select)
def _selected(call: Call) -> Sequence[Placed]:
    return [call.lookup(call.args[0]).selected(call.args[1] % call.args[0].dim(), call.args[2])]


@rule(aten.unbind)
def _unbound(call: Call) -> Sequence[Placed]:
    dimension = (call.args[1] if len(call.args) > 1 else 0) % call.args[0].dim()
    return [call.lookup(call.args[0]).selected(dimension, index) for index in range(len(call.given))]


@rule(*operations("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk", "unsafe_chunk"))
def _parted(call: Call) -> Sequence[Placed]:
    dimension = (call.args[2] if len(call.args) > 2 else call.kwargs.get("dim", 0)) % call.args[0].dim()
    placed = call.lookup(call.args[0])
    start, parts = 0, []
    for one in call.given:
        parts.append(placed.sliced(dimension, start, 1, one.shape[dimension]))
        start += one.shape[dimension]
    return parts


@rule(aten.cat)
def _joined(call: Call) -> Sequence[Placed]:
    dimension = (call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", 0)) % call.given[0].dim()
    parts = [call.lookup(one) for one in call.args[0] if one.dim() == call.given[0].dim()]
    return [concatenated(parts, dimension)]


@rule(aten.stack)
def _stacked(call: Call) -> Sequence[Placed]:
    dimension = (call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", 0)) % call.given[0].dim()
    parts = [call.lookup(one) for one in call.args[0]]
    return [
        concatenated(
            [Placed((*one.dims[:dimension], (), *one.dims[dimension:]), one.sights) for one in parts], dimension
        )
    ]


@rule(*operations("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
                    "replication_pad2d", "replication_pad3d"))  # fmt: skip
def _padded(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    for index in range(0, len(call.args[1]), 2):
        dimension = call.args[0].dim() - 1 - index // 2
        placed = placed.sliced(dimension, -call.args[1][index], 1, call.given[0].shape[dimension])
    return [placed]


@rule(aten.flip)
def _flipped(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    for dimension in call.args[1]:
        dimension %= call.args[0].dim()
        size = call.args[0].shape[dimension]
        placed = placed.sliced(dimension, size - 1, -1, size)
    return [placed]


@rule(aten.roll)
def _rolled(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    for dimension in call.args[2] if len(call.args) > 2 and call.args[2] else range(call.args[0].dim()):
        old, new = placed.dims[dimension], Atom(call.args[0].shape[dimension])
        shuffled = placed.with_dims(placed.dims, lambda sight, old=old, new=new: sight.shuffled(old, [new]))  # type: ignore[misc]
        placed = shuffled.replaced(dimension % call.args[0].dim(), new)
    return [placed]


@rule(aten.pixel_shuffle)
def _pixels_from_channels(call: Call) -> Sequence[Placed]:
    *batch, channels, rows, columns = call.args[0].shape
    factor, count = call.args[1], len(batch)
    placed = call.lookup(call.args[0]).reshaped((*batch, channels // factor**2, factor, factor, rows, columns))
    return [
        placed.permuted([*range(count), count, count + 3, count + 1, count + 4, count + 2]).reshaped(
            call.given[0].shape
        )
    ]


@rule(aten.pixel_unshuffle)
def _channels_from_pixels(call: Call) -> Sequence[Placed]:
    *batch, channels, rows, columns = call.args[0].shape
    factor, count = call.args[1], len(batch)
    placed = call.lookup(call.args[0]).reshaped((*batch, channels, rows // factor, factor, columns // factor, factor))
    return [
        placed.permuted([*range(count + 1), count + 2, count + 4, count + 1, count + 3]).reshaped(call.given[0].shape)
    ]


@rule(aten.repeat)
def _repeated(call: Call) -> Sequence[Placed]:
    placed = call.lookup(call.args[0])
    placed = Placed(((),) * (call.given[0].dim() - len(placed.dims)) + placed.dims, placed.sights)
    for dimension, times in enumerate(call.args[1]):
        if times > 1:
            placed = concatenated([placed] * times, dimension)
    return [placed]


@rule(aten.copy_)
def _copied(call: Call) -> Sequence[Placed]:
    return [together([Placed.constant(call.given[0].shape), call.lookup(call.args[1])])]


@rule(
    *operations(
        "fill_", "zero_", "fill", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like"
    ),
    *operations("new_zeros", "new_empty", "new_ones", "new_full", "bernoulli_", "uniform_", "normal_", "random_"),
)
def _filled(call: Call) -> Sequence[Placed]:
    return [Placed.constant(one.shape) for one in call.given]


@rule(*operations("squeeze_", "unsqueeze_", "t_", "transpose_"))
def _turned_in_place(call: Call) -> Sequence[Placed]:
    name = call.operation.overloadpacket.__name__.rstrip("_")
    return RULES[getattr(aten, name)](call)


@rule(*operations("as_strided_", "as_strided"))
def _restrided(call: Call) -> Sequence[Placed]:
    # Kernels lay out in another order in memory what they have just made; whatever changes the shape stays unknown.
    return [call.lookup(call.args[0])] if call.args[0].shape == call.given[0].shape else []
