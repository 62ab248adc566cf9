"""What the rows of a step show, in sentences. A sentence is made only where the numbers carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from stepladder.compare import Difference
from stepladder.evaluate import mean
from stepladder.ladder import Goal
from stepladder.runs import EpochRow

_WINDOW = 3
"""Epochs that are averaged at the end and before it to see whether a run is still improving."""


@dataclass(frozen=True)
class Remark:
    """One thing that the rows show: its kind, and the sentence with its numbers."""

    kind: str
    text: str


def analyse(
    runs: Sequence[Sequence[EpochRow]],
    parameters: int,
    goal: Goal,
    *,
    effect: Difference | None = None,
    against: str = "",
    comparable: bool = True,
) -> list[Remark]:
    """Return what the runs of one step show.

    Args:
        runs: the epoch rows of each seed, all equally long and not empty.
        parameters: of the net.
        goal: what the ladder climbs to.
        effect: the measured difference to the step before.
        against: the title of the step before.
        comparable: whether the goal's target speaks of this data set (it does not of the sample).
    """
    remarks = [_capacity(parameters, goal), _gap(runs), _trend(runs)]
    if effect is not None:
        remarks.append(_effect(effect, against))
    remarks.append(_steadiness(runs))
    if comparable:
        remarks.append(_target(runs, goal))
    return [remark for remark in remarks if remark is not None]


def worst_of_last(rows: Sequence[EpochRow], count: int) -> float:
    """Return the lowest accuracy, in percent, of the last ``count`` epochs, or of all where there are fewer."""
    return min(row.evaluation_accuracy for row in rows[-count:])


def held_epochs(rows: Sequence[EpochRow], target: float) -> int:
    """Return how many epochs in a row, counted back from the last, reached the target (percent)."""
    held = 0
    for row in reversed(rows):
        # Counted in images: 9,940 of 10,000 is 99.4% whatever the rounding of a division.
        if row.evaluation_correct * 100 < target * row.evaluation_count - 1e-9:
            break
        held += 1
    return held


def _capacity(parameters: int, goal: Goal) -> Remark:
    left = goal.budget - parameters
    share = f"{abs(left) / goal.budget:.0%}"
    if left > 0:
        return Remark("capacity", f"{parameters:,} parameters: {left:,} of the {goal.budget:,} are left ({share}).")
    return Remark("capacity", f"{parameters:,} parameters: not below the budget of {goal.budget:,}.")


def _gap(runs: Sequence[Sequence[EpochRow]]) -> Remark:
    """Compare training with held-out accuracy against the sampling error of the difference."""
    train = mean([rows[-1].train_accuracy for rows in runs])
    held = mean([rows[-1].evaluation_accuracy for rows in runs])
    last = runs[0][-1]
    # Two independent shares: their variances add. Seeds share the images, so they do not make this smaller.
    error = 100 * sqrt(_variance(train / 100, last.train_count) + _variance(held / 100, last.evaluation_count))
    gap = train - held
    facts = f"training {train:.2f}%, {last.split} {held:.2f}%"
    if gap > 2 * error:
        return Remark(
            "overfitting",
            f"Training is above the {last.split} accuracy by {gap:.2f} points ({facts}): the net does better on images "
            "that it was trained on.",
        )
    if gap < -2 * error:
        return Remark(
            "no overfitting",
            f"Training, as seen while training, is below the {last.split} accuracy by {-gap:.2f} points ({facts}): no "
            "sign of overfitting.",
        )
    return Remark("balanced", f"Training and {last.split} accuracy agree within their sampling error ({facts}).")


def _trend(runs: Sequence[Sequence[EpochRow]]) -> Remark | None:
    """Say whether the end is still rising: the last epochs against those before, beyond their own scatter."""
    if min(len(rows) for rows in runs) < 2 * _WINDOW:
        return None
    curve = [mean([rows[epoch].evaluation_accuracy for rows in runs]) for epoch in range(len(runs[0]))]
    late, early = curve[-_WINDOW:], curve[-2 * _WINDOW : -_WINDOW]
    rise = mean(late) - mean(early)
    scatter = sqrt((_spread(late) ** 2 + _spread(early) ** 2) / _WINDOW)
    if rise > 2 * scatter and rise > 0.02:
        return Remark(
            "improving",
            f"Still improving at the end: the last {_WINDOW} epochs are {rise:.2f} points above the {_WINDOW} before; "
            "more epochs may give more.",
        )
    if rise < -2 * scatter and rise < -0.02:
        return Remark(
            "declining",
            f"Falling at the end: the last {_WINDOW} epochs are {-rise:.2f} points below the {_WINDOW} before.",
        )
    return Remark(
        "level",
        f"Level at the end: the last {_WINDOW} epochs differ from the {_WINDOW} before by {rise:+.2f} points, within "
        "their scatter.",
    )


def _effect(effect: Difference, against: str) -> Remark:
    if effect.paired_by == "seed":
        basis = f"{effect.pairs} pairs of seeds"
    else:
        basis = f"one run each, paired over {effect.pairs:,} images; the luck of the seed is not in the interval"
    numbers = f"{effect.points:+.2f} points (95% interval {effect.low:+.2f} to {effect.high:+.2f}; {basis})"
    if not effect.is_clear:
        return Remark("effect", f"Against “{against}”: {numbers}: no clear difference.")
    verb = "better" if effect.points > 0 else "worse"
    return Remark("effect", f"Against “{against}”: {numbers}: {verb}.")


def _steadiness(runs: Sequence[Sequence[EpochRow]]) -> Remark | None:
    """Say how much the last epochs of a run jump about."""
    if min(len(rows) for rows in runs) < 5:
        return None
    ranges = []
    for rows in runs:
        last = [row.evaluation_accuracy for row in rows[-5:]]
        ranges.append(max(last) - min(last))
    jump = mean(ranges)
    each = "on average over the seeds " if len(runs) > 1 else ""
    return Remark("steadiness", f"Over the last five epochs the accuracy moves {each}within {jump:.2f} points.")


def _target(runs: Sequence[Sequence[EpochRow]], goal: Goal) -> Remark:
    final = mean([rows[-1].evaluation_accuracy for rows in runs])
    counts = [held_epochs(rows, goal.target) for rows in runs]
    reached = f"{goal.target:g}% is reached" if final >= goal.target else f"{goal.target:g}% is not reached"
    if len(runs) == 1:
        held = counts[0]
        tail = f", held through the last {held} epoch{'s' if held > 1 else ''}" if held else ""
        return Remark("target", f"The target of {reached} at the last epoch ({final:.2f}%){tail}.")
    whole = sum(count >= goal.held for count in counts)
    return Remark(
        "target",
        f"The target of {reached} on average at the last epoch ({final:.2f}%); {whole} of {len(runs)} seeds hold it "
        f"in each of the last {goal.held} epochs.",
    )


def _variance(share: float, count: int) -> float:
    # One image of doubt keeps a perfect score from having no sampling error at all.
    inside = min(max(share, 1 / (count + 2)), 1 - 1 / (count + 2))
    return inside * (1 - inside) / count


def _spread(values: Sequence[float]) -> float:
    centre = mean(values)
    return sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))
