"""One epoch of several nets side by side, each on the images, in the order and with the masks of a run of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy
import torch
from torch import nn
from torch.nn import functional

from stepladder import randomness
from stepladder.augment import augment
from stepladder.averaging import build_averaging
from stepladder.initialise import prepare_module
from stepladder.inputs import Images
from stepladder.loop import EvaluationPass, Progress, TrainingPass, not_a_number, steps_per_epoch
from stepladder.memory import keep_freed_memory
from stepladder.optimisers import build_optimiser, set_rate
from stepladder.repeatable import prefer_repeatable
from stepladder.schedule import RateTable
from stepladder.spec import Experiment
from stepladder.tally import copied, put_back
from stepladder.together import SeparateDropout, State, joined
from stepladder.train import Materials, build_module, check_outputs

_IMAGES_AT_ONCE = 1000
"""Of all seeds, in evaluation."""


class ManyLoop:
    """Nets side by side, their one optimiser and everything that one epoch needs.

    Args:
        experiments: equal but for their seeds.
        materials: the images, on the device.
        device: where to compute.
        layout: the order of maps in memory; it changes the speed and nothing else but rounding.
    """

    def __init__(
        self,
        experiments: Sequence[Experiment],
        materials: Materials,
        device: torch.device,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        keep_freed_memory()
        prefer_repeatable(device)
        self.seeds = [experiment.seed for experiment in experiments]
        self.recipe = experiments[0].recipe
        self.training = materials.training
        self.normalisation = materials.normalisation
        self.device = device
        self._layout = layout
        self.steps = steps_per_epoch(len(self.training), self.recipe.batch_size)
        modules = [self._first_net(experiment, materials) for experiment in experiments]
        self._shape = materials.input_shape
        example = torch.zeros(2, *self._shape, device=device).contiguous(memory_format=torch.channels_last)
        self.module: nn.Module = joined(modules, example).to(device=device, memory_format=layout)  # type: ignore[call-overload]
        self._dropouts = [layer for layer in self.module.modules() if isinstance(layer, SeparateDropout)]
        self.optimiser = build_optimiser(self.module, self.recipe)
        self._averaging = build_averaging(self.module, self.recipe, self.recipe.epochs * self.steps)
        self._rates = RateTable(self.recipe, self.steps)

    @property
    def average(self) -> State | None:
        """The average of the weights that is evaluated in their place, by their names; None if there is none."""
        return self._averaging.state if self._averaging is not None else None

    def state(self) -> State:
        """Return the weights and statistics that are evaluated, of all seeds; ``separate`` takes them apart."""
        return dict(self.module.state_dict()) if self.average is None else dict(self.average)

    def train_epoch(self, epoch: int, report: Callable[[Progress], None] | None = None) -> list[TrainingPass]:
        """Train for one epoch, its index from 0, and return what was seen, seed by seed.

        Nothing waits for the device until the epoch ends. ``report`` is called then.

        Raises:
            TrainingError: if a loss stopped being a finite number; the weights go back to where they began.
        """
        self.module.train()
        rates = self._rates.epoch(epoch, [])
        start = copied(self.module.state_dict(), self.average or {})
        losses = torch.zeros((self.steps, len(self.seeds)), device=self.device)
        correct = torch.zeros(len(self.seeds), dtype=torch.int64, device=self.device)
        counts = []
        began = perf_counter()
        for step, chosen in enumerate(torch.split(self._orders(epoch), self.recipe.batch_size)[: self.steps]):
            set_rate(self.optimiser, rates[step])
            labels = self.training.labels[chosen]
            logits, loss = self._forward(self._batch(chosen, epoch, step), labels, epoch, step)
            losses[step] = loss.detach()
            self.optimiser.zero_grad(set_to_none=True)
            # A seed's loss depends on its own weights alone, so the gradients of the sum are the gradients of each.
            loss.sum().backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            if self._averaging is not None:
                self._averaging.update(epoch * self.steps + step)
            correct += (logits.argmax(1) == labels).sum(0)
            counts.append(len(labels))
        seen, right = losses.double().cpu().numpy(), correct.tolist()
        if not numpy.isfinite(seen).all():
            put_back(start)
            bad = int(numpy.argmin(numpy.isfinite(seen).all(1)))
            raise not_a_number(epoch, bad, float(seen[bad].sum()), self.recipe, rates[bad])
        if report is not None:
            accuracy = sum(right) / sum(counts) / len(right)
            report(Progress(epoch + 1, self.steps, self.steps, seen[-1].mean(), accuracy, perf_counter() - began))
        means = numpy.average(seen, axis=0, weights=counts).tolist()
        return [
            TrainingPass(mean, hits, sum(counts), last, rates[-1])
            for mean, hits, last in zip(means, right, seen[-1].tolist(), strict=True)
        ]

    @torch.inference_mode()
    def evaluate(self, images: Images) -> list[EvaluationPass]:
        """Return loss, right answers and logits of every seed's net, without augmentation or dropout."""
        self.module.eval()
        count, logits = len(self.seeds), []
        for pixels in torch.split(images.pixels, max(1, _IMAGES_AT_ONCE // count)):
            inputs = self.normalisation.apply(self.normalisation.scale(pixels)).repeat(1, count, 1, 1)
            with self._precision():
                outputs = torch.func.functional_call(self.module, self.average or {}, inputs)
            logits.append(outputs.view(len(pixels), count, -1).to(torch.float32))
        found = []
        for mine in torch.cat(logits).unbind(1):
            loss = functional.cross_entropy(mine, images.labels).item()
            found.append(EvaluationPass(loss, int((mine.argmax(1) == images.labels).sum()), len(images), mine.clone()))
        return found

    def _first_net(self, experiment: Experiment, materials: Materials) -> nn.Sequential:
        module = build_module(experiment, materials.input_shape)
        check_outputs(module, materials)
        prepare_module(module, self.recipe, self.training, self.normalisation, experiment.seed)
        assert isinstance(module, nn.Sequential)
        return module

    def _orders(self, epoch: int) -> torch.Tensor:
        """Return the order of the images of every seed, int64 of shape (N, seeds)."""
        streams = (randomness.numpy_stream(seed, "shuffle", epoch) for seed in self.seeds)
        orders = [stream.permutation(len(self.training)).astype(numpy.int64) for stream in streams]
        return torch.from_numpy(numpy.stack(orders, 1)).to(self.device)

    def _batch(self, chosen: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """Return (B, seeds·C, rows, columns) from the images chosen, (B, seeds)."""
        streams = [randomness.torch_stream(seed, "augment", epoch, step, device=self.device) for seed in self.seeds]
        scaled = self.normalisation.scale(self.training.pixels[chosen.T.flatten()])
        varied = self.normalisation.apply(augment(scaled, self.recipe.augmentation, streams))
        rows, columns = varied.shape[2:]
        apart = varied.view(len(self.seeds), len(chosen), -1, rows, columns).transpose(0, 1)
        return apart.reshape(len(chosen), -1, rows, columns).contiguous(memory_format=self._layout)

    def _forward(
        self, inputs: torch.Tensor, labels: torch.Tensor, epoch: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, K, seeds) and the mean loss of every seed."""
        for layer, dropout in enumerate(self._dropouts):
            dropout.restart(self.seeds, layer, epoch, step)
        with self._precision():
            outputs = self.module(inputs).to(torch.float32)
        logits = outputs.view(len(labels), len(self.seeds), -1).transpose(1, 2)
        smoothing = self.recipe.label_smoothing
        return logits, functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none").mean(0)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.recipe.precision == "bfloat16")
