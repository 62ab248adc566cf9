"""One's own images as a data set: found by their form, checked before any training, split where they are not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy

from stepladder.data import arrays, decoded, folders, pictures, table
from stepladder.data.collection import Collection
from stepladder.data.dataset import Dataset, Split
from stepladder.data.download import Progress
from stepladder.data.duplicates import digests, leaks, repeated
from stepladder.data.origins import Origins
from stepladder.data.reference import Reference
from stepladder.errors import DataError

TEST_SHARE = 0.2
"""Of the images of each class, where the data has no test split."""
TEST_SEED = 20_222
LEAST_TRAINING = 12
"""Images: fewer leave nothing to hold out."""
FEW = 10
"""Training images of a class below which a warning is due."""
HELD_OUT_A_CLASS = 10
"""Held-out images a class that a climb which compares candidates needs to decide on."""
HELD_OUT_OF = 5
"""Training images of which such a climb holds out one."""
DARK = 32
"""Brightness below which a warning is due if no training image has a pixel of it."""
SIDES = (8, 224)
"""Pixels that proposed nets are made for, along each side."""
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which image serves as what; indices into a collection, int64 and sorted.

    Args:
        train: training images, without those of a validation split.
        validation: of the data's own validation split; empty where there is none.
        test: test images.
        remarks: what was decided here, one sentence each.
    """

    train: numpy.ndarray
    validation: numpy.ndarray
    test: numpy.ndarray
    remarks: tuple[str, ...] = ()

    def parts(self) -> dict[str, numpy.ndarray]:
        """Return the splits that have images, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: indices for name, indices in named.items() if len(indices)}


def collect(path: Path, size: tuple[int, int] | None = None, progress: Progress | None = None) -> Collection:
    """Return the images at a path, in whichever of the known forms they are.

    Args:
        path: a folder of class subfolders, of IDX or .npy files; an .npz, .npy or CSV file.
        size: (rows, columns) to bring them to; None leaves it to the data.
        progress: told how many files are done.

    Raises:
        DataError: if they are in no known form, damaged or too large.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        if not arrays.is_of_arrays(path):
            return decoded.decode(folders.list_folder(path), path, size, progress)
        found = arrays.read_folder(path)
    elif suffix in (".csv", ".tsv", ".txt"):
        return decoded.decode(table.list_table(path), path, size, progress)
    elif suffix == ".npz":
        found = arrays.read_npz(path)
    elif suffix == ".npy":
        found = arrays.read_npy(path)
    else:
        raise _no_form(path)
    if size is None or found.images.shape[2:] == size or not len(found.images):
        return found
    remark = f"images are brought to {size[0]}×{size[1]} pixels (as asked for)"
    return dataclasses.replace(found, images=pictures.resize(found.images, size), remarks=(*found.remarks, remark))


def load_own(
    reference: Reference, notify: Callable[[str], None] | None = None, progress: Progress | None = None
) -> Dataset:
    """Return the data set at a path, checked so that training can begin.

    Args:
        reference: its path, the size asked for, and the digest that it had, if it was read before.
        notify: told what a person should know, a line at a time.
        progress: told how many files are done.

    Raises:
        DataError: if it cannot be read, no net can be trained on it, or its images are no longer those of the digest.
    """
    path = Path(reference.what)
    collection = collect(path, reference.size, progress)
    assignment = assign(collection)
    errors, warnings = judge(collection, assignment)
    if errors:
        raise DataError(errors[0].what, given=f"{path}: {errors[0].given}", repair=errors[0].repair)
    # Leaks are looked for once, not by every worker again.
    if notify is not None:
        warnings += [leak.sentence(collection) for leak in leaks(collection, assignment.parts())]
        warnings += _repeats(collection, assignment)
        for line in [*collection.remarks, *assignment.remarks, *warnings]:
            notify(f"{path}: {line}")
    whole = numpy.concatenate([assignment.train, assignment.validation])
    dataset = Dataset(
        name=reference.what,
        title=Path(path.absolute()).stem or "data",
        classes=collection.classes,
        train=Split(collection.images[whole], collection.labels[whole]),
        test=Split(collection.images[assignment.test], collection.labels[assignment.test]),
        source=f"{reference.what}: {collection.form}",
        validation=numpy.arange(len(assignment.train), len(whole)) if len(assignment.validation) else None,
        is_handwriting=False,
        notes=(*collection.remarks, *assignment.remarks),
        origins=Origins.of((collection.names[index] for index in whole), path if path.is_dir() else path.parent),
    )
    digest = dataset.fingerprint[:12]
    if reference.digest not in (None, digest):
        raise DataError(
            "the images are no longer those that this run began with",
            given=f"{path}: digest {digest}, {reference.digest} was expected",
            repair="bring back the images as they were, or begin anew under another name",
        )
    return dataclasses.replace(dataset, name=str(Reference(reference.what, reference.size, digest)))


