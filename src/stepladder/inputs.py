"""Images and their normalisation, as the loop takes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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
        return (scaled - _a_channel(self.mean, scaled.device)) / _a_channel(self.deviation, scaled.device)


@lru_cache(maxsize=64)
def _a_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Return the values as (1, C, 1, 1) on the device; kept, since to send them there would make the host wait."""
    # Made outside inference mode, or what evaluation asked for first could not be trained with afterwards.
    with torch.inference_mode(False):
        return torch.tensor(values, device=device).view(1, -1, 1, 1)
