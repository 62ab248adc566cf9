"""What a net is given: shapes, tensors and names made into arguments of its forward; and the net itself, unwrapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stepladder.errors import SpecError
from stepladder.inspection.summary import Input
from stepladder.layers import Shape

Given = Shape | Tensor | Input
Inputs = Given | Sequence[Given] | Mapping[str, Given]


def arguments(inputs: Inputs, batch: int | None, dtype: str) -> tuple[dict[str, Input], list[Input]]:
    """Return the inputs by name and those by place."""
    if isinstance(inputs, Mapping):
        return {name: _input(value, name, batch, dtype) for name, value in inputs.items()}, []
    if isinstance(inputs, Tensor | Input) or _is_shape(inputs):
        inputs = [inputs]  # type: ignore[list-item]
    if not isinstance(inputs, list | tuple):
        raise SpecError("these are no inputs", given=repr(inputs), repair="give a shape such as (3, 224, 224)")
    several = len(inputs) > 1
    found = [
        _input(value, f"input {number + 1}" if several else "input", batch, dtype)
        for number, value in enumerate(inputs)
    ]
    named = {one.name: one for one in found if one.name.isidentifier() and one.name != "input"}
    return named, [one for one in found if one.name not in named]


def dtype_of(subject: object) -> str:
    """Return the type of the values that a net takes if nothing else is said: that of its weights."""
    parameters = subject.parameters() if isinstance(subject, nn.Module) else ()
    types = (str(one.dtype).removeprefix("torch.") for one in parameters if one.dtype.is_floating_point)
    return next(types, "float32")


def _is_shape(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(type(size) is int for size in value)


def _input(value: Any, name: str, batch: int | None, dtype: str) -> Input:
    if isinstance(value, Input):
        return value if value.name else Input(name, value.shape, value.dtype)
    if isinstance(value, Tensor):
        shape = tuple(value.shape) if batch is None else tuple(value.shape[1:])
        return Input(name, shape, str(value.dtype).removeprefix("torch."))
    if _is_shape(value):
        if any(size < 1 for size in value):
            raise SpecError(
                "sizes are at least 1", given=str(tuple(value)), repair="give a shape such as (3, 224, 224)"
            )
        return Input(name, tuple(value), dtype)
    raise SpecError("this is no input", given=repr(value), repair="give a shape such as (3, 224, 224), or a tensor")


def built(value: Any) -> nn.Module:
    """Return what a function that builds a module gave.

    Raises:
        SpecError: if that is none.
    """
    if not isinstance(value, nn.Module):
        raise SpecError(
            "this builds no torch.nn.Module",
            given=f"a {type(value).__name__}",
            repair="give a module, or a function without arguments that returns one",
        )
    return value


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module that a wrapper for several devices or for compilation holds."""
    for _ in range(4):
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner
    return module


def tensor(given: Input, batch: int | None, real: bool) -> Tensor:
    """Return a tensor such as the net is given: without values, or random ones, zeros where they are whole numbers."""
    shape = given.shape if batch is None else (batch, *given.shape)
    dtype = getattr(torch, given.dtype)
    if not real:
        return torch.empty(shape, dtype=dtype, device="meta")
    if not dtype.is_floating_point and not dtype.is_complex:
        return torch.zeros(shape, dtype=dtype)
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
