"""Data files that other packages bring along: found without importing those packages, split always alike."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy

from stepladder.data.dataset import Dataset, Split
from stepladder.data.split import split_holdout


def file_in(module: str, place: str) -> Path | None:
    """Return the path of a file in an installed package; None if the package or the file is missing."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / place
    return path if path.is_file() else None


def split_digits(
    pixels: numpy.ndarray[Any, Any],
    labels: numpy.ndarray[Any, Any],
    *,
    name: str,
    title: str,
    package: str,
    test_images: int,
    seed: int,
    is_sample: bool = False,
) -> Dataset:
    """Return bundled digits as a data set, its test images split from the others by a seed that never changes.

    Args:
        pixels: uint8 of shape (images, 1, rows, columns).
        labels: int64 of shape (images,), from 0 to 9.
        name: of the data set.
        title: of the data set.
        package: which bundles it.
        test_images: how many of the images become the test set.
        seed: of the split.
        is_sample: whether it stands in for a larger set.
    """
    train, test = split_holdout(labels, size=test_images, seed=seed)
    return Dataset(
        name=name,
        title=title,
        classes=tuple("0123456789"),
        train=Split(pixels[train], labels[train]),
        test=Split(pixels[test], labels[test]),
        source=f"bundled with {_versioned(package)}",
        is_sample=is_sample,
    )


def _versioned(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # copied into place rather than installed
        return package
