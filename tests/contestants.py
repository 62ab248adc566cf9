"""Contestants for the tests of contests. Each is a process that loads its module, so this one is light."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from contest import Lap, NotInstalledError


def counting(*, first: int) -> Iterator[Lap]:
    for number in count(first):
        yield Lap(number, 2, {"number": number})


def absent() -> Iterator[Lap]:
    raise NotInstalledError("no such package")
    yield


def failing() -> Iterator[Lap]:
    yield Lap(1, 1)
    raise ZeroDivisionError("in the first lap that counts")
