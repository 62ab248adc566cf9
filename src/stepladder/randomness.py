"""Random numbers derived from what they are for.

Every draw comes from a stream that is named by (seed, purpose, epoch, step). No global generator is read or
advanced, so a run that is killed at any moment and started again draws the very same numbers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str, *position: int) -> int:
    """Return a 63-bit integer that depends on every argument and on nothing else.

    Args:
        seed: the seed of the experiment.
        purpose: what the numbers are for, such as ``"shuffle"``; two purposes never share numbers.
        position: where in the run, usually (epoch, step).
    """
    text = "/".join([str(seed), purpose, *map(str, position)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    # torch refuses seeds of 64 bits with the top bit set in some releases; 63 bits are plenty.
    return int.from_bytes(digest, "little") >> 1


def numpy_stream(seed: int, purpose: str, *position: int) -> numpy.random.Generator:
    """Return a fresh NumPy generator for this purpose and position (SFC64: the fastest that NumPy has)."""
    return numpy.random.Generator(numpy.random.SFC64(derive(seed, purpose, *position)))


def torch_stream(seed: int, purpose: str, *position: int, device: torch.device | None = None) -> torch.Generator:
    """Return a fresh torch generator for this purpose and position, on the given device (default: CPU)."""
    import torch

    generator = torch.Generator(device=device or "cpu")
    generator.manual_seed(derive(seed, purpose, *position))
    return generator
