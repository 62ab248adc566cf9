"""One epoch of training and one pass of evaluation over tensors in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import nn
from torch.nn import functional

from stepladder import dropout, fused, randomness
from stepladder.augment import affine_maps, augment
from stepladder.averaging import build_averaging
from stepladder.errors import TrainingError
from stepladder.inputs import Images, Normalisation
from stepladder.memory import keep_freed_memory
from stepladder.optimisers import build_optimiser, set_rate
from stepladder.repeatable import prefer_repeatable
from stepladder.schedule import RateTable
from stepladder.spec import Recipe
from stepladder.stages import Stage, untimed
from stepladder.tally import Tally, copied, put_back

EVALUATION_BATCH = 1000


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
        engine: "fused" for compiled kernels, "plain" for torch alone; None takes the kernels where they can be used.

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
        self.dropouts = dropout.use_streams(module)
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
        self.engine = engine or choose_engine(self.module, device)
        # The training pass; evaluation is torch's.
        self._training_net: Callable[[torch.Tensor], torch.Tensor] = self.module
        if self.engine == "fused" and isinstance(self.module, nn.Sequential):
            fused.use_threads(torch.get_num_threads())
            self._training_net = fused.FusedNet(self.module)

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
                inputs = self._batch(chosen, epoch, step)
            with self.stage("forward"):
                logits, loss = self._forward(inputs, labels, epoch, step)
            if not tally.add_loss(loss):
                raise not_a_number(epoch, step, tally.losses[step], self.recipe, rates[step])
            with self.stage("backward"):
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
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
        with self.stage("evaluation"):
            return self._evaluate(images)

    def _evaluate(self, images: Images) -> EvaluationPass:
        self.module.eval()
        weights = self.average or {}
        logits = []
        for pixels in torch.split(images.pixels, EVALUATION_BATCH):
            inputs = self.normalisation.apply(self.normalisation.scale(pixels))
            logits.append(self._logits(inputs, weights).to(torch.float32))
        joined = torch.cat(logits)
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

    def _batch(self, chosen: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        generator = randomness.torch_stream(self.seed, "augment", epoch, step, device=self.device)
        if self.engine == "fused" and not self.recipe.augmentation.is_none:
            pixels = self.training.pixels
            maps = affine_maps(self.recipe.augmentation, len(chosen), (pixels.shape[2], pixels.shape[3]), generator)
            return fused.warp(pixels, chosen, maps, self.normalisation)
        scaled = self.normalisation.scale(self.training.pixels[chosen])
        # Augment before normalising: what moves in from outside must be background, which is 0 only here.
        varied = augment(scaled, self.recipe.augmentation, generator)
        return self.normalisation.apply(varied).contiguous(memory_format=torch.channels_last)

    def _forward(
        self, inputs: torch.Tensor, labels: torch.Tensor, epoch: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        for layer, module in enumerate(self.dropouts):
            module.restart(self.seed, layer, epoch, step)
        with self._precision():
            logits = self._training_net(inputs).flatten(1).to(torch.float32)
        smoothing = self.recipe.label_smoothing
        return logits, functional.cross_entropy(logits, labels, label_smoothing=smoothing)

    def _precision(self) -> torch.autocast:
        mixed = self.recipe.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed)

    def _logits(self, inputs: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        with self._precision():
            outputs: torch.Tensor = torch.func.functional_call(self.module, weights, inputs)
        # A net that ends in a convolution gives (N, K, 1, 1).
        return outputs.flatten(1)


def choose_engine(module: nn.Module, device: torch.device) -> str:
    """Return "fused" where the compiled kernels can train the module, or else "plain"."""
    return "fused" if device.type == "cpu" and isinstance(module, nn.Sequential) and not fused.missing() else "plain"


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
