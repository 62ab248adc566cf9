"""A data set as it lies in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy

from stepladder.data.duplicates import digests
from stepladder.data.origins import Origins
from stepladder.data.split import HOLDOUT_SEED, split_groups, split_holdout
from stepladder.errors import DataError

_PIECE = 1024


@dataclass(frozen=True, eq=False)
class Split:
    """Images uint8 of shape (N, C, H, W) and labels int64 of shape (N,), both read-only."""

    images: numpy.ndarray
    labels: numpy.ndarray

    def __post_init__(self) -> None:
        self.images.flags.writeable = False
        self.labels.flags.writeable = False

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set.

    Args:
        name: what experiments call it.
        title: what every output prints.
        classes: the names of the classes; labels index them.
        train: the training images.
        test: the test images, which decide nothing.
        source: where the bytes came from.
        is_sample: whether it stands in for the full set, so that its numbers are not comparable with that.
        validation: indices of the training images, int64 and sorted, that the data's own validation split holds: the
            holdout, where one is asked for. None where the data has no such split.
        is_handwriting: whether the images are bright strokes on black, as MNIST's are; such are shown dark on light,
            and people's own pictures are prepared as MNIST was made.
        notes: what a person should know about how it was read, one sentence each.
        origins: where each training image comes from; None of the catalogue's, which are in no files of their own.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    source: str
    is_sample: bool = False
    validation: numpy.ndarray | None = None
    is_handwriting: bool = True
    notes: tuple[str, ...] = ()
    origins: Origins | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is one's own images, whose name holds a digest of them, and not of the catalogue."""
        return "#" in self.name

    def split_holdout(self, size: int, seed: int = HOLDOUT_SEED) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return (training indices, holdout indices) of the training images, both sorted.

        The holdout is the data's own validation split where it has one, and else ``size`` stratified images. Of one's
        own images equal ones stay on one side, as ``split_groups`` does it; the catalogue's splits never change.

        Raises:
            DataError: if the size is out of range, or no image can be held out without an equal one in training.
        """
        if self.validation is None:
            if self.is_own and len(numpy.unique(self._keys)) < len(self.train):
                return split_groups(self.train.labels, self._keys, size=size, seed=seed)
            return split_holdout(self.train.labels, size=size, seed=seed)
        kept = numpy.ones(len(self.train), dtype=bool)
        kept[self.validation] = False
        return numpy.flatnonzero(kept), self.validation

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Return (channels, rows, columns) of one image."""
        channels, rows, columns = self.train.images.shape[1:]
        return int(channels), int(rows), int(columns)

    @cached_property
    def _keys(self) -> numpy.ndarray:
        return digests(self.train.images)

    @cached_property
    def fingerprint(self) -> str:
        """Return a SHA-256 over all images and labels: equal wherever the bytes came from."""
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            for array in (split.images, split.labels):
                digest.update(str(array.shape).encode())
                digest.update(numpy.ascontiguousarray(array).data)
        if self.validation is not None:
            digest.update(b"validation" + self.validation.tobytes())
        return digest.hexdigest()


def statistics(images: numpy.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel, of pixels scaled to [0, 1].

    Args:
        images: uint8 of shape (N, C, H, W): the training images and no others. They are counted by brightness, so no
            copy in floating point is made, and the counts are exact.

    Raises:
        DataError: if there are no images, or they are not bytes of that shape.
    """
    if images.dtype != numpy.uint8 or images.ndim != 4 or images.size == 0:
        raise DataError(
            "statistics need images of unsigned bytes of shape (N, C, H, W)",
            given=f"{images.dtype} of shape {images.shape}",
            repair="give the images of a Split",
        )
    levels = numpy.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = numpy.zeros(256, dtype=numpy.int64)
        # In pieces, because bincount widens what it is given to eight bytes a pixel.
        for start in range(0, len(images), _PIECE):
            piece = images[start : start + _PIECE, channel]
            counts += numpy.bincount(piece.reshape(-1), minlength=256)
        mean = float(counts @ levels / counts.sum())
        variance = float(counts @ (levels - mean) ** 2 / counts.sum())
        means.append(mean)
        # Images of one brightness have no deviation; dividing by 1 leaves them centred.
        deviations.append(variance**0.5 or 1.0)
    return tuple(means), tuple(deviations)
