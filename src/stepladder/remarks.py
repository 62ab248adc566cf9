"""What has to be known about a candidate's runs before their accuracy says something about it."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.evaluate import wilson
from stepladder.runs import EpochRow, FinishedRun
from stepladder.spec import Plateau

_LEFT = 0.9
"""Of an accuracy: a run that keeps less of it has lost what it learned; a high rate alone costs a point or two."""


def remark(runs: Sequence[FinishedRun]) -> str:
    """Return what the accuracy of a candidate's runs does not tell; empty where there is nothing."""
    return "; ".join(text for text in (_unused_schedule(runs), _falls(runs)) if text)


def fell_apart(later: EpochRow, earlier: EpochRow) -> bool:
    """Return whether a tenth of an earlier accuracy is lost, and surely so: by more than the luck of the images."""
    low = wilson(earlier.evaluation_correct, earlier.evaluation_count).low
    high = wilson(later.evaluation_correct, later.evaluation_count).high
    return high < low and later.evaluation_accuracy < _LEFT * earlier.evaluation_accuracy


def _unused_schedule(runs: Sequence[FinishedRun]) -> str:
    """Return in how many runs a schedule that waits for a plateau never met one: they are those of a constant rate."""
    waiting = [run for run in runs if isinstance(run.experiment.recipe.schedule, Plateau)]
    never = [run for run in waiting if len({row.learning_rate for row in run.rows}) == 1]
    if not never:
        return ""
    where = "" if len(never) == len(runs) else f" in {len(never)} of {len(runs)} runs"
    return f"no plateau came{where}: the rate was constant"


def _falls(runs: Sequence[FinishedRun]) -> str:
    """Return how many runs knew far more at an earlier epoch, as they do at a rate that is too high for the net."""
    peaks = [(run.rows[-1], max(run.rows, key=lambda row: row.evaluation_accuracy)) for run in runs]
    fallen = [(last, peak) for last, peak in peaks if fell_apart(last, peak)]
    if not fallen:
        return ""
    last, peak = max(fallen, key=lambda rows: rows[1].evaluation_accuracy - rows[0].evaluation_accuracy)
    which = "its run" if len(runs) == 1 else f"{len(fallen)} of {len(runs)} runs"
    return (
        f"{which} fell apart, from {peak.evaluation_accuracy:.1f}% after epoch {peak.epoch} to "
        f"{last.evaluation_accuracy:.1f}% at the end"
    )
