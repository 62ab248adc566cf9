"""The rules by operation, and what a rule is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stepladder.inspection.placed import Placed

aten = torch.ops.aten

Lookup = Callable[[Tensor], Placed]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation.

    Args:
        operation: the overload.
        args: its arguments.
        kwargs: its keyword arguments.
        given: the tensors that it gave.
        lookup: returns how a tensor is placed; without dependence on any input if it comes from none.
    """

    operation: Any
    args: Sequence[Any]
    kwargs: dict[str, Any]
    given: Sequence[Tensor]
    lookup: Lookup


Rule = Callable[[Call], Sequence[Placed]]

RULES: dict[Any, Rule] = {}
"""By operation, whatever the overload: what the tensors that it gives see."""


def rule(*operations: Any) -> Callable[[Rule], Rule]:
    """Return what registers a function as the rule of some operations."""

    def register(rule: Rule) -> Rule:
        for operation in operations:
            RULES[operation] = rule
        return rule

    return register


def operations(*names: str) -> list[Any]:
    """Return those of the operations that this version of torch has."""
    return [getattr(aten, name) for name in names if hasattr(aten, name)]


def tensors_in(values: Iterable[Any]) -> list[Tensor]:
    """Return the tensors among an operation's arguments, those in lists too."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [one for one in value if isinstance(one, Tensor)]
    return found
