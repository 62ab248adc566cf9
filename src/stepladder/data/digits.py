"""The 1,797 handwritten digits of 8×8 pixels that scikit-learn bundles."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy

from stepladder.data.bundled import file_in, split_digits
from stepladder.data.dataset import Dataset
from stepladder.errors import DataError

NAME = "digits"
TITLE = "scikit-learn's digits (8×8)"
LICENCE = "CC BY 4.0"
PAGE = "https://archive.ics.uci.edu/dataset/80"
_IMAGES, _TEST_IMAGES, _BRIGHTEST = 1797, 360, 16
# Never to be changed: numbers are comparable only over one and the same split.
_SPLIT_SEED = 1_797


def load_digits() -> Dataset:
    """Return 1,437 training and 360 test images, stratified, always the same split.

    Values from 0 to 16 are scaled to bytes. The split is this project's: scikit-learn has none.

    Raises:
        DataError: if scikit-learn or its data file is missing or damaged.
    """
    path = _bundled_file()
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            table = numpy.loadtxt(lines, delimiter=",").astype(numpy.int64)
        if table.shape != (_IMAGES, 65) or table.min() < 0 or table.max() > _BRIGHTEST or table[:, -1].max() > 9:
            raise ValueError(f"it is not a table of {_IMAGES:,} images")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            "scikit-learn's digits are damaged", given=f"{path} ({error})", repair="install scikit-learn again"
        ) from None
    pixels = ((table[:, :-1] * 255 + _BRIGHTEST // 2) // _BRIGHTEST).astype(numpy.uint8).reshape(-1, 1, 8, 8)
    labels = table[:, -1]
    return split_digits(
        pixels,
        labels,
        name=NAME,
        title=TITLE,
        package="scikit-learn",
        test_images=_TEST_IMAGES,
        seed=_SPLIT_SEED,
    )


def _bundled_file() -> Path:
    # Found without importing scikit-learn, which takes a second.
    path = file_in("sklearn", "datasets/data/digits.csv.gz")
    if path is not None:
        return path
    raise DataError(
        "scikit-learn's digits are missing", given="the scikit-learn package", repair="pip install scikit-learn"
    )
