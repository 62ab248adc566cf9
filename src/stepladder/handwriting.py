"""Pictures of handwriting made into what a net expects that was trained on MNIST.

MNIST was made so: the drawing was scaled into a box of 20×20 pixels, keeping its proportions and with grey levels from
anti-aliasing, then moved so that its centre of mass is in the middle of the 28×28 image (LeCun, Bottou, Bengio,
Haffner: Gradient-based learning applied to document recognition, 1998, section III.A). Ink is 255, paper 0.
"""

from __future__ import annotations

import numpy
from PIL import Image
from scipy import ndimage

from stepladder.errors import DataError
from stepladder.ink import crop, find_ink, stroke_width

Array = numpy.ndarray

_BOX = 20 / 28  # of the image's shorter side
_CELL = 8  # values a pixel along each axis, until the last step
# Strokes of nine in ten MNIST digits are between these, in shares of the box; the median is 0.14.
_STROKES = (0.10, 0.20)


def prepare(picture: Image.Image, input_shape: tuple[int, int, int]) -> Array:
    """Return a picture as a net's input, uint8 of shape (channels, rows, columns).

    For one channel the drawing is found, scaled and centred as in MNIST, unless the picture has the net's size and an
    even black or white background: then it is taken as it is, white turned to black. For three channels the picture
    is resized.

    Args:
        picture: in mode L or RGB.
        input_shape: (channels, rows, columns).

    Raises:
        DataError: if there is no ink, or the net takes neither one nor three channels.
    """
    channels, rows, columns = input_shape
    if channels == 3:
        resized = picture.convert("RGB").resize((columns, rows), Image.Resampling.LANCZOS)
        return numpy.ascontiguousarray(numpy.asarray(resized).transpose(2, 0, 1))
    if channels != 1:
        raise DataError(
            "pictures have one channel or three",
            given=f"a net for {channels} channels",
            repair="ask this net in Python, with stepladder.load_net",
        )
    grey = numpy.asarray(picture.convert("L"))
    if grey.shape == (rows, columns):
        for image in (grey, 255 - grey):
            if _is_ready(image):
                return image[None].copy()
    box = round(_BOX * min(rows, columns) * _CELL)
    ink = find_ink(grey)
    ink = _with_usual_strokes(_fit(ink, box) if max(ink.shape) < box else ink)
    return _centred(_fit(ink, box), rows, columns)[None]


def _is_ready(image: Array) -> bool:
    """Return whether there is ink on a ground that is as even and black as MNIST's."""
    border = numpy.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return bool(numpy.median(border) <= 2 and border.mean() < 25 and image.max() > 60)


def _fit(ink: Array, box: int) -> Array:
    """Return the ink scaled so that its longer side takes the box, with anti-aliasing."""
    scale = box / max(ink.shape)
    rows, columns = (max(1, round(side * scale)) for side in ink.shape)
    resized = Image.fromarray(ink).resize((columns, rows), Image.Resampling.BICUBIC)
    fitted: Array = numpy.clip(numpy.asarray(resized), 0, 1)
    return fitted


def _with_usual_strokes(ink: Array) -> Array:
    """Return the drawing with strokes as wide as MNIST's: those that are much thinner or thicker are brought near."""
    length = max(ink.shape)
    padded = numpy.pad(ink, length // 4)
    mask = padded >= 0.5
    width = stroke_width(mask) / length
    wanted = min(max(width, _STROKES[0]), _STROKES[1])
    if wanted == width:
        return ink
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    # The outline moves by this many pixels on each side, which makes the drawing itself larger or smaller as well.
    outward = length * (wanted - width) / (2 * (1 - wanted))
    if outward < 0:
        # The thinnest parts must not break.
        ridge = inside[mask & (inside >= ndimage.maximum_filter(inside, 3))]
        outward = max(outward, -0.6 * float(numpy.percentile(ridge, 10)))
    return crop(numpy.clip(0.5 + outward + inside - outside, 0, 1).astype(numpy.float32))


def _centred(ink: Array, rows: int, columns: int) -> Array:
    """Return the image, uint8, with the drawing's centre of mass in the middle as MNIST has it."""
    masses = ndimage.center_of_mass(ink)
    canvas = numpy.zeros((rows * _CELL, columns * _CELL), dtype=numpy.float32)
    # MNIST's middle is the pixel of index 14 of 28, whose centre is half a pixel beyond that of the image; MNIST's
    # drawings were moved by whole pixels.
    starts = [
        _CELL * round(side / 2 + 0.5 - (mass + 0.5) / _CELL) for side, mass in zip((rows, columns), masses, strict=True)
    ]
    # A drawing whose mass is all at one end may reach beyond the image; it is held inside.
    starts = [
        min(max(start, 0), full - size) for start, full, size in zip(starts, canvas.shape, ink.shape, strict=True)
    ]
    top, left = starts
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    means: Array = canvas.reshape(rows, _CELL, columns, _CELL).mean(axis=(1, 3))
    return (255 * means).round().astype(numpy.uint8)
