"""What one output value sees: its receptive field layer by layer on an image, and how field and jump grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from stepladder.pictures import style

_WIDTH = 820.0
_IMAGE = 300.0
_HEIGHT = 372.0


@dataclass(frozen=True)
class Seen:
    """What one value of a layer's output sees of the input, in pixels; lists go over rows and columns.

    Args:
        token: the layer in the notation.
        size: of the receptive field.
        jump: between the fields of neighbouring values.
        centre: of the shown value's field.
    """

    token: str
    size: tuple[float, float]
    jump: tuple[float, float]
    centre: tuple[float, float]


def fields_of(facts: dict[str, Any]) -> list[Seen]:
    """Return the nested fields on the way to one value of the last layer, for each layer that mixes values.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
    """
    rows = [row for row in facts["rows"] if row["kernel"] or row["kind"] in ("Linear", "Flatten")]
    if all(row["kind"] == "Flatten" for row in rows):
        return []
    # The middle value at the end; from there back through the middle of each window, whose field is inside that of
    # what comes after it.
    at = _middle(rows[-1]["output_shape"])
    found = []
    for row in reversed(rows):
        if row["kind"] == "Flatten":
            at = _middle(row["input_shape"])  # it mixes nothing; before it there are maps again
            continue
        centre = [row["start"][axis] + at[axis] * row["jump"][axis] for axis in (0, 1)]
        found.append(Seen(row["token"], _two(row["receptive_field"]), _two(row["jump"]), _two(centre)))
        at = [_back(row, axis, at[axis]) for axis in (0, 1)] if row["kernel"] else _middle(row["input_shape"])
    return found[::-1]


def field(facts: dict[str, Any], image: numpy.ndarray | None = None) -> Figure:
    """Return the nested receptive fields of one output value on an image, beside the field and jump of every layer.

    Args:
        facts: what ``stepladder inspect --format json`` gives.
        image: uint8 of shape (channels, rows, columns), as the net takes it; None for a plain grid of pixels.
    """
    seen = fields_of(facts)
    shape = tuple(facts["input"][-2:])
    with style.context():
        figure = style.blank(_WIDTH, _HEIGHT)
        scale = _IMAGE / max(shape)
        width, height = shape[1] * scale, shape[0] * scale
        left, bottom = 22 + (_IMAGE - width) / 2, 26 + (_IMAGE - height) / 2
        picture = figure.add_axes((left / _WIDTH, bottom / _HEIGHT, width / _WIDTH, height / _HEIGHT))
        _title(figure, 22, "What one output value sees, layer by layer")
        colours = _colours(len(seen))
        _image(picture, image, shape)
        _nested(picture, seen, colours, scale)
        if seen:
            _title(figure, 400, "Receptive field r and jump j, in input pixels")
            _staircase(figure, seen, colours, shape)
    return figure


def _image(axis: Axes, image: numpy.ndarray | None, shape: tuple[int, ...]) -> None:
    rows, columns = shape
    axis.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    axis.grid(visible=False)
    axis.spines[:].set(visible=True, color=style.LINE)
    if image is None:
        axis.set_xticks(range(columns + 1), minor=True)
        axis.set_yticks(range(rows + 1), minor=True)
        axis.grid(visible=True, which="minor", linewidth=0.5)
        axis.tick_params(which="both", length=0)
        return
    shown = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
    # Pale, so that the squares stand out.
    paper = (255 - 0.55 * (shown if len(image) != 3 else 255.0 - shown)).astype(numpy.uint8)
    enlarged = paper.repeat(8, 0).repeat(8, 1)
    axis.imshow(
        enlarged, cmap="gray", vmin=0, vmax=255, extent=(0, columns, rows, 0), interpolation="none", aspect="auto"
    )


def _nested(axis: Axes, seen: Sequence[Seen], colours: Sequence[str], scale: float) -> None:
    # The last numbers written at the right upper and the left lower corners, from the outside to the inside.
    upper_before, lower_before = -99.0, 1e9
    before: tuple[float, float] | None = None
    for one, colour in reversed(list(zip(seen, colours, strict=True))):
        top, left = (one.centre[index] - one.size[index] / 2 for index in (0, 1))
        rows, columns = one.size
        face = (*mpl.colors.to_rgb(colour), min(0.06, 0.4 / len(seen)))
        axis.add_patch(Rectangle((left, top), columns, rows, facecolor=face, edgecolor=colour, linewidth=1.5))
        upper, lower = max(top, 0.0), min(top + rows, axis.get_ylim()[0])
        right = min(left + columns, axis.get_xlim()[1])
        properties: dict[str, Any] = {"fontsize": 6.8, "fontweight": "bold", "color": style.mix(colour, 0.8, style.INK)}
        room = 8.5 / scale
        if columns < 1.5 * room:
            continue
        if upper - upper_before > room:
            axis.text(right - 2 / scale, upper + 1.5 / scale, _size(one.size), ha="right", va="top", **properties)
            upper_before = upper
        elif lower_before - lower > room and one.size != before:
            place = (max(left, 0.0) + 2 / scale, lower - 2 / scale)
            axis.text(*place, _size(one.size), ha="left", va="baseline", **properties)
            lower_before = lower
        before = one.size


def _staircase(figure: Figure, seen: Sequence[Seen], colours: Sequence[str], shape: tuple[int, ...]) -> None:
    grown = figure.add_axes((430 / _WIDTH, 140 / _HEIGHT, 366 / _WIDTH, 186 / _HEIGHT))
    jumps = figure.add_axes((430 / _WIDTH, 62 / _HEIGHT, 366 / _WIDTH, 52 / _HEIGHT), sharex=grown)
    places = numpy.arange(len(seen))
    sizes, steps = [max(one.size) for one in seen], [max(one.jump) for one in seen]
    small = len(seen) > 14
    for axis, values, letter in ((grown, sizes, "r"), (jumps, steps, "j")):
        axis.bar(places, values, width=0.86, color=[style.mix(colour, 0.35) for colour in colours])
        axis.step(
            numpy.append(places, len(seen)) - 0.5, [values[0], *values], where="pre", color=style.INK, linewidth=0.9
        )
        axis.set_ylim(0, max(values) * 1.2)
        axis.yaxis.set_major_locator(MaxNLocator(4 if letter == "r" else 2, integer=True))
        axis.grid(visible=False, axis="x")
        axis.set_ylabel(letter, rotation=0, labelpad=8, fontstyle="italic", va="center")
        for place, value, one in zip(places, values, seen, strict=True):
            pair = one.size if letter == "r" else one.jump
            axis.annotate(
                _size(pair),
                (place, value),
                (0, 2.5),
                textcoords="offset points",
                ha="center",
                fontsize=6 if small else 7.5,
            )
    grown.axhline(max(shape), color=style.SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
    grown.annotate(
        f"the whole image: {_size(shape)}",
        (0, max(shape)),
        (2, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=8,
        color=style.SOFT,
    )
    grown.set_ylim(0, max(*sizes, max(shape)) * 1.16)
    grown.tick_params(axis="x", length=0, labelbottom=False)
    jumps.tick_params(axis="x", length=0)
    upright = len(seen) > 9 or max(len(one.token) for one in seen) > 5
    jumps.set_xticks(places, [one.token for one in seen], rotation=90 if upright else 0, fontsize=7 if small else 8)
    jumps.set_xlim(-0.6, len(seen) - 0.4)


def _title(figure: Figure, left: float, text: str) -> None:
    figure.text(left / _WIDTH, 1 - 24 / _HEIGHT, text, fontsize=10.5, fontweight="bold")


def _colours(count: int) -> list[str]:
    shades = mpl.colormaps["viridis"](numpy.linspace(0.82, 0.05, count))
    return [to_hex(shade) for shade in shades]


def _middle(shape: Sequence[int]) -> list[int]:
    return [shape[1] // 2, shape[2] // 2] if len(shape) == 3 else [0, 0]


def _back(row: dict[str, Any], axis: int, at: int) -> int:
    """Return the place before a layer that is in the middle of the window of a place after it."""
    kernel, size = row["kernel"][axis], row["input_shape"][axis + 1]
    first = at * row["stride"][axis] - row["padding"][axis]
    # An even window has two middles; always taking the first would lead, layer by layer, into a corner of the image.
    middles = [first + row["dilation"][axis] * middle for middle in ((kernel - 1) // 2, kernel // 2)]
    nearest = min(middles, key=lambda place: abs(place - (size - 1) / 2))
    return int(min(max(nearest, 0), size - 1))


def _two(values: Sequence[float]) -> tuple[float, float]:
    return values[0], values[1]


def _size(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if values[0] == values[1] else f"{values[0]:g}×{values[1]:g}"
