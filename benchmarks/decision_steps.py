"""A step of a climb as ``stepladder.answers`` takes it, over many simulated steps at once: for benchmarks/decisions.py.

All candidates with one seed, the hopeless given up; the others with all seeds; if none is kept, the two undecided ones
that seem to gain most with as many seeds again. Each look has its level.
"""

from __future__ import annotations

import numpy

from decision_worlds import Batch
from stepladder.decide import LEVEL, WORTHWHILE
from stepladder.looks import LEVEL_OF_A_LOOK, LOOKED_AT_AGAIN, second_level
from stepladder.noise import RUN_SPREAD, noise


def holm(
    chances: numpy.ndarray,
    level: float | numpy.ndarray = LEVEL,
    running: numpy.ndarray | None = None,
    weights: numpy.ndarray | None = None,
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return which candidates pass and the level at which each is judged, both of the shape of the p-values.

    Args:
        chances: p-values, of shape (steps, candidates).
        level: of all candidates together; of shape (steps, 1) where it differs from step to step.
        running: those that are not running cannot pass, and the others share the level.
        weights: each candidate's share of the level relative to the others'; 1 where it is not given.
    """
    if running is None:
        running = numpy.ones(chances.shape, dtype=bool)
    weights = running * (1.0 if weights is None else weights)
    scaled = numpy.where(running, chances / numpy.where(running, weights, 1.0), numpy.inf)
    levels = numpy.broadcast_to(level, chances.shape).copy()
    passed = numpy.zeros(chances.shape, dtype=bool)
    left, passing = weights.sum(-1, keepdims=True), numpy.ones((len(chances), 1), dtype=bool)
    order = scaled.argsort(-1, kind="stable")
    for place in order.T[..., None]:
        weight = numpy.take_along_axis(weights, place, -1)
        own = level * weight / numpy.maximum(left, 1e-9)
        passing = passing & (numpy.take_along_axis(chances, place, -1) < own)
        numpy.put_along_axis(levels, place, own, -1)
        numpy.put_along_axis(passed, place, passing, -1)
        left = left - weight * passing
    return passed, levels


def not_hopeless(batch: Batch, candidates: list[int], count: int) -> numpy.ndarray:
    """Return which candidates ``stepladder.decide.is_hopeless`` leaves in after one seed."""
    first = noise(batch.answers[:, candidates, :1], batch.wrong(1)[:, candidates], count, lone_spread=RUN_SPREAD)
    return numpy.asarray(first.difference + first.half(LEVEL) >= 0)


def climbed(batch: Batch, candidates: list[int], seeds: int, count: int, joined: int | None = None) -> numpy.ndarray:
    """Return which candidates a climb keeps, bool of shape (steps, candidates), the joined one last.

    Args:
        batch: simulated runs, twice as many seeds as the first look has or more.
        candidates: numbers of those that the step asks about.
        seeds: of the first look.
        count: images of the holdout.
        joined: number of the one that stands for those that seem to gain, joined; None for a step without.
    """
    running = not_hopeless(batch, candidates, count)
    many = running.sum(-1)
    weights = numpy.ones(running.shape)
    if joined is not None:
        answers = batch.answers[:, candidates, :seeds]
        gaining = running & (answers.sum((-2, -1), dtype=numpy.int64) > 0)
        running = numpy.concatenate([running, gaining.sum(-1, keepdims=True) >= 2], -1)
        weights = numpy.concatenate([weights, numpy.full((len(weights), 1), float(len(candidates)))], -1)
        candidates = [*candidates, joined]
    first = noise(batch.answers[:, candidates, :seeds], batch.wrong(seeds)[:, candidates], count)
    kept, levels = holm(first.chance(), LEVEL_OF_A_LOOK, running, weights)
    # Dropped: by the same interval surely worth less than is worthwhile.
    dropped = first.difference + first.half(levels) < WORTHWHILE / 100
    open_ones = running & ~kept & ~dropped & (first.difference > 0) & ~kept.any(-1, keepdims=True)
    ranks = numpy.where(open_ones, -first.difference, numpy.inf).argsort(-1, kind="stable").argsort(-1, kind="stable")
    again = open_ones & (ranks < LOOKED_AT_AGAIN)
    second = noise(batch.answers[:, candidates, : 2 * seeds], batch.wrong(2 * seeds)[:, candidates], count)
    level = numpy.array([second_level(int(number)) for number in many])[:, None]
    return numpy.asarray(kept | holm(second.chance(), level, again, weights)[0])
