"""A trained net as plain numbers: what the report's page computes with, and any other program could."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy

from stepladder.layers import (
    GELU,
    AveragePool,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    ReLU,
    SiLU,
    Softmax,
    Window,
)
from stepladder.trained import TrainedNet

LARGEST = 300_000
"""Parameters above which a net is not put into a page: 300,000 take 1.6 MB there."""

_ACTIVATIONS: dict[type[Layer], str] = {ReLU: "relu", SiLU: "silu", GELU: "gelu"}


def living(trained: TrainedNet) -> dict[str, Any] | None:
    """Return the net as a list of operations with their numbers, or None if it is too large for a page.

    Batch normalisation is folded into the convolution or linear layer before it, and is an operation of its own
    (``scale``) where there is none. Dropout does nothing here and is left out, and so is a softmax at the end: the
    page applies one itself. Arrays are little-endian float32 in base64, in torch's order. Each operation names its
    ``layer``, an index into the layer table, and the ``row`` of that table up to which it has computed: the batch
    normalisation's where that is folded in.

    Raises:
        KeyError: if the weights are those of another net, which ``stepladder.trained.load`` rules out.
    """
    state = {name: tensor.double().numpy() for name, tensor in trained.module.state_dict().items()}
    if sum(value.size for value in state.values()) > LARGEST:
        return None
    return {
        "input_shape": list(trained.input_shape),
        "mean": list(trained.mean),
        "deviation": list(trained.deviation),
        "operations": list(_operations(trained, state)),
    }


def _operations(trained: TrainedNet, state: dict[str, numpy.ndarray]) -> Iterator[dict[str, Any]]:
    names = [name for name, _ in trained.module.named_children()]
    shapes = trained.net.shapes(trained.input_shape)
    layers = trained.net.layers
    position = 0
    while position < len(layers):
        layer, shape, name, first = layers[position], shapes[position], names[position], position
        if isinstance(layer, Convolution | Linear):
            weight = state[f"{name}.weight"]
            bias = state.get(f"{name}.bias", numpy.zeros(len(weight)))
            if position + 1 < len(layers) and isinstance(layers[position + 1], BatchNorm):
                position += 1
                factor, shift = _scale(names[position], state)
                weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
                bias = bias * factor + shift
            numbers = {"weight": _pack(weight), "bias": _pack(bias)}
            if isinstance(layer, Convolution):
                yield (
                    _windowed("convolution", first, position, layer.window(shape)) | {"groups": layer.groups} | numbers
                )
            else:
                yield {"kind": "linear", "layer": first, "row": position} | numbers
        elif isinstance(layer, BatchNorm):
            factor, shift = _scale(name, state)
            yield {"kind": "scale", "layer": first, "row": position, "factor": _pack(factor), "shift": _pack(shift)}
        elif isinstance(layer, MaxPool):
            yield _windowed("max-pool", first, position, layer.window(shape))
        elif isinstance(layer, AveragePool | GlobalAveragePool):
            yield _windowed("average-pool", first, position, layer.window(shape))
        elif isinstance(layer, Flatten):
            yield {"kind": "flatten", "layer": first, "row": position}
        elif not isinstance(layer, Dropout | Softmax):
            yield {"kind": _ACTIVATIONS[type(layer)], "layer": first, "row": position}
        position += 1


def _scale(name: str, state: dict[str, numpy.ndarray]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the factor and the shift that a batch normalisation comes to in evaluation, with torch's epsilon."""
    factor = state[f"{name}.weight"] / numpy.sqrt(state[f"{name}.running_var"] + 1e-5)
    return factor, state[f"{name}.bias"] - state[f"{name}.running_mean"] * factor


def _windowed(kind: str, layer: int, row: int, window: Window) -> dict[str, Any]:
    return {
        "kind": kind,
        "layer": layer,
        "row": row,
        "kernel": list(window.kernel),
        "stride": list(window.stride),
        "padding": list(window.padding),
        "dilation": list(window.dilation),
    }


def _pack(values: numpy.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()
