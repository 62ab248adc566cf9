"""Durations as people write them and read them."""

from __future__ import annotations

import re

from stepladder.errors import SpecError


def clock(seconds: float) -> str:
    """Return a duration for people: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def read_time(text: str) -> float:
    """Return a duration such as 20m, 90s or 1h30m in seconds.

    Raises:
        SpecError: if it is none.
    """
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?", text.strip().lower().replace(" ", ""))
    seconds = (
        sum(int(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
    )
    if seconds <= 0:
        raise SpecError(
            "this is no duration", given=repr(text), repair="write hours, minutes or seconds: 1h30m, 20m, 90s"
        )
    return float(seconds)
