"""IDX, the file format of MNIST: a magic number, the sizes of the axes, then the values."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from math import prod
from pathlib import Path

import numpy

from stepladder.errors import DataError

_UNSIGNED_BYTE, _INTEGER = 0x08, 0x0C
_MOST_BYTES = 1 << 31
_GZIP_MAGIC = b"\x1f\x8b"
_REPAIR = "replace the file, or remove it and let it be downloaded again"


def read(path: Path, axes: int, *, integers: bool = False) -> numpy.ndarray:
    """Return the array of unsigned bytes in an IDX file, gzipped or not.

    Args:
        path: the file; whether it is gzipped is seen from its first bytes, not from its name.
        axes: 3 for images, 1 for labels.
        integers: whether the values are integers of 32 bits instead of bytes, as QMNIST's labels are.

    Raises:
        DataError: if the file cannot be read, is cut off, corrupt or too large, or is something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            "a data file cannot be read",
            given=f"{path} ({error.strerror})",
            repair="check that it is a file you may read",
        ) from None
    return decode(content, axes, str(path), integers=integers)


def decode(content: bytes, axes: int, name: str, *, integers: bool = False) -> numpy.ndarray:
    """Return the array in the bytes of an IDX file; see ``read``."""
    if looks_like_html(content):
        raise DataError("a web page stands where a data file should be", given=name, repair=_REPAIR)
    if content[:2] == _GZIP_MAGIC:
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(_MOST_BYTES + 1)  # a few bytes may stand for any number of them
        except (EOFError, OSError, zlib.error, struct.error) as error:
            raise DataError("a gzip file is cut off or corrupt", given=f"{name} ({error})", repair=_REPAIR) from None
        if len(content) > _MOST_BYTES:
            raise DataError("a gzip file holds more than 2 GiB", given=name, repair=_REPAIR)
    header = 4 + 4 * axes
    kind, each = (_INTEGER, 4) if integers else (_UNSIGNED_BYTE, 1)
    expected = bytes([0, 0, kind, axes])
    if content[:4] != expected:
        raise DataError(
            f"the magic number is wrong: {expected.hex()} was expected",
            given=f"{name} begins with {content[:4].hex() or 'nothing'}",
            repair=_REPAIR,
        )
    if len(content) < header:
        raise DataError("a data file ends inside its header", given=name, repair=_REPAIR)
    sizes = struct.unpack(f">{axes}I", content[4:header])
    if prod(sizes) * each != len(content) - header:
        raise DataError(
            "a data file's size does not match its header",
            given=f"{name}: {'×'.join(map(str, sizes))} announced, {len(content) - header:,} bytes there",
            repair=_REPAIR,
        )
    return numpy.frombuffer(content, dtype=">i4" if integers else numpy.uint8, offset=header).reshape(sizes)


def encode(array: numpy.ndarray) -> bytes:
    """Return an array of unsigned bytes as an IDX file, not gzipped."""
    header = bytes([0, 0, _UNSIGNED_BYTE, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + numpy.ascontiguousarray(array, dtype=numpy.uint8).tobytes()


def looks_like_html(content: bytes) -> bool:
    """Return whether the bytes begin as a web page does."""
    start = content[:256].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))
