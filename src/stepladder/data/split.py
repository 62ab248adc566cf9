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
    classes, quotas = _quotas(labels, size)
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


def split_groups(
    labels: numpy.ndarray, groups: numpy.ndarray, *, size: int, seed: int = HOLDOUT_SEED
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return (training indices, holdout indices) as ``split_holdout`` does, every group whole on one side.

    A group belongs to the class of its first image. Where a class's share can only be reached inside a group, the rest
    of that group is in neither. One group of each class stays in training, whatever the size.

    Args:
        labels: int of shape (N,).
        groups: of shape (N,): equal values for images that belong together.
        size: images of the holdout, from 1 to N - 1.
        seed: fixes the choice.

    Raises:
        DataError: if the size is out of range, or no group can be held out.
    """
    classes, quotas = _quotas(labels, size)
    numbers = numpy.random.Generator(numpy.random.PCG64(seed))
    _, first, group = numpy.unique(groups, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    counts = numpy.bincount(group)
    # By their place in the list, so that the choice does not hang on what groups are called.
    order = numpy.argsort(first, kind="stable")
    held, left_out = numpy.zeros((2, len(labels)), dtype=bool)
    chosen = numpy.zeros(len(first), dtype=bool)
    for label, quota in zip(classes, quotas, strict=True):
        members = numbers.permutation(order[labels[first[order]] == label])
        spare, open_places = len(members) - 1, int(quota)
        for one in members:
            if spare > 0 and counts[one] <= open_places:
                chosen[one] = True
                open_places -= int(counts[one])
                spare -= 1
        if open_places and spare > 0:
            rest = members[~chosen[members]]
            inside = numpy.flatnonzero(group == rest[counts[rest].argmin()])
            held[inside[:open_places]] = True
            left_out[inside[open_places:]] = True
    held |= chosen[group]
    if not held.any():
        raise DataError(
            "no image can be held out without an equal one in training",
            given=f"{len(labels):,} images, {len(first):,} that differ",
            repair="collect more images that differ",
        )
    return numpy.flatnonzero(~held & ~left_out), numpy.flatnonzero(held)


def _quotas(labels: numpy.ndarray, size: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the classes, and how many images of each a holdout takes."""
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
    return classes, quotas
