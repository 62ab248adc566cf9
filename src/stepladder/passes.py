"""How a net's passes are computed: by torch, or on a processor by machine code that is written for the net."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

from stepladder import cache, randomness
from stepladder.augment import affine_maps, augment
from stepladder.dropout import StreamDropout
from stepladder.engine import UnsupportedNet, missing
from stepladder.inputs import Images, Normalisation
from stepladder.spec import Recipe

State = dict[str, torch.Tensor]
_EVALUATION_BATCH = 1000


class Passes(Protocol):
    """A module's passes over one data set, whatever computes them."""

    name: str
    """"compiled" or "plain"."""

    def prepare(self, chosen: torch.Tensor, epoch: int, step: int) -> Any:
        """Return a step's training images as ``forward`` takes them, varied as the recipe says.

        Args:
            chosen: which images, int64 (B,).
            epoch: from 0.
            step: likewise.
        """

    def forward(self, prepared: Any, labels: torch.Tensor, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of a training step, float32 (B, K), and the mean loss."""

    def backward(self, loss: torch.Tensor) -> None:
        """Put the gradients of the last step's loss where the parameters hold them."""

    def evaluate(self, images: Images, weights: State) -> torch.Tensor:
        """Return the logits of all images in evaluation mode, float32 (N, K).

        Args:
            images: as they are.
            weights: what to use in place of the module's own; empty for nothing.
        """

    def working(self) -> AbstractContextManager[None]:
        """Return the context in which an epoch or an evaluation is computed."""

    def timings(self) -> dict[str, float]:
        """Return shares of the passes' own time by what took it, and begin anew; empty where they are not known."""


class _PassesOfOne:
    """What every kind of passes holds.

    Args:
        module: in channels-last memory format, on the device of the images.
        dropouts: its dropout layers, in order.
        recipe: how to train.
        training: the images to train on.
        normalisation: how pixels become inputs.
        seed: what augmentation and dropout derive from.
    """

    def __init__(
        self,
        module: nn.Module,
        dropouts: list[StreamDropout],
        recipe: Recipe,
        training: Images,
        normalisation: Normalisation,
        seed: int,
    ) -> None:
        self.module = module
        self.dropouts = dropouts
        self.recipe = recipe
        self.training = training
        self.normalisation = normalisation
        self.seed = seed
        self.device = training.pixels.device


class PlainPasses(_PassesOfOne):
    """Passes by torch, on any device."""

    name = "plain"

    def prepare(self, chosen: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """Return the images, float32 (B, C, H, W)."""
        generator = randomness.torch_stream(self.seed, "augment", epoch, step, device=self.device)
        scaled = self.normalisation.scale(self.training.pixels[chosen])
        # Augment before normalising: what moves in from outside must be background, which is 0 only here.
        varied = augment(scaled, self.recipe.augmentation, generator)
        return self.normalisation.apply(varied).contiguous(memory_format=torch.channels_last)

    def forward(
        self, prepared: torch.Tensor, labels: torch.Tensor, epoch: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and loss."""
        restart(self.dropouts, self.seed, epoch, step)
        with self._precision():
            logits = self.module(prepared).flatten(1).to(torch.float32)
        return logits, functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    def backward(self, loss: torch.Tensor) -> None:
        """Let torch compute the gradients."""
        for parameter in self.module.parameters():
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]

    def evaluate(self, images: Images, weights: State) -> torch.Tensor:
        """Return logits, batch by batch."""
        logits = []
        for pixels in torch.split(images.pixels, _EVALUATION_BATCH):
            inputs = self.normalisation.apply(self.normalisation.scale(pixels))
            with self._precision():
                outputs: torch.Tensor = torch.func.functional_call(self.module, weights, inputs)
            # A net that ends in a convolution gives (N, K, 1, 1).
            logits.append(outputs.flatten(1).to(torch.float32))
        return torch.cat(logits)

    def working(self) -> AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return nullcontext()

    def timings(self) -> dict[str, float]:
        """Return nothing: torch has a profiler of its own."""
        return {}

    def _precision(self) -> torch.autocast:
        mixed = self.recipe.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed)


class CompiledPasses(_PassesOfOne):
    """Passes by machine code.

    Results agree with torch's within rounding, but for dropout, whose masks are other ones.

    Raises:
        UnsupportedNet: if the net has a layer without a kernel.
    """

    name = "compiled"

    def __init__(
        self,
        module: nn.Module,
        dropouts: list[StreamDropout],
        recipe: Recipe,
        training: Images,
        normalisation: Normalisation,
        seed: int,
    ) -> None:
        from stepladder.engine.net import CompiledNet

        super().__init__(module, dropouts, recipe, training, normalisation, seed)
        shape = training.pixels.shape
        self.net = CompiledNet(
            module,
            (shape[1], shape[2], shape[3]),
            min(recipe.batch_size, len(training)),
            recipe.precision,
            threads=torch.get_num_threads(),
            folder=cache.folder() / "engine",
        )
        self._maps: tuple[int, list[torch.Tensor]] = (-1, [])
        self._d_logits = torch.empty(0)

    def prepare(self, chosen: torch.Tensor, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return which images, and the maps through which the kernels look them up."""
        if self.recipe.augmentation.is_none:
            return chosen, None
        if self._maps[0] != epoch:
            self._maps = (epoch, self._maps_of(epoch))
        return chosen, self._maps[1][step]

    def forward(
        self, prepared: tuple[torch.Tensor, torch.Tensor | None], labels: torch.Tensor, epoch: int, step: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and loss."""
        restart(self.dropouts, self.seed, epoch, step)
        logits = self.net.forward(self.training, *prepared, self.normalisation)
        loss, self._d_logits = loss_and_gradient(logits, labels, self.recipe.label_smoothing)
        return logits, loss

    def backward(self, loss: torch.Tensor) -> None:
        """Let the kernels compute the gradients of the step that ``forward`` took last."""
        self.net.backward(self._d_logits)

    def evaluate(self, images: Images, weights: State) -> torch.Tensor:
        """Return logits."""
        return self.net.evaluate(images, self.normalisation, weights or None)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Leave the processor's cores to the kernels: torch's own threads would wait for work in a loop."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self.net.refresh()
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def timings(self) -> dict[str, float]:
        """Return the share of each block's convolution and what follows it, forward and backward."""
        return self.net.timings()

    def _maps_of(self, epoch: int) -> list[torch.Tensor]:
        """Return the maps of all steps of an epoch: drawn step by step, computed together."""
        size, count = self.recipe.batch_size, len(self.training)
        rows, columns = self.training.pixels.shape[2:]
        full, rest = divmod(count, size)
        streams = [randomness.torch_stream(self.seed, "augment", epoch, step) for step in range(full + 1)]
        maps: list[torch.Tensor] = []
        for number, some in ((full * size, streams[:full]), (rest, streams[full:])):
            if number:
                together = affine_maps(self.recipe.augmentation, number, (rows, columns), some)
                maps += torch.split(together, size)
        return maps


def build_passes(
    engine: str | None,
    module: nn.Module,
    dropouts: list[StreamDropout],
    recipe: Recipe,
    training: Images,
    normalisation: Normalisation,
    seed: int,
) -> Passes:
    """Return what computes the module's passes.

    Args:
        engine: "compiled" or "plain"; None takes machine code where it can be had.
        module: in channels-last memory format, on the device of the images.
        dropouts: its dropout layers, in order.
        recipe: how to train.
        training: the images to train on.
        normalisation: how pixels become inputs.
        seed: what augmentation and dropout derive from.

    Raises:
        UnsupportedNet: if machine code is asked for by name and cannot be had.
    """
    arguments = (module, dropouts, recipe, training, normalisation, seed)
    if engine == "plain":
        return PlainPasses(*arguments)
    try:
        reason = missing(training.pixels.device, recipe.precision)
        if reason is not None:
            raise UnsupportedNet(reason)
        return CompiledPasses(*arguments)
    except UnsupportedNet:
        if engine is not None:
            raise
        return PlainPasses(*arguments)


def restart(dropouts: list[StreamDropout], seed: int, epoch: int, step: int) -> None:
    """Let every dropout layer draw from its stream of this step."""
    for layer, module in enumerate(dropouts):
        module.restart(seed, layer, epoch, step)


def loss_and_gradient(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean cross-entropy, as torch's ``cross_entropy`` defines it, and its gradient.

    Args:
        logits: float32 (B, K).
        labels: int64 (B,).
        smoothing: share of the probability that all classes get evenly.
    """
    count, classes = logits.shape
    logarithms = functional.log_softmax(logits, 1)
    wanted = torch.full_like(logarithms, smoothing / classes)
    wanted.scatter_(1, labels.unsqueeze(1), 1 - smoothing + smoothing / classes)
    loss = -torch.dot(wanted.view(-1), logarithms.view(-1)) / count
    return loss, logarithms.exp_().sub_(wanted).div_(count)
