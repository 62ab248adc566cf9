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
from stepladder.ink import crop, find_ink

Array = numpy.ndarray

_BOX = 20 / 28  # of the image's shorter side
_CELL = 8  # values a pixel along each axis, until the last step
# Strokes of nine in ten MNIST digits are between these, in shares of the box; the median is 0.15.
_STROKES = (0.11, 0.21)


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
    drawing = _with_usual_strokes(_fit(find_ink(grey), round(_BOX * min(rows, columns) * _CELL)))
    return _centred(drawing, rows, columns)[None]


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
    box = max(ink.shape)
    padded = numpy.pad(ink, box // 4)
    mask = padded >= 0.5
    inside = ndimage.distance_transform_edt(mask)
    # Across a strip of width w the mean distance to its edges is w / 4.
    width = 4 * float(inside[mask].mean()) / box
    wanted = min(max(width, _STROKES[0]), _STROKES[1])
    if wanted == width:
        return ink
    # The outline moves by this many values on each side; scaling the drawing into the box again is reckoned with.
    outward = box * (wanted - width) / (2 * (1 - wanted))
    if outward < 0:
        # The thinnest parts must not break.
        ridge = inside[mask & (inside >= ndimage.maximum_filter(inside, 3))]
        outward = max(outward, -0.6 * float(numpy.percentile(ridge, 10)))
    outside = ndimage.distance_transform_edt(~mask)
    moved = numpy.clip(0.5 + outward + inside - outside, 0, 1).astype(numpy.float32)
    return _fit(crop(moved), box)


def _centred(ink: Array, rows: int, columns: int) -> Array:
    """Return the image, uint8, with the drawing's centre of mass in the middle as MNIST has it."""
    masses = ndimage.center_of_mass(ink)
    canvas = numpy.zeros((rows * _CELL, columns * _CELL), dtype=numpy.float32)
    # MNIST's middle is the pixel of index 14 of 28, whose centre is half a pixel beyond that of the image.
    starts = [round((side / 2 + 0.5) * _CELL - mass - 0.5) for side, mass in zip((rows, columns), masses, strict=True)]
    # A drawing whose mass is all at one end may reach beyond the image; it is held inside.
    starts = [
        min(max(start, 0), full - size) for start, full, size in zip(starts, canvas.shape, ink.shape, strict=True)
    ]
    top, left = starts
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    means: Array = canvas.reshape(rows, _CELL, columns, _CELL).mean(axis=(1, 3))
    return (255 * means).round().astype(numpy.uint8)
