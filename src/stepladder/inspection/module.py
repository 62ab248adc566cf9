"""Any torch.nn.Module described: run once on tensors that have only shapes, never touched itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from stepladder.errors import SpecError
from stepladder.inspection.arguments import Inputs, arguments, built, dtype_of, tensor, unwrapped
from stepladder.inspection.assembly import summarise
from stepladder.inspection.copies import is_empty, is_made, stand_in, untouched
from stepladder.inspection.oneline import describe
from stepladder.inspection.steps import ValueNeededError
from stepladder.inspection.summary import Input, Summary
from stepladder.inspection.trace import Trace
from stepladder.inspection.unfilled import unfilled
from stepladder.notation import Net

_MOST_VALUES = 500_000_000
"""Parameters of a net that is run with its values, where its control flow asks for them."""


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
        named, given = arguments(inputs, batch, "float32")
        (only, *others) = [*given, *named.values()] or [Input("input", ())]
        if others or len(only.shape) != 3:
            raise SpecError("a one-line net takes one image", given=str(inputs), repair="say (channels, rows, columns)")
        return describe(subject, only.shape)
    build = None
    if not isinstance(subject, nn.Module):
        build = subject
        with untouched(), unfilled():
            subject = built(build())
    subject = unwrapped(subject)
    named, given = arguments(inputs, batch, dtype_of(subject))
    name = type(subject).__name__
    described = [*given, *named.values()]
    with untouched():
        trace, error = _run(subject, given, named, batch, real=False, gradients=True)
        notes = []
        if error is not None and not _asks_for_values(error):
            # Training refuses some operations in place that a plain pass allows.
            second, other = _run(subject, given, named, batch, real=False, gradients=False)
            if other is None:
                notes.append(f"it cannot be trained, so what training keeps is unknown: {_first_line(str(error))}")
                trace, error = second, None
        if error is not None and _asks_for_values(error):
            again = _with_values(subject, build)
            if again is not None:
                trace, error = _run(again, given, named, batch, real=True, gradients=True)
                notes.append("its control flow asks for values: this is the path that random inputs took")
        return summarise(name, trace, error, described, batch, objects, notes)


def _run(
    module: nn.Module,
    given: Sequence[Input],
    named: Mapping[str, Input],
    batch: int | None,
    *,
    real: bool,
    gradients: bool,
) -> tuple[Trace, Exception | None]:
    with stand_in(module, real=real) as copy:
        trace = Trace(
            copy,
            [tensor(one, batch, real) for one in given],
            {name: tensor(one, batch, real) for name, one in named.items()},
            real=real,
        )
        try:
            trace.run(gradients=gradients)
        except Exception as error:
            trace.finish()
            return trace, error
        trace.finish()
        return trace, None


def _asks_for_values(error: Exception) -> bool:
    return isinstance(error, ValueNeededError | NotImplementedError) or "meta" in str(error).lower()


def _with_values(module: nn.Module, build: Callable[[], nn.Module] | None) -> nn.Module | None:
    """Return the module with values; None if it has none, or too many to run."""
    if sum(parameter.numel() for parameter in module.parameters() if is_made(parameter)) > _MOST_VALUES:
        return None
    if not is_empty(module):
        return module
    return unwrapped(built(build())) if build is not None else None


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