def assign(collection: Collection) -> Assignment:
    """Return which image serves as what.

    Where there is no test split the validation split serves as it; where there is none either a fifth of each class is
    taken, by a fixed seed, equal images staying together.
    """
    train, validation, test = (collection.indices(split) for split in ("train", "validation", "test"))
    loose = collection.indices("")
    remarks = []
    if len(loose) and (len(train) or len(validation) or len(test)):
        remarks.append(f"{len(loose):,} images that name no split are taken for training")
    train = numpy.sort(numpy.concatenate([train, loose]))
    if not len(test) and len(validation):
        validation, test = validation[:0], validation
        remarks.append(f"there is no test split: the {len(test):,} validation images serve as it")
    elif not len(test):
        train, test = _split_off(collection, train)
        remarks.append(
            f"there is no test split: {len(test):,} of {len(train) + len(test):,} images were set aside for it "
            f"({TEST_SHARE:.0%} of each class, seed {TEST_SEED})"
        )
    return Assignment(train, validation, test, tuple(remarks))


def judge(collection: Collection, assignment: Assignment) -> tuple[list[DataError], list[str]]:
    """Return what makes training impossible, and what a person should know."""
    count = len(collection.classes)
    inside = {
        name: numpy.bincount(collection.labels[part], minlength=count) for name, part in assignment.parts().items()
    }
    nothing = numpy.zeros(count, dtype=int)
    train, validation, test = (inside.get(name, nothing) for name in ("train", "validation", "test"))
    errors = []
    if count < 2:
        errors.append(_one_class(collection))
    if not train.sum():
        errors.append(
            DataError(
                "there are no training images",
                given=f"{len(collection.images):,} images, all of them in other splits",
                repair="call one split train, or none of them anything",
            )
        )
    elif count > 1 and numpy.count_nonzero(train) < 2:
        errors.append(_one_trained(collection, train))
    elif train.sum() < LEAST_TRAINING:
        errors.append(
            DataError(
                f"there are too few training images: {LEAST_TRAINING} are the least",
                given=f"{int(train.sum()):,}",
                repair="collect more images",
            )
        )
    elif not test.sum():
        errors.append(
            DataError(
                "there are no test images",
                given=f"{len(collection.images):,} images in {count:,} classes",
                repair="have at least two images that differ in some class",
            )
        )
    if errors:
        return errors, []
    warnings = []
    if collection.unreadable:
        warnings.append(_unreadable(collection))
    unseen = _names(collection, (train == 0) & (test > 0))
    if unseen:
        warnings.append(f"no training image for {unseen}: every test image of theirs will count as wrong")
    empty = _names(collection, (train == 0) & (test == 0))
    if empty:
        warnings.append(f"no image at all that serves for training or test: {empty}")
    untested = _names(collection, (train > 0) & (test == 0))
    if untested:
        warnings.append(f"no test image for {untested}")
    few = _names(collection, (train > 0) & (train < FEW))
    if few:
        warnings.append(f"fewer than {FEW} training images for {few}")
    if validation.any():
        unheld = _names(collection, (train > 0) & (validation == 0))
        if unheld:
            warnings.append(f"no validation image for {unheld}: what is decided on the holdout knows nothing of them")
        few = _names(collection, (validation > 0) & (validation < FEW))
        if few:
            warnings.append(f"fewer than {FEW} validation images, which are the holdout, for {few}")
    warnings += _about_decisions(train, validation)
    warnings += _about_pixels(collection, assignment)
    present = train[train > 0]
    if present.max() >= 10 * present.min():
        warnings.append(
            f"the classes are uneven: {present.max():,} training images in the largest, {present.min():,} in the "
            f"smallest; always answering {collection.classes[int(train.argmax())]} would be right in "
            f"{100 * test[int(train.argmax())] / test.sum():.1f}% of the test"
        )
    return errors, warnings


