"""Averages of the weights over the steps of a run: what is evaluated and kept in the weights' place."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from stepladder.spec import Recipe


def build_averaging(module: nn.Module, recipe: Recipe, steps: int) -> Averaging | None:
    """Return the recipe's average of the module's weights over a run of that many steps; None for no average."""
    if recipe.averaging:
        return MovingAverage(module, recipe.averaging)
    if recipe.tail_averaging:
        return TailAverage(module, round(steps * (1 - recipe.tail_averaging)))
    if recipe.lookahead:
        return Lookahead(module, recipe.lookahead)
    return None


class Averaging(ABC):
    """Weights and batch-norm statistics that follow a module's; the module trains on.

    Attributes:
        state: the average, by the names of the module's ``state_dict``. It is all that a resumed run needs.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self.state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @abstractmethod
    def share(self, step: int) -> float:
        """Return how much of the way from the average to the weights the average goes after step ``step`` (from 0)."""

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step`` of the run, from 0."""
        live = self._module.state_dict()
        averaged = [name for name, tensor in live.items() if tensor.is_floating_point()]
        self._move(averaged, live, self.share(step))
        for name in live.keys() - set(averaged):
            self.state[name].copy_(live[name])

    def _move(self, names: list[str], live: dict[str, torch.Tensor], share: float) -> None:
        torch._foreach_lerp_([self.state[name] for name in names], [live[name] for name in names], share)


class MovingAverage(Averaging):
    """The exponential moving average (EMA): each step counts ``decay`` times as much as the one after it."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__(module)
        self._decay = decay

    def share(self, step: int) -> float:
        """Return the weight of the newest step.

        The first steps count less than a full memory would: an average that still holds the random start would take
        thousands of steps to forget it.
        """
        return 1 - min(self._decay, (1 + step) / (10 + step))


class TailAverage(Averaging):
    """The even average of the weights after every step from ``start`` on (stochastic weight averaging).

    Before that it is the weights themselves. Batch-norm statistics are averaged as the weights are, not measured
    anew: over the end of a run they hardly change.

    Source: Izmailov and others, Averaging Weights Leads to Wider Optima and Better Generalization, 2018.
    """

    def __init__(self, module: nn.Module, start: int) -> None:
        super().__init__(module)
        self._start = start

    def share(self, step: int) -> float:
        """Return 1 over the number of steps averaged so far, this one counted."""
        return 1 / (1 + max(0, step - self._start))


class Lookahead(Averaging):
    """Slow weights that go half of the way to the trained ones after every few steps, which then start from there.

    Batch-norm statistics are the module's own.

    Source: Zhang and others, Lookahead Optimizer: k steps forward, 1 step back, 2019.
    """

    def __init__(self, module: nn.Module, every: int) -> None:
        super().__init__(module)
        self._every = every
        self._parameters = [name for name, _ in module.named_parameters()]

    def share(self, step: int) -> float:
        """Return one half after every few steps, and else 0."""
        return 0.5 if (step + 1) % self._every == 0 else 0.0

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step`` of the run, and after every few steps put the average back."""
        live = self._module.state_dict()
        for name in live.keys() - set(self._parameters):
            self.state[name].copy_(live[name])
        share = self.share(step)
        if share:
            self._move(self._parameters, live, share)
            torch._foreach_copy_(
                [live[name] for name in self._parameters], [self.state[name] for name in self._parameters]
            )
