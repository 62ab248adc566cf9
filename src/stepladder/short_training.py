"""What ``stepladder.preflight`` measures: a net's first inputs, its first loss, and trainings of a few steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from statistics import fmean
from typing import Any

import torch

from stepladder import randomness
from stepladder.few_steps import build_loop, image_order, take_steps
from stepladder.inputs import Images
from stepladder.layers import Dropout
from stepladder.notation import Net
from stepladder.passes import PlainPasses
from stepladder.schedule import RateTable
from stepladder.spec import Augmentation, Experiment, OneCycle, Recipe
from stepladder.train import Materials

_STEPS, _BATCH = 100, 256
_MEMORY_STEPS, _MEMORISED = 300, 64
NEARLY_ALL = 0.98
"""Share of a batch that has to be right for it to count as learned by heart."""
_ALMOST_NOTHING = 0.25
"""The loss of nets that give the right class three quarters. Behind a softmax at the end it stays above 0.31."""
_FIRST_STEPS = 4
_HELD = 2000
_LEAST_BATCH = 16
_WORK = 3e10
"""Multiply-accumulates, forward, that a short training takes at most, but for its least batch: seconds on one core."""
_VALUES = 16_000_000
"""Numbers that inputs are made of, at most: 64 MB."""
_NO_AVERAGE: dict[str, Any] = {"averaging": 0.0, "tail_averaging": 0.0, "lookahead": 0}


@dataclass(frozen=True)
class Inputs:
    """What the net is given: floats of shape (N, C, H, W), and labels int64 (N,)."""

    values: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Memorised:
    """How far a batch was learned by heart: the loss and the share of right answers of the last step.

    It succeeded if all of ``count`` images but one in fifty were right and the loss was below ``goal``.
    """

    steps: int
    loss: float
    accuracy: float
    count: int
    succeeded: bool
    goal: float = _ALMOST_NOTHING


@dataclass(frozen=True)
class Attempt:
    """What a short training came to on ``count`` images that it was not trained on; whether its losses were numbers."""

    steps: int
    accuracy: float
    count: int
    is_finite: bool


def first_inputs(experiment: Experiment, materials: Materials, count: int) -> Inputs:
    """Return the first ``count`` inputs of a run, or as many as there are: its images, augmented and normalised."""
    recipe, training = experiment.recipe, materials.training
    count = min(count, len(training), max(_LEAST_BATCH, _VALUES // training.pixels[0].numel()))
    passes = PlainPasses(torch.nn.Identity(), [], recipe, training, materials.normalisation, experiment.seed)
    order = image_order(experiment.seed, 0, len(training)).to(training.pixels.device)
    batches = torch.split(order, recipe.batch_size)[: -(-count // recipe.batch_size)]
    if training.pixels[0].numel() * len(batches[0]) > _VALUES:
        batches = (batches[0][:count],)  # a batch as large as that is not augmented whole for a few of its images
    values = torch.cat([passes.prepare(chosen, 0, step) for step, chosen in enumerate(batches)])[:count]
    return Inputs(values.cpu(), training.labels[order[:count]].cpu())


def first_steps(experiment: Experiment, materials: Materials, device: torch.device) -> tuple[float, bool]:
    """Return the mean loss of the untrained net over a few batches, and whether it gives probabilities."""
    size = _affordable(experiment, materials, _FIRST_STEPS, min(experiment.recipe.batch_size, 4 * _BATCH))
    loop = build_loop(_with(experiment, batch_size=size, **_NO_AVERAGE), materials, device)
    # A learning rate of 0 leaves the weights as they are.
    loss = fmean(step.loss for step in take_steps(loop, [0.0] * _FIRST_STEPS))
    some = Images(materials.training.pixels[:size], materials.training.labels[:size])
    outputs = loop.evaluate(some).logits
    is_share = bool(((outputs >= 0) & (outputs <= 1)).all())
    return loss, is_share and bool((outputs.sum(1) - 1).abs().max() < 1e-3)


def memorise(experiment: Experiment, materials: Materials, device: torch.device) -> Memorised:
    """Train on one batch until it is known by heart, without whatever keeps nets from that; give up in the end.

    The learning rate rises to the recipe's and falls to nothing (one cycle), whatever the recipe's schedule is.
    """
    count = min(_affordable(experiment, materials, _MEMORY_STEPS, _MEMORISED), len(materials.training))
    chosen = image_order(experiment.seed, 0, len(materials.training))[:count].to(device)
    batch = Images(materials.training.pixels[chosen], materials.training.labels[chosen])
    layers = tuple(layer for layer in Net.parse(experiment.net).layers if not isinstance(layer, Dropout))
    plain = _with(
        experiment.model_copy(update={"net": str(Net(layers))}),
        augmentation=Augmentation(),
        weight_decay=0.0,
        label_smoothing=0.0,
        batch_size=max(2, count),
        schedule=OneCycle(),
        **_NO_AVERAGE,
    )
    loop = build_loop(plain, replace(materials, training=batch), device)
    taken, loss, accuracy = 0, float("nan"), 0.0
    for step in take_steps(loop, _rates(plain.recipe, _MEMORY_STEPS)):
        taken, loss, accuracy = taken + 1, step.loss, step.accuracy
        if accuracy >= NEARLY_ALL and loss < _ALMOST_NOTHING:
            return Memorised(taken, loss, accuracy, count, succeeded=True)
    return Memorised(taken, loss, accuracy, count, succeeded=False)


def blank(materials: Materials) -> Materials:
    """Return the materials with every training image black."""
    training = materials.training
    return replace(materials, training=Images(torch.zeros_like(training.pixels), training.labels))


def try_out(experiment: Experiment, materials: Materials, device: torch.device) -> Attempt:
    """Train for a few steps with the recipe, its schedule squeezed into them, and ask about images that were left out.

    These are a fifth of the training images, at most 2,000.
    """
    training = materials.training
    held = min(_HELD, max(1, len(training) // 5))
    numbers = randomness.numpy_stream(experiment.seed, "preflight")
    order = torch.from_numpy(numbers.permutation(len(training))).to(training.pixels.device)
    left, kept = (Images(training.pixels[part], training.labels[part]) for part in (order[:held], order[held:]))
    size = _affordable(experiment, materials, _STEPS, min(_BATCH, experiment.recipe.batch_size))
    # Running statistics that move more slowly would not have arrived after so few steps.
    momentum = max(experiment.recipe.norm_momentum, 0.1)
    short = _with(experiment, batch_size=size, norm_momentum=momentum, **_NO_AVERAGE)
    loop = build_loop(short, replace(materials, training=kept), device)
    losses = [step.loss for step in take_steps(loop, _rates(short.recipe, _STEPS))]
    found = loop.evaluate(left)
    is_finite = all(map(isfinite, losses)) and isfinite(found.loss)
    return Attempt(len(losses), found.correct / found.count, found.count, is_finite)


def _rates(recipe: Recipe, steps: int) -> list[float]:
    return RateTable(recipe.model_copy(update={"epochs": 1}), steps).epoch(0, [])


def _affordable(experiment: Experiment, materials: Materials, steps: int, wanted: int) -> int:
    """Return how many images a step may have, so that large images and nets take no more than seconds."""
    net = Net.parse(experiment.net)
    shapes = net.shapes(materials.input_shape)
    macs = sum(layer.macs(shape) for layer, shape in zip(net.layers, shapes, strict=False))
    return max(2, min(wanted, max(_LEAST_BATCH, int(_WORK / steps / max(macs, 1)))))


def _with(experiment: Experiment, **fields: Any) -> Experiment:
    """Return the experiment with other fields of its recipe."""
    return experiment.model_copy(update={"recipe": experiment.recipe.model_copy(update=fields)})
