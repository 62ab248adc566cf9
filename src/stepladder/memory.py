"""Memory that is given back to the system and asked for again at every step costs more than it saves."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

# Of malloc.h in the GNU C library.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


@cache
def keep_freed_memory() -> bool:
    """Let this process keep what it frees, up to 1 GiB, and return whether that was possible.

    The maps of a training step are a few megabytes each. The GNU C library gets blocks of that size from the system
    and gives them back at once, so that every page of every map is zeroed by the kernel in every step; with the plain
    loop that took a quarter of the time. Other systems' libraries keep such blocks by themselves.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, 1 << 30), (_TOP_PAD, 1 << 26))
    accepted = [mallopt(name, value) == 1 for name, value in settings]
    return all(accepted)
