"""The rule that turns gradients into steps, for a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from stepladder.spec import Recipe

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def build_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over all parameters that can be trained; ``set_rate`` gives it its rates.

    Biases of batch normalisation learn ``bias_rate`` times as fast as the rest and are pulled to zero as strongly.
    """
    groups = _groups(module, recipe)
    rate, decay = recipe.learning_rate, recipe.weight_decay
    match recipe.optimiser:
        case "sgd":
            return torch.optim.SGD(
                groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=decay, fused=True
            )
        case "adam":
            return torch.optim.Adam(groups, lr=rate, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
        case "muon":
            return Muon(groups, rate, recipe.momentum, recipe.nesterov, decay)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step; a group's ``factor`` says how many times that rate it gets."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)


class Muon(torch.optim.Optimizer):
    """SGD with momentum whose steps of whole matrices are made orthogonal.

    A layer's step then changes every direction of its input about equally, instead of a few strongly. The groups
    whose ``orthogonal`` is true are treated so, each weight as a matrix of (outputs, all the rest); the other groups
    take plain steps of SGD.

    Args:
        groups: dictionaries of ``params``, and of what differs from the rest.
        rate: learning rate.
        momentum: how much of the last step is kept.
        nesterov: whether to look ahead along the momentum.
        weight_decay: pull of the weights towards zero, apart from the gradient (as in AdamW).

    Source: Keller Jordan and others, Muon: an optimizer for hidden layers in neural networks, 2024.
    """

    def __init__(
        self, groups: list[dict[str, Any]], rate: float, momentum: float, nesterov: bool, weight_decay: float
    ) -> None:
        defaults = {"lr": rate, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(groups, defaults | {"orthogonal": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients that the parameters hold."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                velocity = state["momentum_buffer"].mul_(momentum).add_(gradient)
                direction = gradient.add(velocity, alpha=momentum) if group["nesterov"] else velocity
                if group["orthogonal"]:
                    direction = orthogonalise(direction)
                parameter.mul_(1 - rate * group["weight_decay"]).add_(direction, alpha=-rate)


def orthogonalise(gradient: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return the matrix nearest to orthogonal that has the gradient's singular directions, roughly and fast.

    Its singular values lie near 1 (from about 0.7 to 1.2) but for those that were next to nothing.

    Args:
        gradient: of any shape of at least two dimensions, seen as a matrix of (first, all the rest).
        steps: of the Newton-Schulz iteration, whose coefficients are those of Muon's authors: they were chosen to
            lift small singular values fast, not to converge.
    """
    matrix = gradient.reshape(len(gradient), -1)
    is_tall = matrix.shape[0] > matrix.shape[1]
    if is_tall:
        matrix = matrix.T
    matrix = matrix / (matrix.norm() + 1e-7)
    first, third, fifth = _COEFFICIENTS
    for _ in range(steps):
        square = matrix @ matrix.T
        matrix = torch.addmm(matrix, torch.addmm(square, square, square, beta=third, alpha=fifth), matrix, beta=first)
    return (matrix.T if is_tall else matrix).reshape(gradient.shape)


def _groups(module: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the parameters in groups by how they are trained, in the module's order within each."""
    norms = [layer for layer in module.modules() if isinstance(layer, _NORMS)]
    shifts = {id(norm.bias) for norm in norms} if recipe.bias_rate != 1 else set()
    matrices, biases, rest = [], [], []
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) in shifts:
            biases.append(parameter)
        elif recipe.optimiser == "muon" and parameter.ndim > 1:
            matrices.append(parameter)
        else:
            rest.append(parameter)
    factor = recipe.bias_rate
    groups: list[dict[str, Any]] = [
        {"params": rest},
        {"params": biases, "factor": factor, "weight_decay": recipe.weight_decay / factor},
        {"params": matrices, "factor": recipe.matrix_rate / recipe.learning_rate, "orthogonal": True},
    ]
    return [group for group in groups if group["params"]]
