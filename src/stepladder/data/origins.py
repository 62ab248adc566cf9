"""Where images come from, so that people can look at those that a result names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy


@dataclass(frozen=True, eq=False)
class Origins:
    """Names of images' files, or of their places in an array.

    Every process that trains holds them, so they are one text: a list of words takes four times as much.

    Args:
        folder: what the names are relative to.
        text: all names one after another, in UTF-8.
        ends: int64 of shape (N,): where each ends in it.
    """

    folder: Path
    text: bytes
    ends: numpy.ndarray

    @classmethod
    def of(cls, names: Iterable[str], folder: Path) -> Origins:
        """Return the origins of images with these names, in their order."""
        words = [name.encode("utf-8", "replace") for name in names]
        return cls(folder, b"".join(words), numpy.cumsum([len(word) for word in words], dtype=numpy.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        """Return where an image comes from, such as ``photos/cat/1.jpg`` or ``mine.npz:x_train[3]``."""
        place = range(len(self))[index]
        begin = int(self.ends[place - 1]) if place else 0
        return str(self.folder / self.text[begin : int(self.ends[place])].decode())

    @property
    def nbytes(self) -> int:
        """Return the bytes of memory that all names take."""
        return len(self.text) + self.ends.nbytes
