"""Building modules without filling their weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

_REGISTER = (nn.Module.register_parameter, nn.Module.register_buffer)
_SMALL_BUFFER = 2**20
"""Values up to which a buffer is kept: what code reads while it builds, such as a schedule, is smaller."""


@contextmanager
def unfilled() -> Iterator[None]:
    """Move every parameter and large buffer to the meta device as it is registered, for as long as this lasts.

    What initialises them then does nothing, and their memory is given back before it is touched, so that a net of a
    billion parameters is built in seconds. A parameter that is registered twice stays one parameter.
    """
    register_parameter, register_buffer = _REGISTER
    moved = WeakIdKeyDictionary()

    def parameter(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        register_parameter(self, name, param)
        if param is None or param.is_meta or is_lazy(param):
            return
        if param not in moved:
            with torch.no_grad():
                moved[param] = nn.Parameter(param.detach().to("meta"), requires_grad=param.requires_grad)
        self._parameters[name] = moved[param]

    def buffer(self: nn.Module, name: str, tensor: torch.Tensor | None, persistent: bool = True) -> None:
        if tensor is not None and not is_lazy(tensor) and tensor.numel() > _SMALL_BUFFER:
            tensor = tensor.to("meta")
        register_buffer(self, name, tensor, persistent)

    with _registering(parameter, buffer):
        yield


@contextmanager
def filled() -> Iterator[None]:
    """Build as usual, for as long as this lasts, within ``unfilled`` as well."""
    with _registering(*_REGISTER):
        yield


@contextmanager
def _registering(parameter: Any, buffer: Any) -> Iterator[None]:
    before = nn.Module.register_parameter, nn.Module.register_buffer
    nn.Module.register_parameter, nn.Module.register_buffer = parameter, buffer  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter, nn.Module.register_buffer = before  # type: ignore[method-assign]
