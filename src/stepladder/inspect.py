"""What a net is made of: shapes, parameters, multiply-accumulates and receptive fields, row by row, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stepladder.displayed import Displayed
from stepladder.layers import (
    BatchNorm,
    Convolution,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    Shape,
    Window,
)
from stepladder.notation import Net

Axes = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """What one value of a map sees of the input image, along rows and columns, in input pixels.

    Args:
        size: the receptive field's size.
        jump: the distance between the fields of two neighbouring values.
        start: the centre of the first value's field; 0.5 is the centre of the first pixel.
    """

    size: tuple[int, int] = (1, 1)
    jump: tuple[int, int] = (1, 1)
    start: Axes = (0.5, 0.5)

    def through(self, window: Window) -> Field:
        """Return the field after a layer that looks through this window.

        r' = r + d(k - 1)j, j' = js, start' = start + (d(k - 1)/2 - p)j (Araujo, Norris, Sim: Computing receptive
        fields of convolutional neural networks, Distill 2019; for the start: Dang Ha The Hien, A guide to receptive
        field arithmetic, 2017).
        """
        reach = [window.reach(axis) - 1 for axis in (0, 1)]
        return Field(
            size=_both(lambda axis: self.size[axis] + reach[axis] * self.jump[axis]),
            jump=_both(lambda axis: self.jump[axis] * window.stride[axis]),
            start=(
                self.start[0] + (reach[0] / 2 - window.padding[0]) * self.jump[0],
                self.start[1] + (reach[1] / 2 - window.padding[1]) * self.jump[1],
            ),
        )


@dataclass(frozen=True)
class Row:
    """One layer. Shapes are without the batch; ``field_in`` and ``field`` are before and after it."""

    name: str
    kind: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int
    window: Window | None
    field_in: Field
    field: Field

    @property
    def token(self) -> str:
        """Return the layer in the notation."""
        return self.layer.token()

    @property
    def trainable(self) -> int:
        """Return the parameters that training changes: all of them, in a net from the notation."""
        return self.parameters


@dataclass(frozen=True)
class Finding:
    """Something worth changing: its kind, the layer, the evidence and the repair."""

    kind: str
    layer: str
    evidence: str
    repair: str


@dataclass(frozen=True)
class Totals:
    """Sums over the rows. MACs are multiply-accumulates of convolutions and linear layers for one image."""

    parameters: int
    trainable: int
    macs: int


@dataclass(frozen=True)
class Summary(Displayed):
    """A net described for one input shape."""

    net: str
    input_shape: Shape
    rows: tuple[Row, ...]
    totals: Totals
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        """Return the table that ``stepladder inspect`` prints."""
        from stepladder import tables

        return tables.render(self, "text").rstrip("\n")


@dataclass(frozen=True)
class Cost:
    """A layer's parameters and their share of the net's."""

    name: str
    token: str
    parameters: int
    share: float


@dataclass(frozen=True)
class BudgetVerdict:
    """Whether the parameters stay below the budget, and the layers that cost most."""

    budget: int
    parameters: int
    costliest: tuple[Cost, ...]

    @property
    def passes(self) -> bool:
        """Whether there are fewer parameters than the budget."""
        return self.parameters < self.budget

    @property
    def left(self) -> int:
        """Return what is left of the budget; negative when it is exceeded."""
        return self.budget - self.parameters


def describe(net: Net, input_shape: Shape) -> Summary:
    """Return the description of the net for inputs of a shape.

    Raises:
        ShapeError: if a layer does not fit.
    """
    shapes = net.shapes(input_shape)
    rows = []
    field = Field()
    for index, layer in enumerate(net.layers):
        before, after = shapes[index], shapes[index + 1]
        window = layer.window(before)
        kind = layer.module_name(before)
        field_in = field
        if window is not None:
            field = field.through(window)
        elif isinstance(layer, Flatten) and len(before) == 3:
            # Flattened values are mixed by what follows: from here on each sees what all positions saw together.
            field = field.through(Window((before[1], before[2])))
        rows.append(
            Row(
                name=f"{kind}-{index + 1}",
                kind=kind,
                layer=layer,
                input_shape=before,
                output_shape=after,
                parameters=layer.parameters(before),
                macs=layer.macs(before),
                window=window,
                field_in=field_in,
                field=field,
            )
        )
    parameters = sum(row.parameters for row in rows)
    totals = Totals(parameters, sum(row.trainable for row in rows), sum(row.macs for row in rows))
    findings = tuple(finding for rule in _RULES for finding in rule(rows, input_shape))
    return Summary(str(net), input_shape, tuple(rows), totals, findings)


def budget_verdict(summary: Summary, budget: int) -> BudgetVerdict:
    """Return whether the net stays below a budget of trainable parameters, with the three costliest layers."""
    total = summary.totals.parameters
    ranked = sorted((row for row in summary.rows if row.parameters), key=lambda row: -row.parameters)
    costliest = tuple(Cost(row.name, row.token, row.parameters, row.parameters / total) for row in ranked[:3])
    return BudgetVerdict(budget, total, costliest)


def _wasted_biases(rows: Sequence[Row], input_shape: Shape) -> Iterator[Finding]:
    for row, after in pairwise(rows):
        layer = row.layer
        if isinstance(layer, Convolution | Linear) and layer.bias and isinstance(after.layer, BatchNorm):
            wasted = row.output_shape[0]
            yield Finding(
                "bias before batch-norm",
                row.name,
                f"batch normalisation subtracts the mean, so the {wasted} biases of {row.token} change nothing",
                f"write {row.token.removesuffix('b')}: {wasted} parameters fewer",
            )


def _small_final_field(rows: Sequence[Row], input_shape: Shape) -> Iterator[Finding]:
    if len(input_shape) == 3 and rows:
        size = rows[-1].field.size
        if size[0] < input_shape[1] or size[1] < input_shape[2]:
            yield Finding(
                "small receptive field",
                rows[-1].name,
                f"the last layer sees {size[0]}×{size[1]} of {input_shape[1]}×{input_shape[2]} pixels",
                "pool earlier, add a convolution, or end with GAP",
            )


def _heavy_head(rows: Sequence[Row], input_shape: Shape) -> Iterator[Finding]:
    total = sum(row.parameters for row in rows)
    for index, row in enumerate(rows):
        if isinstance(row.layer, Flatten) and len(row.input_shape) == 3:
            linear = next((later for later in rows[index:] if isinstance(later.layer, Linear)), None)
            channels, height, width = row.input_shape
            if linear is None or height * width == 1 or linear.parameters * 2 <= total:
                continue
            assert isinstance(linear.layer, Linear)
            kept = linear.layer.parameters((channels,))
            yield Finding(
                "heavy head",
                linear.name,
                f"{linear.token} holds {linear.parameters:,} of {total:,} parameters",
                f"put GAP before it: {linear.parameters - kept:,} parameters fewer",
            )


def _unseen_pixels(rows: Sequence[Row], input_shape: Shape) -> Iterator[Finding]:
    for row in rows:
        window = row.window
        if window is None or isinstance(row.layer, GlobalAveragePool):
            continue
        if any(window.stride[axis] > window.reach(axis) for axis in (0, 1)):
            yield Finding(
                "stride larger than kernel",
                row.name,
                f"{row.token} steps over values that no window covers",
                "make the kernel at least as large as the stride",
            )
            continue
        lost = [
            (row.input_shape[axis + 1] + 2 * window.padding[axis] - window.reach(axis)) % window.stride[axis]
            for axis in (0, 1)
        ]
        # Values at the far edge that only padding could have brought into a window.
        if any(rest > window.padding[axis] for axis, rest in enumerate(lost)):
            yield Finding(
                "edge left out",
                row.name,
                f"{row.token} leaves out {max(lost)} of {row.input_shape[1]}×{row.input_shape[2]} rows or columns "
                "at the edge",
                "pad it, or change a layer before it so that the size divides evenly",
            )


_RULES: tuple[Callable[[Sequence[Row], Shape], Iterator[Finding]], ...] = (
    _wasted_biases,
    _small_final_field,
    _heavy_head,
    _unseen_pixels,
)


def _both(value: Callable[[int], int]) -> tuple[int, int]:
    return value(0), value(1)
