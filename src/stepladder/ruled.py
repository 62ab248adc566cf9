"""The lines of ruled and squared paper, taken out of a picture of ink."""

from __future__ import annotations

import numpy
from scipy import ndimage

Array = numpy.ndarray

_STEEPEST = 0.06  # rows a column
_SLOPES = 49
_COLUMNS = 48  # as many are looked at when the slope is searched
_THICKEST = 0.02  # of the picture's size across the lines
_FAINTEST = 0.03  # of white
_UNSEEN = 15  # percent of a line may be missing


def without_ruled_lines(contrast: Array) -> Array:
    """Return the contrast without thin straight lines that run from side to side, along rows and along columns.

    Strokes across a line stay whole. A picture in which nothing else is left keeps its lines.

    Args:
        contrast: float of shape (rows, columns), 0 on paper and above it where there is ink or a line.
    """
    found = _without_rows(_without_rows(contrast).T).T
    return found if found.max() > 0.5 * contrast.max() else contrast


def _without_rows(contrast: Array) -> Array:
    rows, columns = contrast.shape
    if rows < 20 or columns < 20:
        return contrast
    looked_at = numpy.linspace(0, columns - 1, _COLUMNS).round().astype(int)
    slope = max(
        numpy.linspace(-_STEEPEST, _STEEPEST, _SLOPES),
        key=lambda one: float((_profile(contrast, looked_at, one).clip(0) ** 2).sum()),
    )
    profile = _profile(contrast, looked_at, slope)
    usual = float(numpy.median(profile))
    spread = 1.4826 * float(numpy.median(numpy.abs(profile - usual)))
    lines, _ = ndimage.label(profile > usual + max(_FAINTEST, 6 * spread))
    changed = contrast.copy()
    for (line,) in ndimage.find_objects(lines):
        if line.stop - line.start <= max(4, _THICKEST * rows):
            _take_out(changed, line, slope)
    return changed


def _profile(contrast: Array, looked_at: Array, slope: float) -> Array:
    """Return how dark nearly all of each row is, when rows are as steep as the slope."""
    rows, columns = contrast.shape
    heights = numpy.arange(rows)[:, None] + (slope * (looked_at - columns / 2)).round().astype(int)
    values = contrast[heights.clip(0, rows - 1), looked_at]
    return numpy.asarray(numpy.percentile(values, _UNSEEN, axis=1))


def _take_out(contrast: Array, line: slice, slope: float) -> None:
    """Set the line to paper, but for what is much darker than it and for what goes on above or below it."""
    rows, columns = contrast.shape
    across = numpy.arange(columns)
    drift = (slope * (across - columns / 2)).round().astype(int)
    inside = numpy.arange(line.start - 2, line.stop + 2)[:, None] + drift
    values = contrast[inside.clip(0, rows - 1), across]
    level = float(numpy.median(values.max(axis=0)))
    beside = [contrast[(drift + row).clip(0, rows - 1), across] for row in (line.start - 4, line.stop + 3)]
    stroke = (numpy.maximum(*beside) > 0.6 * level) | (values.max(axis=0) > 1.5 * level)
    blank = ~ndimage.binary_dilation(stroke, iterations=1)[None, :] & (inside >= 0) & (inside < rows)
    contrast[inside[blank], numpy.broadcast_to(across, inside.shape)[blank]] = 0
