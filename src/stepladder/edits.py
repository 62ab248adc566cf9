"""Nets changed by one technique: wider, seeing further, with a norm, averaged, without dropout or softmax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stepladder.errors import ShapeError
from stepladder.inspection.oneline import describe
from stepladder.layers import (
    GELU,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    ReLU,
    Shape,
    SiLU,
    Softmax,
    Weighted,
)
from stepladder.notation import Net

_SMALLEST_POOLED = 8
"""Rows and columns that a map needs for a pooling to leave enough to go on with."""


def widened(net: Net, factor: float) -> Net:
    """Return the net with every layer but the last so many times as wide; as it is if its convolutions have groups.

    Groups have to divide the channels before and after them, which hardly any factor leaves them.
    """
    if any(isinstance(layer, Convolution) and layer.groups > 1 for layer in net.layers):
        return net
    last = _last_weighted(net.layers)
    layers: list[Layer] = []
    for index, layer in enumerate(net.layers):
        if index != last and isinstance(layer, Convolution):
            layers.append(replace(layer, channels=max(1, round(layer.channels * factor))))
        elif index != last and isinstance(layer, Linear):
            layers.append(replace(layer, features=max(1, round(layer.features * factor))))
        else:
            layers.append(layer)
    return Net(tuple(layers))


def fitted(net: Net, image: Shape, budget: int) -> Net | None:
    """Return the net narrowed, all layers alike and no more than it takes, to fewer parameters than the budget.

    None if even a tenth of its widths is too much; the net itself if it fits.
    """
    for percent in range(100, 9, -1):
        narrower = net if percent == 100 else widened(net, percent / 100)
        if narrower.parameters(image) < budget:
            return narrower
    return None


def without_softmax(net: Net) -> Net:
    """Return the net without softmax layers."""
    return Net(tuple(layer for layer in net.layers if not isinstance(layer, Softmax)))


def with_dropout(net: Net, share: float) -> Net:
    """Return the net with every dropout at this share; 0 takes them out."""
    layers = (replace(layer, probability=share) if isinstance(layer, Dropout) else layer for layer in net.layers)
    return Net(tuple(layer for layer in layers if not (isinstance(layer, Dropout) and layer.probability == 0)))


def with_chains(net: Net, share: float) -> Net:
    """Return the net with a dropout at the end of what follows every convolution and linear layer but the last."""
    last = _last_weighted(net.layers)
    layers: list[Layer] = []
    open_chain = False
    for index, layer in enumerate(net.layers):
        if open_chain and not _follows(layer):
            layers.append(Dropout(share))
            open_chain = False
        layers.append(layer)
        open_chain = open_chain or (isinstance(layer, Weighted) and index != last)
    return Net(tuple(layers))


def with_norms(net: Net) -> Net:
    """Return the net with batch normalisation after every convolution and linear layer but the last; biases go.

    A bias before a batch normalisation does nothing, which takes the mean away.
    """
    last = _last_weighted(net.layers)
    layers: list[Layer] = []
    for index, layer in enumerate(net.layers):
        if not isinstance(layer, Convolution | Linear) or index == last:
            layers.append(layer)
            continue
        layers.append(replace(layer, bias=False))
        following = net.layers[index + 1] if index + 1 < len(net.layers) else None
        if not isinstance(following, BatchNorm):
            layers.append(BatchNorm())
    return Net(tuple(layers))


def with_activations(net: Net) -> Net:
    """Return the net with a ReLU after every convolution and linear layer but the last, behind its norm."""
    last = _last_weighted(net.layers)
    layers: list[Layer] = []
    for index, layer in enumerate(net.layers):
        layers.append(layer)
        following = net.layers[index + 1] if index + 1 < len(net.layers) else None
        starts = isinstance(layer, Convolution | Linear) and index != last and not isinstance(following, BatchNorm)
        ends = isinstance(layer, BatchNorm)
        if (starts or ends) and not isinstance(following, ReLU | SiLU | GELU):
            layers.append(ReLU())
    return Net(tuple(layers))


def with_average(net: Net, image: Shape) -> Net | None:
    """Return the net with global average pooling and one layer in place of everything from the flattening on.

    None if it flattens nothing, or no convolution made the maps: the average of a bare image only tells how bright it
    is.
    """
    flat = next((index for index, layer in enumerate(net.layers) if isinstance(layer, Flatten)), None)
    last = _last_weighted(net.layers)
    if flat is None or last < flat or len(net.shapes(image)[flat]) != 3:
        return None
    if not any(isinstance(layer, Convolution) for layer in net.layers[:flat]):
        return None
    final = net.layers[last]
    classes = final.features if isinstance(final, Linear) else net.shapes(image)[-1][0]
    return Net((*net.layers[:flat], GlobalAveragePool(), Convolution(classes, (1, 1))))


def seeing(net: Net, image: Shape, wanted: Sequence[int]) -> Net | None:
    """Return the net with more 3×3 convolutions before its head, until a value there sees so many (rows, columns).

    A pooling comes first while maps are large, which doubles what each later layer adds. The new layers are like the
    last convolution, half as wide again at most. None if the net has no convolution before its head.
    """
    head = next(
        (index for index, layer in enumerate(net.layers) if isinstance(layer, GlobalAveragePool | Flatten)), None
    )
    if head is None:
        return None
    places = [index for index in range(head) if isinstance(net.layers[index], Convolution)]
    if not places:
        return None
    model = net.layers[places[-1]]
    assert isinstance(model, Convolution)
    chain = tuple(layer for layer in net.layers[places[-1] + 1 : head] if _follows(layer))
    body, tail = list(net.layers[:head]), net.layers[head:]
    for number, grown in enumerate(_growth(body, model.channels, chain, image, wanted)):
        body = grown
        if number >= 12:
            break
    return Net((*body, *tail))


def _growth(
    body: list[Layer], channels: int, chain: tuple[Layer, ...], image: Shape, wanted: Sequence[int]
) -> Iterator[list[Layer]]:
    """Yield the body of a net with one layer more each time, until it sees as much as is wanted or nothing fits."""
    width = max(1, round(1.25 * channels))
    pools = True
    while True:
        summary = describe(Net(tuple(body)), image)
        field, shape = summary.rows[-1].field, summary.rows[-1].output_shape
        assert field is not None
        seen = [size or 1 for size in field.size]
        if all(have >= want for have, want in zip(seen, wanted, strict=True)):
            return
        added: tuple[Layer, ...]
        if pools and min(shape[1:]) >= 2 * _SMALLEST_POOLED:
            added = (MaxPool((2, 2), (2, 2)),)
        else:
            padding = (0, 0) if min(shape[1:]) > _SMALLEST_POOLED - 2 else (1, 1)
            added = (Convolution(width, (3, 3), padding=padding), *chain)
        try:
            Net((*body, *added)).shapes(image)
        except ShapeError:
            return
        body = [*body, *added]
        yield body


def _follows(layer: Layer) -> bool:
    return isinstance(layer, BatchNorm | ReLU | SiLU | GELU | Dropout)


def _last_weighted(layers: Sequence[Layer]) -> int:
    return max((index for index, layer in enumerate(layers) if isinstance(layer, Weighted)), default=-1)
