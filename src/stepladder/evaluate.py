"""What a finished run's predictions say: accuracy with its interval, confusion, per class, hardest images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy

# The 97.5% point of the normal distribution: 95% intervals.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A 95% interval, in the unit of what it belongs to."""

    low: float
    high: float


@dataclass(frozen=True)
class Mistake:
    """An image that the net got wrong: its index in the split, labels, and both probabilities."""

    index: int
    label: int
    predicted: int
    label_probability: float
    predicted_probability: float


@dataclass(frozen=True)
class ClassAccuracy:
    """Right answers among the images of one class, with the 95% interval of the share in percent."""

    label: int
    correct: int
    count: int
    interval: Interval


@dataclass(frozen=True)
class Evaluation:
    """Predictions on one split, summed up. ``confusion[label][predicted]`` counts images."""

    correct: int
    count: int
    interval: Interval
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[ClassAccuracy, ...]
    mistakes: tuple[Mistake, ...]

    @property
    def accuracy(self) -> float:
        """Return the share of right answers in percent."""
        return 100 * self.correct / self.count


def evaluate(logits: numpy.ndarray, labels: numpy.ndarray) -> Evaluation:
    """Return what the logits, shape (N, K), say about images with these labels, shape (N,).

    Mistakes come sorted by the probability given to the wrong class, the most confident first.
    """
    classes = logits.shape[1]
    predicted = logits.argmax(1)
    probabilities = softmax(logits)
    confusion = numpy.zeros((classes, classes), dtype=int)
    numpy.add.at(confusion, (labels, predicted), 1)
    wrong = numpy.flatnonzero(predicted != labels)
    confidence = probabilities[wrong, predicted[wrong]]
    # A stable sort: images of equal confidence stay in the order of their index.
    mistakes = [
        Mistake(
            index=int(index),
            label=int(labels[index]),
            predicted=int(predicted[index]),
            label_probability=float(probabilities[index, labels[index]]),
            predicted_probability=float(probabilities[index, predicted[index]]),
        )
        for index in wrong[numpy.argsort(-confidence, kind="stable")]
    ]
    correct, count = int((predicted == labels).sum()), len(labels)
    return Evaluation(
        correct=correct,
        count=count,
        interval=wilson(correct, count),
        confusion=tuple(tuple(int(value) for value in row) for row in confusion),
        classes=tuple(
            ClassAccuracy(label, int(row[label]), int(row.sum()), wilson(int(row[label]), int(row.sum())))
            for label, row in enumerate(confusion)
        ),
        mistakes=tuple(mistakes),
    )


def softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Return probabilities, shape (N, K), float64."""
    shifted = logits.astype(numpy.float64) - logits.max(axis=1, keepdims=True)
    exponentials = numpy.exp(shifted)
    return numpy.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def wilson(correct: int, count: int) -> Interval:
    """Return the 95% interval of a share, in percent (Wilson, Probable inference, 1927); (0, 100) for no images."""
    if count == 0:
        return Interval(0.0, 100.0)
    share, z2 = correct / count, _Z**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z / (1 + z2 / count) * sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return Interval(max(0.0, 100 * (centre - half)), min(100.0, 100 * (centre + half)))


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return float(numpy.mean(values))


def deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1); None for fewer than two values."""
    return float(numpy.std(values, ddof=1)) if len(values) > 1 else None


def percent(centre: float, spread: float | None) -> str:
    """Return a mean in percent, with ± the standard deviation where there is one: ``99.53 ± 0.03%``."""
    return f"{centre:.2f}%" if spread is None else f"{centre:.2f} ± {spread:.2f}%"
