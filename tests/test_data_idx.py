"""The IDX format, whole and damaged."""

import contextlib
import gzip
import struct
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.data import idx
from stepladder.errors import DataError

IMAGES = numpy.arange(2 * 28 * 28, dtype=numpy.uint32).astype(numpy.uint8).reshape(2, 28, 28)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.booleans())
def test_round_trip(sizes: list[int], seed: int, zipped: bool) -> None:
    array = numpy.random.default_rng(seed).integers(0, 256, sizes, dtype=numpy.uint8)
    content = idx.encode(array)
    decoded = idx.decode(gzip.compress(content) if zipped else content, len(sizes), "file")
    assert decoded.shape == array.shape
    assert numpy.array_equal(decoded, array)


def _corrupt_gzip() -> bytes:
    content = bytearray(gzip.compress(idx.encode(IMAGES), mtime=0))
    content[-6] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic number"),
        (b"\x1f\x8b", "cut off or corrupt"),
        (gzip.compress(idx.encode(IMAGES), mtime=0)[:-20], "cut off or corrupt"),
        (_corrupt_gzip(), "cut off or corrupt"),
        (gzip.compress(idx.encode(IMAGES), mtime=0) + b"rubbish", "cut off or corrupt"),
        (idx.encode(IMAGES[0]), "magic number"),
        (b"\0\0\x0d\x03" + bytes(12), "magic number"),
        (b"\0\0\x08\x03" + bytes(5), "inside its header"),
        (idx.encode(IMAGES)[:-1], "does not match its header"),
        (idx.encode(IMAGES) + b"\0", "does not match its header"),
        (b"\0\0\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "does not match its header"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "web page"),
    ],
)
def test_damage_is_one_error(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        idx.decode(content, 3, "some-file")
    assert "some-file" in caught.value.given
    assert caught.value.repair


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(DataError):
        assert idx.decode(content, 1, "file").ndim == 1


def test_unreadable_missing_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match="cannot be read"):
            idx.read(path, 3)

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        idx.read(tmp_path / "file", 3)
