"""Any torch.nn.Module described: run once on tensors that have only shapes, never touched itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from stepladder.errors import InspectionError, SpecError
from stepladder.inspection.copies import is_empty, stand_in, untouched
from stepladder.inspection.failures import explain
from stepladder.inspection.findings import find
from stepladder.inspection.oneline import describe
from stepladder.inspection.placed import Placed
from stepladder.inspection.roles import is_layer, kind_of, role_of_module
from stepladder.inspection.summary import Block, Failure, Field, Input, Row, Summary, Totals
from stepladder.inspection.trace import Step, Trace, ValueNeededError
from stepladder.inspection.unfilled import unfilled
from stepladder.layers import Shape
from stepladder.notation import Net

Given = Shape | Tensor | Input
Inputs = Given | Sequence[Given] | Mapping[str, Given]

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
        named, given = _given(inputs, batch, "float32")
        (only, *others) = [*given, *named.values()] or [Input("input", ())]
        if others or len(only.shape) != 3:
            raise SpecError("a one-line net takes one image", given=str(inputs), repair="say (channels, rows, columns)")
        return describe(subject, only.shape)
    build = None
    if not isinstance(subject, nn.Module):
        build = subject
        with untouched(), unfilled():
            subject = _module(build())
    subject = _unwrapped(subject)
    named, given = _given(inputs, batch, _dtype(subject))
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
        return _summary(subject, name, trace, error, described, batch, objects, notes)


def _given(inputs: Inputs, batch: int | None, dtype: str) -> tuple[dict[str, Input], list[Input]]:
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


def _dtype(subject: object) -> str:
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


def _module(value: Any) -> nn.Module:
    if not isinstance(value, nn.Module):
        raise SpecError(
            "this builds no torch.nn.Module",
            given=f"a {type(value).__name__}",
            repair="give a module, or a function without arguments that returns one",
        )
    return value


def _unwrapped(module: nn.Module) -> nn.Module:
    """Return the module that a wrapper for several devices or for compilation holds."""
    for _ in range(4):
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner
    return module


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
        arguments = [_tensor(one, batch, real) for one in given]
        trace = Trace(copy, arguments, {name: _tensor(one, batch, real) for name, one in named.items()}, real=real)
        try:
            trace.run(gradients=gradients)
        except Exception as error:
            trace.finish()
            return trace, error
        trace.finish()
        return trace, None


def _tensor(given: Input, batch: int | None, real: bool) -> Tensor:
    shape = given.shape if batch is None else (batch, *given.shape)
    dtype = getattr(torch, given.dtype)
    if not real:
        return torch.empty(shape, dtype=dtype, device="meta")
    if not dtype.is_floating_point and not dtype.is_complex:
        return torch.zeros(shape, dtype=dtype)
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def _asks_for_values(error: Exception) -> bool:
    return isinstance(error, ValueNeededError | NotImplementedError) or "meta" in str(error).lower()


def _with_values(module: nn.Module, build: Callable[[], nn.Module] | None) -> nn.Module | None:
    """Return the module with values; None if it has none, or too many to run."""
    if sum(parameter.numel() for parameter in module.parameters() if _is_made(parameter)) > _MOST_VALUES:
        return None
    if not is_empty(module):
        return module
    return _unwrapped(_module(build())) if build is not None else None


def _is_made(parameter: Tensor) -> bool:
    return not isinstance(parameter, nn.parameter.UninitializedParameter)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


# From the trace to the facts


def _summary(
    module: nn.Module,
    name: str,
    trace: Trace,
    error: Exception | None,
    inputs: Sequence[Input],
    batch: int | None,
    objects: Sequence[int] | None,
    notes: Sequence[str],
) -> Summary:
    axes = _axes(trace, inputs, batch)
    counts = {path: parameter for path, parameter in trace.module.named_parameters() if _is_made(parameter)}
    rows = [_row(step, counts, axes, batch) for step in trace.steps]
    rows += _uncalled(trace, counts)
    image = tuple(inputs[0].shape[axis - (batch is not None)] for axis in axes.get(0, ())) if inputs else ()
    outputs = tuple(dict.fromkeys(maker for tensor in trace.outputs for maker in trace.makers(tensor)))
    blocks = [
        Block(
            span.name,
            span.kind,
            span.depth,
            span.first,
            span.last,
            _shapes(span.taken, batch),
            _shapes(span.given, batch),
        )
        for span in trace.spans
    ]
    totals = Totals(
        parameters=sum(row.parameters for row in rows),
        trainable=sum(row.trainable for row in rows),
        macs=sum(row.macs for row in rows),
        buffers=sum(buffer.numel() for buffer in trace.module.buffers() if _is_made_buffer(buffer)),
        inference_bytes=_most_at_once(trace),
        training_bytes=sum(row.kept_bytes for row in rows),
    )
    complete = error is None
    findings = find(rows, outputs, image, tuple(objects) if objects else None) if complete else ()
    summary = Summary(
        name,
        tuple(inputs),
        tuple(rows),
        totals,
        findings,
        tuple(blocks),
        image,
        outputs,
        None,
        (*notes, *_remarks(trace)),
    )
    if error is None:
        return summary
    failure = _failure(error, trace, batch)
    raise InspectionError(replace(summary, failure=failure)) from None


def _axes(trace: Trace, inputs: Sequence[Input], batch: int | None) -> dict[int, tuple[int, ...]]:
    """Return the dimensions of each input, the batch's counted, along which there are places rather than channels."""
    axes = {}
    for number, given in enumerate(inputs):
        # Whole shapes begin with the batch, too, where they have more than one dimension.
        before = 0 if batch is None and len(given.shape) == 1 else 1
        places = range(before, len(given.shape) + (batch is not None))
        channel = trace.channels.get(number)
        if channel is None and places and not _is_whole_number(given):
            channel = places[0]
        axes[number] = tuple(place for place in places if place != channel)
    return axes


