"""A trace becomes a summary: rows, blocks, totals, findings, or the failure where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod

from torch import Tensor, nn

from stepladder.errors import InspectionError
from stepladder.inspection.copies import is_made
from stepladder.inspection.failures import explain
from stepladder.inspection.findings import find
from stepladder.inspection.placed import Placed
from stepladder.inspection.roles import is_layer, kind_of, role_of_module
from stepladder.inspection.steps import Step
from stepladder.inspection.summary import Block, Failure, Field, Input, Row, Summary, Totals
from stepladder.inspection.trace import Trace
from stepladder.layers import Shape


def summarise(
    name: str,
    trace: Trace,
    error: Exception | None,
    inputs: Sequence[Input],
    batch: int | None,
    objects: Sequence[int] | None,
    notes: Sequence[str],
) -> Summary:
    """Return the facts about a run.

    Args:
        name: what the net is called.
        trace: the run.
        error: what ended it before its end; None if nothing did.
        inputs: what the net was given.
        batch: how many of them at once, or None if shapes are whole.
        objects: sizes of what is to be recognised.
        notes: what a reader has to know about the run.

    Raises:
        InspectionError: if there was an error, with the facts up to there.
    """
    axes = _axes(trace, inputs, batch)
    counts = {path: parameter for path, parameter in trace.module.named_parameters() if is_made(parameter)}
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
        buffers=sum(buffer.numel() for buffer in trace.module.buffers() if is_made(buffer)),
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
            tuple(_whole(sight.jump(placed.dims, [other for other in known if other is not sight])) for sight in known),
            tuple(sight.start() for sight in known),
            all(sight.aligned for sight in known),
            next((sight.unknown for sight in known if sight.unknown), ""),
            number,
        )
    return None


def _whole(jump: Fraction | None) -> int | Fraction | None:
    return int(jump) if jump is not None and jump.denominator == 1 else jump


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
        # What has no parameters and does nothing, or serves training alone, need not be called.
        loss = type(module).__module__ == "torch.nn.modules.loss" or isinstance(module, nn.Identity)
        if not own and (not silent or loss or not is_layer(module) or _held_by_layer(trace, path)):
            continue
        if any(path.startswith(f"{row.name}.") for row in rows):
            continue
        rows.append(_unused_row(path, module, [unused.pop(name) for name in own], note))
    if trace.stop is not None:
        for owner in dict.fromkeys(path.rpartition(".")[0] for path in unused):
            left = [parameter for path, parameter in unused.items() if path.rpartition(".")[0] == owner]
            rows.append(_unused_row(owner, trace.module.get_submodule(owner), left, note))
        return rows
    for path, parameter in unused.items():
        owner = path.rpartition(".")[0]
        rows.append(_unused_row(path, trace.module.get_submodule(owner), [parameter], "never used"))
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
    remarks = []
    kinds = {step.kind for step in trace.steps if step.role == "norm"}
    if any(word in kind.lower() for kind in kinds for word in ("group", "instance", "localresponse")):
        remarks.append("receptive fields leave out what normalisation takes its mean and deviation from")
    if trace.elsewhere:
        remarks.append("what it does in other threads is not seen: its MACs and memory are missing")
    return remarks


def _failure(error: Exception, trace: Trace, batch: int | None) -> Failure:
    stop = trace.stop
    if stop is None:
        raise error  # it is none of the net's
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
