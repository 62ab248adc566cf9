"""The folder for what can be had again: downloads and machine code."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """Return ``STEPLADDER_CACHE``, or the system's cache folder for this user."""
    from platformdirs import user_cache_path

    named = os.environ.get("STEPLADDER_CACHE")
    return Path(named) if named else user_cache_path("stepladder", appauthor=False)
