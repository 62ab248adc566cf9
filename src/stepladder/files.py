"""Files that are whole or absent: written to a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from stepladder.errors import SpecError, StepladderError


def read_text(path: Path, what: str) -> str:
    """Return the text of a file that a user named.

    Raises:
        SpecError: if it cannot be read; ``what`` is what it should be, as in "the experiment file".
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{what} cannot be read", given=f"{path} ({error})", repair="name a TOML file") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write the file so that a reader sees the old content or the new, never a part.

    Raises:
        StepladderError: if the file cannot be written; nothing is left behind then.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files for the owner alone; these are as shareable as any file of the user.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise StepladderError(
            "a file could not be written",
            given=f"{path} ({error.strerror or error})",
            repair="make room, or choose a folder that you may write to",
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text like ``write_bytes``."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON like ``write_bytes``."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in the folder."""
    for leftover in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
