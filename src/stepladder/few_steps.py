"""A few steps of training outside any run: what range tests and checks before training look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy
import torch

from stepladder import randomness
from stepladder.initialise import prepare_module
from stepladder.loop import Loop
from stepladder.optimisers import set_rate
from stepladder.spec import Experiment
from stepladder.train import Materials, build_module, check_outputs


@dataclass(frozen=True)
class Step:
    """What one step saw before it was taken: the mean loss of its batch, and the share of right answers in [0, 1]."""

    loss: float
    accuracy: float


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads for a while; None leaves them alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def build_loop(experiment: Experiment, materials: Materials, device: torch.device) -> Loop:
    """Return the loop with which a run of the experiment would begin.

    Raises:
        SpecError: if the net does not fit the data.
    """
    module = build_module(experiment, materials.input_shape)
    check_outputs(module, materials)
    recipe, training, normalisation = experiment.recipe, materials.training, materials.normalisation
    prepare_module(module, recipe, training, normalisation, experiment.seed)
    return Loop(module, recipe, training, normalisation, experiment.seed, device)


def take_steps(loop: Loop, rates: Sequence[float]) -> Iterator[Step]:
    """Yield what each step saw, one step a learning rate; the images come in the order in which a run shows them.

    Averages of the weights are left alone. The steps end when a loss is no finite number; that step is yielded but not
    taken.
    """
    order = torch.empty(0)
    loop.module.train()
    for number, rate in enumerate(rates):
        epoch, step = divmod(number, loop.steps)
        if step == 0:
            order = image_order(loop.seed, epoch, len(loop.training)).to(loop.device)
        chosen = order[step * loop.recipe.batch_size : (step + 1) * loop.recipe.batch_size]
        labels = loop.training.labels[chosen]
        with loop.passes.working():
            set_rate(loop.optimiser, rate)
            logits, loss = loop.passes.forward(loop.passes.prepare(chosen, epoch, step), labels, epoch, step)
            seen = Step(float(loss.detach()), float((logits.argmax(1) == labels).float().mean()))
            if numpy.isfinite(seen.loss):
                loop.passes.backward(loss)
                # Rates that are far too high are tried on purpose.
                with numpy.errstate(over="ignore", invalid="ignore"):
                    loop.optimiser.step()
        yield seen
        if not numpy.isfinite(seen.loss):
            return


def image_order(seed: int, epoch: int, count: int) -> torch.Tensor:
    """Return in which order a run with this seed shows its ``count`` images in an epoch (from 0), int64 (count,)."""
    numbers = randomness.numpy_stream(seed, "shuffle", epoch)
    return torch.from_numpy(numbers.permutation(count).astype(numpy.int64))
