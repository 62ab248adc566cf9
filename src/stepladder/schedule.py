"""Learning-rate schedules: torch's own, read off as one table of rates.

A schedule other than reduce-on-plateau is a function of the step alone, so it is unrolled once into an array. The
training loop, the pictures and a resumed run all read that one array, and no scheduler state needs to be stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import torch
from torch.optim import lr_scheduler

from stepladder.optimisers import lean
from stepladder.spec import Cosine, MultiStepDecay, OneCycle, Plateau, Recipe, StepDecay


def unroll(recipe: Recipe, steps_per_epoch: int) -> numpy.ndarray:
    """Return the learning rate of every step, float64 of shape (epochs, steps_per_epoch).

    Raises:
        ValueError: for reduce-on-plateau, whose rates depend on the losses; see ``plateau_rates``.
    """
    schedule = recipe.schedule
    total = recipe.epochs * steps_per_epoch
    optimiser = _throwaway_optimiser(recipe.learning_rate)
    per_epoch = False
    scheduler: lr_scheduler.LRScheduler | None = None
    match schedule:
        case StepDecay():
            per_epoch = True
            scheduler = lr_scheduler.StepLR(optimiser, schedule.every, schedule.factor)
        case MultiStepDecay():
            per_epoch = True
            scheduler = lr_scheduler.MultiStepLR(optimiser, list(schedule.at), schedule.factor)
        case Cosine():
            scheduler = lr_scheduler.CosineAnnealingLR(optimiser, max(total - 1, 1), schedule.final)
        case OneCycle():
            scheduler = lr_scheduler.OneCycleLR(
                optimiser,
                max_lr=recipe.learning_rate,
                total_steps=max(total, 2),
                pct_start=schedule.warm_up,
                div_factor=schedule.start_divisor,
                final_div_factor=schedule.final_divisor,
                cycle_momentum=False,
            )
        case Plateau():
            raise ValueError("the rates of reduce-on-plateau depend on the losses")
    rates = numpy.empty(total)
    for step in range(total):
        rates[step] = optimiser.param_groups[0]["lr"]
        optimiser.step()
        at_end_of_epoch = (step + 1) % steps_per_epoch == 0
        if scheduler is not None and step + 1 < total and (at_end_of_epoch or not per_epoch):
            scheduler.step()
    return rates.reshape(recipe.epochs, steps_per_epoch)


def plateau_rates(recipe: Recipe, losses: Sequence[float]) -> list[float]:
    """Return the learning rates of the epochs so far and of the next one under reduce-on-plateau.

    Args:
        recipe: a recipe whose schedule is ``Plateau``.
        losses: the watched loss of each finished epoch.

    Returns:
        One rate more than there are losses.
    """
    schedule = recipe.schedule
    if not isinstance(schedule, Plateau):
        raise ValueError("plateau_rates needs a reduce-on-plateau schedule")
    optimiser = _throwaway_optimiser(recipe.learning_rate)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=schedule.factor, patience=schedule.patience, threshold=schedule.threshold
    )
    rates = [recipe.learning_rate]
    for loss in losses:
        optimiser.step()
        scheduler.step(loss)
        rates.append(float(optimiser.param_groups[0]["lr"]))
    return rates


class RateTable:
    """The learning rate of any step of a run, whatever the schedule.

    Args:
        recipe: what to train with.
        steps_per_epoch: optimiser steps an epoch.
    """

    def __init__(self, recipe: Recipe, steps_per_epoch: int) -> None:
        self._recipe = recipe
        self._steps = steps_per_epoch
        self._watches_losses = isinstance(recipe.schedule, Plateau)
        self._fixed = None if self._watches_losses else unroll(recipe, steps_per_epoch)

    def epoch(self, index: int, losses: Sequence[float]) -> list[float]:
        """Return the rate of every step of epoch ``index`` (from 0), given the losses of the epochs before."""
        if self._fixed is not None:
            return [float(rate) for rate in self._fixed[index]]
        return [plateau_rates(self._recipe, losses[:index])[-1]] * self._steps


def _throwaway_optimiser(rate: float) -> torch.optim.Optimizer:
    return lean(torch.optim.SGD)([torch.nn.Parameter(torch.zeros(1))], lr=rate)
