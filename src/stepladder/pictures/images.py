"""Sheets of images: what augmentation makes of one, and the images that a net gets wrong."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stepladder.pictures import style

_MARGIN = 16.0
_SIDE = 60.0
_GAP = 8.0
_MOST = 40
_COLUMNS = 10


def pixels(image: dict[str, Any] | str, shape: Sequence[int]) -> numpy.ndarray:
    """Return a kept image, uint8 of shape (channels, rows, columns).

    Args:
        image: its bytes in base64, or a dictionary that has them as "pixels".
        shape: (channels, rows, columns).
    """
    packed = image if isinstance(image, str) else image["pixels"]
    return numpy.frombuffer(base64.b64decode(packed), dtype=numpy.uint8).reshape(tuple(shape))


def augmentation(exhibit: dict[str, Any], shape: Sequence[int], *, is_ink: bool = True) -> Figure:
    """Return a sheet: a row for each kind of augmentation, with the original and the copies it drew.

    Args:
        exhibit: "original", and "rows" with "text" and "pixels", as the facts of a climb keep them.
        shape: (channels, rows, columns) of the images.
        is_ink: whether those of one channel are bright strokes on black, to be shown dark on light.
    """
    rows = [(row["text"], row["pixels"]) for row in exhibit["rows"]]
    count = 1 + max(len(copies) for _, copies in rows)
    side = _cell(shape)
    caption = 20.0
    row_height = side[0] + caption + 8
    width = 2 * _MARGIN + count * (side[1] + _GAP) + _GAP
    height = 2 * _MARGIN + len(rows) * row_height - 8
    with style.context():
        figure, axes = _sheet(width, height)
        original = pixels(exhibit["original"], shape)
        second = _MARGIN + side[1] + 2.5 * _GAP
        for number, (text, copies) in enumerate(rows):
            top = _MARGIN + caption + number * row_height
            axes.text(_MARGIN, top - 6, "original", fontsize=8, color=style.SOFT, va="baseline")
            axes.text(second, top - 6, text, fontsize=9, fontweight="bold", va="baseline")
            _show(axes, _as_seen(original, is_ink), _MARGIN, top, side, style.SOFT)
            for place, copy in enumerate(copies):
                _show(
                    axes,
                    _as_seen(pixels(copy, shape), is_ink),
                    second + place * (side[1] + _GAP),
                    top,
                    side,
                    style.LINE,
                )
    return figure


def errors(
    found: Sequence[dict[str, Any]], classes: Sequence[str], shape: Sequence[int], *, is_ink: bool = True
) -> Figure:
    """Return a sheet of misclassified images, the most confident first: at most 40, ten a row.

    Args:
        found: each with "pixels", "label", "predicted", "label_probability" and "predicted_probability".
        classes: the names of the classes.
        shape: (channels, rows, columns) of the images.
        is_ink: whether those of one channel are bright strokes on black, to be shown dark on light.
    """
    shown = sorted(found, key=lambda one: -one["predicted_probability"])[:_MOST]
    side = _cell(shape)
    column = max(side[1], 5.0 * max(map(len, classes)) + 34) + _GAP + 4
    columns = max(1, min(_COLUMNS, len(shown)) if shown else 5)
    row_height = side[0] + 36
    rows = max(1, -(-len(shown) // columns))
    with style.context():
        figure, axes = _sheet(max(2 * _MARGIN + columns * column - _GAP, 250.0), 2 * _MARGIN + rows * row_height - 12)
        if not shown:
            axes.text(_MARGIN, _MARGIN + 30, "Every image is classified rightly.", fontsize=10)
        for number, one in enumerate(shown):
            left, top = _MARGIN + number % columns * column, _MARGIN + number // columns * row_height
            _show(axes, _as_seen(pixels(one, shape), is_ink), left, top, side, style.LINE)
            lines = (
                (one["predicted"], one["predicted_probability"], style.mix(style.COLOURS[1], 0.85, style.INK)),
                (one["label"], one["label_probability"], style.SOFT),
            )
            for line, (label, probability, colour) in enumerate(lines):
                text = f"{'said' if line == 0 else 'true'} {classes[label]} · {_percent(probability)}"
                axes.text(left, top + side[0] + 10 + 10 * line, text, fontsize=7.2, color=colour, va="baseline")
    return figure


def _sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with axes that count points from its left upper corner."""
    figure = style.blank(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def _cell(shape: Sequence[int]) -> tuple[float, float]:
    scale = _SIDE / max(shape[1:])
    return shape[1] * scale, shape[2] * scale


def _show(axes: Axes, image: numpy.ndarray, left: float, top: float, side: tuple[float, float], edge: str) -> None:
    """Draw pixels, uint8 of shape (rows, columns) or (rows, columns, 3), with a thin frame."""
    framed = _framed(image.repeat(4, 0).repeat(4, 1), edge)
    extent = (left, left + side[1], top + side[0], top)
    axes.imshow(framed, extent=extent, interpolation="none", aspect="auto")


def _as_seen(image: numpy.ndarray, is_ink: bool) -> numpy.ndarray:
    if len(image) == 3:
        return image.transpose(1, 2, 0)
    return numpy.asarray(255 - image[0]) if is_ink else image[0]


def _framed(image: numpy.ndarray, edge: str) -> numpy.ndarray:
    coloured = image if image.ndim == 3 else numpy.stack([image] * 3, -1)
    framed = coloured.copy()
    colour = [int(edge[at : at + 2], 16) for at in (1, 3, 5)]
    framed[:2], framed[-2:], framed[:, :2], framed[:, -2:] = colour, colour, colour, colour
    return framed


def _percent(probability: float) -> str:
    return "<1%" if probability < 0.005 else f"{probability:.0%}"
