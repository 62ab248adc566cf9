"""Simulated runs for benchmarks/decisions.py: which images each run gets wrong, from a model fitted to real runs.

A run of a recipe gets an image wrong where

    level + difficulty * d(image) + taste * g(recipe, image) + luck * u(run) + e(run, image) > 0

with all letters on the right standard normal: images differ in how hard they are, recipes in which images they find
hard, runs of one recipe in how good they are, and the rest is chance. The four numbers are fitted by moments: the error
rate, how often two runs of one recipe disagree, how often two of different recipes do, and how far the accuracies of
runs of one recipe lie apart beyond that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, owens_t

_CUT = -3.0
"""Images that are easier than this (in standard deviations of the rest) are wrong in one run at most."""


@dataclass(frozen=True)
class Moments:
    """What the runs of one recipe show: all are shares of the holdout's images."""

    error: float
    churn: float
    """Mean over images of the variance of being wrong in one run: half of how often two runs disagree."""
    spread: float
    """Standard deviation of the runs' error rates."""
    luck: float
    """The same beyond ``churn``, which chance image by image accounts for; 0 if there is nothing beyond."""


def moments(wrong: numpy.ndarray) -> Moments:
    """Return them for runs that got these images wrong: bool of shape (seeds, images)."""
    seeds, count = wrong.shape
    times = wrong.sum(0)
    churn = float((times * (seeds - times)).sum()) / (seeds * (seeds - 1) * count)
    variance = float(wrong.mean(1).var(ddof=1))
    return Moments(float(wrong.mean()), churn, sqrt(variance), sqrt(max(variance - churn / count, 0.0)))


@dataclass(frozen=True)
class World:
    """A fitted model: of the error rate, and the weights of difficulty, taste and luck against chance."""

    name: str
    error: float
    difficulty: float
    taste: float
    luck: float
    skewed: bool = False
    """Whether luck is skewed: a few runs far worse than the others (an exponential distribution)."""

    @property
    def scale(self) -> float:
        """Return the standard deviation of the whole sum."""
        return sqrt(1 + self.difficulty**2 + self.taste**2 + self.luck**2)


def both_wrong(first: float, second: float, correlation: float) -> float:
    """Return the chance that two standard normals with this correlation lie in upper tails of these shares.

    Owen (Annals of Mathematical Statistics 27, 1956).
    """
    h, k = float(-ndtri(first)), float(-ndtri(second))
    root = sqrt(1 - correlation**2)
    tails = owens_t(h, (k - correlation * h) / (h * root)) + owens_t(k, (h - correlation * k) / (k * root))
    return float((first + second) / 2 - tails)


def fit(name: str, first: numpy.ndarray, second: numpy.ndarray, *, skewed: bool = False) -> World:
    """Return the world of two recipes, both bool of shape (seeds, images): wrong answers of runs on the same images."""
    ones, others = moments(first), moments(second)
    error = (ones.error + others.error) / 2
    churn = (ones.churn + others.churn) / 2
    luck = sqrt((ones.luck**2 + others.luck**2) / 2)
    apart = float((first.mean(0) * second.mean(0)).mean())

    def correlation(shared: float, one: float, other: float) -> float:
        return float(brentq(lambda r: both_wrong(one, other, r) - shared, 0.0, 0.9999))

    same = correlation(error - churn, error, error)
    # Two recipes cannot agree more than a recipe with itself, other than by chance.
    different = min(correlation(apart, ones.error, others.error), same)
    # same = (difficulty² + taste²) / whole, different = difficulty² / whole, luck's share of the whole is small.
    density = float(numpy.exp(-(ndtri(error) ** 2) / 2) / sqrt(2 * numpy.pi))
    share = (luck / density) ** 2
    rest = 1 - same - share
    return World(name, error, sqrt(different / rest), sqrt((same - different) / rest), sqrt(share / rest), skewed)


@dataclass(frozen=True)
class Batch:
    """Simulated steps: answers of shape (steps, candidates, seeds, images), -1, 0 or 1; wrong answers by run."""

    answers: numpy.ndarray
    baseline_wrong: numpy.ndarray
    candidate_wrong: numpy.ndarray

    def wrong(self, seeds: int) -> numpy.ndarray:
        """Return wrong answers of baseline and candidate in the first seeds, of shape (steps, candidates, 2)."""
        candidates = self.candidate_wrong[..., :seeds].sum(-1)
        baseline = numpy.broadcast_to(self.baseline_wrong[:, None, :seeds].sum(-1), candidates.shape)
        return numpy.stack([baseline, candidates], -1)


