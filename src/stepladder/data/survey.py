"""What a data set holds, as plain values: counts, sizes, duplicates, leaks, and whether a net can be trained on it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from stepladder.data.catalog import NAMES
from stepladder.data.collection import Collection, SplitName
from stepladder.data.dataset import Dataset, Split, statistics
from stepladder.data.download import Progress
from stepladder.data.duplicates import leaks, repeated
from stepladder.data.finding import load, path_of, unknown_data
from stepladder.data.own import Assignment, assign, collect, judge
from stepladder.data.reference import Reference

FORMAT = 1
NAMED = 5
"""Examples of duplicates and leaks that are named."""

Facts = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Survey:
    """A data set looked at: its facts, and what pictures are drawn from.

    Args:
        facts: plain values, as ``--format json`` prints them.
        collection: all images.
        parts: split → indices of its images in the collection.
        is_handwriting: see ``Dataset``.
    """

    facts: Facts
    collection: Collection
    parts: dict[str, numpy.ndarray]
    is_handwriting: bool

    @property
    def is_trainable(self) -> bool:
        """Whether a net can be trained on it."""
        return not self.facts["problems"]


def survey(
    name: str,
    *,
    size: tuple[int, int] | None = None,
    data_dir: Path | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Return what a data set holds.

    Args:
        name: of the catalogue, or a path; see ``stepladder.data.load``.
        size: (rows, columns) to bring images to; None leaves it to the data.
        data_dir: a folder that holds the data of the catalogue.
        progress: told how far a download, or the reading of many files, is.

    Raises:
        DataError: if there is no such data, or nothing of it can be read.
    """
    reference = Reference.parse(name)
    if size is not None:
        reference = dataclasses.replace(reference, size=size)
    if reference.what in NAMES:
        told: list[str] = []
        dataset = load(str(reference), data_dir=data_dir, notify=told.append, progress=progress)
        collection = dataclasses.replace(collection_of(dataset), remarks=tuple(told))
        title, is_handwriting = dataset.title, dataset.is_handwriting
    else:
        path = path_of(reference.what)
        if path is None:
            raise unknown_data(reference.what)
        collection = collect(path, reference.size, progress)
        title, is_handwriting = reference.what, False
    assignment = assign(collection)
    return Survey(_facts(title, collection, assignment), collection, assignment.parts(), is_handwriting)


def collection_of(dataset: Dataset) -> Collection:
    """Return a data set's images as a collection, whose names tell split and index."""
    splits: list[SplitName] = [*["train"] * len(dataset.train), *["test"] * len(dataset.test)]  # type: ignore[list-item]
    for index in dataset.validation if dataset.validation is not None else ():
        splits[int(index)] = "validation"
    parts: tuple[tuple[str, Split], ...] = (("train", dataset.train), ("test", dataset.test))
    images = numpy.concatenate([part.images for _, part in parts])
    return Collection(
        images,
        numpy.concatenate([part.labels for _, part in parts]),
        tuple(splits),
        tuple(f"{word}[{index}]" for word, part in parts for index in range(len(part))),
        dataset.classes,
        dataset.source,
        Counter({(int(images.shape[2]), int(images.shape[3])): len(images)}),
        Counter({"uint8": len(images)}),
    )


def _facts(title: str, collection: Collection, assignment: Assignment) -> Facts:
    parts = assignment.parts()
    problems, warnings = judge(collection, assignment)
    shared = leaks(collection, parts)
    count = len(collection.classes)
    inside = {name: numpy.bincount(collection.labels[part], minlength=count) for name, part in parts.items()}
    train = inside.get("train", numpy.zeros(count, dtype=int))
    groups = {name: repeated(collection, part) for name, part in parts.items()}
    contradictions = [
        [collection.names[index] for index in group]
        for group in repeated(collection, numpy.arange(len(collection.images)))
        if len({int(collection.labels[index]) for index in group}) > 1
    ]
    if contradictions:
        some = " = ".join(contradictions[0][:2])
        warnings.append(f"{len(contradictions):,} images stand under two labels or more, pixel by pixel: {some}")
    present = train[train > 0]
    return {
        "format": FORMAT,
        "title": title,
        "form": collection.form,
        "images": len(collection.images),
        "shape": [int(side) for side in collection.images.shape[1:]],
        "sizes": [
            {"rows": rows, "columns": columns, "count": number}
            for (rows, columns), number in sorted(collection.sizes.items(), key=lambda one: (-one[1], one[0]))
        ],
        "modes": dict(sorted(collection.modes.items(), key=lambda one: (-one[1], one[0]))),
        "splits": {name: _split(collection, part, groups[name]) for name, part in parts.items()},
        "classes": [
            {"name": name, **{split: int(counts[index]) for split, counts in inside.items()}}
            for index, name in enumerate(collection.classes)
        ],
        "missing": {
            split: [name for name, number in zip(collection.classes, counts, strict=True) if not number]
            for split, counts in inside.items()
        },
        "imbalance": {
            "largest": int(train.max(initial=0)),
            "smallest": int(present.min(initial=int(train.max(initial=0)))),
        },
        "leaks": [
            {
                "first": leak.first,
                "second": leak.second,
                "count": len(leak.pairs),
                "examples": [[collection.names[one], collection.names[two]] for one, two in leak.pairs[:NAMED]],
            }
            for leak in shared
        ],
        "contradictions": contradictions[:NAMED],
        "unreadable": [{"name": name, "reason": reason} for name, reason in collection.unreadable],
        "remarks": [*collection.remarks, *assignment.remarks],
        "warnings": [*warnings, *(leak.sentence(collection) for leak in shared)],
        "problems": [{"what": one.what, "given": one.given, "repair": one.repair} for one in problems],
    }


def _split(collection: Collection, part: numpy.ndarray, groups: list[tuple[int, ...]]) -> Facts:
    mean, deviation = statistics(collection.images[part])
    return {
        "count": len(part),
        "mean": list(mean),
        "deviation": list(deviation),
        "duplicates": sum(len(group) - 1 for group in groups),
        "duplicate_examples": [[collection.names[index] for index in group] for group in groups[:NAMED]],
    }
