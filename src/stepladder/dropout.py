"""Dropout whose masks come from a derived stream and cost little.

``torch.nn.Dropout`` draws from torch's global generator, one 32-bit number an element; on the CPU that took more
than a third of a training step of the guide's net. The masks here compare 16 random bits an element, drawn in
bulk, with a threshold. They follow the same law, with the probability rounded to a multiple of 1/65,536 and the
kept values scaled by exactly that probability's complement, so the expectation is unchanged.
"""

from __future__ import annotations

import numpy
import torch
from torch import nn

from stepladder import randomness

_LEVELS = 1 << 16
_KEYS = 1 << 32


class StreamDropout(nn.Dropout):
    """A drop-in for ``torch.nn.Dropout`` that draws its masks from a stream set by ``restart``."""

    def __init__(self, probability: float) -> None:
        super().__init__(probability)
        self._dropped_levels = min(round(probability * _LEVELS), _LEVELS - 1)
        self._scale = _LEVELS / (_LEVELS - self._dropped_levels)
        self._position: tuple[int, int, int, int] | None = None

    @property
    def dropped_levels(self) -> int:
        """Return which of 65,536 levels of random bits are dropped: those below."""
        return self._dropped_levels

    @property
    def compensation(self) -> float:
        """Return what kept numbers are multiplied by."""
        return self._scale

    @property
    def key(self) -> int:
        """Return 32 bits that follow from the stream that ``restart`` has named."""
        seed, layer, epoch, step = self._named()
        return randomness.derive(seed, "dropout", layer, epoch, step) % _KEYS

    def restart(self, seed: int, layer: int, epoch: int, step: int) -> None:
        """Name the stream that the next forward pass draws from."""
        self._position = (seed, layer, epoch, step)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input with elements dropped in training mode, the input itself otherwise."""
        if not self.training or self._dropped_levels == 0:
            return input
        return input * self.mask(input)

    def mask(self, like: torch.Tensor) -> torch.Tensor:
        """Return what an input is multiplied by: 0 where it is dropped, just above 1 where it is kept.

        Args:
            like: an input; the mask gets its shape, type, device and order in memory.
        """
        seed, layer, epoch, step = self._named()
        if like.device.type == "cpu":
            numbers = randomness.numpy_stream(seed, "dropout", layer, epoch, step)
            return self._draw_on_cpu(numbers, like)
        generator = randomness.torch_stream(seed, "dropout", layer, epoch, step, device=like.device)
        return self._draw_on_device(generator, like)

    def _named(self) -> tuple[int, int, int, int]:
        if self._position is None:
            raise RuntimeError("StreamDropout needs restart() before a forward pass in training mode")
        return self._position

    def _draw_on_cpu(self, numbers: numpy.random.Generator, like: torch.Tensor) -> torch.Tensor:
        bits = numbers.integers(0, _LEVELS, size=like.numel(), dtype=numpy.uint16).view(numpy.int16)
        # int16 orders the same 65,536 levels from -32,768 up; torch compares int16 but not uint16 quickly.
        kept = torch.from_numpy(bits) >= self._dropped_levels - _LEVELS // 2
        mask = kept.to(like.dtype).mul_(self._scale)
        # The mask takes the memory order of its input, or the product would have to walk two orders.
        return mask.as_strided(like.size(), like.stride()) if _is_dense(like) else mask.view(like.shape)

    def _draw_on_device(self, generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
        keep = 1 - self._dropped_levels / _LEVELS
        return torch.empty_like(like).bernoulli_(keep, generator=generator).mul_(self._scale)


def use_streams(module: nn.Module) -> list[StreamDropout]:
    """Replace every ``torch.nn.Dropout`` inside the module; return the replacements in order."""
    replaced = []
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                dropout = StreamDropout(child.p)
                setattr(parent, name, dropout)
                replaced.append(dropout)
    return replaced


def _is_dense(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
