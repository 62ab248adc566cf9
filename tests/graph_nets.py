"""Facts of nets with branches, made by hand: what the pictures of graphs are tested with and looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

from stepladder.inspection import tables
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import Block, Field, Input, Row, Summary, Totals
from stepladder.layers import Shape, Window
from stepladder.notation import Net
from stepladder.pictures.graph.folding import graph_of
from stepladder.pictures.graph.nodes import Frame, Node
from stepladder.pictures.graph.words import Facts


class Wiring:
    """Rows of a net whose readers and sources are said one by one; every function returns the index of its row.

    Args:
        net: its name.
        inputs: shape of each input.
    """

    def __init__(self, net: str, *inputs: Shape) -> None:
        self.net, self.inputs = net, inputs
        self.rows: list[Row] = []
        self.blocks: list[Block] = []
        self._path: list[str] = []

    @contextmanager
    def block(self, name: str, kind: str) -> Iterator[None]:
        """Put the rows that are made inside into a block."""
        place, first = len(self.blocks), len(self.rows)
        self._path.append(name)
        self.blocks.append(Block("", "", 0, 0, 0, (), ()))
        yield
        shapes = self.rows[-1].output_shapes
        path, depth = ".".join(self._path), len(self._path) - 1
        self.blocks[place] = Block(path, kind, depth, first, len(self.rows), self.rows[first].input_shapes, shapes)
        self._path.pop()

    def row(self, kind: str, role: str, sources: Sequence[int], shape: Shape, **facts: Any) -> int:
        """Add a row; its field is the largest of what it reads."""
        fields = [self.rows[one].field if one >= 0 else _first_field(self.inputs[-1 - one]) for one in sources]
        known = [field for field in fields if field is not None]
        field = max(known, key=lambda one: one.size[0] or 0, default=None)
        parameters = facts.get("parameters", 0)
        row = Row(
            name=".".join([*self._path, kind.lower()]),
            kind=kind,
            role=role,  # type: ignore[arg-type]
            depth=len(self._path),
            input_shapes=tuple(self.shape(one) for one in sources),
            output_shapes=(shape,),
            trainable=parameters,
            inputs=tuple(sources),
            field_in=field,
            field=field,
        )
        self.rows.append(replace(row, **facts))
        return len(self.rows) - 1

    def shape(self, source: int) -> Shape:
        """Return the shape of what a row or an input gives."""
        return self.rows[source].output_shape if source >= 0 else self.inputs[-1 - source]

    def conv(
        self, source: int, channels: int, kernel: int | tuple[int, int] = 3, stride: int = 1, groups: int = 1
    ) -> int:
        """Add a convolution that pads to half its kernel."""
        sizes = (kernel, kernel) if isinstance(kernel, int) else kernel
        window = Window(sizes, (stride, stride), (sizes[0] // 2, sizes[1] // 2))
        before = self.shape(source)
        weights = channels * before[0] // groups * prod(sizes)
        spatial = tuple(window.output_size(before[1 + axis], axis) for axis in (0, 1))
        macs = weights * prod(spatial)
        row = self.row(
            "Conv2d", "convolution", [source], (channels, *spatial), window=window, parameters=weights, groups=groups,
            macs=macs,
        )  # fmt: skip
        return self._grown(row, window)

    def conv_bn(
        self, source: int, channels: int, kernel: int | tuple[int, int] = 3, stride: int = 1, relu: bool = True
    ) -> int:
        """Add a convolution with batch normalisation and, if wanted, ReLU."""
        row = self.conv(source, channels, kernel, stride)
        row = self.row("BatchNorm2d", "norm", [row], self.shape(row), parameters=2 * channels)
        return self.relu(row) if relu else row

    def relu(self, source: int) -> int:
        """Add an activation."""
        return self.row("ReLU", "activation", [source], self.shape(source))

    def pool(self, source: int, kernel: int = 2, stride: int = 2, kind: str = "MaxPool2d", padding: int = 0) -> int:
        """Add a pooling layer."""
        window = Window((kernel, kernel), (stride, stride), (padding, padding))
        before = self.shape(source)
        spatial = tuple(window.output_size(before[1 + axis], axis) for axis in (0, 1))
        return self._grown(self.row(kind, "pool", [source], (before[0], *spatial), window=window), window)

    def up(self, source: int, channels: int) -> int:
        """Add a transposed convolution that doubles rows and columns."""
        before = self.shape(source)
        shape = (channels, 2 * before[1], 2 * before[2])
        weights = 4 * channels * before[0]
        window = Window((2, 2), (2, 2), (0, 0))
        macs = weights * prod(before[1:])
        return self.row(
            "ConvTranspose2d", "transposed", [source], shape, window=window, parameters=weights + channels, macs=macs
        )

    def add(self, *sources: int) -> int:
        """Add an addition."""
        return self.row("add", "add", sources, self.shape(sources[0]))

    def concat(self, *sources: int) -> int:
        """Add a concatenation of channels."""
        shape = (sum(self.shape(one)[0] for one in sources), *self.shape(sources[0])[1:])
        return self.row("cat", "concat", sources, shape)

    def head(self, source: int, classes: int) -> int:
        """Add global average pooling, flattening and a linear layer."""
        channels = self.shape(source)[0]
        whole = self.row("AdaptiveAvgPool2d", "pool", [source], (channels, 1, 1), field=Field(self.inputs[0][1:]))
        flat = self.row("flatten", "flatten", [whole], (channels,))
        return self.linear(flat, classes)

    def linear(self, source: int, features: int) -> int:
        """Add a linear layer."""
        before = self.shape(source)[-1]
        return self.row(
            "Linear", "linear", [source], (features,), parameters=(before + 1) * features, macs=before * features
        )

    def facts(self, *outputs: int) -> Facts:
        """Return what ``stepladder inspect --format json`` would give; the last row is the output if none is named."""
        totals = Totals(
            parameters=sum(row.parameters for row in self.rows),
            trainable=sum(row.trainable for row in self.rows),
            macs=sum(row.macs for row in self.rows),
        )
        inputs = tuple(Input(f"x{number}", shape) for number, shape in enumerate(self.inputs, start=1))
        blocks = tuple(self.blocks)
        made = Summary(
            self.net, inputs, tuple(self.rows), totals, (), blocks, self.inputs[0][1:], outputs or (len(self.rows) - 1,)
        )
        return tables.as_json(made)

    def _grown(self, row: int, window: Window) -> int:
        field = self.rows[row].field
        if field is not None:
            size = tuple(
                None if one is None else one + (window.reach(axis) - 1) * field.jump[axis]  # type: ignore[operator]
                for axis, one in enumerate(field.size)
            )
            jump = tuple(one * window.stride[axis] for axis, one in enumerate(field.jump) if one is not None)
            self.rows[row] = replace(self.rows[row], field=Field(size, jump))
        return row


def _first_field(shape: Shape) -> Field | None:
    return Field() if len(shape) == 3 else None


def plain(net: str = "8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1") -> Facts:
    """Return the facts of a one-line net."""
    return tables.as_json(describe(Net.parse(net), (1, 28, 28)))


def residual(*counts: int, bottleneck: bool = False) -> Facts:
    """Return the facts of a ResNet with so many blocks in each stage: (2, 2, 2, 2) is ResNet-18."""
    made = Wiring("ResNet", (3, 224, 224))
    at = made.pool(made.conv_bn(-1, 64, 7, 2), 3, 2, padding=1)
    for stage, count in enumerate(counts):
        with made.block(f"layer{stage + 1}", "Sequential"):
            for number in range(count):
                with made.block(str(number), "Bottleneck" if bottleneck else "BasicBlock"):
                    at = _residual(made, at, 64 * 2**stage, 2 if stage and not number else 1, bottleneck)
    made.head(at, 1000)
    return made.facts()


def _residual(made: Wiring, source: int, width: int, stride: int, bottleneck: bool) -> int:
    if bottleneck:
        end = made.conv_bn(made.conv_bn(made.conv_bn(source, width, 1), width, 3, stride), 4 * width, 1, relu=False)
    else:
        end = made.conv_bn(made.conv_bn(source, width, 3, stride), width, 3, relu=False)
    shortcut = source
    if made.shape(source) != made.shape(end):
        with made.block("downsample", "Sequential"):
            shortcut = made.conv_bn(source, made.shape(end)[0], 1, stride, relu=False)
    return made.relu(made.add(end, shortcut))


def inception() -> Facts:
    """Return the facts of a net with two blocks of four branches each, some of which are blocks themselves."""
    made = Wiring("Inception", (3, 149, 149))

    def unit(name: str, *args: Any) -> int:
        with made.block(name, "ConvBNReLU"):
            return made.conv_bn(*args)

    at = made.pool(unit("stem2", unit("stem1", -1, 32, 3, 2), 64), 3, 2)
    for number, pooled in enumerate((32, 64)):
        with made.block(f"mixed{number + 1}", "InceptionA"):
            one = unit("branch1x1", at, 64, 1)
            five = unit("branch5x5_2", unit("branch5x5_1", at, 48, 1), 64, 5)
            with made.block("branch3x3dbl", "Sequential"):
                three = unit("0", at, 64, 1)
                three = unit("2", unit("1", three, 96), 96)
            pool = unit("branch_pool", made.pool(at, 3, 1, "avg_pool2d", padding=1), pooled, 1)
            at = made.concat(one, five, three, pool)
    made.head(at, 1000)
    return made.facts()


def unet(levels: int = 4) -> Facts:
    """Return the facts of a U-Net: long skip connections over everything below them."""
    made = Wiring("UNet", (1, 256, 256))

    def double(name: str, source: int, channels: int) -> int:
        with made.block(name, "DoubleConv"):
            return made.conv_bn(made.conv_bn(source, channels), channels)

    at, skips = -1, []
    for level in range(levels):
        at = double(f"down{level + 1}", at, 32 * 2**level)
        skips.append(at)
        at = made.pool(at)
    at = double("bottom", at, 32 * 2**levels)
    for level in reversed(range(levels)):
        at = double(f"up{level + 1}", made.concat(made.up(at, 32 * 2**level), skips[level]), 32 * 2**level)
    made.conv(at, 2, 1)
    return made.facts()


def two_inputs() -> Facts:
    """Return the facts of a net that takes an image and numbers, and gives two outputs; one layer is never called."""
    made = Wiring("ImageAndNumbers", (3, 64, 64), (12,))
    with made.block("trunk", "Trunk"):
        at = made.pool(made.conv_bn(made.pool(made.conv_bn(-1, 16)), 32))
        at = made.row("AdaptiveAvgPool2d", "pool", [at], (32, 1, 1), field=Field((64, 64)))
        at = made.row("flatten", "flatten", [at], (32,))
    with made.block("numbers", "MLP"):
        numbers = made.relu(made.linear(made.relu(made.linear(-2, 64)), 32))
    gate = made.row("sigmoid", "activation", [made.linear(numbers, 32)], (32,))
    at = made.row("mul", "other", [at, gate], (32,), field=Field((None, None), unknown="mixed with what is no map"))
    at = made.concat(at, numbers)
    kind, where = made.linear(at, 10), made.linear(at, 4)
    made.row("Linear", "linear", [], (), parameters=330, note="never called")
    made.rows[-1] = replace(made.rows[-1], output_shapes=(), input_shapes=())
    return made.facts(kind, where)


def dense(layers: int = 6) -> Facts:
    """Return the facts of a dense block: every layer reads all before it."""
    made = Wiring("DenseBlock", (16, 32, 32))
    given = [-1]
    for number in range(layers):
        with made.block(f"layer{number + 1}", "DenseLayer"):
            at = made.concat(*given) if len(given) > 1 else given[0]
            given.append(made.conv_bn(made.conv_bn(at, 48, 1), 12))
    made.head(made.concat(*given), 10)
    return made.facts()


def nodes_of(facts: Facts, depth: int | None = None) -> list[Node]:
    """Return the boxes of the picture, without inputs and outputs."""
    return [node for node in graph_of(facts, depth).root.nodes() if node.rows]


def frames_of(frame: Frame) -> Iterator[Frame]:
    """Yield the frames in a frame, however deep."""
    for child in frame.children:
        if isinstance(child, Frame):
            yield child
            yield from frames_of(child)


EXAMPLES = {
    "plain": plain,
    "residual": lambda: residual(1, 2),
    "resnet50": lambda: residual(3, 4, 6, 3, bottleneck=True),
    "inception": inception,
    "unet": unet,
    "two-inputs": two_inputs,
    "dense": dense,
}
"""Nets to look at, by name."""
