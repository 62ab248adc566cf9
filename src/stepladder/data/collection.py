"""One's own images, before they are a data set: what was found where, under which label, in which split."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy

SplitName = Literal["train", "validation", "test", ""]
"""Which split an image belongs to; empty where the data does not say."""

_SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "t10k": "test",
}


def split_named(word: str) -> SplitName | None:
    """Return the split that a word such as ``val`` means, in any case of letters; None if it means none."""
    return _SPLITS.get(word.strip().lower())


@dataclass(frozen=True)
class Item:
    """One image file: where it is, what people call it, its label and its split."""

    path: Path
    name: str
    label: str
    split: SplitName


@dataclass(frozen=True)
class Listing:
    """The image files of a data set, whose pixels were not read yet.

    Args:
        items: in a fixed order.
        form: what was found, in words.
        classes: of labels that have no image; those of the items are added.
        remarks: what was left out, one sentence each.
        unreadable: (name, reason) of files that cannot be images.
    """

    items: tuple[Item, ...]
    form: str
    classes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Collection:
    """Images in memory with labels and splits.

    Args:
        images: uint8 of shape (N, C, H, W).
        labels: int64 of shape (N,), indices into the classes.
        splits: of each image.
        names: of each image, as people know it: a file, or a place in an array.
        classes: sorted names, numbers by their value.
        form: what was found, in words.
        sizes: (rows, columns) of the images as they were, with their number.
        modes: kinds of pixels as they were, such as L, RGB or uint8, with their number.
        unreadable: (name, reason) of what was left out.
        remarks: what a person should know about the reading, one sentence each.
    """

    images: numpy.ndarray
    labels: numpy.ndarray
    splits: tuple[SplitName, ...]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    form: str
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    def indices(self, split: SplitName) -> numpy.ndarray:
        """Return the indices of a split's images, int64 and sorted."""
        return numpy.flatnonzero(numpy.array([one == split for one in self.splits], dtype=bool))


def sorted_classes(labels: set[str]) -> tuple[str, ...]:
    """Return the names of classes in order: numbers by their value, all else by their text."""
    if all(re.fullmatch(r"-?[0-9]{1,18}", label, re.ASCII) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))
