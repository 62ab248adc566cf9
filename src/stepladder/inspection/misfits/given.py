"""What a layer is given, why it cannot take it, and words that the rules share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from stepladder.layers import Shape


@dataclass(frozen=True)
class Misfit:
    """Why a layer cannot take what it is given.

    Args:
        needs: what it needs.
        repair: what is likely to help.
        got: what the shapes alone do not say of what it got.
        shape: whether it is a shape, or the type of the values, that does not fit.
    """

    needs: str
    repair: str
    got: str = ""
    shape: bool = True


@dataclass(frozen=True)
class Given:
    """What a module or function is given.

    Args:
        shapes: of its tensors, with the batch.
        dtypes: of the same tensors, such as ``float32``; empty where they are not known.
        outside: whether the first of them is an input of the net itself, as it was given.
        batch: size of the axis that was put in front of each input; None if shapes were given whole.
    """

    shapes: Sequence[Shape]
    dtypes: Sequence[str] = ()
    outside: bool = False
    batch: int | None = 1

    @property
    def first(self) -> Shape:
        """Return the first shape; empty if there is none."""
        return self.shapes[0] if self.shapes else ()

    def option(self, shape: Shape, dtype: str = "") -> str:
        """Return the command line's option for an input of this shape, which has the batch in front if any has."""
        inner = shape[1:] if self.batch is not None and shape[:1] == (self.batch,) else shape
        return f"--input {'x'.join(map(str, inner)) or 'scalar'}" + (f":{dtype}" if dtype else "")


def text(shape: Shape, batch: int | None = 1) -> str:
    """Return a shape without its batch: ``64×56×56``, ``128 values``."""
    inner = shape[1:] if batch is not None and len(shape) > 1 and shape[0] == batch else shape
    return "×".join(map(str, inner)) if len(inner) > 1 else count(inner[0] if inner else 1, "value")


def count(number: int, word: str, several: str = "") -> str:
    """Return a number with its noun: ``1 channel``, ``1,568 values``."""
    return f"{number:,} {word if number == 1 else several or word + 's'}"


def pair(values: Sequence[int]) -> str:
    """Return sizes along the axes as an argument is written: ``1``, or ``(1, 2)`` where they differ."""
    return str(values[0]) if len(set(values)) == 1 else f"({', '.join(map(str, values))})"


def same_type(module: nn.Module, given: Given) -> Misfit | None:
    """Return what is wrong if the values are of another type than the module's weights."""
    weight = next(module.parameters(recurse=False), None)
    if weight is None or not given.dtypes or not weight.dtype.is_floating_point:
        return None
    wanted, found = str(weight.dtype).removeprefix("torch."), given.dtypes[0]
    if found == wanted or torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        return None
    repair = f"convert it before: x.to(torch.{wanted})"
    if given.outside:
        repair = f"give {given.option(given.first, '' if wanted == 'float32' else wanted)}, or {repair}"
        if found.startswith(("int", "uint")):
            repair += "; whole numbers that are names of things, such as words, go through nn.Embedding first"
    return Misfit(f"{wanted} values, as its weights are", repair, f"{found} values")


def torch_name(module: nn.Module) -> str:
    """Return the name of the class of torch that the module is of or comes from."""
    return next(kind.__name__ for kind in type(module).__mro__ if kind.__module__.startswith("torch."))
