"""Where in a user's own files an error came from."""

from __future__ import annotations

import traceback
from pathlib import Path

_OURS = Path(__file__).parents[1]
_STANDARD = Path(traceback.__file__).parent


def place_of(error: BaseException) -> str:
    """Return the file and line that raised, as ``nets/mine.py, line 12``; empty if no file of the user's had a part.

    Of the calls that led to the error it is the last one outside Python, this package and everything installed, since
    a line in a library tells a user little.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(Path(error.filename))}, line {error.lineno}"
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        if not path.startswith("<") and not _is_installed(Path(path)):
            return f"{shown(Path(path))}, line {line}"
    return ""


def shown(path: Path) -> str:
    """Return the path as a user would write it: from the current folder where it lies in there."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)


def said(error: BaseException) -> str:
    """Return the error's type and its message, in one line of at most some 300 characters."""
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else text[:297] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _is_installed(path: Path) -> bool:
    parts = path.parts
    installed = "site-packages" in parts or "dist-packages" in parts
    return installed or path.is_relative_to(_OURS) or path.is_relative_to(_STANDARD)
