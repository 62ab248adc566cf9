"""Rules about how large steps are."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from stepladder.diagnosis.values import Facts
from stepladder.rules.base import (
    Advice,
    Rule,
    accuracy,
    advice,
    fits_badly,
    off_scale,
    rounded,
    shares,
    with_recipe,
)
from stepladder.rules.signal import fades
from stepladder.spec import Experiment

LARGEST_UPDATE = 10.0
"""Times its weights that a first step may move a layer, in the median over layers: sound runs lie below 1."""
SMALLEST_UPDATE = 0.012
"""The same, at least: sound runs lie above 0.03."""
GOOD_UPDATE = 0.2
"""What a rate without a range test is chosen for: in the middle of sound runs."""
ABOVE_HIGHEST, BELOW_SUGGESTED = 5.0, 20.0
"""Times that a peak may lie above the highest rate that still learned, or below the suggested one. A range test is a
few steps long, so that its ends are known to a factor of about three."""


def too_high(facts: Facts) -> Iterable[Advice]:
    """Speaks when steps throw the weights about: the loss is no number, or steps are larger than the weights.

    Proposes the rate that the range test suggests, or one whose first steps move the weights by a fifth.
    """
    rate = facts.experiment.recipe.learning_rate
    update = _update(facts)
    tested = facts.range_test
    reasons = []
    if facts.failure:
        reasons.append(f"training stopped: {facts.failure.partition(';')[0]}")
    if update is not None and update > LARGEST_UPDATE:
        reasons.append(f"at rate {rate:g} the first steps move the weights by {update:.0f} times their own size")
    if tested is not None and tested.learns and fits_badly(facts) and rate > ABOVE_HIGHEST * tested.highest:
        reasons.append(f"{rate:g} is {rate / tested.highest:.0f} times the highest rate at which the loss still fell")
    if not reasons:
        return
    better = _suggested(facts, update, lower=True)
    yield advice(
        facts,
        "learning rate",
        _with_rate(facts, better),
        title=f"Lower the learning rate to {better:g}",
        evidence=f"{_sentence(reasons)}; it reaches {accuracy(facts)}.",
        where="the recipe",
        why="Steps larger than the slope is straight lead away from where it points.",
        # Inputs of the wrong scale are then the cause, and a lower rate only bears with it.
        effect=shares(facts, 0.0, 0.5) if off_scale(facts) else shares(facts, 0.5, 0.99),
        cost="none",
        kind="alarm",
    )


def dead(facts: Facts) -> Iterable[Advice]:
    """Speaks when half of a layer's channels are 0 for every image at the end, and were not at the start.

    Proposes a third of the rate.
    """
    started = {state.layer: state.dead for state in facts.first if state.dead is not None}
    found = [
        state
        for state in facts.last
        if state.dead is not None and state.dead >= 0.5 and state.dead - (started.get(state.layer) or 0) >= 0.4
    ]
    if not found or facts.train is None:
        return
    worst = max(found, key=lambda state: state.dead or 0)
    better = rounded(facts.experiment.recipe.learning_rate / 3)
    yield advice(
        facts,
        "learning rate",
        _with_rate(facts, better),
        title=f"Lower the learning rate to {better:g}",
        evidence=f"In {worst.layer} {worst.dead:.0%} of the channels are 0 for every image of a batch; "
        f"{started.get(worst.layer) or 0:.0%} were at the start. The net reaches {accuracy(facts)}.",
        where=f"the recipe, for layer {worst.layer}",
        why="A step that was too large pushed them below 0 for good, where no gradient reaches them.",
        effect=shares(facts, 0.0, 0.4),
        cost="none",
        kind="alarm" if fits_badly(facts) else "idea",
    )


def too_low(facts: Facts) -> Iterable[Advice]:
    """Speaks when steps hardly change the weights although gradients reach them.

    Proposes the rate that the range test suggests, or one whose first steps move the weights by a fifth.
    """
    rate = facts.experiment.recipe.learning_rate
    update, tested = _update(facts), facts.range_test
    # Where the signal fades no rate is high enough; that is another rule's.
    if facts.failure or not fits_badly(facts, 99.0) or fades(facts.first):
        return
    reasons = []
    # Bare nets from He's weights take small steps at their best rate; then the range test knows better.
    is_enough = tested is not None and tested.learns and tested.suggested <= rate
    if update is not None and update < SMALLEST_UPDATE and not is_enough:
        reasons.append(f"at rate {rate:g} the first steps move the weights by {update:.1%} of their size")
    if tested is not None and tested.learns and rate < tested.suggested / BELOW_SUGGESTED:
        reasons.append(f"{rate:g} is {tested.suggested / rate:.0f} times below what the range test suggests")
    if not reasons:
        return
    better = _suggested(facts, update, lower=False)
    yield advice(
        facts,
        "learning rate",
        _with_rate(facts, better),
        title=f"Raise the learning rate to {better:g}",
        evidence=f"{_sentence(reasons)}; it reaches {accuracy(facts)}.",
        where="the recipe",
        why="The same epochs go further with larger steps, at no cost.",
        effect=shares(facts, 0.5, 0.99),
        cost="none",
        kind="alarm",
    )


def _with_rate(facts: Facts, rate: float) -> Experiment:
    recipe = facts.experiment.recipe
    if recipe.optimiser != "muon":
        return with_recipe(facts, learning_rate=rate)
    # Muon's rate for matrices keeps its proportion, as in the range test.
    return with_recipe(facts, learning_rate=rate, matrix_rate=rounded(rate * recipe.matrix_rate / recipe.learning_rate))


def _update(facts: Facts) -> float | None:
    found = [state.update for state in facts.first if state.update is not None]
    return median(found) if found else None


def _suggested(facts: Facts, update: float | None, *, lower: bool) -> float:
    rate, tested = facts.experiment.recipe.learning_rate, facts.range_test
    if tested is not None and tested.learns and (tested.suggested < rate) == lower and tested.suggested != rate:
        return rounded(tested.suggested)
    factor = 0.1 if lower else 10.0
    if update is not None and update > 0:
        towards = GOOD_UPDATE / update
        factor = min(factor, towards) if lower else max(factor, towards)
    return rounded(rate * factor)


def _sentence(reasons: list[str]) -> str:
    text = ", and ".join(reasons)
    return text[0].upper() + text[1:]


RULES: tuple[Rule, ...] = (too_high, dead, too_low)
