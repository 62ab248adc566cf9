"""Checks before training: whether data and net hold what training takes for granted, in a few seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, exp, log, sqrt
from typing import TYPE_CHECKING, Any

import numpy
import torch

from stepladder.data import Dataset
from stepladder.few_steps import limited_threads
from stepladder.short_training import (
    NEARLY_ALL,
    Attempt,
    Inputs,
    Memorised,
    blank,
    first_inputs,
    first_steps,
    memorise,
    try_out,
)
from stepladder.spec import Experiment
from stepladder.train import Materials, choose_device, prepare

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 40
"""Inputs that a sheet shows."""
_LOOKED_AT = 1024
"""Inputs whose mean and deviation are taken."""
_LOSS_ABOVE = 0.5
_MEAN_WITHIN, _DEVIATION_WITHIN = 0.5, (0.5, 2.0)
_FEW = 10
"""Images below which a class can hardly be learned."""
_UNEVEN = 10
"""Times as many images as the smallest class has, from which on accuracy says little."""
_MOST_OF_IT = 0.5
"""Share of what there is to know beyond the largest class that labels without information surely do not give."""
_STANDARD_ERRORS = 4
"""How many standard errors are no chance any more: one false alarm in 30,000."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what it is called.
        passed: whether it is as it should be.
        expected: what should be, in words.
        measured: what is, in words.
        meaning: what this says; where it failed, what it may come from and what to do.
    """

    name: str
    passed: bool
    expected: str
    measured: str
    meaning: str


@dataclass(frozen=True)
class Preflight:
    """All checks, in the order in which they are read."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check is as it should be."""
        return all(check.passed for check in self.checks)

    def as_values(self) -> dict[str, Any]:
        """Return the checks as plain values, ready for JSON: ``passed``, and ``checks`` with the fields of each."""
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}


def preflight(
    experiment: Experiment, dataset: Dataset, *, device: str | None = None, threads: int | None = None
) -> Preflight:
    """Return what a look at labels, inputs and a few steps of training says, before the experiment is trained.

    Only the images that the experiment would train on are looked at: neither held-out images nor the test set. Equal
    calls give equal results on one machine, and no global state changes.

    The checks, by name:

    - ``labels``: every class has images, and none has ten times as many as another.
    - ``inputs``: what the net is given, after augmentation and normalisation, has a mean near 0 and a deviation near 1.
    - ``first loss``: near ln K for K classes, as of a net that knows nothing and claims nothing. Logits of standard
      deviation s raise it by about s²/2, so half a nat above is a deviation of 1: more, and the first steps are spent
      on taking back what was claimed at random.
    - ``outputs``: logits, not probabilities.
    - ``one batch``: at most 64 images, without augmentation, dropout, weight decay or label smoothing, are learned by
      heart: all are right, and the loss is below 0.25, within 300 steps.
    - ``blank images``: after 100 steps of at most 256 images the net does clearly better than one that is trained
      alike on blank images, and that one no better than always naming the largest class. Where too few images are
      held out to tell, it passes and says so.

    Args:
        experiment: what is to be trained.
        dataset: the data set that it names.
        device: "cpu", "cuda" or "mps"; None takes a GPU where there is one.
        threads: torch's threads while it lasts; None leaves them alone.

    Raises:
        SpecError: if the net does not fit the data, or the device cannot be used.

    Source: Karpathy, A Recipe for Training Neural Networks, 2019.
    """
    place = choose_device(device)
    with limited_threads(threads):
        materials = prepare(experiment, dataset, place)
        given = first_inputs(experiment, materials, _LOOKED_AT)
        loss, gives_probabilities = first_steps(experiment, materials, place)
        learned = memorise(experiment, materials, place)
        seeing = try_out(experiment, materials, place)
        blind = try_out(experiment, blank(materials), place)
    return Preflight(
        (
            check_labels(materials, dataset.classes),
            _scale(given),
            _first_loss(loss, materials.classes),
            _outputs(gives_probabilities),
            _one_batch(learned, materials.classes, gives_probabilities),
            _blank_images(seeing, blind, _largest_share(materials), learned.succeeded),
        )
    )


def sheet(experiment: Experiment, dataset: Dataset) -> Figure:
    """Return the first inputs of a run as the net gets them, augmented and normalised, each with its label.

    Raises:
        SpecError: if the holdout asked for is larger than the training set allows.
    """
    from stepladder.pictures.inputs import input_sheet

    materials = prepare(experiment, dataset, torch.device("cpu"))
    given = first_inputs(experiment, materials, SHOWN)
    names = [dataset.classes[label] for label in given.labels.tolist()]
    return input_sheet(given.values.numpy(), names)


def check_labels(materials: Materials, classes: tuple[str, ...]) -> Check:
    """Return whether every class, by its name, has training images enough, and none has far more than another."""
    counts = torch.bincount(materials.training.labels, minlength=len(classes)).cpu()
    least, most = int(counts.argmin()), int(counts.argmax())
    missing = [classes[index] for index in torch.nonzero(counts == 0).flatten().tolist()]
    share = _largest_share(materials)
    if missing:
        meaning = f"no image says what {', '.join(missing[:5])} looks like: add images, or leave the class out"
    elif counts[least] < _FEW:
        meaning = f"{classes[least]} can hardly be learned from so few images: add some, or leave the class out"
    elif counts[most] >= _UNEVEN * counts[least]:
        meaning = (
            f"who always names {classes[most]} is right in {share:.0%}: look at each class's accuracy, not at the sum"
        )
    else:
        meaning = f"who always names the largest class is right in {share:.1%}; a net has to do better"
    return Check(
        "labels",
        not missing and int(counts[least]) >= _FEW and int(counts[most]) < _UNEVEN * int(counts[least]),
        f"every class has {_FEW} images at least, and none {_UNEVEN} times as many as another",
        f"{len(materials.training):,} images of {len(classes)} classes: "
        + (
            f"{int(counts[least]):,} of each"
            if counts[least] == counts[most]
            else f"from {int(counts[least]):,} ({classes[least]}) to {int(counts[most]):,} ({classes[most]})"
        ),
        meaning,
    )


