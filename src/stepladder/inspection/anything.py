"""One function for all that can be described: nets in one line, which need no torch, and modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from stepladder.errors import SpecError
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import Summary
from stepladder.notation import Net

if TYPE_CHECKING:
    from torch import nn

    from stepladder.inspection.arguments import Inputs


def inspect(
    subject: nn.Module | Net | str | Callable[[], nn.Module],
    inputs: Inputs,
    *,
    batch: int | None = 1,
    objects: Sequence[int] | None = None,
) -> Summary:
    """Return what a net is made of: every layer and function with shapes, parameters, MACs, memory and receptive field.

    The net runs once, in evaluation mode, as a copy without weights on tensors that have only shapes. Nothing of the
    original changes: not its modes, parameters, gradients, buffers or hooks, nor the random states of torch, numpy and
    Python. Only a net whose control flow asks for values is run with them, on random inputs; a note says so then.

    >>> from torch import nn
    >>> from stepladder import inspect
    >>> inspect(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 32, 32)).totals.parameters
    224

    Args:
        subject: a module, a net in the one-line notation, or a function that builds a module: it is built without
            values, so that it may be larger than memory.
        inputs: what the net takes: a shape without the batch, such as (3, 224, 224); a tensor like what it takes, batch
            and all; an ``Input``; or for several a list or a dictionary of these, by the names of forward's arguments.
        batch: how many images the shapes stand for, put before them; None: shapes are whole as they are.
        objects: sizes of what is to be recognised, (rows, columns), for the finding about the final field.

    Returns:
        The summary. Shapes in it are without the batch; MACs and memory are for one batch of ``batch``.

    Raises:
        InspectionError: if a layer does not fit, with the summary up to there as its ``summary``.
        SpecError: if the net or its inputs are none.
    """
    if isinstance(subject, str):
        subject = Net.parse(subject)
    if isinstance(subject, Net):
        return describe(subject, _image(inputs), tuple(objects) if objects else None)
    from stepladder.inspection import module

    return module.inspect(subject, inputs, batch=batch, objects=objects)


def _image(inputs: Any) -> tuple[int, int, int]:
    shape = getattr(inputs, "shape", inputs)
    shape = tuple(shape[-3:]) if shape is not inputs and len(shape) == 4 else tuple(shape)
    if len(shape) != 3 or not all(type(size) is int and size > 0 for size in shape):
        raise SpecError("a one-line net takes one image", given=str(inputs), repair="say (channels, rows, columns)")
    return shape
