"""Where the ink is in a picture: on paper in uneven light, on a blackboard, on a sheet on a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

from stepladder.errors import DataError
from stepladder.ruled import without_ruled_lines

Array = numpy.ndarray

# All lengths below are shares of a side of the picture.
_SMALLEST, _LARGEST = 400, 800  # the longest side while searching, in pixels
_COARSE = 128  # the longest side while the light is estimated
_STROKES = (0.3, 0.18, 0.11, 0.07)  # the widest strokes looked for, tried in this order
_SHARP = 0.8  # of the outline of ink is at least as steep as a third of the steepest
_FAINTEST = 0.07  # ink must be darker than its paper by this share of white
_SOFTEST = 0.03  # the edge of ink is at least as steep as this share of its darkness a pixel
_SHORTEST = 0.015  # a drawing that is shorter is dust
_HAIRLINE = 4  # pixels
_SPECK = 0.04  # parts smaller than this share of the largest are dust
_NEAR = 0.3  # parts further off than this share of the largest part's length belong to something else
_EIGHT = numpy.ones((3, 3), dtype=bool)


def find_ink(grey: Array) -> Array:
    """Return how much ink is at each place around the drawing: float32 of shape (rows, columns), in [0, 1].

    The drawing is the part with the longest sharp outline among what differs from the background, with its
    neighbours; whatever touches the picture's edge counts only if there is nothing else. Values are 1 in the middle
    of strokes and 0 outside, so 0.5 is their outline.

    Args:
        grey: brightness, uint8 of shape (rows, columns), of ink that is darker or lighter than what it is on.

    Raises:
        DataError: if there is no ink.
    """
    picture = _within_sheet(_sized(grey, _SMALLEST, _LARGEST).astype(numpy.float32) / 255)
    found: list[_Drawing] = []
    for stroke in _STROKES:
        drawing = _search(picture, stroke)
        if drawing is not None:
            found.append(drawing)
            if drawing.sharp > _SHARP:
                break
    if not found:
        raise DataError(
            "no ink found in the image", repair="use a picture with one drawing that differs from its paper"
        )
    return crop(max(found, key=lambda drawing: drawing.sharp).ink)


@dataclass(frozen=True)
class _Drawing:
    """Ink, and the share of its outline that is sharp: shadows are soft."""

    ink: Array
    sharp: float


def _search(picture: Array, stroke: float) -> _Drawing | None:
    contrast = _smooth(_contrast(picture, stroke))
    usual = float(numpy.median(contrast))
    noise = 1.4826 * float(numpy.median(numpy.abs(contrast - usual)))
    contrast = without_ruled_lines(contrast - usual)
    # A drawing that fills the picture raises the deviation as noise does; it must not hide itself.
    least = max(_FAINTEST, 5 * min(noise, 0.05))
    seen = contrast[contrast > least]
    if not seen.size:
        return None
    reach = float(numpy.percentile(seen, 85))
    mask = contrast > max(least, 0.3 * reach)
    outline = mask & ~ndimage.binary_erosion(mask, border_value=1)
    if not outline.any():
        return None
    steepness = ndimage.gaussian_gradient_magnitude(contrast, 1)
    steepest = float(numpy.percentile(steepness[outline], 95))
    sharp = outline & (steepness > max(0.3 * steepest, _SOFTEST * reach, _SOFTEST / 2))
    if not sharp.any():
        return None
    drawing = _drawing(mask, sharp)
    places = numpy.argwhere(drawing)
    if numpy.ptp(places, axis=0).max() < _SHORTEST * max(mask.shape):
        return None
    darkness = float(numpy.percentile(contrast[drawing], 80))
    ink = numpy.clip(contrast / darkness, 0, 1) * ndimage.binary_dilation(drawing, _EIGHT, iterations=2)
    if stroke_width(drawing) < _HAIRLINE:
        # Pixels that such a line only touches are pale; all of them belong to it.
        ink = numpy.maximum(ink, drawing)
    return _Drawing(ink.astype(numpy.float32), float((sharp & drawing).sum() / max(1, (outline & drawing).sum())))


def stroke_width(mask: Array) -> float:
    """Return the mean width of the strokes in pixels; across one of width w the mean distance to its edges is w / 4."""
    return 4 * float(ndimage.distance_transform_edt(mask)[mask].mean() - 0.5)


def crop(ink: Array) -> Array:
    """Return the smallest part that holds the outline of all strokes."""
    outlined = ink >= 0.5
    rows, columns = numpy.flatnonzero(outlined.any(axis=1)), numpy.flatnonzero(outlined.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _sized(values: Array, smallest: int, largest: int) -> Array:
    longest = max(values.shape)
    wanted = min(max(longest, smallest), largest)
    if wanted == longest:
        return values
    rows, columns = (max(1, round(side * wanted / longest)) for side in values.shape)
    how = Image.Resampling.BOX if wanted < longest else Image.Resampling.BICUBIC
    return numpy.asarray(Image.fromarray(values).resize((columns, rows), how))


def _within_sheet(picture: Array) -> Array:
    """Return the part that a sheet of paper takes, when the picture shows one on a table; else the whole picture."""
    # Light multiplies what paper and table reflect, so that their logarithms are a fixed distance apart.
    coarse = numpy.log(ndimage.gaussian_filter(_sized(picture, 0, _COARSE), 1) + 0.03)
    bright = coarse > _otsu(coarse)
    border = _border(bright)
    if 0.2 < border.mean() < 0.8:
        return picture
    parts, count = ndimage.label(bright != (border.mean() > 0.5))
    if not count:
        return picture
    largest = parts == 1 + numpy.bincount(parts.ravel())[1:].argmax()
    whole = ndimage.binary_fill_holes(largest)
    inner = 2 * ndimage.distance_transform_edt(numpy.pad(largest, 1)).max()
    # A drawing is thin, bent or leaves paper free; a sheet is wide, convex and nearly all paper.
    wide = inner > 0.22 * numpy.sqrt(coarse.size) and whole.mean() > 0.2
    if not wide or largest.sum() < 0.75 * whole.sum() or whole.sum() < 0.9 * _convex_area(whole):
        return picture
    sheet = ndimage.binary_erosion(whole, iterations=2)
    sheet = numpy.asarray(Image.fromarray(sheet).resize(picture.shape[::-1], Image.Resampling.NEAREST))
    rows, columns = numpy.flatnonzero(sheet.any(axis=1)), numpy.flatnonzero(sheet.any(axis=0))
    nearest = ndimage.distance_transform_edt(~sheet, return_distances=False, return_indices=True)
    # The table around a sheet that lies askew takes the colours of the sheet's edge.
    filled: Array = picture[tuple(nearest)]
    return filled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _convex_area(mask: Array) -> float:
    corners = numpy.argwhere(mask & ~ndimage.binary_erosion(mask))
    # Half a pixel on every side belongs to the area as well.
    around = numpy.concatenate([corners + step for step in ((0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5))])
    return float(ConvexHull(around).volume)


def _contrast(picture: Array, stroke: float) -> Array:
    """Return how much each place differs from the background around it, towards the ink, as a share of white.

    The background is a closing: every place is as bright as the brightest near it. Ink wider than ``stroke``, a share
    of the picture's size, is taken for a shadow.
    """
    is_light = _is_light_ink(picture)
    if is_light:
        picture = 1 - picture
    coarse = ndimage.gaussian_filter(_sized(picture, 0, _COARSE), 0.7)
    window = max(3, round(stroke * numpy.sqrt(coarse.size)))
    background = ndimage.gaussian_filter(ndimage.grey_closing(coarse, size=(window, window)), window / 12)
    ground = numpy.asarray(Image.fromarray(background).resize(picture.shape[::-1], Image.Resampling.BICUBIC))
    difference: Array = ground - picture
    # Light falls on paper and ink alike, so that of dark ink on paper the ratio counts.
    return difference if is_light else difference / numpy.maximum(ground, 0.15)


def _is_light_ink(picture: Array) -> bool:
    """Return whether the few places that differ much from what is usual around them are brighter than it."""
    small = ndimage.gaussian_filter(_sized(picture, 0, _COARSE // 2), 0.5)
    usual = ndimage.median_filter(small, size=tuple(side // 2 + 1 for side in small.shape), mode="nearest")
    return float(((small - usual) ** 3).sum()) > 0


def _smooth(contrast: Array) -> Array:
    """Return the picture with its grain smoothed away, the more of it the more."""
    # Immerkær: Fast noise variance estimation, 1996; the median, so that strokes do not count as noise.
    kernel = numpy.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    noise = 1.4826 / 6 * float(numpy.median(numpy.abs(ndimage.convolve(contrast, kernel))))
    reach = float(numpy.percentile(contrast, 99.5) - numpy.median(contrast))
    spread = min(3.0, 10 * noise / max(reach, 1e-3))
    return ndimage.gaussian_filter(contrast, spread) if spread > 0.3 else contrast


def _drawing(mask: Array, sharp: Array) -> Array:
    """Return the part with most sharp outline and the larger parts near it; parts at the edge only if need be."""
    parts, count = ndimage.label(mask, _EIGHT)
    lengths = numpy.bincount(parts[sharp], minlength=count + 1)
    lengths[0] = 0
    inside = lengths.copy()
    inside[numpy.unique(_border(parts))] = 0
    if inside.max() > 0.2 * lengths.max():
        lengths = inside
    main = int(lengths.argmax())
    sizes = numpy.bincount(parts.ravel(), minlength=count + 1)
    places = ndimage.find_objects(parts)
    reach = _NEAR * max(side.stop - side.start for side in places[main - 1])
    kept = [
        index
        for index in numpy.flatnonzero(lengths)
        if sizes[index] >= _SPECK * sizes[main] and _gap(places[index - 1], places[main - 1]) <= reach
    ]
    return numpy.isin(parts, kept)


def _gap(one: tuple[slice, slice], other: tuple[slice, slice]) -> int:
    return max(int(max(a.start - b.stop, b.start - a.stop)) for a, b in zip(one, other, strict=True))


def _border(values: Array) -> Array:
    return numpy.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _otsu(values: Array) -> float:
    """Return the threshold that parts the values best (Otsu, 1979)."""
    counts, edges = numpy.histogram(values, 64)
    middles = (edges[1:] + edges[:-1]) / 2
    below = counts.cumsum()
    above = counts.sum() - below
    sums = (counts * middles).cumsum()
    means_apart = sums / numpy.maximum(below, 1) - (sums[-1] - sums) / numpy.maximum(above, 1)
    return float(edges[1:][(below * above * means_apart**2).argmax()])
