"""Stratified splits, fixed by a seed."""

from __future__ import annotations

import numpy

from stepladder.errors import DataError

HOLDOUT_SEED = 20_221


def split_holdout(labels: numpy.ndarray, *, size: int, seed: int = HOLDOUT_SEED) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return (training indices, holdout indices), both sorted; every class has its share of the holdout within one.

    Args:
        labels: int of shape (N,).
        size: images of the holdout, from 1 to N - 1.
        seed: fixes the choice; no global generator is used.

    Raises:
        DataError: if the size is out of range.
    """
    if not 1 <= size < len(labels):
        raise DataError(
            "a holdout of this size leaves nothing on one side",
            given=f"{size:,} of {len(labels):,} images",
            repair=f"choose a size from 1 to {max(len(labels) - 1, 1):,}",
        )
    classes, counts = numpy.unique(labels, return_counts=True)
    exact = counts * size / len(labels)
    quotas = numpy.floor(exact).astype(int)
    # Largest remainders first, so that the quotas add up to the size asked for.
    short = size - int(quotas.sum())
    quotas[numpy.argsort(-(exact - quotas), kind="stable")[:short]] += 1
    numbers = numpy.random.Generator(numpy.random.PCG64(seed))
    held = numpy.concatenate(
        [
            numbers.permutation(numpy.flatnonzero(labels == label))[:quota]
            for label, quota in zip(classes, quotas, strict=True)
        ]
    )
    chosen = numpy.zeros(len(labels), dtype=bool)
    chosen[held] = True
    return numpy.flatnonzero(~chosen), numpy.flatnonzero(chosen)
