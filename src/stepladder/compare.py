"""Differences between runs, with their uncertainty: paired by image, or by seed where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy

from stepladder.displayed import Displayed
from stepladder.evaluate import _Z, deviation, mean


@dataclass(frozen=True)
class Difference(Displayed):
    """A difference of accuracies in percentage points (second minus first) with its 95% interval.

    ``paired_by`` says what the interval covers. "image": one run each, answers to the same images compared; it covers
    the choice of images, not the luck of the seed. "seed": several runs each; it covers the luck of the seed on these
    images.
    """

    points: float
    low: float
    high: float
    paired_by: Literal["image", "seed"]
    pairs: int

    def __str__(self) -> str:
        """Return the points, the interval, and whether it leaves out zero."""
        outcome = "clear" if self.is_clear else "not clear"
        return f"{self.points:+.2f} points (95% interval {self.low:+.2f} to {self.high:+.2f}): {outcome}"

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def by_image(first: numpy.ndarray, second: numpy.ndarray) -> Difference:
    """Return the difference between two runs on the same images.

    The interval is Wald's for paired shares: with b images right only in the second run, c only in the first, of n,
    the variance of the difference is (b + c - (b - c)²/n) / n² (Agresti, Categorical Data Analysis, section 11.1).

    Args:
        first: whether the first run was right, bool of shape (N,).
        second: the same for the second run.

    Raises:
        ValueError: if the two do not speak of equally many images.
    """
    if first.shape != second.shape:
        raise ValueError(f"runs on {len(first)} and {len(second)} images cannot be paired")
    count = len(first)
    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    share = (gained - lost) / count
    half = _Z * sqrt(max(gained + lost - (gained - lost) ** 2 / count, 0.0)) / count
    return Difference(100 * share, 100 * (share - half), 100 * (share + half), "image", count)


def by_seed(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return the mean difference between accuracies (percent) of runs with the same seeds, with Student's interval.

    Raises:
        ValueError: for fewer than two pairs, or when the two are not equally many.
    """
    from scipy.stats import t

    differences = [b - a for a, b in zip(first, second, strict=True)]
    spread = deviation(differences)
    if spread is None:
        raise ValueError("pairing by seed needs at least two seeds")
    count = len(differences)
    half = float(t.ppf(0.975, count - 1)) * spread / sqrt(count)
    centre = mean(differences)
    return Difference(centre, centre - half, centre + half, "seed", count)
