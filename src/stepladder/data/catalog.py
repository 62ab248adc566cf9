"""Data sets by name: where each is looked for, and how its files become images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy

from stepladder.cache import folder as cache_folder
from stepladder.data import archives, digits, idx, sample
from stepladder.data.dataset import Dataset, Split
from stepladder.data.download import Progress, UnreachableError, UntrustedError, fetch, hasher_of
from stepladder.data.entries import DOWNLOADED, Catalog
from stepladder.errors import DataError

SAMPLE_STANDS_IN = "mnist"
NAMES = (*DOWNLOADED, sample.NAME, digits.NAME)
_BATCH = 10_000  # records of CIFAR-10 in a file


def load_named(
    name: str,
    *,
    data_dir: Path | None = None,
    offline: bool | None = None,
    notify: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    catalog: Catalog | None = None,
) -> Dataset:
    """Return a data set of the catalogue, whole in memory; see ``stepladder.data.load``."""
    if name == sample.NAME:
        return sample.load_sample()
    if name == digits.NAME:
        return digits.load_digits()
    catalog = catalog if catalog is not None and catalog.name == name else DOWNLOADED[name]
    folder = data_dir or _folder_from_environment()
    # Who keeps MNIST there need not keep all others there too.
    if folder is not None and (data_dir or name == SAMPLE_STANDS_IN or _holds(folder, catalog)):
        paths = _find(folder, catalog)
        notes = _compared(paths, catalog)
        if notify is not None:
            for line in notes:
                notify(line)
        return _assemble(paths, str(folder), catalog, notes)
    if offline is None:
        offline = os.environ.get("STEPLADDER_OFFLINE", "") not in ("", "0")
    cache = cache_folder() / ("emnist" if catalog.name.startswith("emnist") else catalog.name)
    mirrors = _mirrors(catalog)
    try:
        paths = {role: _cached(role, cache, offline, catalog, mirrors, progress) for role in catalog.files}
    except UnreachableError as error:
        if name != SAMPLE_STANDS_IN:
            raise UnreachableError(
                f"{catalog.title} is not reachable ({_reason(error, offline)})",
                given=error.given,
                repair=f"go online once, put {', '.join(file for file, _ in catalog.files.values())} in a folder and "
                f"name it with --data-dir, or choose --data {sample.NAME} or {digits.NAME}, which need no network",
            ) from None
        if notify is not None:
            notify(
                f"{catalog.title} is not reachable ({_reason(error, offline)}): using the MNIST sample (5,000 "
                "images); its numbers are not comparable with the full set's."
            )
        return sample.load_sample()
    return _assemble(paths, str(cache), catalog)


def _folder_from_environment() -> Path | None:
    named = os.environ.get("STEPLADDER_DATA")
    return Path(named) if named else None


def _holds(folder: Path, catalog: Catalog) -> bool:
    try:
        _find(folder, catalog)
    except DataError:
        return False
    return True


def _find(folder: Path, catalog: Catalog) -> dict[str, Path]:
    """Return the path of each file in a folder that the user named, in any of the known layouts."""
    if not _ask(folder, Path.is_dir):
        raise DataError(
            "the data folder is not a folder" if _ask(folder, Path.exists) else "the data folder is not there",
            given=str(folder),
            repair="name a folder with --data-dir or STEPLADDER_DATA, or neither to download the data",
        )
    best: list[str] = [name for name, _ in catalog.files.values()]
    for inner in catalog.folders:
        found = {}
        for role, (name, _) in catalog.files.items():
            for candidate in (name, name.removesuffix(".gz")):
                if _ask(folder / inner / candidate, Path.exists):
                    found[role] = folder / inner / candidate
                    break
        if len(found) == len(catalog.files):
            return found
        missing = [name for role, (name, _) in catalog.files.items() if role not in found]
        best = min(best, missing, key=len)
    raise DataError(
        f"{catalog.title} is not in the data folder: {', '.join(best)} missing",
        given=f"{folder} (looked in {', '.join(str(folder / inner) for inner in catalog.folders)})",
        repair=f"put the {'archive' if 'archive' in catalog.files else 'four files'} there, or name no folder to "
        "download",
    )


def _compared(paths: Mapping[str, Path], catalog: Catalog) -> tuple[str, ...]:
    """Return what a person should know about files of a folder that are not the original ones.

    Gzipped files and archives are told by their digests. Unpacked files have none that is published; those of MNIST's
    relatives bear the same names, and are told by the folder that they lie in.

    Raises:
        DataError: if they are another data set's.
    """
    names = {name for name, _ in catalog.files.values()}
    relatives = [
        one
        for one in DOWNLOADED.values()
        if one.name != catalog.name and {name for name, _ in one.files.values()} == names
    ]
    differing = []
    for role, path in paths.items():
        name, expected = catalog.files[role]
        # One who may not read it, or who finds a folder there, is told so when it is opened.
        digest = _digest(path, expected) if path.name == name and os.access(path, os.R_OK) and path.is_file() else None
        place = path.resolve().parent
        owner = place.parent.name if place.name == "raw" else place.name
        for other in relatives:
            # The catalogues of one archive, as EMNIST's are, share its digest.
            theirs = digest not in (None, expected) and digest == other.files[role][1]
            if theirs or (other.form == "files" and owner in {inner.partition("/")[0] for inner in other.folders}):
                raise DataError(
                    f"these files are {other.title}'s, not {catalog.title}'s",
                    given=str(path),
                    repair=f"ask for --data {other.name}, and name the folder that holds {' or '.join(other.folders)}",
                )
        if digest not in (None, expected):
            differing.append(path.name)
    if not differing:
        return ()
    return (
        f"{catalog.title} is read from files that are not the original ones ({', '.join(differing)}: the digest "
        "differs); numbers are not comparable with others'",
    )


def _ask(path: Path, question: Callable[[Path], bool]) -> bool:
    try:
        return question(path)
    except OSError as error:
        raise DataError(
            "a data folder cannot be read",
            given=f"{path} ({error.strerror})",
            repair="check that it is a folder you may read",
        ) from None


def _mirrors(catalog: Catalog) -> Sequence[str]:
    """Return the base addresses to download from."""
    named = os.environ.get("STEPLADDER_MIRRORS", "")
    addresses = [part.strip() for part in named.split(",") if part.strip()]
    for address in addresses:
        # Anything else would fail inside urllib, or read this machine's files.
        if not _is_web_address(address):
            raise DataError(
                "a mirror is not a web address",
                given=f"STEPLADDER_MIRRORS: {address}",
                repair="begin each with https:// or http://, with commas between",
            )
    return addresses or catalog.mirrors


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna")
        return parts.scheme in ("https", "http") and host != b"" and parts.port != 0 and address.isascii()
    except ValueError:  # a port or a host that can be none
        return False


def _cached(
    role: str, cache: Path, offline: bool, catalog: Catalog, mirrors: Sequence[str], progress: Progress | None
) -> Path:
    name, expected = catalog.files[role]
    path = cache / name
    digest = _digest(path, expected)
    if digest == expected:
        return path
    try:
        if offline:
            raise UnreachableError(f"{name} is not in the cache", given=str(cache), repair="go online once")
        # The download takes a damaged file's place in one step, so that nobody beside us finds it missing.
        return fetch(name, expected, cache, mirrors, timeout=catalog.timeout, progress=progress)
    except DataError as error:
        if digest is None:
            raise
        removed = True
        if _digest(path, expected) != expected:
            try:
                path.unlink(missing_ok=True)
            except OSError:  # a cache that only its owner may change
                removed = False
        if not isinstance(error, UnreachableError):
            raise
        # Whoever has the full set must not slide to the sample because of one bad file.
        raise DataError(
            f"a file in the cache was damaged and {'has been' if removed else 'cannot be'} removed; "
            "without a network it cannot be replaced",
            given=str(path),
            repair=f"go online once, or ask for the data set {sample.NAME}",
        ) from None


def _digest(path: Path, like: str) -> str | None:
    """Return the digest of a file in the cache, of the same kind as another, or None where there is no file."""
    seen = hasher_of(like)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                seen.update(chunk)
        return seen.hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(
            "a file in the cache cannot be read",
            given=f"{path} ({error.strerror})",
            repair="remove it, or name another cache folder with STEPLADDER_CACHE",
        ) from None


def _reason(error: UnreachableError, offline: bool) -> str:
    if offline:
        return "offline, and not in the cache"
    if isinstance(error, UntrustedError):
        return "the mirrors' certificates cannot be verified on this machine"
    return "no network"


def _assemble(paths: Mapping[str, Path], source: str, catalog: Catalog, notes: tuple[str, ...] = ()) -> Dataset:
    read = {"files": _idx_files, "zip of files": _zipped_files, "tar of records": _records}[catalog.form]
    arrays = read(paths, catalog)
    splits = []
    for part in ("train", "test"):
        (images, images_from), (labels, labels_from) = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        _check(images, labels, images_from, labels_from, catalog)
        if catalog.is_transposed:
            images = numpy.ascontiguousarray(images.swapaxes(-1, -2))
        shaped = images.reshape(len(images), catalog.channels, *catalog.image_size)
        splits.append(Split(shaped, labels.astype(numpy.int64) - catalog.first_label))
    return Dataset(
        catalog.name,
        catalog.title,
        catalog.classes,
        splits[0],
        splits[1],
        source,
        is_handwriting=catalog.is_handwriting,
        notes=notes,
    )


_Arrays = dict[str, tuple[numpy.ndarray, str]]
"""Role → its array, and where it came from."""


def _idx_files(paths: Mapping[str, Path], catalog: Catalog) -> _Arrays:
    arrays: _Arrays = {}
    for role, path in paths.items():
        if role.endswith("images"):
            arrays[role] = idx.read(path, 3), str(path)
        elif catalog.wide_labels:
            arrays[role] = idx.read(path, 2, integers=True)[:, 0], str(path)
        else:
            arrays[role] = idx.read(path, 1), str(path)
    return arrays


def _zipped_files(paths: Mapping[str, Path], catalog: Catalog) -> _Arrays:
    path = paths["archive"]
    names = {role: name for role, (name,) in catalog.members.items()}
    found = archives.members(path, list(names.values()), most=1 << 30)
    return {
        role: (idx.decode(found[name], 3 if role.endswith("images") else 1, f"{path}: {name}"), f"{path}: {name}")
        for role, name in names.items()
    }


def _records(paths: Mapping[str, Path], catalog: Catalog) -> _Arrays:
    """Return what CIFAR-10's binary files hold: records of one label and the bytes of one image, channel by channel."""
    path = paths["archive"]
    record = 1 + catalog.channels * catalog.image_size[0] * catalog.image_size[1]
    names = [name for inner in catalog.members.values() for name in inner]
    found = archives.members(path, names, most=_BATCH * record)
    arrays: _Arrays = {}
    for role, inner in catalog.members.items():
        for name in inner:
            if len(found[name]) % record:
                raise DataError(
                    f"a file in an archive is no whole number of records of {record:,} bytes",
                    given=f"{path}: {name} has {len(found[name]):,} bytes",
                    repair="replace the archive by the original",
                )
        table = numpy.frombuffer(b"".join(found[name] for name in inner), dtype=numpy.uint8).reshape(-1, record)
        images = table[:, 1:].reshape(-1, catalog.channels, *catalog.image_size)
        arrays[role] = numpy.ascontiguousarray(images), str(path)
        arrays[role.replace("images", "labels")] = table[:, 0], str(path)
    return arrays


def _check(images: numpy.ndarray, labels: numpy.ndarray, images_path: str, labels_path: str, catalog: Catalog) -> None:
    repair = "replace the files by the original ones"
    if len(images) != len(labels):
        raise DataError(
            "images and labels are not equally many",
            given=f"{images_path}: {len(images):,}; {labels_path}: {len(labels):,}",
            repair=repair,
        )
    if len(images) == 0:
        raise DataError("a data file holds no images", given=images_path, repair=repair)
    if images.shape[-2:] != catalog.image_size:
        rows, columns = catalog.image_size
        raise DataError(
            f"the images are not {rows}×{columns}",
            given=f"{images_path}: {images.shape[-2]}×{images.shape[-1]}",
            repair=repair,
        )
    first, last = catalog.first_label, catalog.first_label + len(catalog.classes) - 1
    for label in (int(labels.min()), int(labels.max())):
        if not first <= label <= last:
            raise DataError(
                f"a label is out of range {first} to {last}", given=f"{labels_path}: {label}", repair=repair
            )
