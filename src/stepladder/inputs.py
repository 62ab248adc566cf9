"""Images and their normalisation, as the loop takes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from stepladder.data import statistics

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True)
class Images:
    """Labelled images on the device: uint8 of shape (N, C, H, W) and int64 labels of shape (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Normalisation:
    """What is subtracted from pixels scaled to [0, 1], then what they are divided by, channel by channel.

    Mean and standard deviation of the training images, unless the recipe wants other inputs.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, inputs: str, images: numpy.ndarray) -> Normalisation:
        """Return the normalisation that makes the inputs which a recipe names.

        Args:
            inputs: "standardised", "scaled" or "raw", as ``Recipe.inputs``.
            images: the training images, uint8 of shape (N, C, H, W).
        """
        if inputs == "standardised":
            return cls(*statistics(images))
        channels = images.shape[1]
        return cls((0.0,) * channels, ((1.0 if inputs == "scaled" else 1 / 255),) * channels)

    def scale(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return uint8 pixels as floats in [0, 1]."""
        return pixels.to(torch.float32).div_(255)

    def apply(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return pixels from [0, 1] as the net takes them."""
        return (scaled - _a_channel(self.mean, scaled.device)) / _a_channel(self.deviation, scaled.device)


@lru_cache(maxsize=64)
def _a_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return the values as (1, C, 1, 1) on the device; kept, since to send them there would make the host wait."""
    # Made outside inference mode, or what evaluation asked for first could not be trained with afterwards.
    with torch.inference_mode(False):
        return torch.tensor(values, device=device).view(1, -1, 1, 1)
