"""Learning rates of candidates, tuned by short runs of one seed, and lowered where a whole run falls apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from stepladder.remarks import fell_apart
from stepladder.runs import FinishedRun
from stepladder.trials import Named, Trial, Trials
from stepladder.workers import Job

_FACTORS = (1 / 3, 3.0)
"""What a rate is multiplied by."""
RATES = 1 + len(_FACTORS)
"""Rates of each candidate that are tried, before any further one."""
_SHARE = 1 / 3
"""Of a step's epochs that the short runs have."""
_ROUNDS = 3


def tuned(trials: Trials, title: str, candidates: Sequence[Named], epochs: int) -> list[Named]:
    """Return the candidates, each with the learning rate that short runs of one seed found to be best.

    A third of the rate, the rate, and three times the rate are tried, and where the best is at an end one further;
    the lowest loss on the holdout decides. A rate that bears a short run may still break a longer one: where the
    first seed's whole run, which the step trains in any case, surely knows less than the short one did, a third of
    the rate takes its place.

    Args:
        trials: train and measure.
        title: of the step.
        candidates: what is tuned.
        epochs: of the step; the short runs have a third of them.
    """
    short = tuning_epochs(epochs)
    losses: list[dict[float, float]] = [{} for _ in candidates]
    ahead = [_rates(one) for _, one in candidates]
    for _ in range(_ROUNDS):
        rated = [
            (f"{name}, rate {rate.recipe.learning_rate:g}", rate)
            for (name, _), rates in zip(candidates, ahead, strict=True)
            for rate in rates
        ]
        trials.run(f"{title}, learning rate", rated, range(1), short)
        for found, rates in zip(losses, ahead, strict=True):
            for rate in rates:
                run = trials.finished(trials.job("", rate, 0, short))
                found[rate.recipe.learning_rate] = inf if run is None else run.rows[-1].evaluation_loss
        ahead = [_further(one, found) for (_, one), found in zip(candidates, losses, strict=True)]
        if not any(ahead):
            break
    chosen = [
        (name, one.with_rate(min(found, key=found.__getitem__)))
        for (name, one), found in zip(candidates, losses, strict=True)
    ]
    return _lasting(trials, title, chosen, epochs)


def _lasting(trials: Trials, title: str, candidates: Sequence[Named], epochs: int) -> list[Named]:
    """Return the candidates with rates that last for all epochs, as far as a few thirds of them find one."""
    short = [trials.finished(trials.job("", one, 0, tuning_epochs(epochs))) for _, one in candidates]
    lasting = list(candidates)
    for _ in range(_ROUNDS - 1):
        trials.run(title, lasting, range(1), epochs)
        whole = [trials.finished(trials.job("", one, 0, epochs)) for _, one in lasting]
        broken = [_is_broken(before, after) for before, after in zip(short, whole, strict=True)]
        if not any(broken):
            break
        lasting = [
            (name, one.with_rate(one.recipe.learning_rate * _FACTORS[0]) if lower else one)
            for (name, one), lower in zip(lasting, broken, strict=True)
        ]
    return lasting


def _is_broken(short: FinishedRun | None, whole: FinishedRun | None) -> bool:
    """Return whether a short run went well and the whole one did not."""
    return short is not None and (whole is None or fell_apart(whole.rows[-1], short.rows[-1]))


def tuning_jobs(trials: Trials, candidates: Sequence[Named], epochs: int) -> list[Job]:
    """Return what ``tuned`` trains first, for candidates of a step of so many epochs."""
    return [trials.job(name, rate, 0, tuning_epochs(epochs)) for name, one in candidates for rate in _rates(one)]


def tuning_epochs(epochs: int) -> int:
    """Return the epochs of the short runs of a step whose runs have so many."""
    return max(1, round(epochs * _SHARE))


def _rates(one: Trial) -> list[Trial]:
    return [one, *(one.with_rate(one.recipe.learning_rate * factor) for factor in _FACTORS)]


def _further(one: Trial, losses: Mapping[float, float]) -> list[Trial]:
    """Return the next rate beyond the best one where that is at an end of those tried, otherwise nothing."""
    best = min(losses, key=losses.__getitem__)
    lower, higher = _FACTORS
    if losses[best] == inf or min(losses) < best < max(losses):
        return []
    return [one.with_rate(best * (higher if best == max(losses) else lower))]
