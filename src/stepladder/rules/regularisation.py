"""Rules about what keeps a net from learning by heart: too much of it, and too little."""

from __future__ import annotations

from collections.abc import Iterable

from stepladder import edits
from stepladder.diagnosis.values import Facts
from stepladder.notation import Net
from stepladder.rules.base import Advice, Rule, accuracy, advice, fits_badly, is_at_chance, room, with_net, with_recipe
from stepladder.rules.base import shares as parts

STRONG = 0.3
"""Share of dropped values from which dropout counts as strong: small convolutional nets take 0.05 to 0.1."""
OVERFITS = 4.0
"""Points between training and holdout from which overfitting is an alarm; sound nets on a few thousand images show up
to 1.6."""
_SOME = 0.5
_PART = 0.25
"""Points of a gap from which something against it is an idea, or, near the top, its part of what is left to gain."""
_KNOWN = 99.0
"""Percent of the training images from which they count as known, so that being surer of them is for nothing."""
_DECAY = 0.02
"""Weight decay from which it outweighs what is learned, at usual rates; 0.0005 is common."""
_MILD = {"rotation": 7.0, "shift": 1.0, "scale": 0.1}
_LITTLE = 0.05
_LAG = 0.25
"""Share of all steps that an average may reach back."""


def dropout(facts: Facts) -> Iterable[Advice]:
    """Speaks when much is dropped by a net that does not even learn its training images.

    Proposes the net without dropout.
    """
    strong = [share for share in facts.net.dropout if share >= STRONG]
    if not strong or facts.train is None or not fits_badly(facts):
        return
    seen = facts.epochs[-1].train_accuracy if facts.epochs else 0.0
    many = len(strong) > 1
    yield advice(
        facts,
        "dropout",
        with_net(facts, edits.with_dropout(Net.parse(facts.experiment.net), 0.0)),
        title="Take the dropout out",
        evidence=f"{len(strong)} of {len(facts.net.dropout)} dropouts drop {max(strong):.0%}; while training the net "
        f"is right in {seen:.1f}%, and without dropout, as it stands, reaches {accuracy(facts)}.",
        where=f"{len(strong)} dropout layers",
        why="Dropout is against overfitting, and there is none.",
        effect=parts(facts, 0.5, 0.99) if many else parts(facts, 0.05, 0.5),
        cost="none",
        kind="alarm",
    )


def weight_decay(facts: Facts) -> Iterable[Advice]:
    """Speaks when weights are pulled to zero so strongly that training images are not learned.

    Proposes a weight decay of 0.0005.
    """
    decay = facts.experiment.recipe.weight_decay
    if decay < _DECAY or not fits_badly(facts) or facts.experiment.recipe.optimiser == "adamw":
        return
    yield advice(
        facts,
        "weight decay",
        with_recipe(facts, weight_decay=0.0005),
        title="Lower the weight decay to 0.0005",
        evidence=f"The weight decay is {decay:g}, and even the training images are not learned: {accuracy(facts)}.",
        where="the recipe",
        why="The pull to zero outweighs what the images say.",
        effect=parts(facts, 0.3, 0.95),
        cost="none",
        kind="alarm",
    )


def slow_average(facts: Facts) -> Iterable[Advice]:
    """Speaks when the average of the weights reaches back over a good part of the training.

    Proposes an average that reaches back over a twentieth of the steps.
    """
    averaging = facts.experiment.recipe.averaging
    total = facts.steps * (facts.planned or len(facts.epochs))
    if not averaging or not total or 1 / (1 - averaging) <= _LAG * total or not fits_badly(facts, 99.0):
        return
    reach = round(1 / (1 - averaging))
    better = round(1 - 1 / max(2.0, 0.05 * total), 3)
    yield advice(
        facts,
        "weight averaging",
        with_recipe(facts, averaging=better),
        title=f"Average over fewer steps: {better:g}",
        evidence=f"The average of the weights reaches back {reach:,} steps, and there are {total:,} in all; it reaches "
        f"{accuracy(facts)}.",
        where="the recipe",
        why="An average over most of the training holds weights that had learned nothing yet.",
        effect=parts(facts, 0.3, 0.9),
        cost="none",
        kind="alarm",
    )


def overfitting(facts: Facts) -> Iterable[Advice]:
    """Speaks when training images are known clearly better than those held out, and images are not varied yet.

    Proposes rotation by 7°, shift by 1 px, scale by 10%.
    """
    gap = facts.gap
    if gap is None or facts.train is None or facts.holdout is None or gap < min(_SOME, _PART * room(facts)):
        return
    if is_at_chance(facts, facts.holdout.accuracy) or not facts.experiment.recipe.augmentation.is_none:
        return
    clear = facts.train.interval.low > facts.holdout.interval.high
    alarm = clear and gap >= OVERFITS
    yield advice(
        facts,
        "augmentation",
        with_recipe(facts, augmentation=_MILD),
        title="Vary the training images a little: rotation 7°, shift 1 px, scale 10%",
        evidence=f"The net knows {facts.train.accuracy:.1f}% of the training images "
        f"({facts.train.interval.low:.1f} to {facts.train.interval.high:.1f}) and {facts.holdout.accuracy:.1f}% of the "
        f"holdout ({facts.holdout.interval.low:.1f} to {facts.holdout.interval.high:.1f}): a gap of {gap:.1f} points.",
        where="the recipe's augmentation",
        why="Images that are never the same twice cannot be learned by heart.",
        effect=(0.0, round(min(0.7 * gap, room(facts)), 2)),
        cost="a few percent of the training time; the loss falls more slowly",
        kind="alarm" if alarm else "idea",
    )


def some_dropout(facts: Facts) -> Iterable[Advice]:
    """Speaks, as an idea, when there is a gap although images are varied, and nothing is dropped.

    Proposes dropout of 5% after every layer with weights but the last.
    """
    gap = facts.gap
    if gap is None or gap < _SOME or facts.net.dropout or facts.experiment.recipe.augmentation.is_none:
        return
    yield advice(
        facts,
        "dropout",
        with_net(facts, edits.with_chains(Net.parse(facts.experiment.net), _LITTLE)),
        title=f"Drop {_LITTLE:.0%} of the values after every convolution",
        evidence=f"With varied images there is a gap of {gap:.1f} points left; the net reaches {accuracy(facts)}.",
        where="after every convolution and linear layer but the last",
        why="A net that cannot lean on single values learns fewer images by heart.",
        effect=(0.0, round(min(0.3 * gap, room(facts)), 2)),
        cost="a third of the training time",
    )


def smoothing(facts: Facts) -> Iterable[Advice]:
    """Speaks, as an idea, when training images are known well and labels are taken as certain.

    Proposes label smoothing of 0.05.
    """
    recipe = facts.experiment.recipe
    if facts.train is None or facts.train.accuracy < _KNOWN or recipe.label_smoothing or facts.net.ends_in_softmax:
        return
    if facts.gap is None or facts.gap < _SOME:
        return
    yield advice(
        facts,
        "label smoothing",
        with_recipe(facts, label_smoothing=0.05),
        title="Smooth the labels by 0.05",
        evidence=f"The net is right on nearly all training images and still pushed to be surer: {accuracy(facts)}.",
        where="the loss",
        why="A target that is not quite certain keeps the weights from growing for nothing.",
        effect=(0.0, round(min(0.25 * facts.gap, room(facts)), 2)),
        cost="none",
    )


RULES: tuple[Rule, ...] = (dropout, weight_decay, slow_average, overfitting, some_dropout, smoothing)
