"""Which axis of a map its channels are on: nets of convolutions have them first, nets of tokens last."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.pictures.graph.words import Facts

_FIRST = ("convolution", "transposed", "pool", "upsample")
_LAST = ("linear", "embedding", "attention", "recurrent")


def channels_of(facts: Facts) -> tuple[list[int], list[int]]:
    """Return how many channels, or features, each row gives, and how many each input has.

    Layers say on which axis they work; a function has its channels where what it reads has them, or on the axis of
    their number where axes are exchanged. Where nothing tells, they come first on maps with rows and columns.
    """
    rows = facts["rows"]
    axes: list[int] = []
    found: list[int] = []
    for row in rows:
        source = next((one for one in row["inputs"] if 0 <= one < len(axes)), None)
        before = None if source is None else (axes[source], found[source])
        axes.append(_axis(row, before))
        found.append(_length(row["output_shape"], axes[-1]))
    inputs = []
    for number, given in enumerate(facts["inputs"]):
        reader = next((index for index, row in enumerate(rows) if -1 - number in row["inputs"]), None)
        if reader is not None and rows[reader]["role"] == "embedding":
            inputs.append(1)  # numbers of words
        elif reader is None:
            inputs.append(_length(given["shape"], _usual(given["shape"])))
        else:
            inputs.append(_length(given["shape"], axes[reader]))
    return found, inputs


def _axis(row: Facts, before: tuple[int, int] | None) -> int:
    """Return 0 for the first axis or -1 for the last."""
    role, shape, kind = row["role"], row["output_shape"], row["kind"].lower()
    if role in _FIRST or "batchnorm" in kind or "batch_norm" in kind:
        return 0
    if role in _LAST or "layernorm" in kind or "layer_norm" in kind:
        return -1
    if before is None or len(shape) < 2:
        return _usual(shape)
    axis, count = before
    other = -1 - axis
    return other if shape[axis] != count and shape[other] == count else axis


def _usual(shape: Sequence[int]) -> int:
    return 0 if len(shape) > 2 else -1


def _length(shape: Sequence[int], axis: int) -> int:
    return max(int(shape[axis]), 1) if shape else 1
