"""A finished run's net, ready to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy

from stepladder.errors import RunError
from stepladder.notation import Net
from stepladder.runs import FinishedRun

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, eq=False)
class TrainedNet:
    """A net with its weights, in evaluation mode, and how pixels become its inputs.

    Args:
        net: the architecture.
        module: its torch module with the run's weights.
        input_shape: (channels, rows, columns) of one image.
        classes: the names of the classes, in the order of the logits.
        mean: of each channel over the training images, of pixels scaled to [0, 1].
        deviation: the standard deviation, likewise.
    """

    net: Net
    module: nn.Module
    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def logits(self, images: numpy.ndarray) -> numpy.ndarray:
        """Return logits, float32 of shape (N, K), for images uint8 of shape (N, C, H, W)."""
        import torch

        shape = (1, -1, 1, 1)
        scaled = torch.tensor(images).to(torch.float32).div_(255)
        inputs = (scaled - torch.tensor(self.mean).view(shape)) / torch.tensor(self.deviation).view(shape)
        with torch.inference_mode():
            outputs: torch.Tensor = self.module(inputs)
        return numpy.asarray(outputs.flatten(1).numpy())


def load(run: FinishedRun) -> TrainedNet:
    """Return the net of a finished run, on the processor, in float32.

    Raises:
        RunError: if the weights are missing, damaged, or those of another net.
    """
    import torch

    net = Net.parse(run.experiment.net)
    module = net.build(run.input_shape)
    state = {name: torch.tensor(array) for name, array in run.weights().items()}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(
            "the weights are not those of the run's net",
            given=f"{run.folder} ({str(error).splitlines()[0]})",
            repair="train it again in an empty folder",
        ) from None
    module.eval()
    normalisation = run.result["normalisation"]
    return TrainedNet(
        net, module, run.input_shape, run.classes, tuple(normalisation["mean"]), tuple(normalisation["deviation"])
    )
