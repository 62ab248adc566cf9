"""Folders of class subfolders, with or without train, val and test above them, as a list of image files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stepladder.data.collection import Item, Listing, SplitName, split_named
from stepladder.data.pictures import SUFFIXES
from stepladder.errors import DataError

_DEEPEST = 32
_NAMED = 3


@dataclass
class _Seen:
    """What a walk left out."""

    hidden: int = 0
    others: Counter[str] = field(default_factory=Counter)
    loops: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    split_as_class: str = ""
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def remarks(self) -> tuple[str, ...]:
        found = []
        if self.hidden:
            found.append(f"{self.hidden:,} hidden file{'s' if self.hidden > 1 else ''} left out")
        if self.others:
            kinds = ", ".join(f"{kind} ({count:,})" for kind, count in self.others.most_common(4))
            found.append(f"{self.others.total():,} files that are no images left out: {kinds}")
        if self.loops:
            found.append(f"a symbolic link leads back to a folder above it and is not followed: {self.loops[0]}")
        if self.empty:
            found.append(f"empty, and left out: {', '.join(self.empty)}")
        if self.split_as_class:
            found.append(
                f"{self.split_as_class} is taken for a class, since folders that are no splits stand beside it"
            )
        return tuple(found)


def has_class_folders(folder: Path) -> bool:
    """Return whether a folder has subfolders that are not hidden."""
    return bool(_subfolders(folder, folder, _Seen()))


def list_folder(folder: Path) -> Listing:
    """Return the image files of a folder of class subfolders.

    Where subfolders are called train, val and test (or training, valid, validation, dev, testing) and one of them has
    subfolders of its own, these are splits; one of them beside folders of other names is a class like those. Images may
    lie any number of folders below that of their class. Hidden files and files whose endings are no picture's are left
    out; symbolic links are followed unless they lead back.

    Raises:
        DataError: if there are no class subfolders or no images in them, a split has images but no class subfolders, or
            a folder cannot be read.
    """
    seen = _Seen()
    inner = _subfolders(folder, folder, seen)
    splits = {path: split_named(path.name) for path in inner}
    items: list[Item] = []
    classes: set[str] = set()
    named = [path for path, split in splits.items() if split]
    with_classes = [path for path in named if has_class_folders(path)]
    if with_classes and (len(named) == len(inner) or len(named) > 1):
        for path in inner:
            split = splits[path]
            if split is None:
                seen.others[f"folder {path.name} beside the splits"] += 1
            elif path not in with_classes:
                _check_empty(path, with_classes[0])
                seen.empty.append(path.name)
            else:
                for below in _subfolders(path, folder, seen):
                    classes.add(_printable(below.name))
                    items += _items(below, _printable(below.name), split, folder, seen)
        form = f"a folder of {', '.join(path.name for path in with_classes)}, each with a subfolder a class"
    else:
        if len(named) == len(inner):
            for path in named:
                _check_empty(path, None)
        for path in inner:
            classes.add(_printable(path.name))
            items += _items(path, _printable(path.name), "", folder, seen)
        if with_classes:
            seen.split_as_class = with_classes[0].name
        form = "a folder with a subfolder a class"
    if not items:
        raise _nothing(folder, inner, seen)
    return Listing(tuple(items), form, tuple(classes), seen.remarks(), tuple(seen.unreadable))


def _items(folder: Path, label: str, split: SplitName, root: Path, seen: _Seen) -> Iterator[Item]:
    for path in _walk(folder, root, seen, (os.path.realpath(root), os.path.realpath(folder.parent))):
        yield Item(path, _printable(path.relative_to(root).as_posix()), label, split)


def _check_empty(split: Path, example: Path | None) -> None:
    """Raise a DataError if images lie directly in the folder of a split."""
    flat = sum(Path(entry.name).suffix.lower() in SUFFIXES for entry in _entries(split))
    if flat:
        raise DataError(
            f"{split.name} has no class subfolders" + (f", and {example.name} has" if example else ""),
            given=f"{split}: {flat:,} images in no subfolder",
            repair=f"sort them into a subfolder a class, or move {split.name} elsewhere if nobody knows their classes",
        )


def _printable(name: str) -> str:
    """Return a file's name that can be written as UTF-8, which not every name of another system's disk can."""
    return name.encode("utf-8", "replace").decode()


def _walk(folder: Path, root: Path, seen: _Seen, above: tuple[str, ...]) -> Iterator[Path]:
    """Yield the image files below a folder in the order of their names."""
    here = os.path.realpath(folder)
    if here in above or len(above) > _DEEPEST:
        seen.loops.append(folder.relative_to(root).as_posix())
        return
    for entry in _entries(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            seen.hidden += 1
        elif os.path.isdir(path):  # noqa: PTH112 (False, not an error, for links that lead to themselves)
            yield from _walk(path, root, seen, (*above, here))
        elif path.suffix.lower() not in SUFFIXES:
            seen.others[path.suffix.lower() or "no ending"] += 1
        elif not os.path.isfile(path):  # noqa: PTH113 (a link to nothing or to itself, a pipe or a device)
            seen.unreadable.append((path.relative_to(root).as_posix(), "no regular file"))
        else:
            yield path


def _subfolders(folder: Path, root: Path, seen: _Seen) -> list[Path]:
    """Return the folders in one that is the root or lies in it, without those that lead back to either."""
    above = (os.path.realpath(root), os.path.realpath(folder))
    found = []
    for entry in _entries(folder):
        if entry.name.startswith("."):
            seen.hidden += 1
        elif os.path.isdir(entry.path):  # noqa: PTH112
            if os.path.realpath(entry.path) in above:
                seen.loops.append((folder / entry.name).relative_to(root).as_posix())
            else:
                found.append(folder / entry.name)
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            "a folder cannot be read", given=f"{folder} ({error.strerror})", repair="check that you may read it"
        ) from None


def _nothing(folder: Path, inner: list[Path], seen: _Seen) -> DataError:
    flat = sum(Path(entry.name).suffix.lower() in SUFFIXES for entry in _entries(folder))
    if flat:
        return DataError(
            "images need a subfolder a class, and these lie in none",
            given=f"{folder}: {flat:,} images",
            repair=f"sort them into subfolders such as {folder.name}/cat and {folder.name}/dog, or name a CSV file of "
            "file names and labels",
        )
    reasons = [*seen.remarks(), *(f"{name}: {reason}" for name, reason in seen.unreadable[:3])]
    files = [entry.name for entry in _entries(folder) if entry.is_file() and not entry.name.startswith(".")]
    if files:
        reasons.insert(0, ", ".join(files[:_NAMED]) + (f" and {len(files) - _NAMED:,} more" if files[_NAMED:] else ""))
    what = "its subfolders hold no images" if inner else "it is empty" if not reasons else "it holds no images"
    return DataError(
        f"there is no data set in this folder: {what}",
        given=f"{folder}" + (f" ({'; '.join(reasons)})" if reasons else ""),
        repair=_instead(folder, files),
    )


def _instead(folder: Path, files: Sequence[str]) -> str:
    """Return what to do with a folder in which only these files lie."""
    whole = [name for name in files if Path(name).suffix.lower() in (".npz", ".csv", ".tsv")]
    if whole:
        return f"name the file itself: {folder / whole[0]}"
    if any(name.lower().endswith(".npy") for name in files):
        return (
            "call the files images.npy and labels.npy, or train-images.npy, train-labels.npy, test-images.npy and so on"
        )
    return "name a folder of class subfolders, IDX files, images.npy and labels.npy, an .npz or a CSV file"
