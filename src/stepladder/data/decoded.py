"""Image files decoded once: the pixels are kept in the cache, so that later runs start at once."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy

from stepladder.cache import folder as cache_folder
from stepladder.data import pictures
from stepladder.data.arrays import MOST_BYTES
from stepladder.data.collection import Collection, Item, Listing, sorted_classes
from stepladder.data.download import DECODING, LOOKING, Progress
from stepladder.errors import DataError, StepladderError
from stepladder.files import write_bytes

_FORMAT = 2
_THREADS = 4
_KEPT = 3
_SHARE_OF_ONE_SIZE = 0.9
_LARGEST_DEFAULT = 64


def decode(
    listing: Listing, root: Path, size: tuple[int, int] | None = None, progress: Progress | None = None
) -> Collection:
    """Return the images of a list of files, from the cache where the same files were decoded before.

    Files that cannot be read are left out and named in ``unreadable``. All images are grey unless one has a pixel with
    a colour.

    Args:
        listing: the files.
        root: what they are listed in, to tell data sets apart in the cache.
        size: (rows, columns); None takes the most common size if at least nine in ten files have it, and else a square
            whose side is the median of their shorter sides, 64 at most.
        progress: told how many files are done.

    Raises:
        DataError: if no file can be read, or the images would take more memory than 8 GiB.
    """
    digest, key = _keys(listing.items, root, size)
    kept = cache_folder() / "decoded" / f"{digest}-{key}.npz"
    found = _read_cache(kept, listing)
    if found is None:
        found, may_change = _decode(listing, size, progress)
        with suppress(StepladderError):  # a cache that cannot be written costs time, nothing else
            if not may_change:
                _write_cache(kept, found, listing)
                _remove_others(kept, digest)
    return found


def default_size(sizes: Counter[tuple[int, int]]) -> tuple[tuple[int, int], str]:
    """Return the size (rows, columns) that images of these sizes are brought to, and why in a few words."""
    common, count = sizes.most_common(1)[0]
    total = sizes.total()
    if count == total:
        return common, ""
    if count >= _SHARE_OF_ONE_SIZE * total:
        return common, f"the size of {count:,} of {total:,} images"
    side = min(_LARGEST_DEFAULT, median_low(sorted(min(one) for one in sizes.elements())))
    return (side, side), f"the median of the shorter sides, {_LARGEST_DEFAULT} at most; --size chooses another"


def _decode(listing: Listing, size: tuple[int, int] | None, progress: Progress | None) -> tuple[Collection, bool]:
    """Return the images, and whether files could not be read for a reason that may pass."""
    items = listing.items
    unreadable = list(listing.unreadable)
    # Damaged notes inside a picture are none of the user's business as long as the pixels can be read. This holds for
    # the whole process, so it stands outside the threads.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(_THREADS) as pool:
            looks = list(_told(pool.map(_look, items), LOOKING, len(items), progress))
            readable = [(item, one) for item, one in zip(items, looks, strict=True) if isinstance(one, pictures.Look)]
            refused = [
                (item, one) for item, one in zip(items, looks, strict=True) if not isinstance(one, pictures.Look)
            ]
            unreadable += [(item.name, str(one)) for item, one in refused]
            if not readable:
                raise _none_readable(unreadable)
            sizes = Counter(one.size for _, one in readable)
            why = ""
            if size is None:
                size, why = default_size(sizes)
            _check_memory(len(readable), 1, size)
            wanted, whites = size, pictures.whites_of(one for _, one in readable)
            pixels = pool.map(lambda pair: _read(pair[0], wanted, whites), readable)
            read = []
            for one in _told(pixels, DECODING, len(readable), progress):
                # One colour makes all images coloured; whether there is any is known only from the pixels.
                if isinstance(one, numpy.ndarray) and one.ndim == 3:
                    try:
                        _check_memory(len(readable), 3, size)
                    except DataError:
                        pool.shutdown(wait=False, cancel_futures=True)
                        raise
                read.append(one)
    remarks = list(listing.remarks)
    whole, broken = [], []
    for (item, seen), one in zip(readable, read, strict=True):
        if isinstance(one, numpy.ndarray):
            whole.append((item, seen, one))
        else:
            broken.append((item, one))
    unreadable += [(item.name, str(one)) for item, one in broken]
    if not whole:
        raise _none_readable(unreadable)
    channels = 3 if any(one.ndim == 3 for _, _, one in whole) else 1
    images = numpy.empty((len(whole), channels, *size), dtype=numpy.uint8)
    for index, (_, _, one) in enumerate(whole):
        images[index] = pictures.with_channels(one, channels)
    if len(sizes) > 1 or (size,) != tuple(sizes):
        chosen = why or "as asked for"
        remarks.append(
            f"images of {len(sizes):,} size{'s' if len(sizes) > 1 else ''} are brought to {size[0]}×{size[1]} pixels "
            f"({chosen})"
        )
    found = _labelled(
        images,
        [item for item, _, _ in whole],
        listing,
        Counter(seen.size for _, seen, _ in whole),
        Counter(seen.mode for _, seen, _ in whole),
        unreadable,
        remarks,
    )
    return found, any(one.may_pass for _, one in (*refused, *broken))


def _check_memory(count: int, channels: int, size: tuple[int, int]) -> None:
    if count * channels * size[0] * size[1] > MOST_BYTES:
        raise DataError(
            f"the images would take more than {MOST_BYTES >> 30} GiB in memory",
            given=f"{count:,} images of {size[0]}×{size[1]} pixels{' in colour' if channels == 3 else ''}",
            repair="choose a smaller --size, such as --size 64",
        )


def _labelled(
    images: numpy.ndarray,
    items: Sequence[Item],
    listing: Listing,
    sizes: Counter[tuple[int, int]],
    modes: Counter[str],
    unreadable: Iterable[tuple[str, str]],
    remarks: Iterable[str],
) -> Collection:
    classes = sorted_classes({*listing.classes, *(item.label for item in listing.items)})
    place = {name: index for index, name in enumerate(classes)}
    return Collection(
        images,
        numpy.array([place[item.label] for item in items], dtype=numpy.int64),
        tuple(item.split for item in items),
        tuple(item.name for item in items),
        classes,
        listing.form,
        sizes,
        modes,
        tuple(unreadable),
        tuple(remarks),
    )


def _told(results: Iterable[Any], what: str, total: int, progress: Progress | None) -> Iterable[Any]:
    for count, result in enumerate(results, start=1):
        if progress is not None:
            progress(what, count, total)
        yield result


def _look(item: Item) -> pictures.Look | pictures.UnreadablePictureError:
    try:
        return pictures.look(item.path)
    except pictures.UnreadablePictureError as error:
        return error


def _read(
    item: Item, size: tuple[int, int], whites: Mapping[str, float]
) -> numpy.ndarray | pictures.UnreadablePictureError:
    try:
        return pictures.read(item.path, size, whites)
    except pictures.UnreadablePictureError as error:
        return error


def _none_readable(unreadable: Sequence[tuple[str, str]]) -> DataError:
    name, reason = unreadable[0]
    more = f" and {len(unreadable) - 1:,} more" if len(unreadable) > 1 else ""
    return DataError(
        "none of the image files can be read",
        given=f"{name} ({reason}){more}",
        repair="save them again as PNG or JPEG",
    )


def _keys(items: Sequence[Item], root: Path, size: tuple[int, int] | None) -> tuple[str, str]:
    """Return a digest of the place, and one of everything that decides the pixels: files, sizes, times, the reader."""
    from PIL import __version__ as version

    place = hashlib.sha256(str(root.absolute()).encode(errors="surrogatepass")).hexdigest()[:16]
    content = hashlib.sha256(f"{_FORMAT} {version} {size}".encode())
    for item in items:
        try:
            stat = item.path.stat()
            state = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            state = "gone"
        content.update(f"{item.path.absolute()}\0{state}\0".encode(errors="surrogatepass"))
    return place, content.hexdigest()[:24]


def _write_cache(path: Path, found: Collection, listing: Listing) -> None:
    # A table may list a file twice, under one label or two.
    numbers = {(item.name, item.label, item.split): index for index, item in enumerate(listing.items)}
    kept = zip(found.names, found.labels, found.splits, strict=True)
    header = {
        "indices": [numbers[name, found.classes[label], split] for name, label, split in kept],
        "sizes": [[*size, count] for size, count in found.sizes.items()],
        "modes": dict(found.modes),
        # What the list itself says is not kept: it is made anew each time.
        "unreadable": [list(one) for one in found.unreadable if one not in set(listing.unreadable)],
        "remarks": [one for one in found.remarks if one not in listing.remarks],
    }
    stream = io.BytesIO()
    written = numpy.frombuffer(json.dumps(header).encode(), dtype=numpy.uint8)
    numpy.savez(stream, images=found.images, header=written)
    write_bytes(path, stream.getvalue())


def _read_cache(path: Path, listing: Listing) -> Collection | None:
    if not path.is_file():
        return None
    try:
        # Opened here, since numpy leaves a damaged file open.
        with path.open("rb") as stream, numpy.load(stream, allow_pickle=False) as stored:
            images, header = stored["images"], json.loads(stored["header"].tobytes())
        items = [listing.items[index] for index in header["indices"]]
        if images.dtype != numpy.uint8 or images.ndim != 4 or len(images) != len(items):
            return None
        return _labelled(
            images,
            items,
            listing,
            Counter({(rows, columns): count for rows, columns, count in header["sizes"]}),
            Counter(header["modes"]),
            [*listing.unreadable, *((name, reason) for name, reason in header["unreadable"])],
            [*listing.remarks, *header["remarks"]],
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # damaged: it is made again


def _remove_others(kept: Path, place: str) -> None:
    """Remove all but the newest few that were decoded from one place."""
    beside: Callable[[Path], float] = lambda path: path.stat().st_mtime  # noqa: E731 (sorting needs its type)
    with suppress(OSError):
        for old in sorted(kept.parent.glob(f"{place}-*.npz"), key=beside, reverse=True)[_KEPT:]:
            old.unlink()
