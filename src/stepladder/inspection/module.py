"""Any torch.nn.Module described: run once on tensors that have only shapes, never touched itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from stepladder.errors import InspectionError, SpecError
from stepladder.inspection.arguments import Inputs, arguments, built, dtype_of, tensor, unwrapped
from stepladder.inspection.assembly import summarise
from stepladder.inspection.copies import is_empty, is_made, stand_in, untouched
from stepladder.inspection.steps import ValueNeededError
from stepladder.inspection.summary import Input, Summary
from stepladder.inspection.trace import Trace
from stepladder.inspection.unfilled import unfilled

_MOST_VALUES = 500_000_000
"""Parameters of a net that is run with its values, where its control flow asks for them."""


def inspect(
    subject: nn.Module | Callable[[], nn.Module],
    inputs: Inputs,
    *,
    batch: int | None = 1,
    objects: Sequence[int] | None = None,
) -> Summary:
    """Return what a module is made of: see ``stepladder.inspect``, which takes nets in one line as well."""
    build = None
    if not isinstance(subject, nn.Module):
        build = subject
        with untouched():
            try:
                with unfilled():
                    subject = built(build())
            except SpecError:
                raise
            except Exception:
                subject = built(build())  # some code reads its weights while it builds
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
        try:
            return summarise(name, trace, error, described, batch, objects, notes)
        except InspectionError as stopped:
            # torch is stricter without values here and there; what no shape explains is tried with them.
            failure = stopped.summary.failure
            again = None if notes or failure is None or failure.shape else _with_values(subject, build)
            if again is None:
                raise
            trace, error = _run(again, given, named, batch, real=True, gradients=True)
            if error is not None:
                raise
            notes.append("it does not run without values: this is the path that random inputs took")
            return summarise(name, trace, None, described, batch, objects, notes)


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
