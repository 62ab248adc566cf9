"""Pictures in files made into bytes: upright, opaque, grey or in colour, of one size."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy

from stepladder.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_ENDINGS = "avif bmp dib gif jfif jp2 jpe jpeg jpg pbm pcx pgm png pnm ppm qoi tga tif tiff webp"
SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())
"""Endings of names by which a file is taken for a picture."""

_DAMAGE = (OSError, ValueError, TypeError, SyntaxError, EOFError, IndexError, KeyError, struct.error, zlib.error)
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange rows and columns
_OF_ANY_RANGE = ("F", "I")  # modes that leave open which value is white


@dataclass(frozen=True)
class Look:
    """What a picture's header says.

    Args:
        size: (rows, columns) once it is upright.
        mode: Pillow's name of its kind, such as L, RGB, P, I;16 or CMYK.
        highest: brightest value, where the mode alone does not say which value is white; else 0.
    """

    size: tuple[int, int]
    mode: str
    highest: float = 0.0


class UnreadablePictureError(Exception):
    """A file that holds no picture that can be read; its text says why.

    Args:
        reason: the text.
        may_pass: whether the machine refused, as it does without permission, and the file may be sound.
    """

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


def look(path: Path) -> Look:
    """Return what a picture's header says; its pixels are read only if they are floats or have 32 bits.

    Raises:
        UnreadablePictureError: if the file holds no picture, or one of too many pixels.
    """
    from PIL import ImageOps

    with opened(path) as stored:
        columns, rows = stored.size
        if stored.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS:
            if stored.format == "TIFF":
                # Some versions of Pillow turn these when they load them, some exchange the size before that.
                columns, rows = ImageOps.exif_transpose(stored).size
            else:
                rows, columns = columns, rows
        mode = stored.mode
        highest = float(_values(stored).max(initial=0.0)) if mode in _OF_ANY_RANGE else 0.0
        return Look((rows, columns), mode, highest)


def whites_of(looks: Iterable[Look]) -> dict[str, float]:
    """Return the value that is white in each mode that does not say it, one for all pictures of that mode."""
    highest: dict[str, float] = {}
    for one in looks:
        if one.mode in _OF_ANY_RANGE:
            highest[one.mode] = max(one.highest, highest.get(one.mode, 0.0))
    return {mode: white_of(value, whole=mode != "F") for mode, value in highest.items()}


def read(path: Path, size: tuple[int, int], whites: Mapping[str, float] | None = None) -> numpy.ndarray:
    """Return a picture as uint8 of shape (rows, columns), or (rows, columns, 3) where any pixel has a colour.

    It is turned upright as its camera noted; what is transparent lies on white; of an animation the first frame is
    taken. 16 bits are brought to 8 by their range, not by the picture's own brightest value, so that pictures stay
    comparable. A picture of another size is resized (Lanczos); its proportions are not kept.

    Args:
        path: the file.
        size: (rows, columns).
        whites: of a data set's pictures, from ``whites_of``; without them a picture is taken by itself.

    Raises:
        UnreadablePictureError: if the file holds no picture, or one that is damaged or too large.
    """
    from PIL import Image

    rows, columns = size
    with opened(path) as stored:
        # Twice the size that is wanted leaves enough to average over.
        turned = upright(stored, 2 * max(size))
        picture = opaque(eight_bits(turned, (whites or {}).get(turned.mode)))
        if picture.size != (columns, rows):
            picture = picture.resize((columns, rows), Image.Resampling.LANCZOS)
        pixels = numpy.array(picture)
    if pixels.ndim == 3 and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        return pixels[..., 0].copy()
    return pixels


def as_input(path: Path, shape: tuple[int, int, int]) -> numpy.ndarray:
    """Return a picture as a net's input, uint8 of shape (channels, rows, columns), as a data set would hold it.

    Raises:
        DataError: if it cannot be read, or the net takes neither one nor three channels.
    """
    import warnings

    channels, rows, columns = shape
    if channels not in (1, 3):
        raise DataError(
            "pictures have one channel or three",
            given=f"a net for {channels} channels",
            repair="ask this net in Python, with stepladder.load_net",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged notes inside a picture whose pixels can be read
            pixels = read(path, (rows, columns))
    except UnreadablePictureError as error:
        raise refused(path, error) from None
    return with_channels(pixels, channels)


def refused(path: Path, error: UnreadablePictureError) -> DataError:
    """Return the error for a picture by itself that cannot be read; in a data set it is left out instead."""
    return DataError("the image cannot be read", given=f"{path} ({error})", repair="save it again as PNG or JPEG")


def with_channels(pixels: numpy.ndarray, channels: int) -> numpy.ndarray:
    """Return pixels of shape (rows, columns) or (rows, columns, 3) as (channels, rows, columns), for 1 or 3 channels.

    Colour becomes grey as Pillow does it (ITU-R BT.601: 0.299 red, 0.587 green, 0.114 blue).
    """
    from PIL import Image

    if channels == 3:
        coloured = pixels if pixels.ndim == 3 else numpy.repeat(pixels[..., None], 3, axis=2)
        return numpy.ascontiguousarray(coloured.transpose(2, 0, 1))
    grey = pixels if pixels.ndim == 2 else numpy.array(Image.fromarray(pixels).convert("L"))
    return grey[None]


def eight_bits(picture: Image.Image, white: float | None = None) -> Image.Image:
    """Return a picture of 16 or more bits a value in mode L; one of 8 bits as it is.

    Args:
        picture: of any mode.
        white: the value that is white; None takes it from the picture's own brightest.
    """
    from PIL import Image

    if not picture.mode.startswith(("I", "F")):
        return picture
    values = _values(picture)
    if white is None:
        white = white_of(float(values.max(initial=0.0)), whole=picture.mode != "F")
    return Image.fromarray(as_bytes(values, white))


def _values(picture: Image.Image) -> numpy.ndarray:
    return numpy.nan_to_num(numpy.asarray(picture).astype(numpy.float64), nan=0.0, posinf=0.0, neginf=0.0)


def white_of(highest: float, *, whole: bool) -> float:
    """Return which value is white, by the brightest of all images that are to be comparable.

    It is 65,535 for whole numbers. Others are white at 1 if none exceeds 2, and at 255 if none exceeds 256: resizing
    and rounding overshoot a little, and one such pixel must not darken all. Where some exceed these, the brightest is
    white.
    """
    ranges = ((65_535.0, 65_535.0),) if whole else ((2.0, 1.0), (256.0, 255.0))
    return next((white for limit, white in ranges if highest <= limit), highest)


def as_bytes(values: numpy.ndarray, white: float) -> numpy.ndarray:
    """Return brightness as uint8, of the same shape: black up to 0, white from ``white`` on. Values are finite."""
    return numpy.clip(numpy.round(values * (255 / white)), 0, 255).astype(numpy.uint8)


def opaque(picture: Image.Image) -> Image.Image:
    """Return a picture in mode L or RGB; what is transparent lies on white."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("L" if picture.mode in ("1", "L") else "RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def resize(images: numpy.ndarray, size: tuple[int, int]) -> numpy.ndarray:
    """Return images, uint8 of shape (N, C, H, W), at another size, (rows, columns), by Lanczos' filter."""
    from PIL import Image

    rows, columns = size
    count, channels = images.shape[:2]
    found = numpy.empty((count, channels, rows, columns), dtype=numpy.uint8)
    for index, image in enumerate(images):
        for channel, plane in enumerate(image):
            found[index, channel] = numpy.asarray(
                Image.fromarray(plane).resize((columns, rows), Image.Resampling.LANCZOS)
            )
    return found


