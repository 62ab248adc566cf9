"""Rules about what goes into the net: labels, the scale of the inputs, and what augmentation makes of images."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from stepladder.diagnosis.neighbours import TRUSTED
from stepladder.diagnosis.values import AugmentationEffect, Facts
from stepladder.rules.base import (
    Advice,
    Rule,
    accuracy,
    advice,
    is_at_chance,
    off_scale,
    preflight_command,
    room,
    shares,
    with_recipe,
)

OUTVOTED = 0.04
"""Share of the labels that their neighbours outvote from which labels are doubted: 1.6% are on the MNIST sample as it
is, 0.6% on digits."""
BOTH = 0.01
"""The same where net and neighbours name the same other class: at most 0.3% in sound and in badly trained runs."""
_AGREED_SHARE = 0.4
"""Share of the neighbours' mistakes in which they have to agree: a fifth on the MNIST sample as it is, nearly half with
a tenth of the labels shuffled."""
LOOKALIKE = 0.15
"""Share of the images changed by one kind that look like another class: 2% to 3% after small rotations."""
_PAIR = 0.25
"""Share of one class that has to look like one other: chance look-alikes scatter over many pairs."""
_TURNS = ("rotation", "shear", "horizontal_flip", "vertical_flip")
"""Kinds that can turn one class into another. Shifts cannot, and pixel neighbours would be misled by them."""
_LOST = 10.0
"""Points that the net may be worse on images at a kind's limit before the limit counts as too far."""
_SAFE = {"rotation": 10.0, "shear": 5.0, "shift": 1.0, "scale": 0.1}
"""Limits that leave the class of any character as it is; flips have none."""


def no_information(facts: Facts) -> Iterable[Advice]:
    """Speaks when labels and images have nothing to do with each other: neither net nor neighbours beat guessing.

    Proposes a look at how labels and images were joined.
    """
    judged = facts.judged
    if not is_at_chance(facts, facts.labels.neighbours):
        return
    if judged is not None and not is_at_chance(facts, judged.accuracy):
        return
    learned = "" if facts.train is None else f", though it knows {facts.train.accuracy:.1f}% of the training images"
    held = "nothing" if judged is None else f"{judged.accuracy:.1f}%"
    yield _of_labels(
        title="Check that labels belong to their images",
        evidence=f"The nearest neighbours of an image give its label in {facts.labels.neighbours:.1f}% of cases and "
        f"the net reaches {held}{learned}; who always names the largest class is right in {facts.guess:.1f}%.",
        why="Without information in the labels nothing about the net or the recipe matters.",
        effect=shares(facts, 0.3, 1.0),
        # Neighbours that know nothing doubt no single label; a sheet shows the images beside their labels.
        command=preflight_command(facts.experiment, facts.given),
    )


def doubtful(facts: Facts) -> Iterable[Advice]:
    """Speaks when many single labels are contradicted by the net and by the image's neighbours.

    Proposes a look at the images that it names.
    """
    labels = facts.labels
    if labels.neighbours < TRUSTED:
        return
    if labels.both < BOTH and not _learned_by_heart(facts):
        return
    share = max(labels.outvoted, labels.both)
    named = f"{labels.both:.1%} are given another class by both" if labels.both else "the net learned them by heart"
    yield _of_labels(
        title="Check doubtful labels",
        evidence=f"Of {labels.count:,} training images {labels.outvoted:.1%} have another label than 8 of their 10 "
        f"nearest neighbours, the net contradicts {labels.contradicted:.1%} with a probability of 0.9 or more, and "
        f"{named}.",
        why="A wrong label teaches the wrong thing in training and counts as a mistake where it is held out.",
        effect=(0.0, round(min(200 * share, room(facts)), 2)),
        command=shlex.join(["stepladder", "advise", facts.folder, *facts.given, "--doubtful", "doubtful.csv"]),
    )


