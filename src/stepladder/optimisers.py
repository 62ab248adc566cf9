"""The rule that turns gradients into steps, for a recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy
import torch
from torch import nn

from stepladder.spec import Recipe

_Of = TypeVar("_Of", bound=torch.optim.Optimizer)
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def lean(kind: type[_Of]) -> type[_Of]:
    """Return a kind of optimiser that does the same without torch's compiler.

    torch wraps the methods of its optimisers so that its compiler leaves them alone, and imports that compiler, with
    distributed training and symbolic algebra, when the first of them is called. Nothing here is compiled by it, and
    the import takes as long as that of torch.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})


def build_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over all parameters that can be trained; ``set_rate`` gives it its rates.

    Biases of batch normalisation learn ``bias_rate`` times as fast as the rest and are pulled to zero as strongly.
    """
    groups = _groups(module, recipe)
    rate, decay = recipe.learning_rate, recipe.weight_decay
    match recipe.optimiser:
        case "sgd":
            return lean(torch.optim.SGD)(
                groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=decay, fused=True
            )
        case "adam":
            return lean(torch.optim.Adam)(groups, lr=rate, weight_decay=decay)
        case "adamw":
            return lean(torch.optim.AdamW)(groups, lr=rate, weight_decay=decay)
        case "muon":
            return lean(Muon)(groups, rate, recipe.momentum, recipe.nesterov, decay)


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
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            rate, momentum = group["lr"], group["momentum"]
            gradients = [parameter.grad for parameter in parameters]
            velocities = [self._velocity(parameter) for parameter in parameters]
            torch._foreach_mul_(velocities, momentum)
            torch._foreach_add_(velocities, gradients)
            directions = velocities
            if group["nesterov"]:
                directions = list(torch._foreach_add(gradients, velocities, alpha=momentum))
            if group["orthogonal"]:
                directions = orthogonalise(directions)
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
            torch._foreach_add_(parameters, directions, alpha=-rate)

    def _velocity(self, parameter: torch.Tensor) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        found: torch.Tensor = state["momentum_buffer"]
        return found


def orthogonalise(gradients: Sequence[torch.Tensor], steps: int = 5) -> list[torch.Tensor]:
    """Return for each gradient the orthogonal matrix that has its singular directions, roughly and fast.

    The singular values then lie near 1 (from about 0.7 to 1.2) but for those that were next to nothing.

    Args:
        gradients: each of any shape of at least two dimensions, seen as a matrix of (first, all the rest).
        steps: of the Newton-Schulz iteration, whose coefficients are those of Muon's authors: they were chosen to
            lift small singular values fast, not to converge.
    """
    # NumPy does products as small as these in a quarter of the time that torch takes to set out.
    on_cpu = gradients[0].device.type == "cpu"
    matrices: list[Any] = [_wide(gradient.numpy() if on_cpu else gradient) for gradient in gradients]
    shape = (len(matrices), *(max(matrix.shape[axis] for matrix in matrices) for axis in (0, 1)))
    stack: Any = numpy.zeros(shape, numpy.float32) if on_cpu else gradients[0].new_zeros(shape)
    # All at once, with zeros around the smaller ones: what costs time here is the number of calls.
    for place, matrix in zip(stack, matrices, strict=True):
        place[: matrix.shape[0], : matrix.shape[1]] = matrix
    results = []
    for place, matrix, gradient in zip(_evened(stack, steps), matrices, gradients, strict=True):
        part = place[: matrix.shape[0], : matrix.shape[1]]
        part = (part if len(part) == len(gradient) else part.T).reshape(gradient.shape)
        results.append(torch.from_numpy(part) if on_cpu else part)
    return results


def _wide(gradient: Any) -> Any:
    matrix = gradient.reshape(len(gradient), -1)
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _evened(stack: Any, steps: int) -> Any:
    """Return the matrices with their singular values near 1; NumPy arrays or tensors, of shape (N, rows, columns).

    X becomes a X + b X Xᵀ X + c (X Xᵀ)² X again and again. Every such X is a polynomial in X Xᵀ times the first one,
    and polynomials in one matrix commute, so all of the work is done on square matrices of the smaller side.
    """
    stack = stack / ((stack * stack).sum((1, 2)) ** 0.5 + 1e-7)[:, None, None]
    squares = stack @ stack.swapaxes(1, 2)
    first, third, fifth = _COEFFICIENTS
    unit = squares[0] * 0
    unit[range(len(unit)), range(len(unit))] = first
    product = None
    for step in range(steps):
        factor = fifth * (squares @ squares) + third * squares + unit
        product = factor if product is None else factor @ product
        if step + 1 < steps:
            squares = factor @ squares @ factor
    return product @ stack if product is not None else stack


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