def simulate(
    world: World,
    *,
    effects: tuple[float, ...],
    seeds: int,
    count: int,
    steps: int,
    numbers: numpy.random.Generator,
    at_once: int = 200,
) -> Iterator[Batch]:
    """Yield steps in batches: a baseline, and a candidate for each effect (a share that it is truly better by)."""
    recipes = [0.0, *effects]
    spread = sqrt(1 + world.taste**2 + world.luck**2)
    levels = numpy.array([float(_level(world, world.error - effect)) for effect in recipes], dtype=numpy.float32)
    # The hard images are simulated one by one; of the others only the few that one run gets wrong.
    cut = (_CUT * spread - float(levels.max())) / world.difficulty
    tables = [_easy(world, float(level), cut) for level in levels]
    for start in range(0, steps, at_once):
        size = min(at_once, steps - start)
        hard = numbers.binomial(count, 1 - ndtr(cut), size)
        width = int(hard.max())
        uniform = numbers.random((size, width))
        depths = (world.difficulty * -ndtri(uniform * (1 - ndtr(cut)))).astype(numpy.float32)
        depths[numpy.arange(width) >= hard[:, None]] = -1e6
        wrong, alone = [], []
        for level, table in zip(levels, tables, strict=True):
            images = depths + level
            images += numpy.float32(world.taste) * numbers.standard_normal(images.shape, dtype=numpy.float32)
            luck = world.luck * _luck(world, numbers, (size, seeds))
            chance = numbers.standard_normal((size, seeds, width), dtype=numpy.float32)
            wrong.append(chance + images[:, None] + luck[..., None].astype(numpy.float32) > 0)
            alone.append(numbers.poisson(count * numpy.interp(luck, *table)))
        most = int(max(events.max() for events in alone))
        yield _batch(wrong, alone, most)


def _batch(wrong: list[numpy.ndarray], alone: list[numpy.ndarray], most: int) -> Batch:
    """Return answers from wrong hard images and counts of easy images that one run alone gets wrong."""
    size, seeds, width = wrong[0].shape
    answers = numpy.zeros((size, len(wrong) - 1, seeds, width + 2 * seeds * most), dtype=numpy.int8)
    for number, hard in enumerate(wrong[1:]):
        numpy.subtract(wrong[0], hard, out=answers[:, number, :, :width], dtype=numpy.int8)
        for seed in range(seeds):
            for side, events in ((0, alone[0]), (1, alone[number + 1])):
                first = width + (2 * seed + side) * most
                there = numpy.arange(most) < events[:, seed, None]
                answers[:, number, seed, first : first + most] = there if side == 0 else -there.astype(numpy.int8)
    totals = [hard.sum(-1) + events for hard, events in zip(wrong, alone, strict=True)]
    return Batch(answers, totals[0], numpy.stack(totals[1:], 1))


def _luck(world: World, numbers: numpy.random.Generator, shape: tuple[int, ...]) -> numpy.ndarray:
    return numbers.standard_exponential(shape) - 1 if world.skewed else numbers.standard_normal(shape)


def _level(world: World, error: float) -> float:
    """Return the level at which the error rate, over all runs and images, is this one."""
    if not world.skewed:
        return world.scale * float(ndtri(error))
    rest = sqrt(world.scale**2 - world.luck**2)
    # The exponential by its quantiles: the mean over them is the mean over runs.
    luck = world.luck * (-numpy.log1p(-(numpy.arange(20_000) + 0.5) / 20_000) - 1)
    return float(brentq(lambda level: float(ndtr((level + luck) / rest).mean()) - error, -60, 0))


def _easy(world: World, level: float, cut: float) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return (luck, share of all images that are easy and wrong) as a table to interpolate in."""
    quantiles = (numpy.arange(4_000) + 0.5) / 4_000 * ndtr(cut)
    depths = level + world.difficulty * ndtri(quantiles)
    luck = numpy.linspace(-5, 12, 60) * max(world.luck, 1e-9)
    rest = sqrt(1 + world.taste**2)
    shares = ndtr((depths + luck[:, None]) / rest).mean(1) * ndtr(cut)
    return luck, shares
