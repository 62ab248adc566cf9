"""One-line nets described without torch."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from stepladder.errors import InspectionError, ShapeError
from stepladder.inspection.findings import find
from stepladder.inspection.summary import Failure, Field, Input, Role, Row, Summary, Totals
from stepladder.layers import BatchNorm, Convolution, Dropout, Flatten, Layer, Linear, Shape, Window
from stepladder.notation import Net

_ROLES: dict[str, Role] = {
    "Conv2d": "convolution",
    "Linear": "linear",
    "MaxPool2d": "pool",
    "AvgPool2d": "pool",
    "BatchNorm2d": "norm",
    "BatchNorm1d": "norm",
    "Dropout": "dropout",
    "Flatten": "flatten",
    "Softmax": "softmax",
}
_BYTES = 4
"""A value's bytes, in float32."""


def describe(net: Net, input_shape: Shape, objects: tuple[int, ...] | None = None) -> Summary:
    """Return the description of the net for inputs of a shape.

    Args:
        net: the net.
        input_shape: (channels, rows, columns), or (features,).
        objects: rows and columns of what is to be recognised, for the finding about the final field; None: the image's.

    Raises:
        InspectionError: if a layer does not fit, with the summary up to there.
    """
    shapes, failure = _shapes(net.layers, input_shape)
    layers = net.layers[: len(shapes) - 1]
    rows: list[Row] = []
    maps = len(input_shape) == 3
    field = Field()
    flattened: Window | None = None
    kept = _kept(layers, shapes)
    for index, layer in enumerate(layers):
        before, after = shapes[index], shapes[index + 1]
        window = layer.window(before)
        kind = layer.module_name(before)
        field_in = field
        if window is not None:
            field = _through(field, window)
        elif isinstance(layer, Flatten) and len(before) == 3:
            flattened = Window((before[1], before[2]))
        elif isinstance(layer, Linear) and flattened is not None:
            # It weighs all positions, so each of its values sees what they saw together.
            field, flattened = _through(field, flattened), None
        parameters = layer.parameters(before)
        rows.append(
            Row(
                name=f"{kind}-{index + 1}",
                kind=kind,
                role=_ROLES.get(kind, "activation"),
                depth=0,
                input_shapes=(before,),
                output_shapes=(after,),
                parameters=parameters,
                trainable=parameters,
                buffers=2 * before[0] + 1 if isinstance(layer, BatchNorm) else 0,
                bias=after[0] if isinstance(layer, Convolution | Linear) and layer.bias else 0,
                macs=layer.macs(before),
                inputs=(index - 1,),
                window=window,
                groups=layer.groups if isinstance(layer, Convolution) else 1,
                field_in=field_in if maps else None,
                field=field if maps else None,
                output_bytes=0 if _is_view(layer) else _BYTES * prod(after),
                kept_bytes=kept[index],
                token=layer.token(),
            )
        )
    image = input_shape[1:] if maps else ()
    totals = Totals(
        parameters=sum(row.parameters for row in rows),
        trainable=sum(row.trainable for row in rows),
        macs=sum(row.macs for row in rows),
        buffers=sum(row.buffers for row in rows),
        # In a chain only what a layer takes and what it gives are alive at once.
        inference_bytes=max((_BYTES * prod(row.input_shape) + row.output_bytes for row in rows), default=0),
        training_bytes=sum(kept),
    )
    inputs = (Input("input", input_shape),)
    outputs = (len(rows) - 1,)
    summary = Summary(str(net), inputs, tuple(rows), totals, (), (), image, outputs, failure)
    if failure is not None:
        raise InspectionError(summary)
    return replace(summary, findings=find(rows, outputs, image, objects))


def _shapes(layers: tuple[Layer, ...], input_shape: Shape) -> tuple[list[Shape], Failure | None]:
    """Return the shapes before each layer and after the last one that fits, and why the next one does not."""
    shapes = [input_shape]
    for number, layer in enumerate(layers, start=1):
        try:
            shapes.append(layer.output_shape(shapes[-1]))
        except ShapeError as error:
            got = f"{'×'.join(map(str, shapes[-1]))}: {error.what}"
            return shapes, Failure(f"layer {number}", f"'{layer.token()}'", got, "", error.repair)
    return shapes, None


def _through(field: Field, window: Window) -> Field:
    """Return the field after a layer that looks through this window.

    r' = r + d(k - 1)j, j' = js, start' = start + (d(k - 1)/2 - p)j (Araujo, Norris, Sim: Computing receptive fields of
    convolutional neural networks, Distill 2019; for the start: Dang Ha The Hien, A guide to receptive field arithmetic,
    2017).
    """
    size, jump, start = [], [], []
    for axis in (0, 1):
        before, step, centre = field.size[axis], field.jump[axis], field.start[axis]
        assert before is not None
        assert isinstance(step, int)
        assert centre is not None
        reach = window.reach(axis) - 1
        size.append(before + reach * step)
        jump.append(step * window.stride[axis])
        start.append(centre + (reach / 2 - window.padding[axis]) * step)
    return Field(tuple(size), tuple(jump), tuple(start))


def _is_view(layer: Layer) -> bool:
    """Whether what the layer gives is what it takes in the same memory, outside training."""
    return isinstance(layer, Flatten | Dropout)


def _kept(layers: tuple[Layer, ...], shapes: list[Shape]) -> list[int]:
    """Return for each layer the bytes that training keeps from it on: a map once, and none before the first weight."""
    memory = 0  # which piece of memory the values are in
    held: set[int] = set()
    kept = []
    learns = False
    for index, layer in enumerate(layers):
        before, after = shapes[index], shapes[index + 1]
        learns = learns or layer.parameters(before) > 0
        source, memory = memory, memory if isinstance(layer, Flatten) else index + 1
        new = 0
        if learns:
            for what, place, count in (("input", source, prod(before)), ("output", memory, prod(after))):
                if what in layer.keeps and place not in held:
                    held.add(place)
                    new += _BYTES * count
            new += 8 * prod(after) if "indices" in layer.keeps else 0
            new += 2 * _BYTES * before[0] if "statistics" in layer.keeps else 0
            new += prod(after) if isinstance(layer, Dropout) and layer.probability else 0
        kept.append(new)
    return kept
