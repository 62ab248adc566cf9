"""Members of archives, read into memory by their exact names: nothing is unpacked, so no path can lead anywhere."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from stepladder.errors import DataError

_DAMAGE = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
)


def members(path: Path, names: Sequence[str], most: int) -> dict[str, bytes]:
    """Return the bytes of the named members of a zip or tar archive, by their names.

    Args:
        path: the archive; a name that ends in .zip is a zip's, all else a tar's, compressed or not.
        names: of regular files in it.
        most: bytes that one member may have.

    Raises:
        DataError: if the archive cannot be read, is damaged, lacks a member, or one is larger.
    """
    try:
        found = (_of_zip if path.suffix == ".zip" else _of_tar)(path, names, most)
    except _DAMAGE as error:
        raise DataError(
            "an archive is damaged or cannot be read",
            given=f"{path} ({error})",
            repair="replace it, or remove it and let it be downloaded again",
        ) from None
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            "an archive lacks files", given=f"{path}: no {', '.join(missing)}", repair="replace it by the original"
        )
    return found


def _of_zip(path: Path, names: Sequence[str], most: int) -> dict[str, bytes]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
        for name in names:
            if name in there:
                with archive.open(name) as stream:
                    found[name] = _within(stream.read(most + 1), most, path, name)
    return found


def _of_tar(path: Path, names: Sequence[str], most: int) -> dict[str, bytes]:
    found = {}
    wanted = set(names)
    # As a stream: to look for a member by its name would unpack a compressed archive twice.
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name in wanted and member.isreg() else None
            if stream is not None:
                found[member.name] = _within(stream.read(most + 1), most, path, member.name)
            if len(found) == len(wanted):
                break
    return found


def _within(content: bytes, most: int, path: Path, name: str) -> bytes:
    if len(content) > most:
        raise DataError(
            "a file in an archive is larger than it can be",
            given=f"{path}: {name} has more than {most:,} bytes",
            repair="replace the archive by the original",
        )
    return content
