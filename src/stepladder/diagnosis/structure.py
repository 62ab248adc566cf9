"""Where a net looks and where its parameters are, and how large what it is to recognise is."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from stepladder.diagnosis.values import NetFacts
from stepladder.inspection.oneline import describe
from stepladder.layers import (
    GELU,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Linear,
    ReLU,
    Shape,
    SiLU,
    Softmax,
    Weighted,
)
from stepladder.notation import Net

if TYPE_CHECKING:
    import torch

_INK = 0.2
"""Share of full brightness from which a pixel is ink."""


def net_facts(net: Net, image: Shape) -> NetFacts:
    """Return where the net looks and where its parameters are, for images of a shape."""
    summary = describe(net, image)
    shapes = net.shapes(image)
    weighted = [layer for layer in net.layers if isinstance(layer, Weighted)]
    flat = next((index for index, layer in enumerate(net.layers) if isinstance(layer, Flatten)), None)
    averaged = next((index for index, layer in enumerate(net.layers) if isinstance(layer, GlobalAveragePool)), None)
    head = min([index for index in (flat, averaged) if index is not None], default=len(net.layers))
    field = summary.rows[head - 1].field if head else None
    sizes = field.size if field is not None else (1, 1)
    parameters = summary.totals.parameters
    # Maps of one place have nothing left to average or to weigh.
    places = prod(shapes[head][1:]) if head < len(shapes) and len(shapes[head]) == 3 else 1
    dense = 0
    if flat is not None and (averaged is None or flat < averaged) and places > 1:
        dense = sum(row.parameters for row in summary.rows[flat:] if row.role == "linear")
    widths = [layer.channels if isinstance(layer, Convolution) else _features(layer) for layer in weighted[:-1]]
    return NetFacts(
        parameters=parameters,
        field=(min(int(sizes[0] or 1), image[1]), min(int(sizes[1] or 1), image[2])),
        averages=averaged is not None and (flat is None or averaged < flat) and places > 1,
        dense_share=dense / parameters if parameters else 0.0,
        narrowest=min(widths) if widths else None,
        depth=len(weighted),
        norms=sum(isinstance(layer, BatchNorm) for layer in net.layers),
        activations=sum(isinstance(layer, ReLU | SiLU | GELU) for layer in net.layers),
        dropout=tuple(layer.probability for layer in net.layers if isinstance(layer, Dropout) and layer.probability),
        ends_in_softmax=isinstance(net.layers[-1], Softmax),
    )


def _features(layer: Weighted) -> int:
    assert isinstance(layer, Linear)
    return layer.features


def object_extent(pixels: torch.Tensor) -> tuple[int, int]:
    """Return (rows, columns) of what is to be recognised: the median box of ink, or else the whole image.

    Images are ink where they have one channel and most pixels are black, or most are white.

    Args:
        pixels: training images, uint8 of shape (N, C, H, W).
    """
    rows, columns = int(pixels.shape[-2]), int(pixels.shape[-1])
    bright, dark = pixels[:, 0] > _INK * 255, pixels[:, 0] < (1 - _INK) * 255
    ink = bright if float(bright.float().mean()) < 0.5 else dark
    if pixels.shape[1] != 1 or float(ink.float().mean()) >= 0.5:
        return rows, columns
    by_row, by_column = ink.any(2), ink.any(1)
    found = [_extent(lines) for lines in (by_row, by_column)]
    return max(1, found[0]), max(1, found[1])


def _extent(lines: torch.Tensor) -> int:
    """Return the median distance from the first line with ink to the last, of shape (N, lines)."""
    length = lines.shape[1]
    first = lines.int().argmax(1)
    last = length - lines.flip(1).int().argmax(1)
    return int((last - first)[lines.any(1)].float().median()) if bool(lines.any()) else length
