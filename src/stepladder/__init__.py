"""stepladder: measured steps to a small convolutional network.

>>> from stepladder import Net, describe
>>> describe(Net.parse("8C3 MP2 GAP 10C1"), (1, 28, 28)).totals.parameters
168
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepladder.errors import StepladderError
    from stepladder.inspect import describe
    from stepladder.notation import Net
    from stepladder.spec import Augmentation, Experiment, Recipe

__all__ = ["Augmentation", "Experiment", "Net", "Recipe", "StepladderError", "describe"]

_HOMES = {
    "Augmentation": "spec",
    "Experiment": "spec",
    "Net": "notation",
    "Recipe": "spec",
    "StepladderError": "errors",
    "describe": "inspect",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command line starts faster without pydantic and torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stepladder' has no attribute '{name}'")
    return getattr(import_module(f"stepladder.{_HOMES[name]}"), name)
