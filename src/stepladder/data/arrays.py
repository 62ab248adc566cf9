"""Images in arrays: .npz files, pairs of .npy files, and folders of IDX files."""

from __future__ import annotations

import dataclasses
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

from stepladder.data import idx
from stepladder.data.collection import Collection, SplitName, sorted_classes, split_named
from stepladder.data.pictures import as_bytes, white_of
from stepladder.errors import DataError

MOST_BYTES = 1 << 33
"""Of all images of a data set in memory."""

_IMAGES = ("images", "image", "imgs", "data", "x")
_LABELS = ("labels", "label", "targets", "target", "y")
_REPAIR = "call the arrays x_train, y_train, x_test and y_test, or images and labels"
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def read_npz(path: Path) -> Collection:
    """Return the images in an ``.npz`` file, whose arrays are called images and labels, or x_train, y_test and so on.

    Nothing in it is unpickled.

    Raises:
        DataError: if it cannot be read, is too large, or its arrays are not images and labels.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            announced = sum(member.file_size for member in archive.infolist())
        if announced > MOST_BYTES:
            raise _too_large(path, announced)
        with path.open("rb") as stream, numpy.load(stream, allow_pickle=False) as stored:
            keys = list(stored.files)
            pairs, alone = _pairs(keys)
            if not pairs:
                raise DataError(
                    "this file has no arrays of images and labels",
                    given=f"{path}: {', '.join(keys) or 'nothing'}",
                    repair=_REPAIR,
                )
            arrays = {split: (stored[images], stored[labels]) for split, (images, labels) in pairs.items()}
    except _DAMAGE as error:
        raise _unreadable(path, error) from None
    found = _collection(arrays, {split: f"{path.name}:{pairs[split][0]}" for split in pairs}, f"an .npz file: {path}")
    if not alone:
        return found
    remark = f"left out, as images without labels or labels without images: {', '.join(alone)}"
    return dataclasses.replace(found, remarks=(remark,))


def read_npy(images_path: Path) -> Collection:
    """Return the images in ``images.npy`` with the labels in ``labels.npy`` beside it.

    Raises:
        DataError: as ``read_npz``, or if there are no labels beside it.
    """
    labels_path = images_path.with_name(re.sub("images", "labels", images_path.name, flags=re.IGNORECASE))
    if labels_path == images_path or not labels_path.is_file():
        raise DataError(
            "images in an .npy file need labels beside them",
            given=f"{images_path}: no {labels_path.name if labels_path != images_path else 'labels.npy'}",
            repair="call the two files images.npy and labels.npy",
        )
    arrays = {_split_in(images_path.name): (_npy(images_path), _npy(labels_path))}
    return _collection(arrays, dict.fromkeys(arrays, images_path.name), "a pair of .npy files")


def is_of_arrays(folder: Path) -> bool:
    """Return whether a folder holds pairs of IDX or .npy files."""
    return bool(_file_pairs(folder))


def read_folder(folder: Path) -> Collection:
    """Return the images of a folder of IDX or ``.npy`` files whose names tell images, labels and, if any, the split.

    Raises:
        DataError: if a file is damaged, or two pairs are of one split.
    """
    found = _file_pairs(folder)
    arrays: dict[SplitName, tuple[numpy.ndarray, numpy.ndarray]] = {}
    names: dict[SplitName, str] = {}
    for images, labels in found:
        split = _split_in(images.name)
        if split in arrays:
            raise DataError(
                "two files hold the images of one split",
                given=f"{folder}: {names[split]} and {images.name}",
                repair="leave one of them, or name train and test in the files' names",
            )
        is_idx = images.suffix != ".npy"
        arrays[split] = (idx.read(images, 3), idx.read(labels, 1)) if is_idx else (_npy(images), _npy(labels))
        names[split] = images.name
    return _collection(arrays, names, f"a folder of {'IDX' if is_idx else '.npy'} files")


def _file_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Return (images, labels): names that differ in that word, and, for IDX files, in the number of axes."""
    try:
        names = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    except OSError as error:
        raise DataError(
            "a folder cannot be read", given=f"{folder} ({error.strerror})", repair="check that you may read it"
        ) from None
    found = []
    for name in sorted(names):
        if "images" not in name.lower() or not re.search(r"idx|ubyte|\.npy$", name, re.IGNORECASE):
            continue
        for ending in (name, name.removesuffix(".gz"), f"{name}.gz"):
            labels = re.sub("images", "labels", ending, flags=re.IGNORECASE).replace("idx3", "idx1")
            if labels in names:
                found.append((folder / name, folder / labels))
                break
    gzipped = {images.name for images, _ in found}
    # Of a file and its gzipped self, one will do.
    return [pair for pair in found if pair[0].name.removesuffix(".gz") not in gzipped - {pair[0].name}]


def _split_in(name: str) -> SplitName:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((split for word in words if (split := split_named(word))), "")


def _pairs(keys: list[str]) -> tuple[dict[SplitName, tuple[str, str]], list[str]]:
    """Return the keys of images and labels of each split, and the keys that lack the other."""
    found: dict[SplitName, dict[str, str]] = {}
    for key in keys:
        words = [word for word in re.split(r"[^a-z0-9]+|(?<=[xy])(?=train|test|val)", key.lower()) if word]
        kinds = [kind for kind, known in (("images", _IMAGES), ("labels", _LABELS)) if set(words) & set(known)]
        if len(kinds) == 1:
            found.setdefault(_split_in("-".join(words)), {}).setdefault(kinds[0], key)
    pairs = {split: (pair["images"], pair["labels"]) for split, pair in found.items() if len(pair) == 2}
    return pairs, [key for pair in found.values() if len(pair) == 1 for key in pair.values()]


