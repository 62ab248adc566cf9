"""What is kept of a run: steps that become rows, spans that become blocks, memory, and where it stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from stepladder.inspection.placed import Placed
from stepladder.inspection.summary import Role
from stepladder.layers import Window


class ValueNeededError(Exception):
    """The module asks for the value of a tensor that has none."""

    def __init__(self) -> None:
        super().__init__("item() cannot be called on meta tensors")


@dataclass
class Step:
    """A row in the making: a layer or a function that was called."""

    name: str
    kind: str
    role: Role
    depth: int
    module: nn.Module | None = None
    taken: list[Tensor] = field(default_factory=list)
    given: list[Tensor] = field(default_factory=list)
    sources: dict[int, None] = field(default_factory=dict)
    parameters: dict[str, None] = field(default_factory=dict)
    shared: dict[str, None] = field(default_factory=dict)
    macs: int = 0
    window: Window | None = None
    groups: int = 1
    transposed: bool = False
    kept_bytes: int = 0
    output_bytes: int = 0
    buffers: int = 0
    repeated: bool = False
    fields: list[Placed] = field(default_factory=list)
    fields_in: list[Placed] = field(default_factory=list)


@dataclass
class Span:
    """A block in the making."""

    name: str
    kind: str
    depth: int
    first: int
    last: int
    taken: list[Tensor]
    given: list[Tensor]


@dataclass
class Stop:
    """Where an error came from: the innermost layer or function that was given something when it arose."""

    error: BaseException
    name: str
    kind: str
    module: nn.Module | None
    function: str
    taken: list[Tensor]


@dataclass
class Memory:
    """One piece of memory: how large it is, and from which operation to which it is needed."""

    size: int
    born: int
    last: int


def tensors_of(value: Any, depth: int = 6) -> list[Tensor]:
    """Return the tensors in a value: in lists, dictionaries, dataclasses and other objects that hold some."""
    if isinstance(value, Tensor):
        return [value]
    if depth == 0 or value is None or isinstance(value, str | bytes | int | float | nn.Module):
        return []
    if isinstance(value, Mapping):
        inner: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        inner = value
    elif isinstance(getattr(value, "__dict__", None), dict) and not callable(value):
        inner = vars(value).values()
    else:
        return []
    return [tensor for one in inner for tensor in tensors_of(one, depth - 1)]
