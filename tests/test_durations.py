"""Durations as people write them and read them."""

from __future__ import annotations

import pytest

from stepladder.durations import clock, read_time
from stepladder.errors import SpecError


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("20min", 1200), ("1h30m", 5400), ("2h", 7200)]
)
def test_durations_of_people(text: str, seconds: float) -> None:
    assert read_time(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "m", "-5m", "0m", "soon"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(SpecError, match="no duration"):
        read_time(text)
