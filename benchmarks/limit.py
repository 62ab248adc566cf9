"""What a machine can do at most: the rate of a large matrix product; and what an image's training asks of it.

The limit of training is this rate over the floating-point operations that an image takes. ``throughput.py`` lets the
products take turns with its other contestants, so that both meet the same machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import torch

from contest import Contestant, Lap
from stepladder.inspection.oneline import describe
from stepladder.notation import Net
from stepladder.workers import usable_cores

SIZE = 2048
PRECISIONS = ("float32", "bfloat16")


def laps(*, threads: int, precision: str, size: int, repeats: int = 4) -> Iterator[Lap]:
    """Yield products of two square matrices: floating-point operations, two a multiply-add, and seconds."""
    torch.set_num_threads(threads)
    numbers = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=numbers).to(getattr(torch, precision)) for _ in range(2))
    while True:
        began = perf_counter()
        for _ in range(repeats):
            torch.mm(left, right)
        yield Lap(2 * repeats * size**3, perf_counter() - began, {"threads": threads, "precision": precision})


def contestants(size: int = SIZE) -> list[Contestant]:
    """Return products in both precisions, on one core and on all."""
    return [
        Contestant(label(precision, threads), laps, {"threads": threads, "precision": precision, "size": size})
        for precision in PRECISIONS
        for threads in sorted({1, usable_cores()})
    ]


def label(precision: str, threads: int) -> str:
    """Return the contestant's name."""
    return f"matrix product, {precision}, {threads} thread{'s' if threads > 1 else ''}"


def training_operations(net: str, input_shape: tuple[int, int, int] = (1, 28, 28)) -> tuple[int, int]:
    """Return an image's multiply-adds forward, and the floating-point operations that training on it takes.

    Forward, the gradient of the weights and the gradient of the inputs take the same multiply-adds; images need no
    gradient, so the first layer has no third part. Everything but multiply-adds is left out.
    """
    summary = describe(Net.parse(net), input_shape)
    first = next(row.macs for row in summary.rows if row.macs)
    return summary.totals.macs, 2 * (3 * summary.totals.macs - first)
