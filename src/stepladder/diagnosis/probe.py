"""Layers on one batch: how large their values are, what is dead, and how far gradients reach."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from torch import nn
from torch.nn import functional

from stepladder.diagnosis.values import LayerState
from stepladder.inputs import Images, Normalisation
from stepladder.notation import Net
from stepladder.spec import Recipe

LARGEST_BATCH = 256


def batch_of(images: Images, size: int) -> Images:
    """Return images spread evenly over all, at most ``size`` and at most ``LARGEST_BATCH``."""
    count = min(len(images), size, LARGEST_BATCH)
    chosen = torch.linspace(0, len(images) - 1, count).long()
    return Images(images.pixels[chosen], images.labels[chosen])


def probe(
    net: Net, module: nn.Module, batch: Images, normalisation: Normalisation, recipe: Recipe
) -> tuple[float, tuple[LayerState, ...]]:
    """Return the loss on the batch, in nats, and every layer's state; the module is given back as it was.

    Batch normalisation takes the batch's statistics, as in training; dropout is off, so that nothing is drawn.

    Args:
        net: whose layers the module's children are.
        module: as ``Net.build`` gives it.
        batch: the images.
        normalisation: how pixels become inputs.
        recipe: whose learning rate turns gradients into steps. With momentum m steps add up to 1 / (1 - m) times as
            far, which is reckoned in.
    """
    was_training = module.training
    kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    children = list(module.children())
    try:
        module.train()
        for child in children:
            if isinstance(child, nn.Dropout | nn.Dropout2d):
                child.eval()
        values = normalisation.apply(normalisation.scale(batch.pixels))
        module.zero_grad()
        spreads: list[float] = []
        dead: list[float | None] = []
        for child in children:
            values = child(values)
            spreads.append(float(values.detach().std()) if values.numel() > 1 else 0.0)
            dead.append(_dead(values) if isinstance(child, nn.ReLU) else None)
        loss = functional.cross_entropy(values.flatten(1), batch.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        reach = recipe.learning_rate / (1 - recipe.momentum) if recipe.optimiser in ("sgd", "muon") else None
        states = tuple(
            _state(number, layer.token(), spread, share, child, reach)
            for number, (layer, child, spread, share) in enumerate(
                zip(net.layers, children, spreads, dead, strict=True), start=1
            )
        )
        return float(loss.detach()), states
    finally:
        module.zero_grad()
        module.load_state_dict(kept)
        module.train(was_training)


def _state(
    number: int, token: str, spread: float, dead: float | None, child: nn.Module, reach: float | None
) -> LayerState:
    gradient = update = None
    weight = getattr(child, "weight", None)
    if isinstance(child, nn.Conv2d | nn.Linear) and isinstance(weight, torch.Tensor) and weight.grad is not None:
        size = float(weight.grad.norm())
        gradient = size / weight.numel() ** 0.5
        norm = float(weight.detach().norm())
        update = reach * size / norm if reach is not None and norm > 0 else None
    return LayerState(f"{number} {token}", _number(spread), dead, _optional(gradient), _optional(update))


def _dead(values: torch.Tensor) -> float:
    """Return the share of channels that are 0 everywhere, for every image."""
    alive = (values.detach() > 0).transpose(0, 1).flatten(1).any(1)
    return 1 - float(alive.float().mean())


def reach_of_gradients(states: Sequence[LayerState]) -> float | None:
    """Return the first layer's gradient over the last one's, root mean squares; None with fewer than two layers."""
    gradients = [state.gradient for state in states if state.gradient is not None]
    if len(gradients) < 2:
        return None
    return gradients[0] / gradients[-1] if gradients[-1] > 0 else None


def _number(value: float) -> float:
    # JSON has no infinity; what is larger than this is as bad.
    return value if isfinite(value) else 1e30


def _optional(value: float | None) -> float | None:
    return None if value is None else _number(value)
