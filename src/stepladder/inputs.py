"""Images and their normalisation, as the loop takes them."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Images:
    """Labelled images on the device: uint8 of shape (N, C, H, W) and int64 labels of shape (N,)."""

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation a channel, of pixels scaled to [0, 1], from the training images only."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def scale(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return uint8 pixels as floats in [0, 1]."""
        return pixels.to(torch.float32).div_(255)

    def apply(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return pixels from [0, 1] with mean 0 and deviation 1 over the training set, channel by channel."""
        shape = (1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=scaled.device).view(shape)
        deviation = torch.tensor(self.deviation, device=scaled.device).view(shape)
        return (scaled - mean) / deviation
