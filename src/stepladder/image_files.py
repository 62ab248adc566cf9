"""Image files as people have them: any size and mode, upright and opaque when they leave here."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy
from PIL import Image

from stepladder.data.pictures import UnreadablePictureError, opened, refused, upright
from stepladder.errors import DataError

# Enough for a digit that takes a twentieth of a page.
_LONGEST_SIDE = 1600
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def open_picture(path: Path) -> Image.Image:
    """Return the picture in a file in mode L or RGB, turned upright; of an animation, the first frame.

    What is transparent takes the colour of the rest, or, where little is drawn on a transparent ground, the black or
    white that shows the drawing best. Pictures with more than 8 bits a value are scaled so that the brightest is
    white. Large pictures are reduced to 1,600 pixels on the longest side.

    Raises:
        DataError: if the file is missing, or holds no picture that can be read.
    """
    if not path.is_file():
        what = "this is a folder, not an image file" if path.is_dir() else "there is no such image file"
        raise DataError(what, given=str(path), repair="name a file such as photo.jpg or digit.png")
    try:
        with warnings.catch_warnings():
            # Damaged notes inside a picture are none of the user's business as long as the pixels can be read.
            warnings.simplefilter("ignore")
            with opened(path, is_alone=True) as stored:
                return _reduced(_opaque(_eight_bits(upright(stored, _LONGEST_SIDE))))
    except UnreadablePictureError as error:
        raise refused(path, error) from None


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode not in _DEEP:
        return picture
    values = numpy.nan_to_num(numpy.asarray(picture).astype(numpy.float64), nan=0.0, posinf=0.0, neginf=0.0)
    values -= min(values.min(), 0.0)
    return Image.fromarray((values * (255 / (values.max() or 1.0))).round().astype(numpy.uint8))


def _opaque(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    picture = picture.convert("RGBA")
    alpha = numpy.asarray(picture.getchannel("A"))
    brightness = numpy.asarray(picture.convert("L"))[alpha > 127]
    if 2 * brightness.size > alpha.size:
        ground = int(numpy.median(brightness))
    else:
        ground = 0 if brightness.size and brightness.mean() > 127 else 255
    below = Image.new("RGBA", picture.size, (ground, ground, ground, 255))
    return Image.alpha_composite(below, picture).convert("RGB")


def _reduced(picture: Image.Image) -> Image.Image:
    if max(picture.size) > _LONGEST_SIDE:
        picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.BOX)
    return picture
