"""What a row of the facts is called and coloured in the picture of a net's graph."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from stepladder.pictures import style
from stepladder.pictures.blocks import KINDS

Facts = dict[str, Any]

COLOURS = {
    "input": ("input and output", KINDS["input"][1]),
    "convolution": KINDS["convolution"],
    "pointwise": KINDS["pointwise"],
    "upsample": ("upsampling", style.COLOURS[1]),
    "pooling": KINDS["pooling"],
    "linear": KINDS["linear"],
    "norm": ("normalisation, activation", style.COLOURS[4]),
    # The palette's yellow: too pale for lines on paper elsewhere, but here ink is written on it.
    "attention": ("attention, recurrent, embedding", "#D8C51F"),
    "join": ("where branches meet", style.SOFT),
    "other": ("other", "#9AA3AE"),
    "block": ("several layers", style.INK),
}
"""What the colours mean: a key, its name for people and its colour."""

FOLDABLE = ("norm", "activation", "softmax", "dropout", "flatten")
"""Roles that are written on the box of the layer that they follow."""

SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "truediv": "÷", "matmul": "@", "bmm": "@"}
"""Functions of two maps that are drawn as a circle with this sign."""

_COLOUR_OF_ROLE = {
    "transposed": "upsample",
    "upsample": "upsample",
    "pool": "pooling",
    "linear": "linear",
    "norm": "norm",
    "activation": "norm",
    "softmax": "norm",
    "dropout": "norm",
    "add": "join",
    "concat": "join",
    "attention": "attention",
    "recurrent": "attention",
    "embedding": "attention",
}
_SPELLINGS = {
    "relu": "ReLU",
    "leakyrelu": "leaky ReLU",
    "prelu": "PReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "elu": "ELU",
    "softmax": "softmax",
    "logsoftmax": "log-softmax",
    "multiheadattention": "attention",
    "scaleddotproductattention": "attention",
    "linear": "linear",
    "lazylinear": "linear",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
_NORMS = {"batch": "BN", "syncbatch": "BN", "layer": "LN", "group": "GN", "instance": "IN", "rms": "RMSNorm"}
_UNITS = ("", "k", "M", "G", "T")


def colour_key(row: Facts) -> str:
    """Return the key in ``COLOURS`` of a row."""
    if row["role"] == "convolution":
        kernel = row["kernel"]
        return "pointwise" if kernel and prod(kernel) == 1 else "convolution"
    return "join" if sign(row) else _COLOUR_OF_ROLE.get(row["role"], "other")


def sign(row: Facts) -> str:
    """Return the sign of a row that joins several maps value by value; empty for any other row."""
    if len(set(row["inputs"])) < 2:
        return ""
    if row["role"] == "add":
        return SIGNS.get(_plain(row["kind"]), "+")
    return SIGNS.get(_plain(row["kind"]), "") if row["role"] == "other" else ""


def operation(row: Facts) -> str:
    """Return what a row does in a few words, such as ``3×3 conv s2`` or ``BN``."""
    role, kind = row["role"], _plain(row["kind"])
    if role in ("convolution", "transposed"):
        return _of_kernel(row, _convolution(row)) + _steps(row)
    if role == "pool":
        return _pool(row, kind)
    if role == "upsample":
        return f"upsample{_ratio(row)}"
    if role == "norm":
        name = kind.removeprefix("lazy").rstrip("123d")
        return str(_NORMS.get(name.removesuffix("norm"), row["kind"]))
    if role == "dropout":
        return "dropout"
    if role in ("add", "concat", "flatten"):
        return str(role if kind in ("cat", "concatenate") or role == "flatten" else row["kind"])
    return _SPELLINGS.get(kind, str(row["kind"]))


def size(shape: Sequence[int]) -> str:
    """Return a shape such as ``64×56×56``; "one value" for a shape without axes."""
    return "×".join(map(str, shape)) if shape else "one value"


def sees(row: Facts) -> str:
    """Return the receptive field, such as ``sees 35×35``; "sees ?" if it is unknown, nothing if there are no maps."""
    field = row["receptive_field"]
    if not field:
        return ""
    return "sees ?" if None in field else f"sees {size(field)}"


def compact(count: int) -> str:
    """Return a count in at most five characters: 950, 1.2k, 36.9k, 3.4M; nothing for 0."""
    if not count:
        return ""
    number, unit = float(count), 0
    # 999,500 would be rounded to 1000k.
    while number >= (1000 if unit == 0 else 999.5) and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    if unit == 0:
        return str(count)
    return (f"{number:.1f}".removesuffix(".0") if number < 100 else f"{number:.0f}") + _UNITS[unit]


def _plain(kind: str) -> str:
    return kind.lower().replace("_", "")


def _of_kernel(row: Facts, what: str) -> str:
    """Return what has a kernel with its size: ``3×3 conv``, and ``1-D conv k3`` where there is one axis."""
    kernel: Sequence[int] = row["kernel"] or ()
    return f"1-D {what} k{kernel[0]}" if len(kernel) == 1 else f"{size(kernel)} {what}" if kernel else what


def _convolution(row: Facts) -> str:
    groups = row["groups"]
    if row["role"] == "transposed":
        return "up-conv"
    if groups == 1:
        return "conv"
    return "depthwise" if row["input_shape"] and groups == row["input_shape"][0] else f"conv g{groups}"


def _steps(row: Facts) -> str:
    """Return stride and dilation where they are not 1."""
    return "".join(
        f" {letter}{_short(row[name])}"
        for letter, name in (("s", "stride"), ("d", "dilation"))
        if row[name] and max(row[name]) > 1
    )


def _pool(row: Facts, kind: str) -> str:
    kernel = row["kernel"]
    whole = all(length == 1 for length in row["output_shape"][1:])
    what = "max pool" if "max" in kind else "avg pool" if "avg" in kind or "mean" in kind else kind
    if row["token"] == "GAP" or (not kernel and whole) or (kernel and kernel == row["input_shape"][1:]):
        return f"global {what}"
    # A stride equal to the kernel is what pooling is understood to have.
    stride = f" s{_short(row['stride'])}" if kernel and row["stride"] != kernel else ""
    return _of_kernel(row, what) + stride


def _ratio(row: Facts) -> str:
    before, after = row["input_shape"][1:], row["output_shape"][1:]
    ratios = {b // a if a and b % a == 0 else 0 for a, b in zip(before, after, strict=False)}
    return f" ×{ratios.pop()}" if len(ratios) == 1 and 0 not in ratios else ""


def _short(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))
