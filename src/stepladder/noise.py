"""A difference between two recipes on one holdout, with both kinds of noise: of the images and of the seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from stepladder.errors import RunError

RUN_SPREAD = 0.08
"""How far runs of one recipe are taken to lie apart, beyond what chance does image by image, as a share of their error
rate: above what good schedules showed and far below what a constant rate did (results/decisions.md). How often the rule
errs with it: docs/decisions.md."""
PRIOR_SEEDS = 1
"""As many seeds that assumption counts for."""
LONE_SPREAD = 0.38
"""The same for one seed, which shows nothing of it: the largest that was measured (results/decisions.md)."""

Array = numpy.ndarray[Any, numpy.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Correctness:
    """What one run got right on the holdout: its seed, and a bool of shape (N,), one an image, always in one order.

    ``images`` names which images they are; runs on different ones are refused.
    """

    seed: int
    right: Array
    images: str = ""

    @classmethod
    def read(cls, folder: Path) -> Correctness:
        """Return what the finished run in a folder got right on the images that its last epoch was judged on.

        Raises:
            RunError: if there is no finished run, or it was judged on the test set, which decides nothing.
        """
        from stepladder.runs import open_finished

        run = open_finished(folder)
        if run.rows[-1].split == "test":
            raise RunError(
                "the test set decides nothing, and this run has no holdout",
                given=str(folder),
                repair="train it with --protocol holdout",
            )
        logits, labels = run.predictions()
        images = f"{run.result['data']['fingerprint']}, {run.experiment.holdout_size:,} held out"
        return cls(run.experiment.seed, logits.argmax(1) == labels, images)


@dataclass(frozen=True)
class Noise:
    """A difference and its two kinds of noise, in shares (not points); each an array over many steps, or a number.

    ``difference`` is candidate minus baseline. ``of_seeds`` is the variance of one seed's difference when the images
    are fixed; ``of_images`` that of the mean over all seeds through the choice of images. ``freedom`` is the degrees
    of freedom of the whole variance.
    """

    difference: Array
    of_seeds: Array
    of_images: Array
    freedom: Array
    seeds: int

    @property
    def error(self) -> Array:
        """Return the standard error of the difference."""
        return numpy.asarray(numpy.sqrt(self.of_seeds / self.seeds + self.of_images))

    def chance(self, above: float = 0.0) -> Array:
        """Return the one-sided p-value: how likely so much is if the true difference (a share) is ``above``."""
        from scipy.special import stdtr

        return numpy.asarray(stdtr(self.freedom, (above - self.difference) / self.error))

    def half(self, level: float | Array) -> Array:
        """Return half the width of the interval that misses the true difference on each side with this chance."""
        from scipy.special import stdtrit

        return numpy.asarray(stdtrit(self.freedom, 1 - level) * self.error)


def noise(answers: Array, wrong: Array, count: int, *, lone_spread: float | None = None) -> Noise:
    """Return the difference with its noise, from a crossed model of seeds and images with a prior for the seeds.

    answer = difference + seed + image + rest, analysed as a two-way table without replication (Scheffé, The Analysis
    of Variance, 1959, chapter 4). Where the seeds lie closer together than is to be expected, their variance is moved
    up as in a moderated t (Smyth, Statistical Applications in Genetics and Molecular Biology 3, 2004); it is never
    moved down. Degrees of freedom after Satterthwaite (Biometrics Bulletin 2, 1946). One image more gained and one more
    lost a seed keep few differing images from looking certain (Bonett and Price, Journal of Educational and Behavioral
    Statistics 37, 2012).

    Args:
        answers: candidate's right minus baseline's right, -1, 0 or 1, of shape (..., seeds, images). Images on which
            all runs agree may be left out.
        wrong: wrong answers of baseline and candidate over all images and seeds, of shape (..., 2).
        count: all images of the holdout.
        lone_spread: how far runs are taken to lie apart where there is one seed, as a share of their error rate; None
            for ``LONE_SPREAD``.
    """
    seeds = answers.shape[-2]
    by_seed = answers.sum(-1, dtype=numpy.int64) / count
    difference = by_seed.mean(-1)
    totals = answers.sum(-2, dtype=numpy.int32)
    # Sums of squares over all images: those left out are nought, and their share is in the means.
    images = (totals**2).sum(-1) / seeds - count * seeds * difference**2
    padding = 2 / (count**2 * seeds)
    # One wrong answer more than there were: a perfect run is not sure to be perfect again.
    alone = LONE_SPREAD if lone_spread is None else lone_spread
    assumed = (RUN_SPREAD if seeds > 1 else alone) ** 2 * (((wrong + 1) / (count * seeds + 2)) ** 2).sum(-1)
    if seeds == 1:
        # One seed tells nothing about seeds, and what depends on both cannot be told from what depends on images.
        of_seeds, of_images, freedom = assumed, images / (count - 1) / count + padding, numpy.inf
    else:
        between = ((by_seed - difference[..., None]) ** 2).sum(-1)
        whole = numpy.count_nonzero(answers, (-2, -1)) - count * seeds * difference**2
        rest = (whole - images - count * between) / ((seeds - 1) * (count - 1))
        expected = rest / count + assumed
        freedom = PRIOR_SEEDS + seeds - 1
        # Only widened: luck that comes seldom and large is not to be explained away by a prior.
        of_seeds = numpy.maximum((PRIOR_SEEDS * expected + between) / freedom, between / (seeds - 1))
        of_images = numpy.maximum(images / (count - 1) - rest, 0) / (seeds * count) + padding
    shares = of_seeds / seeds
    # The images' part rests on so many images that its own doubt does not count.
    whole_freedom = freedom * ((shares + of_images) / numpy.maximum(shares, 1e-100)) ** 2
    return Noise(difference, of_seeds, of_images, numpy.asarray(whole_freedom), seeds)
