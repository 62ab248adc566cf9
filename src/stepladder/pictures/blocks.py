"""The elementary layers of a net, gathered into the blocks that people think in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stepladder.pictures import style

KINDS = {
    "input": ("input", "#6B7480"),
    "convolution": ("convolution", style.COLOURS[0]),
    "pointwise": ("1×1 convolution", style.COLOURS[5]),
    "pooling": ("pooling", style.COLOURS[2]),
    "linear": ("linear", style.COLOURS[3]),
    "output": ("output: one value a class", style.COLOURS[1]),
    "other": ("other", style.COLOURS[4]),
}
"""What the colours mean: the kind of block, its name for people and its colour."""

_HEADS = ("Conv2d", "Linear", "MaxPool2d", "AvgPool2d")
_CHAIN_TEXT = {"BatchNorm2d": "BN", "BatchNorm1d": "BN", "Flatten": "flatten"}


@dataclass(frozen=True)
class Block:
    """A convolution, linear or pooling layer with what follows it; the input image is a block of its own.

    Args:
        index: of its first row in the facts; -1 for the input.
        kind: one of ``KINDS``.
        token: the first layer in the notation.
        operation: the first layer for people, such as ``3×3 conv``.
        chain: what follows, such as ``BN · ReLU``.
        shape: what comes out, (channels, rows, columns) or (values,).
        parameters: of all its layers.
        macs: likewise, for one image.
        window: kernel, stride, padding and dilation, each along rows and columns; None where there is none.
    """

    index: int
    kind: str
    token: str
    operation: str
    chain: str
    shape: tuple[int, ...]
    parameters: int = 0
    macs: int = 0
    window: tuple[tuple[int, int], ...] | None = None

    @property
    def colour(self) -> str:
        """Return the colour of its kind."""
        return KINDS[self.kind][1]

    @property
    def is_column(self) -> bool:
        """Whether what comes out is a column of values rather than maps."""
        return len(self.shape) == 1 or self.shape[1:] == (1, 1)


def blocks_of(facts: dict[str, Any]) -> list[Block]:
    """Return the input and the blocks of a net in order.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
    """
    rows = facts["rows"]
    heads = [index for index, row in enumerate(rows) if row["kind"] in _HEADS]
    # Layers before the first convolution, linear layer or pooling are a block too.
    starts = heads if heads[:1] == [0] else [0, *heads]
    weighted = [index for index in heads if rows[index]["kind"] in ("Conv2d", "Linear")]
    blocks = [Block(-1, "input", "input", "input", "", tuple(facts["input"]))]
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        blocks.append(_block(start, rows[start:end], is_output=bool(weighted) and start == weighted[-1]))
    return blocks


def _block(index: int, rows: list[dict[str, Any]], *, is_output: bool) -> Block:
    head = rows[0]
    window = (
        tuple((head[name][0], head[name][1]) for name in ("kernel", "stride", "padding", "dilation"))
        if head["kernel"]
        else None
    )
    chain = [_chain_text(row) for row in rows[1:]]
    return Block(
        index,
        "output" if is_output else _kind(head),
        head["token"],
        _operation(head),
        " · ".join(chain),
        tuple(head["output_shape"]),
        sum(row["parameters"] for row in rows),
        sum(row["macs"] for row in rows),
        window,
    )


def _kind(head: dict[str, Any]) -> str:
    if head["kind"] == "Conv2d":
        return "pointwise" if head["kernel"] == [1, 1] else "convolution"
    return {"Linear": "linear", "MaxPool2d": "pooling", "AvgPool2d": "pooling"}.get(head["kind"], "other")


def _operation(head: dict[str, Any]) -> str:
    size = "×".join(map(str, head["kernel"] or ()))
    if head["token"] == "GAP":
        return "global average"
    if head["kind"] == "Conv2d":
        extras = [f"{name} {_pair(head[name])}" for name in ("stride", "dilation") if max(head[name]) > 1]
        return ", ".join([f"{size} conv", *extras])
    names = {"MaxPool2d": f"{size} max pool", "AvgPool2d": f"{size} avg pool", "Linear": "linear"}
    return names.get(head["kind"], _chain_text(head))


def _pair(values: list[int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}×{values[1]}"


def _chain_text(row: dict[str, Any]) -> str:
    return _CHAIN_TEXT.get(row["kind"], str(row["token"]))
