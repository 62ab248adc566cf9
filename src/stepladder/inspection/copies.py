"""Copies of modules to run, without weights where shapes suffice; the originals stay as they are."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

_SMALL = 2**16
"""Values; buffers up to this size are copied with theirs, since forward may read them: indices, masks, counters."""
_STATISTICS = ("running_mean", "running_var")
"""Buffers that forward does not read one by one, however small."""


@contextmanager
def stand_in(module: nn.Module, *, real: bool) -> Iterator[nn.Module]:
    """Give a copy of a module, in evaluation mode, that may be run and changed.

    A module that cannot be copied is lent out with other tensors in it and put back as it was.

    Args:
        module: the original.
        real: whether weights have their values; otherwise they are on the meta device, where tensors have only shapes.
    """
    statistics = {id(each._buffers[name]) for each in module.modules() for name in _STATISTICS if name in each._buffers}
    memo = {id(tensor): _stand_in(tensor, real, id(tensor) in statistics) for tensor in _tensors(module)}
    originals = list(_tensors(module))  # alive while their ids are in use
    try:
        duplicate = copy.deepcopy(module, memo)
    except Exception:
        # What an object refuses, no one knows beforehand: locks, generators, tensors that are not leaves.
        with _lent(module, memo):
            yield module
        return
    finally:
        del originals
    for each in duplicate.modules():
        each.training = False
    yield duplicate


@contextmanager
def untouched() -> Iterator[None]:
    """Leave the random states of Python, numpy and torch as they were, and torch's fast path for transformers."""
    python = random.getstate()
    numpy = sys.modules.get("numpy.random")
    drawn = numpy.get_state() if numpy is not None else None
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        # The fast path skips the layers inside a transformer's block.
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        random.setstate(python)
        if numpy is not None:
            numpy.set_state(drawn)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


def is_empty(module: nn.Module) -> bool:
    """Return whether a module's weights have no values: they are on the meta device."""
    return any(tensor.is_meta for tensor in module.parameters())


def is_made(tensor: Tensor) -> bool:
    """Return whether a parameter or buffer has a shape; that of a lazy module has none before its first call."""
    return not isinstance(tensor, UninitializedParameter | UninitializedBuffer)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    seen: set[int] = set()
    for each in module.modules():
        held = [*each._parameters.values(), *each._buffers.values()]
        held += [value for value in vars(each).values() if isinstance(value, Tensor)]
        for tensor in held:
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor


def _stand_in(tensor: Tensor, real: bool, statistic: bool) -> Tensor:
    if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
        make: Any = type(tensor)
        blank: Tensor = make(requires_grad=tensor.requires_grad, device="cpu" if real else "meta", dtype=tensor.dtype)
        return blank
    if isinstance(tensor, nn.Parameter):
        if real:
            return nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
        return nn.Parameter(_shape_only(tensor), tensor.requires_grad)
    if real or (tensor.numel() <= _SMALL and not tensor.is_meta and not statistic):
        return tensor.detach().clone()
    return _shape_only(tensor)


def _shape_only(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor.detach(), device="meta")


@contextmanager
def _lent(module: nn.Module, stand_ins: dict[int, Any]) -> Iterator[None]:
    """Put other tensors into a module, and afterwards everything back that its own dictionaries held."""
    kept = [(each, dict(vars(each))) for each in module.modules()]
    inner: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (table, dict(table)) for each in module.modules() for table in (each._parameters, each._buffers, each._modules)
    ]
    try:
        for each in module.modules():
            for table in (each._parameters, each._buffers):
                for name, tensor in table.items():
                    if tensor is not None:
                        table[name] = stand_ins[id(tensor)]
            each.training = False
        yield
    finally:
        for each, values in kept:
            vars(each).clear()
            vars(each).update(values)
        for table, entries in inner:
            table.clear()
            table.update(entries)