def _split_off(collection: Collection, pool: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return (training, test) indices: of every class with two different images or more, at least one each."""
    keys = digests(collection.images[pool])
    _, first, group = numpy.unique(keys, return_index=True, return_inverse=True)
    of_group = collection.labels[pool][first]
    numbers = numpy.random.Generator(numpy.random.PCG64(TEST_SEED))
    chosen = numpy.zeros(len(first), dtype=bool)
    # By their place in the list, not by their digest, so that one more image changes little.
    order = numpy.argsort(first, kind="stable")
    for label in range(len(collection.classes)):
        members = order[of_group[order] == label]
        if len(members) > 1:
            chosen[numbers.permutation(members)[: max(1, round(TEST_SHARE * len(members)))]] = True
    held = chosen[group.reshape(-1)]
    return pool[~held], pool[held]


def _repeats(collection: Collection, assignment: Assignment) -> list[str]:
    groups = repeated(collection, assignment.train)
    if not groups:
        return []
    surplus, named = sum(len(group) - 1 for group in groups), " = ".join(collection.names[one] for one in groups[0][:2])
    side = "" if len(assignment.validation) else "; what is held out of training is held out with all its copies"
    return [f"{surplus:,} of {len(assignment.train):,} training images repeat another, such as {named}{side}"]


def _one_class(collection: Collection) -> DataError:
    name = collection.classes[0] if collection.classes else "none"
    return DataError(
        "there is one class only, and nothing to tell apart",
        given=f"{name}: {len(collection.images):,} images",
        repair="name the folder whose subfolders are the classes, one level up or down",
    )


def _one_trained(collection: Collection, train: numpy.ndarray) -> DataError:
    """Return the error for several classes of which one alone has training images."""
    given = f"{_names(collection, train > 0)}: {int(train.sum()):,} training images; none for "
    given += _names(collection, train == 0)
    return DataError(
        "only one class has training images, and there is nothing to tell apart",
        given=given + (f"; {_unreadable(collection)}" if collection.unreadable else ""),
        repair="add training images of a second class",
    )


def _about_decisions(train: numpy.ndarray, validation: numpy.ndarray) -> list[str]:
    """Return a warning where a climb that compares candidates would refuse the data: images of each class are given."""
    count, have, held = len(train), int(train.sum()), int(validation.sum())
    needed = HELD_OUT_A_CLASS * count
    if held and held < needed:
        return [
            f"climb --ladder full decides on the validation images and needs {HELD_OUT_A_CLASS} a class: {needed:,}; "
            f"here are {held:,}"
        ]
    if not held and have // HELD_OUT_OF < needed:
        return [
            f"climb --ladder full needs {HELD_OUT_A_CLASS} held-out images a class, hence "
            f"{HELD_OUT_OF * HELD_OUT_A_CLASS} training images a class, {HELD_OUT_OF * needed:,} in all; here are "
            f"{have:,}"
        ]
    return []


def _about_pixels(collection: Collection, assignment: Assignment) -> list[str]:
    warnings = []
    brightest = max(int(collection.images[index].max()) for index in assignment.train)
    if brightest < DARK:
        warnings.append(
            f"the training images are nearly black: their brightest pixel is {brightest} of 255; whole numbers up to "
            "255 are taken as they are, and larger ones are white at 65,535: bring them to 0 to 255"
        )
    rows, columns = collection.images.shape[2:]
    if min(rows, columns) < SIDES[0] or max(rows, columns) > SIDES[1]:
        warnings.append(
            f"images of {rows}×{columns} pixels: climb --ladder full and design take {SIDES[0]} to {SIDES[1]} along "
            f"each side; --size {32 if min(rows, columns) < SIDES[0] else 64} brings them there"
        )
    return warnings


def _unreadable(collection: Collection) -> str:
    many = len(collection.unreadable)
    named = ", ".join(f"{name} ({reason})" for name, reason in collection.unreadable[:_NAMED])
    return f"{many:,} file{'s' if many > 1 else ''} left out that cannot be read: {_more(named, many)}"


def _names(collection: Collection, which: Sequence[bool] | numpy.ndarray) -> str:
    names = [collection.classes[int(index)] for index in numpy.flatnonzero(which)]
    return _more(", ".join(names[:_NAMED]), len(names))


def _more(named: str, count: int) -> str:
    return f"{named} and {count - _NAMED:,} more" if count > _NAMED else named


def _no_form(path: Path) -> DataError:
    suffix = path.suffix.lower()
    repair = "name a folder of class subfolders, IDX files or .npy files, or an .npz, .npy or CSV file"
    if suffix in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"):
        return DataError("an archive is not opened", given=str(path), repair="unpack it and name the folder")
    if suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib"):
        return DataError(
            "pickled files can run any program and are not opened", given=str(path), repair="save arrays as .npz"
        )
    if suffix in pictures.SUFFIXES:
        return DataError("this is one image, not a data set", given=str(path), repair=repair)
    return DataError("this is no data set in a form that is known", given=str(path), repair=repair)
