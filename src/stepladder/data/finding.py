"""A data set from what ``--data`` says: a name of the catalogue, or a path to one's own images."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from pathlib import Path

from stepladder.data.catalog import NAMES, load_named
from stepladder.data.dataset import Dataset, Split
from stepladder.data.download import Progress
from stepladder.data.entries import Catalog
from stepladder.data.reference import Reference
from stepladder.errors import DataError


def load(
    name: str = "mnist",
    *,
    size: tuple[int, int] | None = None,
    data_dir: Path | None = None,
    offline: bool | None = None,
    notify: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    catalog: Catalog | None = None,
) -> Dataset:
    """Return a data set, whole in memory.

    A name of the catalogue is taken from ``data_dir`` alone where that is given, and MNIST from the folder alone that
    ``STEPLADDER_DATA`` names; other names are looked for in that too, but need not be there. Without a folder it is the
    user's cache, and then the mirrors (``STEPLADDER_MIRRORS`` names others, with commas between). Where no mirror of
    MNIST can be reached the bundled sample stands in. ``notify`` is told so in one line, and of files in a folder that
    are not the original ones. Anything else is the path of one's own images, in any form that docs/data.md lists.

    Args:
        name: of the catalogue, such as "mnist" or "digits", or a path; with ``@28x28`` a size may follow, and with
            ``#`` the digest that experiments keep.
        size: (rows, columns) that images are brought to; None takes what the name says, or else the data's own.
        data_dir: a folder that holds ``mnist/``, ``MNIST/raw`` or the files themselves, gzipped or not.
        offline: never touch the network; None asks ``STEPLADDER_OFFLINE``.
        notify: told what a person should know, a line at a time.
        progress: told how far a download, or the reading of many files, is.
        catalog: what its name means instead; other files and mirrors for tests.

    Raises:
        DataError: if there is no such data, it is damaged, no net can be trained on it, or mirrors answer with
            something else.
    """
    reference = Reference.parse(name)
    if size is not None:
        reference = dataclasses.replace(reference, size=size)
    if reference.what in NAMES or (catalog is not None and reference.what == catalog.name):
        dataset = load_named(
            reference.what, data_dir=data_dir, offline=offline, notify=notify, progress=progress, catalog=catalog
        )
        return dataset if reference.size is None else resized(dataset, reference.size)
    if path_of(reference.what) is None:
        raise unknown_data(reference.what)
    from stepladder.data.own import load_own

    return load_own(reference, notify, progress)


def path_of(text: str) -> Path | None:
    """Return the path that a text names, or None if nothing is there."""
    try:
        return Path(text) if text and Path(text).exists() else None
    except (OSError, ValueError):  # too long, or no path at all
        return None


def unknown_data(name: str) -> DataError:
    """Return the error for what is neither a name of the catalogue nor a path that is there."""
    nearest = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"did you mean '{nearest[0]}'? " if nearest else ""
    return DataError(
        "there is no data set of this name, nor a file or folder",
        given=name,
        repair=f"{hint}name a path, or one of {', '.join(NAMES)}",
    )


def resized(dataset: Dataset, size: tuple[int, int]) -> Dataset:
    """Return the data set with images of another size, (rows, columns); the same where it has that size."""
    if dataset.input_shape[1:] == size:
        return dataset
    from stepladder.data.pictures import resize

    train, test = (Split(resize(split.images, size), split.labels.copy()) for split in (dataset.train, dataset.test))
    rows, columns = size
    return dataclasses.replace(
        dataset,
        name=str(Reference(dataset.name, size)),
        title=f"{dataset.title} at {rows}×{columns}",
        train=train,
        test=test,
    )
