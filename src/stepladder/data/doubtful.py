"""Test images whose label people doubt, so that nobody chases them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DoubtfulLabel:
    """One image of a test set whose label fewer than three of five people confirmed.

    Args:
        index: of the image in the test set.
        label: what the data set says.
        suggested: what a model said, which the people were asked about too.
        votes: how many of five people chose the label, the suggestion, neither.
    """

    index: int
    label: int
    suggested: int
    votes: tuple[int, int, int]


SOURCE = "Northcutt, Athalye, Mueller: Pervasive label errors in test sets (2021)"
ADDRESS = "https://github.com/cleanlab/label-errors"

# The votes are those of mturk/mnist_mturk.json at ADDRESS, reduced to the images that fewer than three confirmed: the
# 15 that the paper counts.
MNIST_TEST: tuple[DoubtfulLabel, ...] = (
    DoubtfulLabel(947, 8, 9, (0, 5, 0)),
    DoubtfulLabel(1621, 0, 6, (2, 3, 0)),
    DoubtfulLabel(1901, 9, 4, (2, 3, 0)),
    DoubtfulLabel(2130, 4, 9, (2, 2, 1)),
    DoubtfulLabel(2462, 2, 0, (0, 4, 1)),
    DoubtfulLabel(2597, 5, 3, (0, 4, 1)),
    DoubtfulLabel(2654, 6, 1, (0, 2, 3)),
    DoubtfulLabel(3520, 6, 4, (2, 0, 3)),
    DoubtfulLabel(3558, 5, 0, (1, 4, 0)),
    DoubtfulLabel(5937, 5, 3, (1, 3, 1)),
    DoubtfulLabel(6651, 0, 6, (0, 5, 0)),
    DoubtfulLabel(6783, 1, 6, (2, 3, 0)),
    DoubtfulLabel(8527, 4, 9, (2, 2, 1)),
    DoubtfulLabel(9679, 6, 3, (2, 0, 3)),
    DoubtfulLabel(9729, 5, 6, (2, 3, 0)),
)