def _scale(given: Inputs) -> Check:
    values = given.values.double()
    mean, deviation = float(values.mean()), float(values.std())
    is_finite = bool(torch.isfinite(values).all())
    low, high = _DEVIATION_WITHIN
    passed = is_finite and abs(mean) <= _MEAN_WITHIN and low <= deviation <= high
    if passed:
        meaning = "first weights and learning rates are made for inputs of this size"
    elif is_finite and deviation < 1e-6:
        meaning = "all inputs are alike: there is nothing to see in the images"
    else:
        meaning = (
            "first weights and learning rates are made for inputs of mean 0 and deviation 1: set inputs = standardised"
        )
    return Check(
        "inputs",
        passed,
        f"a mean within {_MEAN_WITHIN:g} of 0, a deviation from {low:g} to {high:g}, every value a number",
        f"mean {mean:.3g}, deviation {deviation:.3g}, from {float(values.min()):.3g} to {float(values.max()):.3g}",
        meaning,
    )


def _first_loss(loss: float, classes: int) -> Check:
    expected = log(classes)
    passed = abs(loss - expected) <= _LOSS_ABOVE
    return Check(
        "first loss",
        passed,
        f"near {expected:.2f} = ln {classes}, within {_LOSS_ABOVE:g}",
        f"{loss:.2f}",
        "a net that knows nothing yet gives every class the same chance, and this one does"
        if passed
        else "the untrained net is sure of what it cannot know, and has to unlearn it first: normalise the inputs, add "
        "batch normalisation, or take smaller first weights",
    )


def _outputs(gives_probabilities: bool) -> Check:
    return Check(
        "outputs",
        not gives_probabilities,
        "logits: any numbers",
        "probabilities: from 0 to 1, with the sum 1" if gives_probabilities else "logits",
        "cross-entropy applies softmax itself; after another one gradients nearly vanish: take the softmax (SM) away"
        if gives_probabilities
        else "cross-entropy turns them into probabilities",
    )


def _one_batch(learned: Memorised, classes: int, gives_probabilities: bool) -> Check:
    count, right = learned.count, round(learned.accuracy * learned.count)
    measured = f"{right} of {count} right, loss {learned.loss:.3g}, after {learned.steps} steps"
    if learned.succeeded:
        meaning = (
            "labels reach the net, gradients reach the weights, and the net is large enough to tell these images apart"
        )
    elif gives_probabilities:
        least = log(exp(1) + classes - 1) - 1
        meaning = f"behind a softmax at the end the loss cannot fall below {least:.2f}: take it away"
    elif not numpy.isfinite(learned.loss):
        meaning = "the loss is no number any more: the learning rate is too high; stepladder rates finds one"
    else:
        meaning = (
            "what cannot be learned by heart cannot be learned: the learning rate is far too high or too low "
            "(stepladder rates finds one), the net is too narrow, or equal images have different labels"
        )
    return Check(
        "one batch",
        learned.succeeded,
        f"{ceil(NEARLY_ALL * count)} of {count} right or more, loss below {learned.goal:g}",
        measured,
        meaning,
    )


def _blank_images(seeing: Attempt, blind: Attempt, share: float, is_memorised: bool) -> Check:
    difference = seeing.accuracy - blind.accuracy
    doubt = _STANDARD_ERRORS * sqrt(_variance(seeing) + _variance(blind))
    is_blind = blind.accuracy <= share + _STANDARD_ERRORS * sqrt(share * (1 - share) / blind.count) + 1e-9
    # So few images are held out that no net could show what it knows, or this one showed more than half of it.
    too_few = is_memorised and (doubt > 1 - share or doubt >= difference > _MOST_OF_IT * (1 - share))
    passed = seeing.is_finite and is_blind and (difference > doubt or too_few)
    if passed and difference <= doubt:
        meaning = f"{seeing.count} held-out images are too few to tell what the net knows from the images"
    elif passed:
        meaning = "what the net knows, it knows from the images"
    elif not seeing.is_finite:
        meaning = "the loss became no number: the learning rate is too high; stepladder rates finds one"
    elif not is_blind:
        meaning = (
            "without seeing an image the net does better than chance allows: the order of the images tells their labels"
        )
    elif not is_memorised:
        meaning = "the net learns nothing from the images so far; not even one batch, so repair that first"
    else:
        meaning = (
            "the net learns images by heart, but nothing that holds for others: are the labels those of the images "
            "(not shuffled, not one off), and does stepladder rates suggest a quite different learning rate?"
        )
    return Check(
        "blank images",
        passed,
        f"with images clearly better than without, and without at most the largest class's {share:.1%}",
        f"{seeing.accuracy:.1%} with images, {blind.accuracy:.1%} without, after {seeing.steps} steps",
        meaning,
    )


def _variance(attempt: Attempt) -> float:
    # With one image more of either outcome: a share of 0 or 1 is not known for certain.
    share = (attempt.accuracy * attempt.count + 1) / (attempt.count + 2)
    return share * (1 - share) / attempt.count


def _largest_share(materials: Materials) -> float:
    counts = torch.bincount(materials.training.labels)
    return float(counts.max()) / len(materials.training)
