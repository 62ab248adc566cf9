"""Training and evaluation passes of small nets in machine code that is written for each net."""

from __future__ import annotations

from stepladder.engine.net import CompiledNet
from stepladder.engine.plan import UnsupportedNet

__all__ = ["CompiledNet", "UnsupportedNet"]