def _npy(path: Path) -> numpy.ndarray:
    try:
        return numpy.asarray(numpy.load(path, mmap_mode="r", allow_pickle=False))
    except _DAMAGE as error:
        raise _unreadable(path, error) from None


def _collection(
    arrays: Mapping[SplitName, tuple[numpy.ndarray, numpy.ndarray]], sources: Mapping[SplitName, str], form: str
) -> Collection:
    highest = _highest({split: images for split, (images, _) in arrays.items()})
    shaped = {split: _pixels(images, sources[split], highest) for split, (images, _) in arrays.items()}
    shapes = {images.shape[1:] for images in shaped.values()}
    if len(shapes) > 1:
        given = ", ".join(f"{sources[split]}: {'×'.join(map(str, one.shape))}" for split, one in shaped.items())
        raise DataError("the splits have images of different shapes", given=given, repair="bring them to one shape")
    words: list[str] = []
    splits: list[SplitName] = []
    names: list[str] = []
    for split, (_, labels) in arrays.items():
        found = _labels(labels, len(shaped[split]), sources[split])
        words += found
        splits += [split] * len(found)
        names += [f"{sources[split]}[{index}]" for index in range(len(found))]
    classes = sorted_classes(set(words))
    place = {name: index for index, name in enumerate(classes)}
    images = numpy.concatenate(list(shaped.values()))
    kinds: Counter[str] = Counter()
    for one, _ in arrays.values():
        kinds[str(one.dtype)] += len(one)
    return Collection(
        images,
        numpy.array([place[word] for word in words], dtype=numpy.int64),
        tuple(splits),
        tuple(names),
        classes,
        form,
        Counter({(int(images.shape[2]), int(images.shape[3])): len(images)}) if len(images) else Counter(),
        kinds,
    )


def _highest(arrays: Mapping[SplitName, numpy.ndarray]) -> dict[bool, float]:
    """Return the largest of all whole numbers, and of all floats, so that every split has the same white."""
    found: dict[bool, float] = {}
    for array in arrays.values():
        if array.dtype.kind in "uif":
            whole = array.dtype.kind in "ui"
            found[whole] = max(float(array.max(initial=0)), found.get(whole, 0.0))
    return found


def _pixels(array: numpy.ndarray, source: str, highest: Mapping[bool, float]) -> numpy.ndarray:
    """Return images as uint8 of shape (N, C, H, W), whatever the order of their axes and the kind of their numbers."""
    if array.dtype.kind not in "buif":
        raise DataError("images need numbers", given=f"{source}: {array.dtype}", repair=_REPAIR)
    if array.nbytes > MOST_BYTES:
        raise _too_large(source, array.nbytes)
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[3] in (1, 3) and array.shape[1] not in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    elif array.ndim == 4 and array.shape[3] == 4 and array.shape[1] not in (1, 3):
        raise DataError(
            "images in arrays have one channel or three",
            given=f"{source}: {'×'.join(map(str, array.shape))}",
            repair="leave out the alpha channel",
        )
    if array.ndim != 4 or array.shape[1] not in (1, 3) or 0 in array.shape[1:]:
        raise DataError(
            "images need the shape N×rows×columns, N×rows×columns×3 or N×3×rows×columns",
            given=f"{source}: {'×'.join(map(str, array.shape))}",
            repair="reshape the array",
        )
    if array.dtype == numpy.uint8:
        return numpy.ascontiguousarray(array)
    if array.dtype.kind == "b":
        return numpy.ascontiguousarray(array.astype(numpy.uint8) * 255)
    return _scaled(array, source, highest)


def _scaled(array: numpy.ndarray, source: str, highest: Mapping[bool, float]) -> numpy.ndarray:
    values = array.astype(numpy.float64)
    if not numpy.isfinite(values).all() or values.min(initial=0.0) < 0:
        raise DataError(
            "images need values from 0 up",
            given=f"{source}: from {values.min(initial=0.0):g} to {values.max(initial=0.0):g}",
            repair="keep them as they were before they were normalised: 0 to 255, or 0 to 1",
        )
    whole = array.dtype.kind in "ui"
    if whole and highest[whole] <= 255:
        return numpy.ascontiguousarray(array.astype(numpy.uint8))
    return numpy.ascontiguousarray(as_bytes(values, white_of(highest[whole], whole=whole)))


def _labels(array: numpy.ndarray, count: int, source: str) -> list[str]:
    """Return labels as words, whole numbers in plain digits."""
    flat = array.reshape(-1) if array.size == count else array
    if flat.shape != (count,):
        raise DataError(
            "images and labels are not equally many",
            given=f"{source}: {count:,} images, labels of shape {'×'.join(map(str, array.shape))}",
            repair="give one label an image (no one-hot rows)",
        )
    if flat.dtype.kind == "f" and (flat == numpy.floor(flat)).all():
        flat = flat.astype(numpy.int64)
    if flat.dtype.kind not in "buiU":
        raise DataError(
            "labels need whole numbers or words", given=f"{source}: labels of {flat.dtype}", repair="convert them"
        )
    if flat.dtype.kind == "b":
        flat = flat.astype(numpy.int64)
    return [str(one) for one in flat.tolist()]


def _unreadable(path: Path, error: Any) -> DataError:
    pickled = any(word in str(error).lower() for word in ("pickle", "python objects"))
    return DataError(
        "this file holds pickled objects, which are not opened" if pickled else "the file cannot be read",
        given=str(path) if pickled else f"{path} ({error})",
        repair="save arrays of numbers with numpy.savez" if pickled else "save it again with numpy",
    )


def _too_large(source: object, size: int) -> DataError:
    return DataError(
        f"the images take more than {MOST_BYTES >> 30} GiB in memory",
        given=f"{source}: {size / 2**30:.1f} GiB",
        repair="make them smaller, or take fewer",
    )
