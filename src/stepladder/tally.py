"""What the steps of an epoch gave: losses and right answers, asked for at once or once an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch


class Tally:
    """Loss and right answers of each step of one epoch.

    A number that Python asks for makes it wait until the device has done everything before. On a processor that costs
    nothing; a GPU then stands idle while the next step is being prepared, and with nets this small that is most of
    the time.

    Args:
        steps: of the epoch.
        device: where losses are computed.
        deferred: whether numbers stay on the device until ``settle``.
    """

    def __init__(self, steps: int, device: torch.device, deferred: bool) -> None:
        self.losses: list[float] = []
        self.correct = 0
        self.count = 0
        self._counts: list[int] = []
        self._deferred = deferred
        self._device_losses = torch.zeros(steps if deferred else 0, device=device)
        self._device_correct = torch.zeros((), dtype=torch.int64, device=device)

    def add_loss(self, loss: torch.Tensor) -> bool:
        """Keep the next step's loss, a scalar; return False if it is known at once not to be a finite number."""
        if self._deferred:
            self._device_losses[len(self._counts)] = loss.detach()
            return True
        self.losses.append(loss.item())
        return math.isfinite(self.losses[-1])

    def add_answers(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Count the right answers of that step, from logits of shape (B, K) and labels of shape (B,)."""
        right = (logits.argmax(1) == labels).sum()
        if self._deferred:
            self._device_correct += right
        else:
            self.correct += int(right)
        self._counts.append(len(labels))
        self.count += len(labels)

    def settle(self) -> None:
        """Fetch what is still on the device."""
        if self._deferred:
            self.losses = self._device_losses.tolist()
            self.correct = int(self._device_correct)

    def first_bad_step(self) -> int | None:
        """Return the first step, from 0, whose loss was not a finite number; None if there was none."""
        return next((step for step, loss in enumerate(self.losses) if not math.isfinite(loss)), None)

    def mean_loss(self) -> float:
        """Return the mean loss an image over the steps so far, in nats."""
        total = 0.0
        for loss, count in zip(self.losses, self._counts, strict=True):
            total += loss * count
        return total / self.count


def copied(*states: Mapping[str, torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return each tensor of the states with a copy of it, for ``put_back``."""
    return [(tensor, tensor.detach().clone()) for state in states for tensor in state.values()]


def put_back(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Give each tensor the values of its copy."""
    for tensor, values in pairs:
        tensor.copy_(values)