def _is_whole_number(given: Input) -> bool:
    return given.dtype.startswith(("int", "uint", "bool"))


def _row(step: Step, counts: Mapping[str, Tensor], axes: Mapping[int, tuple[int, ...]], batch: int | None) -> Row:
    parameters = [counts[path] for path in step.parameters if path in counts]
    module = step.module
    bias = getattr(module, "bias", None)
    weighs = step.role in ("convolution", "transposed", "linear")
    own = weighs and isinstance(bias, Tensor) and any(bias is parameter for parameter in parameters)
    note = ""
    if module is not None and not parameters and step.shared and step.repeated:
        note = "called again"
    elif step.shared:
        note = "shared"
    return Row(
        name=step.name,
        kind=step.kind,
        role="transposed" if step.transposed else step.role,
        depth=step.depth,
        input_shapes=_shapes(step.taken, batch),
        output_shapes=_shapes(step.given, batch),
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        shared=sum(counts[path].numel() for path in step.shared if path in counts),
        buffers=step.buffers,
        bias=bias.numel() if own and isinstance(bias, Tensor) else 0,
        macs=step.macs,
        inputs=tuple(step.sources),
        window=step.window,
        groups=step.groups,
        field_in=_larger([_field(placed, axes) for placed in step.fields_in]),
        field=next((field for placed in step.fields if (field := _field(placed, axes)) is not None), None),
        output_bytes=step.output_bytes,
        kept_bytes=step.kept_bytes,
        note=note,
    )


def _shapes(tensors: Sequence[Tensor], batch: int | None) -> tuple[Shape, ...]:
    return tuple(
        tuple(tensor.shape[1:])
        if batch is not None and tensor.dim() and tensor.shape[0] == batch
        else tuple(tensor.shape)
        for tensor in tensors
    )


