"""The facts about an inspected net: rows, blocks, totals, findings. Plain values; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stepladder.displayed import Displayed
from stepladder.layers import Shape, Window

if TYPE_CHECKING:
    from fractions import Fraction

Role = Literal[
    "convolution",
    "transposed",
    "linear",
    "pool",
    "norm",
    "activation",
    "softmax",
    "dropout",
    "flatten",
    "add",
    "concat",
    "attention",
    "recurrent",
    "embedding",
    "upsample",
    "other",
]
"""What a row does, whatever its kind is called; ``transposed`` is a transposed convolution."""


@dataclass(frozen=True)
class Field:
    """What one value of a map sees of an input, along each of its axes, in input pixels.

    Args:
        size: the receptive field's size, the largest of the map where values differ; None where it is unknown.
        jump: the distance between the fields of two neighbouring values, on average; None where it is unknown.
        start: the centre of the first value's field; 0.5 is the centre of the first pixel; None where it is unknown.
        aligned: whether the branches that meet here or before have their centres in the same places.
        unknown: why some of it is unknown; empty where all is known.
        of: the number of the input whose pixels these are, from 0: the first of those that it sees.
    """

    size: tuple[int | None, ...] = (1, 1)
    jump: tuple[int | Fraction | None, ...] = (1, 1)
    start: tuple[float | None, ...] = (0.5, 0.5)
    aligned: bool = True
    unknown: str = ""
    of: int = 0

    def covers(self, image: Sequence[int]) -> bool:
        """Return whether the field is at least as large as the first input along every axis; False where unknown.

        Args:
            image: the first input's sizes; False where the field is of an input with other axes.
        """
        return (
            self.of == 0
            and len(self.size) == len(image) > 0
            and all(size is not None and size >= whole for size, whole in zip(self.size, image, strict=True))
        )


@dataclass(frozen=True)
class Row:
    """One layer or one function. Shapes are without the batch; ``field_in`` and ``field`` are before and after it.

    Args:
        name: where it is: the module's path in the net, or the path of the module that calls the function and the
            function's name; in a one-line net the kind and the number.
        kind: the class of the module or the name of the function.
        role: what it does.
        depth: how many modules it lies in.
        input_shapes: shapes of the tensors that it takes.
        output_shapes: shapes of the tensors that it gives.
        parameters: parameters that are counted here: each one of the net in one row, the first that uses it.
        trainable: those of them that training changes.
        shared: parameters used here but counted in an earlier row.
        buffers: values of the buffers that belong to it.
        bias: how many of its parameters are biases.
        macs: multiply-accumulates for one image.
        inputs: indices of the rows that made what it takes; -1 is the first input of the net, -2 the second.
        window: how it looks at maps; None if it takes each position by itself.
        groups: groups of a convolution.
        field_in: the receptive field of what it takes, the larger of several; None where there are no maps.
        field: the receptive field of what it gives.
        output_bytes: bytes of what it gives for one image, if that is new memory.
        kept_bytes: bytes that training keeps from here to the backward pass and that no row before keeps already.
        token: the layer in the one-line notation; empty in other nets.
        note: what is special, such as "never called"; empty otherwise.
    """

    name: str
    kind: str
    role: Role
    depth: int
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    parameters: int = 0
    trainable: int = 0
    shared: int = 0
    buffers: int = 0
    bias: int = 0
    macs: int = 0
    inputs: tuple[int, ...] = ()
    window: Window | None = None
    groups: int = 1
    field_in: Field | None = None
    field: Field | None = None
    output_bytes: int = 0
    kept_bytes: int = 0
    token: str = ""
    note: str = ""

    @property
    def input_shape(self) -> Shape:
        """Return the shape of the first tensor that it takes; empty if there is none."""
        return self.input_shapes[0] if self.input_shapes else ()

    @property
    def output_shape(self) -> Shape:
        """Return the shape of the first tensor that it gives; empty if there is none."""
        return self.output_shapes[0] if self.output_shapes else ()

    @property
    def label(self) -> str:
        """Return the layer in the notation, or else its kind."""
        return self.token or self.kind


@dataclass(frozen=True)
class Block:
    """A module that holds others, called once: the rows from ``first`` up to, but without, ``last``.

    Args:
        name: the module's path in the net.
        kind: its class.
        depth: how many modules it lies in; the net itself is no block.
        first: index of its first row.
        last: index after its last row.
        input_shapes: shapes of the tensors that it takes.
        output_shapes: shapes of the tensors that it gives.
    """

    name: str
    kind: str
    depth: int
    first: int
    last: int
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Finding:
    """Something worth changing or knowing: its kind, the layer, the evidence and the repair."""

    kind: str
    layer: str
    evidence: str
    repair: str


@dataclass(frozen=True)
class Totals:
    """Sums over the rows, and the memory of one image's activations.

    Args:
        parameters: all of the net's.
        trainable: those that training changes.
        macs: multiply-accumulates of convolutions and matrix products for one image.
        buffers: values kept beside the parameters, such as running means.
        inference_bytes: the most that is held at once, if each tensor is freed after its last reader.
        training_bytes: what training keeps of the forward pass for the backward pass.
    """

    parameters: int
    trainable: int
    macs: int
    buffers: int = 0
    inference_bytes: int = 0
    training_bytes: int = 0


@dataclass(frozen=True)
class Input:
    """What a net takes: the name of the argument, the shape without the batch, and the type of the values."""

    name: str
    shape: Shape
    dtype: str = "float32"


@dataclass(frozen=True)
class Failure:
    """Where and why a net cannot go on.

    Args:
        layer: the row's name.
        kind: its class or function.
        got: what it was given.
        needs: what it needs.
        repair: what is likely to help.
        shape: whether it is a shape that does not fit.
    """

    layer: str
    kind: str
    got: str
    needs: str
    repair: str
    shape: bool = True


@dataclass(frozen=True)
class Summary(Displayed):
    """A net described for inputs of certain shapes.

    Args:
        net: the net in one line, or the name of its class.
        inputs: what it takes.
        rows: its layers and functions, in the order in which they are called; what is never called comes last.
        totals: sums.
        findings: what is worth knowing.
        blocks: the modules that hold others, in the order of their calls, outer ones first.
        image: sizes of the first input along the axes of the receptive field.
        outputs: indices of the rows that give what the net gives.
        failure: where it stopped; None if it ran to its end.
        notes: what a reader has to know about how this came about.
    """

    net: str
    inputs: tuple[Input, ...]
    rows: tuple[Row, ...]
    totals: Totals
    findings: tuple[Finding, ...]
    blocks: tuple[Block, ...] = ()
    image: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()

    @property
    def input_shape(self) -> Shape:
        """Return the shape of the first input."""
        return self.inputs[0].shape if self.inputs else ()

    @property
    def depth(self) -> int:
        """Return how deep the deepest row lies, from 1."""
        return max((row.depth for row in self.rows), default=0) + 1

    def __str__(self) -> str:
        """Return the table that ``stepladder inspect`` prints."""
        from stepladder.inspection import tables

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


def budget_verdict(summary: Summary, budget: int) -> BudgetVerdict:
    """Return whether the net stays below a budget of trainable parameters, with the three costliest layers."""
    total = summary.totals.trainable
    ranked = sorted((row for row in summary.rows if row.trainable), key=lambda row: -row.trainable)
    costliest = tuple(Cost(row.name, row.label, row.trainable, row.trainable / total) for row in ranked[:3])
    return BudgetVerdict(budget, total, costliest)