def _learned_by_heart(facts: Facts) -> bool:
    """Return whether the net seems to know wrong labels by heart, so that the neighbours alone contradict them.

    The holdout has labels of the same kind: where it has fewer mistakes than labels are outvoted, the neighbours are
    wrong. And neighbours that miss much by themselves scatter, while about wrong labels they agree.
    """
    labels = facts.labels
    missed = 1 - labels.neighbours / 100
    return (
        facts.train is not None
        and facts.train.accuracy > 99
        and OUTVOTED <= labels.outvoted <= room(facts) / 100
        and labels.outvoted >= _AGREED_SHARE * missed
    )


def _of_labels(*, title: str, evidence: str, why: str, effect: tuple[float, float], command: str) -> Advice:
    return Advice(
        technique="labels",
        title=title,
        evidence=evidence,
        where="the data's labels, before any training",
        why=why,
        effect=effect,
        cost="a look at the images",
        change=None,
        command=command,
        kind="alarm",
    )


def input_scale(facts: Facts) -> Iterable[Advice]:
    """Speaks when the net's inputs are far from mean 0 and deviation 1.

    Proposes inputs of mean 0 and deviation 1.
    """
    if not off_scale(facts):
        return
    normed = facts.net.norms > 0
    yield advice(
        facts,
        "input normalisation",
        with_recipe(facts, inputs="standardised"),
        title="Standardise the inputs",
        evidence=f"What goes into the net has mean {facts.input_mean:.1f} and deviation {facts.input_deviation:.1f}; "
        f"the first loss is {facts.first_loss:.2f}, where a net that knows nothing has {facts.chance:.2f} "
        f"(ln {len(facts.classes)}).",
        where="before the first layer",
        why="The first layer's gradients are as many times too large, so that no one rate suits all layers.",
        effect=shares(facts, 0.1, 0.5) if normed else shares(facts, 0.4, 0.98),
        cost="none",
        kind="alarm",
    )


def destroyed(facts: Facts) -> Iterable[Advice]:
    """Speaks when a kind of augmentation makes images of one class look like another, or goes too far for the net.

    Proposes the kind's limit brought down to what leaves classes as they are; flips taken out.
    """
    found = [effect for effect in facts.augmentation if _misleads(effect, facts) or _goes_too_far(effect, facts)]
    if not found:
        return
    values = facts.experiment.recipe.augmentation.model_dump()
    for effect in found:
        safe = _SAFE.get(effect.kind, 0.0)
        values[effect.kind] = safe if values[effect.kind] > safe else values[effect.kind] / 2
    names = " and ".join(f"{effect.kind.replace('_', ' ')} {effect.limit}" for effect in found)
    told = "; ".join(_told(effect, facts) for effect in found)
    seen = facts.epochs[-1].train_accuracy if facts.epochs else 0.0
    yield advice(
        facts,
        "augmentation",
        with_recipe(facts, augmentation=values),
        title=f"Take back the augmentation: {names}",
        evidence=f"{told}. While training the net saw {seen:.1f}% right; it reaches {accuracy(facts)}.",
        where="the recipe's augmentation",
        why="Images that look like another class under their own label teach what is wrong.",
        effect=shares(facts, 0.2, 0.95),
        cost="none",
        kind="alarm",
    )


def _misleads(effect: AugmentationEffect, facts: Facts) -> bool:
    return (
        effect.kind in _TURNS
        and facts.labels.neighbours >= TRUSTED
        and effect.lookalike >= LOOKALIKE
        and bool(effect.confusions)
        and effect.confusions[0].share >= _PAIR
    )


def _goes_too_far(effect: AugmentationEffect, facts: Facts) -> bool:
    return facts.train is not None and facts.train.accuracy - effect.accuracy > _LOST


def _told(effect: AugmentationEffect, facts: Facts) -> str:
    kind = effect.kind.replace("_", " ")
    if _misleads(effect, facts):
        pairs = ", ".join(
            f"{100 * one.share:.0f}% of the images of {one.label} look like {one.predicted}"
            for one in effect.confusions[:2]
        )
        return f"Under {kind} {'' if 'flip' in kind else effect.limit + ' '}alone {pairs}"
    return f"On images at the limit of {kind}, {effect.limit}, alone the net is right in {effect.accuracy:.1f}%"


RULES: tuple[Rule, ...] = (no_information, doubtful, input_scale, destroyed)
