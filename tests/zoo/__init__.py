"""Well-known nets in plain PyTorch, each with what is published of it: what the tests of inspection describe.

Built on the meta device (``with torch.device("meta")``) even the largest takes a fraction of a second and no memory.
"""

from __future__ import annotations

from . import attention, classic, generative, inception, mobile, resnets, sequences
from .blocks import Entry, Field

ZOO: dict[str, Entry] = {
    name: entry
    for family in (classic, resnets, mobile, inception, attention, generative, sequences)
    for name, entry in family.ENTRIES.items()
}

__all__ = ["ZOO", "Entry", "Field"]
