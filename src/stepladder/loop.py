"""One epoch of training and one pass of evaluation over tensors in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import nn
from torch.nn import functional

from stepladder import dropout, randomness
from stepladder.averaging import build_averaging
from stepladder.errors import TrainingError
from stepladder.inputs import Images, Normalisation
from stepladder.memory import keep_freed_memory
from stepladder.optimisers import build_optimiser, set_rate
from stepladder.passes import build_passes
from stepladder.repeatable import prefer_repeatable
from stepladder.schedule import RateTable
from stepladder.spec import Recipe
from stepladder.stages import Stage, untimed
from stepladder.tally import Tally, copied, put_back


@dataclass(frozen=True)
class Progress:
    """How far a training epoch is: what the live display shows."""

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float
    seconds: float


@dataclass(frozen=True)
class TrainingPass:
    """What one epoch of training gave: mean loss and correct answers as seen while training."""

    loss: float
    correct: int
    count: int
    last_batch_loss: float
    learning_rate: float


@dataclass(frozen=True)
class EvaluationPass:
    """What one pass over held-out images gave: mean loss, correct answers, and logits of shape (N, K)."""

    loss: float
    correct: int
    count: int
    logits: torch.Tensor


class Loop:
    """A module, its optimiser and everything that one epoch needs.

    Args:
        module: the net; it is moved to the device and its dropout layers draw from derived streams from now on.
        recipe: how to train.
        training: the images to train on.
        normalisation: how pixels become inputs.
        seed: what all random numbers derive from.
        device: where to compute.
        engine: "compiled" for machine code written for the net, "plain" for torch; None takes machine code where it
            can be had.

    Attributes:
        stage: called with the name of each stage of the work; set it to a clock to see where the time goes.
        deferred: whether losses stay on the device until an epoch ends, so that nothing waits for it before; so it is
            wherever the device is no processor.
    """

    def __init__(
        self,
        module: nn.Module,
        recipe: Recipe,
        training: Images,
        normalisation: Normalisation,
        seed: int,
        device: torch.device,
        engine: str | None = None,
    ) -> None:
        keep_freed_memory()
        prefer_repeatable(device)
        dropouts = dropout.use_streams(module)
        # Channels-last convolutions are faster on processors and GPUs alike for nets this small.
        self.module = module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe = recipe
        self.training = training
        self.normalisation = normalisation
        self.seed = seed
        self.device = device
        self.stage: Stage = untimed
        self.deferred = device.type != "cpu"
        self.steps = steps_per_epoch(len(training), recipe.batch_size)
        self.optimiser = build_optimiser(self.module, recipe)
        self.rates = RateTable(recipe, self.steps)
        self._averaging = build_averaging(self.module, recipe, recipe.epochs * self.steps)
        self.passes = build_passes(engine, self.module, dropouts, recipe, training, normalisation, seed)
        self.engine = self.passes.name

    def train_epoch(
        self,
        epoch: int,
        watched_losses: Sequence[float],
        report: Callable[[Progress], None] | None = None,
    ) -> TrainingPass:
        """Train for one epoch and return what was seen.

        Args:
            epoch: its index, from 0.
            watched_losses: the losses of the epochs before, for schedules that watch them.
            report: called after every step; where losses are deferred after the last one only.

        Raises:
            TrainingError: if the loss stops being a finite number; the optimiser step is not taken. Where losses are
                deferred that is seen when the epoch ends, and the weights go back to where they were when it began.
        """
        self.module.train()
        with self.passes.working():
            return self._train_epoch(epoch, watched_losses, report)

    def _train_epoch(
        self, epoch: int, watched_losses: Sequence[float], report: Callable[[Progress], None] | None
    ) -> TrainingPass:
        with self.stage("data"):
            order = self._order(epoch)
            rates = self.rates.epoch(epoch, watched_losses)
        start = copied(self.module.state_dict(), self.average or {}) if self.deferred else []
        tally = Tally(self.steps, self.device, self.deferred)
        started = time.perf_counter()
        for step, chosen in enumerate(torch.split(order, self.recipe.batch_size)[: self.steps]):
            set_rate(self.optimiser, rates[step])
            with self.stage("data"):
                labels = self.training.labels[chosen]
            with self.stage("augmentation"):
                prepared = self.passes.prepare(chosen, epoch, step)
            with self.stage("forward"):
                logits, loss = self.passes.forward(prepared, labels, epoch, step)
            if not tally.add_loss(loss):
                raise not_a_number(epoch, step, tally.losses[step], self.recipe, rates[step])
            with self.stage("backward"):
                self.passes.backward(loss)
            with self.stage("optimiser"):
                self.optimiser.step()
            with self.stage("averaging"):
                if self._averaging is not None:
                    self._averaging.update(epoch * self.steps + step)
            tally.add_answers(logits, labels)
            if report is not None and not self.deferred:
                report(self._progress(epoch, tally, started))
        tally.settle()
        bad = tally.first_bad_step()
        if bad is not None:
            put_back(start)
            raise not_a_number(epoch, bad, tally.losses[bad], self.recipe, rates[bad])
        if report is not None and self.deferred:
            report(self._progress(epoch, tally, started))
        return TrainingPass(tally.mean_loss(), tally.correct, tally.count, tally.losses[-1], rates[-1])

    @torch.inference_mode()
    def evaluate(self, images: Images) -> EvaluationPass:
        """Return loss and correct answers of the module in evaluation mode, without augmentation or dropout."""
        with self.stage("evaluation"), self.passes.working():
            return self._evaluate(images)

    def _evaluate(self, images: Images) -> EvaluationPass:
        self.module.eval()
        joined = self.passes.evaluate(images, self.average or {})
        loss = functional.cross_entropy(joined, images.labels).item()
        correct = int((joined.argmax(1) == images.labels).sum())
        return EvaluationPass(loss, correct, len(images), joined)

    @property
    def average(self) -> dict[str, torch.Tensor] | None:
        """The average of the weights that is evaluated in their place, by their names; None if there is none."""
        return self._averaging.state if self._averaging is not None else None

    def state(self) -> dict[str, torch.Tensor]:
        """Return the weights and statistics that are evaluated: the module's, or their average."""
        return self._live_state() if self.average is None else dict(self.average)

    def _progress(self, epoch: int, tally: Tally, started: float) -> Progress:
        step, elapsed = len(tally.losses), time.perf_counter() - started
        return Progress(epoch + 1, step, self.steps, tally.losses[-1], tally.correct / tally.count, elapsed)

    def _live_state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}

    def _order(self, epoch: int) -> torch.Tensor:
        numbers = randomness.numpy_stream(self.seed, "shuffle", epoch)
        order = numbers.permutation(len(self.training)).astype(numpy.int64)
        return torch.from_numpy(order).to(self.device)


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the optimiser steps an epoch; a last batch of one image is left out (batch-norm cannot use it)."""
    full, rest = divmod(count, batch_size)
    return full + (1 if rest > 1 else 0)


def not_a_number(epoch: int, step: int, value: float, recipe: Recipe, rate: float) -> TrainingError:
    """Return the error for a loss that is ``value`` in an epoch and a step, both from 0."""
    advice = [f"a lower learning rate (try {recipe.learning_rate / 10:g})"]
    if recipe.precision != "float32":
        advice.append("precision float32")
    advice.append("a schedule with a warm-up (one-cycle)")
    return TrainingError(
        f"the loss became {value} in epoch {epoch + 1}, step {step + 1}; the step was not taken and the last "
        "finished epoch is kept",
        given=f"learning rate {rate:g}, optimiser {recipe.optimiser}, precision {recipe.precision}",
        repair="try " + ", or ".join(advice),
    )
