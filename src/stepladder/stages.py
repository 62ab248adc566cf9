"""Where the time of an epoch goes: the loop names its stages, and a clock may listen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Stage = Callable[[str], AbstractContextManager[None]]
"""Called with a stage's name; what it returns is entered when the stage begins and left when it ends."""

_NOTHING = nullcontext()


def untimed(name: str) -> AbstractContextManager[None]:
    """Return a context that does nothing: no clock listens."""
    return _NOTHING
