"""A sheet of the numbers that a net is given, as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
from matplotlib.figure import Figure

from stepladder.pictures import style

_MARGIN, _TOP, _SIDE, _GAP, _CAPTION, _COLUMNS = 16.0, 46.0, 60.0, 10.0, 14.0, 10
_LONGEST = 12


def input_sheet(values: numpy.ndarray, names: Sequence[str]) -> Figure:
    """Return a sheet of inputs, ten a row, each above its label, and the range that the shades stand for.

    Black is the lowest value of all, white the highest; that is how the net sees them, not how ink looks on paper.

    Args:
        values: floats of shape (N, C, H, W); of other than three channels the first is shown.
        names: the label of each.
    """
    low, high = float(values.min()), float(values.max())
    shades = ((values - low) / max(high - low, 1e-12) * 255).round().astype(numpy.uint8)
    scale = _SIDE / max(values.shape[2:])
    tall, wide = values.shape[2] * scale, values.shape[3] * scale
    rows = -(-len(values) // _COLUMNS)
    width = 2 * _MARGIN + _COLUMNS * (_SIDE + _GAP) - _GAP
    height = _TOP + rows * (tall + _CAPTION + _GAP) + _MARGIN / 2
    with style.context():
        figure = style.blank(width, height)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        axes.text(_MARGIN, 18, "What the net is given", fontsize=10.5, fontweight="bold", va="center")
        axes.text(
            _MARGIN,
            34,
            f"after augmentation and normalisation: from {low:.3g} (black) to {high:.3g} (white), mean "
            f"{float(values.mean()):.3g}, deviation {float(values.std()):.3g}",
            fontsize=8.5,
            color=style.SOFT,
            va="center",
        )
        for number, (image, name) in enumerate(zip(shades, names, strict=True)):
            row, column = divmod(number, _COLUMNS)
            left, top = _MARGIN + column * (_SIDE + _GAP), _TOP + row * (tall + _CAPTION + _GAP)
            shown = image.transpose(1, 2, 0) if len(image) == 3 else numpy.stack([image[0]] * 3, -1)
            extent = (left, left + wide, top + tall, top)
            axes.imshow(shown, extent=extent, interpolation="none", aspect="auto")
            text = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
            axes.text(left, top + tall + 8, text, fontsize=8, color=style.INK, va="center", parse_math=False)
    return figure
