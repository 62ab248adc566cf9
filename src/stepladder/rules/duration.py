"""Rules about how many steps there are, and how long they go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepladder.diagnosis.values import Facts
from stepladder.rules.base import (
    Advice,
    Rule,
    accuracy,
    advice,
    fits_badly,
    is_at_chance,
    off_scale,
    rounded,
    shares,
    with_recipe,
)

FEWEST_STEPS = 8
"""Steps an epoch below which the batch is too large: running statistics and schedules need some."""
_STEPS_WANTED = 32
_FEW_STEPS_IN_ALL = 300
"""Steps in all below which hardly any net is done."""
STILL_FALLING = 0.15
"""Share of the training loss that went in the last epoch from which more epochs surely help."""
ENDED = 0.005
"""Share of its peak below which a rate changes nothing any more."""
_WASTED = 0.25


def large_batch(facts: Facts) -> Iterable[Advice]:
    """Speaks when an epoch has hardly any steps.

    Proposes a power of two from 16 to 128 with 32 steps an epoch, where that can be.
    """
    if facts.steps >= FEWEST_STEPS or facts.train_count < 4 * FEWEST_STEPS:
        return
    size = _batch_for(facts.train_count)
    if size >= facts.experiment.recipe.batch_size:
        return
    yield advice(
        facts,
        "batch size",
        with_recipe(facts, batch_size=size),
        title=f"Take smaller batches: {size}",
        evidence=f"A batch of {facts.experiment.recipe.batch_size:,} takes {facts.steps} "
        f"{'step' if facts.steps == 1 else 'steps'} over {facts.train_count:,} images, "
        f"{facts.steps * len(facts.epochs):,} in all; it reaches {accuracy(facts)}.",
        where="the recipe",
        why="What is learned goes with the number of steps, which costs the same in small ones.",
        effect=shares(facts, 0.4, 0.99),
        cost="about the same time",
        kind="alarm",
    )


def more_epochs(facts: Facts) -> Iterable[Advice]:
    """Speaks when the training loss was still falling fast at the end, or there were hardly any steps at all.

    Silent about a run that its climb cut short: the final runs had more.

    Proposes twice the epochs, or four times where there were hardly any steps; the schedule is stretched.
    """
    if facts.train is None or facts.steps < FEWEST_STEPS or not facts.epochs or _ended_early(facts)[0]:
        return
    if facts.is_short:
        return
    if is_at_chance(facts, facts.train.accuracy):
        return  # nothing was learned, and more of it would not help
    fell = _fell(facts)
    count, total = len(facts.epochs), facts.steps * len(facts.epochs)
    few = total < _FEW_STEPS_IN_ALL and fits_badly(facts, 99.0)
    falling = fell is not None and fell >= STILL_FALLING and fits_badly(facts, 99.0)
    if not (few or falling):
        return
    more = max(4 * count, min(10, -(-_FEW_STEPS_IN_ALL // facts.steps))) if few else 2 * count
    evidence = f"There were {total:,} steps in all"
    if fell is not None and fell > 0:
        evidence += f", and the training loss fell by {fell:.0%} in the last epoch"
    # Where something else slows it down, a loss that still falls does not speak for more epochs.
    slowed = facts.net.ends_in_softmax or off_scale(facts)
    yield advice(
        facts,
        "epochs",
        with_recipe(facts, epochs=more, schedule=_stretched(facts, more / count)),
        title=f"Train longer: {more} epochs",
        evidence=f"{evidence}; it reaches {accuracy(facts)}.",
        where="the recipe",
        why="It was stopped while it was learning."
        if fell is not None and fell > 0
        else "Hardly any net is done after so few steps.",
        effect=shares(facts, 0.4, 0.9) if few and not slowed else shares(facts, 0.1, 0.6),
        cost=f"{more / count:.1f} times the training time",
        kind="alarm" if few or fits_badly(facts) else "idea",
    )


def ended_early(facts: Facts) -> Iterable[Advice]:
    """Speaks when the rate was next to nothing for the last quarter of the epochs or more.

    Proposes OneCycleLR over all epochs, with the same peak.
    """
    share, fell = _ended_early(facts)
    if not share or facts.train is None:
        return
    peak = max(epoch.first_rate for epoch in facts.epochs)
    yield advice(
        facts,
        "learning-rate schedule",
        with_recipe(facts, schedule={"kind": "one-cycle"}),
        title="Let the schedule last as long as the training",
        evidence=f"In the last {share:.0%} of the epochs the rate is below {ENDED:.1%} of its peak of {peak:g}, and "
        f"the training loss falls by {fell:.0%} in all of them; it reaches {accuracy(facts)}.",
        where="the recipe's schedule",
        why="Epochs at such a rate cost as much as any and change nothing.",
        effect=shares(facts, 0.1, 0.7),
        cost="none",
        kind="alarm" if fits_badly(facts, 99.5) else "idea",
    )


def cycle(facts: Facts) -> Iterable[Advice]:
    """Speaks, as an idea, when the rate never changes.

    Proposes OneCycleLR with twice the rate as its peak.
    """
    if facts.experiment.recipe.schedule.kind != "constant" or facts.train is None or facts.steps < FEWEST_STEPS:
        return
    rate = facts.experiment.recipe.learning_rate
    yield advice(
        facts,
        "learning-rate schedule",
        with_recipe(facts, schedule={"kind": "one-cycle"}, learning_rate=rounded(2 * rate)),
        title="Let the learning rate rise and fall (OneCycleLR)",
        evidence=f"The rate is {rate:g} from the first step to the last; the net reaches {accuracy(facts)}.",
        where="the recipe's schedule",
        why="At a constant rate the weights keep jumping about; a rate that falls to almost nothing lets them settle.",
        effect=shares(facts, 0.05, 0.4),
        cost="none",
    )


def _batch_for(images: int) -> int:
    """Return a power of two from 16 to 128 with at least 32 steps an epoch, where that can be."""
    return min(128, max(16, 1 << max(0, (images // _STEPS_WANTED).bit_length() - 1)))


def _fell(facts: Facts) -> float | None:
    """Return the share of the training loss that went in the last epoch; None for one epoch."""
    if len(facts.epochs) < 2 or facts.epochs[-2].train_loss <= 0:
        return None
    return 1 - facts.epochs[-1].train_loss / facts.epochs[-2].train_loss


def _ended_early(facts: Facts) -> tuple[float, float]:
    """Return the share of the epochs, at the end, without a rate to speak of, and what the loss fell by among them.

    (0, 0) where it is less than a quarter, or the loss still fell by a fifth.
    """
    if len(facts.epochs) < 2:
        return 0.0, 0.0
    peak = max(max(epoch.first_rate, epoch.last_rate) for epoch in facts.epochs)
    idle = 0
    while idle < len(facts.epochs) and facts.epochs[-1 - idle].first_rate < ENDED * peak:
        idle += 1
    share = idle / len(facts.epochs)
    if share < _WASTED or idle == len(facts.epochs):
        return 0.0, 0.0
    # When the rate goes the weights settle, once and within an epoch; what counts is what comes after.
    before = facts.epochs[-idle if idle > 1 else -2].train_loss
    fell = 1 - facts.epochs[-1].train_loss / before if before > 0 else 0.0
    return (share, fell) if fell < 0.2 else (0.0, 0.0)


def _stretched(facts: Facts, factor: float) -> dict[str, Any]:
    """Return the schedule over so many times the epochs."""
    values: dict[str, Any] = facts.experiment.recipe.schedule.model_dump(mode="json")
    match values:
        case {"every": int(every)}:
            values["every"] = max(1, round(every * factor))
        case {"at": [*at]}:
            values["at"] = [max(1, round(int(one) * factor)) for one in at]
    return values


RULES: tuple[Rule, ...] = (large_batch, more_epochs, ended_early, cycle)