def upright(stored: Image.Image, side: int) -> Image.Image:
    """Return the pixels of an opened picture, turned as its camera or scanner noted; of an animation, the first frame.

    Args:
        stored: as ``opened`` gives it.
        side: pixels along the longest side that are enough: JPEG files are decoded at about that size, which is fast.
    """
    from PIL import ImageOps

    stored.draft(None, (side, side))
    stored.load()
    return ImageOps.exif_transpose(stored)


class opened:  # noqa: N801 (used as a function is)
    """A context that opens a picture and turns whatever goes wrong inside it into an UnreadablePictureError.

    Args:
        path: the file.
        is_alone: whether it is one picture and not one of many, so that it may have twice the pixels that Pillow warns
            of: those of large photographs.
    """

    def __init__(self, path: Path, *, is_alone: bool = False) -> None:
        self.path = path
        self.is_alone = is_alone

    def __enter__(self) -> Image.Image:
        from PIL import Image

        try:
            self.stored = Image.open(self.path)
        except BaseException as error:
            raise self._explained(error) from None
        if self.stored.format == "TIFF":
            # Nameless a file is not mapped into memory: there Pillow 13 takes the upright size for what is stored.
            self.stored.filename = ""
        columns, rows = self.stored.size
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and columns * rows > limit and not self.is_alone:
            self.stored.close()
            raise UnreadablePictureError(_too_large(rows, columns, limit))
        return self.stored

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.stored.close()
        if error is not None and not isinstance(error, UnreadablePictureError):
            raise self._explained(error) from None

    def _explained(self, error: BaseException) -> BaseException:
        from PIL import Image, UnidentifiedImageError

        if isinstance(error, UnidentifiedImageError):
            return UnreadablePictureError("no image format that can be read")
        if isinstance(error, Image.DecompressionBombError):
            return UnreadablePictureError(f"too many pixels: more than {Image.MAX_IMAGE_PIXELS or 0:,}")
        if isinstance(error, MemoryError):
            return UnreadablePictureError("too large for this machine's memory", may_pass=True)
        if isinstance(error, _DAMAGE):
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            # Pillow raises OSError for damaged pictures too, but without the system's number.
            refused = isinstance(error, OSError) and error.errno is not None
            return UnreadablePictureError(str(reason).rstrip("."), may_pass=refused)
        return error


def _too_large(rows: int, columns: int, limit: int) -> str:
    return f"too many pixels: {rows:,}×{columns:,}, more than {limit:,}"
