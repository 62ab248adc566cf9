"""The guide's net in Lightning and in Keras 3 on JAX, as their users would train it; extras: pip install '.[bench]'."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy

from contest import Lap, NotInstalledError
from stepladder import data

_HOW = "install it with: pip install -c constraints.txt '.[bench]'"


def lightning_laps(*, images: int, name: str = "mnist") -> Iterator[Lap]:
    """Yield training laps of Lightning's Trainer with the reference way's net and loader.

    Logger, checkpoints, progress bar and model summary are off. Zero and two loader workers are tried first; the faster
    of them serves. A lap is timed from the start of Lightning's epoch to its end, so that setting up a fit is left out.
    """
    try:
        import lightning
    except ImportError:
        raise NotInstalledError(f"lightning is not installed; {_HOW}") from None
    import torch
    from torch.nn import functional

    from reference_way import guide_net, loaders

    class GuideNet(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = guide_net()
            self.seconds = 0.0
            self.loss = 0.0

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            images, labels = batch
            loss = functional.cross_entropy(self.net(images), labels)
            self.loss = loss.detach()
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)

        def on_train_epoch_start(self) -> None:
            self.began = perf_counter()

        def on_train_epoch_end(self) -> None:
            self.seconds = perf_counter() - self.began

    # Lightning advises more loader workers than there are cores to run them.
    warnings.filterwarnings("ignore")
    for logger in ("lightning", "lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    dataset = data.load(name)
    net = GuideNet()

    def lap(workers: int, batches: Any) -> Lap:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(net, batches)
        details = {"loss": float(net.loss), "loader_workers": workers, "threads": torch.get_num_threads()}
        return Lap(images, net.seconds, details)

    choices = {workers: loaders(dataset, workers=workers, images=images)[0] for workers in (0, 2)}
    trials = [lap(workers, batches) for workers, batches in choices.items() for _ in range(2)]
    best = max(trials[1::2], key=lambda trial: trial.rate)  # the second of each: the first starts the workers
    yield best
    workers = best.details["loader_workers"]
    while True:
        yield lap(workers, choices[workers])


def keras_laps(*, images: int, name: str = "mnist") -> Iterator[Lap]:
    """Yield training laps of Keras 3 on JAX: ``fit`` on arrays in memory, compiled by XLA.

    The rotation is Keras's own layer at the head of the model (nearest pixel, as Pillow's default is), so that XLA
    compiles it with the rest.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    try:
        import jax  # noqa: F401
        import keras  # noqa: F401
    except ImportError:
        raise NotInstalledError(f"keras or jax is not installed; {_HOW}") from None
    dataset = data.load(name)
    pixels = dataset.train.images.transpose(0, 2, 3, 1).astype(numpy.float32) / 255
    labels = dataset.train.labels
    means, deviations = data.statistics(dataset.train.images)
    net = keras_net(means[0], deviations[0])
    numbers = numpy.random.Generator(numpy.random.PCG64(0))
    while True:
        chosen = numbers.permutation(len(labels))[:images]
        inputs, answers = pixels[chosen], labels[chosen]
        began = perf_counter()
        history = net.fit(inputs, answers, batch_size=128, epochs=1, verbose=0)
        yield Lap(len(chosen), perf_counter() - began, {"loss": history.history["loss"][0]})


def keras_net(mean: float, deviation: float) -> Any:
    """Return the guide's net in Keras, compiled, with rotation and normalisation as its first layers."""
    import keras
    from keras import layers

    def block(channels: int, kernel: int, *, dropout: bool = True) -> list[Any]:
        convolution = layers.Conv2D(channels, kernel, use_bias=False)
        return [
            convolution,
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            *([layers.Dropout(0.05)] if dropout else []),
        ]

    net = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.RandomRotation(7 / 360, fill_mode="constant", fill_value=0.0, interpolation="nearest"),
            layers.Normalization(mean=mean, variance=deviation**2),
            *block(8, 3),
            *block(16, 3),
            layers.MaxPooling2D(2),
            *block(8, 1, dropout=False),
            *block(12, 3),
            *block(16, 3),
            *block(20, 3),
            layers.GlobalAveragePooling2D(keepdims=True),
            *block(16, 1),
            layers.Conv2D(10, 1, use_bias=False),
            layers.Flatten(),
        ]
    )
    net.compile(
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return net