def _field(placed: Placed, axes: Mapping[int, tuple[int, ...]]) -> Field | None:
    """Return what a tensor's values see of the first input that they depend on."""
    for number, places in axes.items():
        sights = [placed.sights.get((number, place)) for place in places]
        if not places or any(sight is None for sight in sights):
            continue
        known = [sight for sight in sights if sight is not None]
        return Field(
            tuple(sight.size() for sight in known),
            tuple(sight.jump(placed.dims, [other for other in known if other is not sight]) for sight in known),
            tuple(sight.start() for sight in known),
            all(sight.aligned for sight in known),
            next((sight.unknown for sight in known if sight.unknown), ""),
        )
    return None


def _larger(fields: Sequence[Field | None]) -> Field | None:
    found = [field for field in fields if field is not None]
    return max(found, key=lambda field: prod(size or 0 for size in field.size), default=None)


def _uncalled(trace: Trace, counts: Mapping[str, Tensor]) -> list[Row]:
    """Return a row for each module that was not called, the outermost ones, and for parameters that nothing used."""
    unused = {path: parameter for path, parameter in counts.items() if path not in trace.counted}
    rows: list[Row] = []
    if trace.stop is not None:
        note, silent = "not reached", False
    else:
        note, silent = "never called", True
    for path, module in trace.module.named_modules():
        if not path or module in trace.called:
            continue
        inside = f"{path}."
        own = [name for name in unused if name.startswith(inside)]
        has_parameters = any(True for _ in module.parameters())
        if has_parameters and not own:
            continue
        if any(name.startswith(inside) for name in trace.counted) or any(
            each in trace.called for each in module.modules()
        ):
            continue
        loss = type(module).__module__ == "torch.nn.modules.loss"
        if not own and (not silent or loss or not is_layer(module) or _held_by_layer(trace, path)):
            continue
        if any(path.startswith(f"{row.name}.") for row in rows):
            continue
        rows.append(_unused_row(path, module, [unused.pop(name) for name in own], note))
    for path, parameter in unused.items():
        owner = trace.module.get_submodule(path.rpartition(".")[0])
        rows.append(_unused_row(path, owner, [parameter], note if trace.stop else "never used"))
    return rows


def _held_by_layer(trace: Trace, path: str) -> bool:
    while "." in path:
        path = path.rpartition(".")[0]
        if is_layer(trace.module.get_submodule(path)):
            return True
    return False


def _unused_row(path: str, module: nn.Module, parameters: Sequence[Tensor], note: str) -> Row:
    return Row(
        name=path,
        kind="Parameter" if note == "never used" else kind_of(module),
        role=role_of_module(module) if note != "never used" else "other",
        depth=0,
        input_shapes=(),
        output_shapes=(),
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        note=note,
    )


def _is_made_buffer(buffer: Tensor) -> bool:
    return not isinstance(buffer, nn.parameter.UninitializedBuffer)


def _most_at_once(trace: Trace) -> int:
    """Return the largest sum of memory that is alive at once, each piece from its making to its last reading."""
    changes: dict[int, int] = {}
    for memory in trace.memory.values():
        if memory.last == memory.born and memory.born:
            continue  # made beside what was asked for, and never read
        changes[memory.born] = changes.get(memory.born, 0) + memory.size
        changes[memory.last + 1] = changes.get(memory.last + 1, 0) - memory.size
    most = now = 0
    for moment in sorted(changes):
        now += changes[moment]
        most = max(most, now)
    return most


def _remarks(trace: Trace) -> list[str]:
    kinds = {step.kind for step in trace.steps if step.role == "norm"}
    if any(word in kind.lower() for kind in kinds for word in ("group", "instance", "localresponse")):
        return ["receptive fields leave out what normalisation takes its mean and deviation from"]
    return []


def _failure(error: Exception, trace: Trace, batch: int | None) -> Failure:
    stop = trace.stop
    assert stop is not None
    return explain(
        error,
        stop.kind,
        stop.module,
        stop.function,
        [tuple(tensor.shape) for tensor in stop.taken],
        [str(tensor.dtype).removeprefix("torch.") for tensor in stop.taken],
        layer=stop.name,
        outside=any(stop.taken[0] is one for one in (*trace.arguments, *trace.named.values())) if stop.taken else False,
        net=trace.module,
        batch=batch,
    )
