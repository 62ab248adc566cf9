"""The data sets known by name, and where each is looked for."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy

from stepladder.cache import folder as cache_folder
from stepladder.data import idx
from stepladder.data.dataset import Dataset, Split
from stepladder.data.download import Progress, UnreachableError, UntrustedError, fetch
from stepladder.data.sample import load_sample
from stepladder.errors import DataError

_ROLES = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class Catalog:
    """One data set of IDX files: their names, digests and mirrors."""

    name: str
    title: str
    files: Mapping[str, tuple[str, str]]
    """Role (train_images, ...) → (file name, SHA-256 of the gzipped file)."""
    mirrors: tuple[str, ...]
    classes: tuple[str, ...] = tuple("0123456789")
    image_size: tuple[int, int] = (28, 28)
    folders: tuple[str, ...] = field(default=(".",))
    """Where the files may lie inside a folder that the user names."""
    timeout: float = 5.0


MNIST = Catalog(
    name="mnist",
    title="MNIST",
    files={
        "train_images": (
            "train-images-idx3-ubyte.gz",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        "train_labels": (
            "train-labels-idx1-ubyte.gz",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        "test_images": (
            "t10k-images-idx3-ubyte.gz",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        "test_labels": (
            "t10k-labels-idx1-ubyte.gz",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    },
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    folders=("mnist", "MNIST/raw", "raw", "."),
)

NAMES = ("mnist", "mnist-sample")


def load(
    name: str = "mnist",
    *,
    data_dir: Path | None = None,
    offline: bool | None = None,
    notify: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    catalog: Catalog = MNIST,
) -> Dataset:
    """Return a data set by name, whole in memory.

    MNIST is looked for in ``data_dir``, or else in the folder that ``STEPLADDER_DATA`` names; then in the user's
    cache; then on the mirrors (``STEPLADDER_MIRRORS`` names others, with commas between). Where no mirror can be
    reached the bundled sample stands in, and ``notify`` is told so in one line.

    Args:
        name: "mnist" or "mnist-sample".
        data_dir: a folder that holds ``mnist/``, ``MNIST/raw`` or the files themselves, gzipped or not.
        offline: never touch the network; None asks ``STEPLADDER_OFFLINE``.
        notify: told what a person should know.
        progress: told how far a download is.
        catalog: what "mnist" means; other files and mirrors for tests.

    Raises:
        DataError: if the name is unknown, the folder holds no such data, a file is damaged, or mirrors answer with
            something else.
    """
    if name == "mnist-sample":
        return load_sample()
    if name != catalog.name:
        nearest = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean '{nearest[0]}'? " if nearest else ""
        raise DataError("there is no data set of this name", given=name, repair=f"{hint}known: {', '.join(NAMES)}")
    folder = data_dir or _folder_from_environment()
    if folder is not None:
        return _assemble(_find(folder, catalog), str(folder), catalog)
    if offline is None:
        offline = os.environ.get("STEPLADDER_OFFLINE", "") not in ("", "0")
    cache = cache_folder() / catalog.name
    mirrors = _mirrors(catalog)
    try:
        paths = {role: _cached(role, cache, offline, catalog, mirrors, progress) for role in _ROLES}
    except UnreachableError as error:
        if notify is not None:
            notify(
                f"{catalog.title} is not reachable ({_reason(error, offline)}): using the MNIST sample (5,000 "
                "images); its numbers are not comparable with the full set's."
            )
        return load_sample()
    return _assemble(paths, str(cache), catalog)


def _folder_from_environment() -> Path | None:
    named = os.environ.get("STEPLADDER_DATA")
    return Path(named) if named else None


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
        if len(found) == len(_ROLES):
            return found
        missing = [name for role, (name, _) in catalog.files.items() if role not in found]
        best = min(best, missing, key=len)
    raise DataError(
        f"{catalog.title} is not in the data folder: {', '.join(best)} missing",
        given=f"{folder} (looked in {', '.join(str(folder / inner) for inner in catalog.folders)})",
        repair="put the four files there, or name no folder to download them",
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
    name, sha256 = catalog.files[role]
    path = cache / name
    digest = _digest(path)
    if digest == sha256:
        return path
    try:
        if offline:
            raise UnreachableError(f"{name} is not in the cache", given=str(cache), repair="go online once")
        # The download takes a damaged file's place in one step, so that nobody beside us finds it missing.
        return fetch(name, sha256, cache, mirrors, timeout=catalog.timeout, progress=progress)
    except DataError as error:
        if digest is None:
            raise
        removed = True
        if _digest(path) != sha256:
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
            repair="go online once, or ask for the data set mnist-sample",
        ) from None


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file in the cache, or None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
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


def _assemble(paths: Mapping[str, Path], source: str, catalog: Catalog) -> Dataset:
    splits = []
    for part in ("train", "test"):
        images = idx.read(paths[f"{part}_images"], 3)
        labels = idx.read(paths[f"{part}_labels"], 1)
        _check(images, labels, paths[f"{part}_images"], paths[f"{part}_labels"], catalog)
        splits.append(Split(images[:, None], labels.astype(numpy.int64)))
    return Dataset(catalog.name, catalog.title, catalog.classes, splits[0], splits[1], source)


def _check(
    images: numpy.ndarray, labels: numpy.ndarray, images_path: Path, labels_path: Path, catalog: Catalog
) -> None:
    repair = "replace the files by the original ones"
    if len(images) != len(labels):
        raise DataError(
            "images and labels are not equally many",
            given=f"{images_path}: {len(images):,}; {labels_path}: {len(labels):,}",
            repair=repair,
        )
    if len(images) == 0:
        raise DataError("a data file holds no images", given=str(images_path), repair=repair)
    if images.shape[1:] != catalog.image_size:
        rows, columns = catalog.image_size
        raise DataError(
            f"the images are not {rows}×{columns}",
            given=f"{images_path}: {images.shape[1]}×{images.shape[2]}",
            repair=repair,
        )
    if int(labels.max()) >= len(catalog.classes):
        raise DataError(
            f"a label is out of range 0 to {len(catalog.classes) - 1}",
            given=f"{labels_path}: {int(labels.max())}",
            repair=repair,
        )
