"""What ``--data`` names, as one text that experiments keep: ``mnist``, ``photos@64x64``, ``photos#0f3a9c…``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from stepladder.errors import DataError

_FORM = re.compile(r"(?P<what>.+?)(?:@(?P<size>\d+(?:x\d+)?))?(?:#(?P<digest>[0-9a-f]{12}))?", re.DOTALL)
_LARGEST_SIDE = 1024


@dataclass(frozen=True)
class Reference:
    """A data set as an experiment names it.

    Args:
        what: a name of the catalogue, or a path as the user wrote it.
        size: (rows, columns) asked for; None leaves it to the data.
        digest: the first twelve digits of the fingerprint that the data had; None where nothing was read yet.
    """

    what: str
    size: tuple[int, int] | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return what the text names; a path that is there as it stands has neither size nor digest.

        Raises:
            DataError: if its size is none.
        """
        try:
            is_there = text != "" and Path(text).exists()
        except (OSError, ValueError):
            is_there = False
        match = _FORM.fullmatch(text)
        if is_there or match is None:
            return cls(text)
        size = match["size"]
        return cls(match["what"], parse_size(size) if size else None, match["digest"])

    def __str__(self) -> str:
        """Return the text that ``parse`` reads back."""
        size = f"@{self.size[0]}x{self.size[1]}" if self.size else ""
        return f"{self.what}{size}" + (f"#{self.digest}" if self.digest else "")


def parse_size(text: str) -> tuple[int, int]:
    """Return (rows, columns) from ``28`` or ``28x32``.

    Raises:
        DataError: if it is neither, or a side is not from 1 to 1,024.
    """
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip().lower().replace("×", "x"), re.ASCII)
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(1 <= side <= _LARGEST_SIDE for side in sides):
        raise DataError(
            f"a size is a number of pixels, or rows x columns, each from 1 to {_LARGEST_SIDE:,}",
            given=text,
            repair="write --size 28 or --size 28x32",
        )
    return sides


def short_name(text: str) -> str:
    """Return a name for folders: that of the catalogue, or the last part of a path, in letters, digits and dashes."""
    reference = Reference.parse(text)
    what = PurePath(Path(reference.what).absolute() if reference.what in (".", "..") else reference.what)
    name = re.sub(r"[^\w.-]+", "-", what.stem).strip("-.") or "data"
    return name if reference.size is None else f"{name}-{reference.size[0]}x{reference.size[1]}"
