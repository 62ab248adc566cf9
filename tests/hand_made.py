"""Summaries made by hand, without torch: what the tables of inspection are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from math import prod

from hypothesis import strategies as st

from stepladder.inspection.summary import Block, Failure, Field, Finding, Input, Row, Summary, Totals
from stepladder.layers import Shape, Window


class Maker:
    """Collects rows and blocks of a net as it would call them; shapes and fields follow from the windows."""

    def __init__(self, net: str, *shape: int) -> None:
        self.net, self.shape, self.rows, self.blocks = net, shape, [], []
        self.input = shape
        axes = len(shape) - 1
        self.field: Field | None = Field((1,) * axes, (1,) * axes, (0.5,) * axes) if axes else None
        self._path: list[str] = []

    @contextmanager
    def block(self, name: str, kind: str) -> Iterator[None]:
        """Put what is made inside into a block."""
        index, first, before = len(self.blocks), len(self.rows), self.shape
        self._path.append(name)
        self.blocks.append(None)
        yield
        path, depth = ".".join(self._path), len(self._path) - 1
        self.blocks[index] = Block(path, kind, depth, first, len(self.rows), (before,), (self.shape,))
        self._path.pop()

    def row(self, name: str, kind: str, role: str = "other", shape: Shape | None = None, **facts: object) -> int:
        """Add a row; what is not said follows from the row before. Returns its index."""
        before, self.shape = self.shape, self.shape if shape is None else shape
        parameters = facts.get("parameters", 0)
        row = Row(
            name=".".join([*self._path, name]),
            kind=kind,
            role=role,  # type: ignore[arg-type]
            depth=len(self._path),
            input_shapes=(before,),
            output_shapes=(self.shape,),
            trainable=parameters,  # type: ignore[arg-type]
            inputs=(len(self.rows) - 1,),
            field_in=self.field,
            field=self.field,
            output_bytes=4 * prod(self.shape),
            kept_bytes=4 * prod(before),
        )
        self.rows.append(replace(row, **facts))
        self.field = self.rows[-1].field
        return len(self.rows) - 1

    def conv(self, name: str, channels: int, *kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> int:
        """Add a convolution that pads to half its reach."""
        padding = tuple(dilation * (size - 1) // 2 for size in kernel)
        axes = len(kernel)
        window = Window(kernel, (stride,) * axes, padding, (dilation,) * axes)
        spatial = tuple(window.output_size(size, axis) for axis, size in enumerate(self.shape[1:]))
        weights = channels * self.shape[0] // groups * prod(kernel)
        field = self.field
        assert field is not None
        return self.row(
            name,
            f"Conv{axes}d",
            "convolution",
            (channels, *spatial),
            parameters=weights,
            macs=weights * prod(spatial),
            window=window,
            groups=groups,
            field=replace(
                field,
                size=tuple(
                    None if size is None else size + (window.reach(axis) - 1) * field.jump[axis]
                    for axis, size in enumerate(field.size)
                ),
                jump=tuple(jump * stride for jump in field.jump),
            ),
        )

    def norm(self, name: str) -> int:
        """Add batch normalisation."""
        return self.row(name, "BatchNorm2d", "norm", parameters=2 * self.shape[0], buffers=2 * self.shape[0] + 1)

    def relu(self, name: str = "relu") -> int:
        """Add an activation."""
        return self.row(name, "ReLU", "activation")

    def done(self, **facts: object) -> Summary:
        """Return the summary; its totals are sums of the rows."""
        rows = self.rows
        totals = Totals(
            parameters=sum(row.parameters for row in rows),
            trainable=sum(row.trainable for row in rows),
            macs=sum(row.macs for row in rows),
            buffers=sum(row.buffers for row in rows),
            inference_bytes=max((row.output_bytes for row in rows), default=0),
            training_bytes=sum(row.kept_bytes for row in rows),
        )
        given = {
            "findings": (),
            "blocks": tuple(self.blocks),
            "image": self.input[1:],
            "outputs": (len(rows) - 1,),
            "inputs": (Input("x", self.input),),
        }
        return Summary(self.net, rows=tuple(rows), totals=totals, **(given | facts))  # type: ignore[arg-type]


def residual(*layers: int, width: int = 64, image: int = 224) -> Summary:
    """Return a net like ResNet-50 where ``layers`` is (3, 4, 6, 3)."""
    made = Maker("ResNet", 3, image, image)
    made.conv("conv1", width, 7, 7, stride=2)
    made.norm("bn1")
    made.relu()
    before = made.field
    assert before is not None
    size = made.shape[1] // 2
    grown = replace(before, size=tuple(one + 2 * 2 for one in before.size), jump=(4, 4))
    pooled = Window((3, 3), (2, 2), (1, 1))
    made.row("maxpool", "MaxPool2d", "pool", (width, size, size), window=pooled, field=grown)
    for stage, count in enumerate(layers):
        with made.block(f"layer{stage + 1}", "Sequential"):
            for number in range(count):
                with made.block(str(number), "Bottleneck"):
                    _bottleneck(made, width * 2**stage, 2 if stage and not number else 1, shortcut=not number)
    whole = Field((image, image), (1, 1), (image / 2, image / 2))
    made.row("avgpool", "AdaptiveAvgPool2d", "pool", (made.shape[0], 1, 1), field=whole)
    made.row("flatten", "flatten", "flatten", (made.shape[0],), output_bytes=0, kept_bytes=0)
    weights = 1000 * made.shape[0]
    made.row("fc", "Linear", "linear", (1000,), parameters=weights + 1000, bias=1000, macs=weights)
    return made.done()


def _bottleneck(made: Maker, width: int, stride: int, *, shortcut: bool) -> None:
    start, field = made.shape, made.field
    made.conv("conv1", width, 1, 1)
    made.norm("bn1")
    made.relu()
    made.conv("conv2", width, 3, 3, stride=stride)
    made.norm("bn2")
    made.relu()
    made.conv("conv3", 4 * width, 1, 1)
    made.norm("bn3")
    end, last = made.shape, made.field
    if shortcut:
        made.shape, made.field = start, field
        with made.block("downsample", "Sequential"):
            made.conv("0", 4 * width, 1, 1, stride=stride)
            made.norm("1")
        made.shape, made.field = end, last
    made.row("add", "add", "add", input_shapes=(end, end))
    made.relu()


def oddities() -> Summary:
    """Return a net with everything that needs a sign: shared, frozen, called again, unknown, off centre, unused."""
    made = Maker("Odd_Net", 3, 48, 96)
    made.conv("stem", 16, 3, 5, stride=2)
    with made.block("encoder", "Encoder"):
        made.conv("proj", 32, 3, 3, groups=4, dilation=2)
        made.row("norm", "LayerNorm", "norm", parameters=64, trainable=0)
        made.row("proj", "Conv2d", "convolution", shared=1152, window=Window((3, 3)), note="again", macs=1_327_104)
    field = Field((None, 9), (None, 1), (None, 4.5), unknown="grid_sample looks where its second input says")
    made.row("warp", "grid_sample", field=field)
    lost = Field((None, None), (None, None), (None, None), aligned=False, unknown="roll has no rule")
    made.row("mix", "cat", "concat", (64, 24, 48), input_shapes=((32, 24, 48), (32, 24, 48)), field=lost)
    halved = Field((31, 15), (Fraction(1, 2), Fraction(4, 3)), (0.5, 0.5), aligned=False)
    made.row("up", "Upsample", "upsample", (64, 48, 96), field=halved)
    made.row("lstm", "LSTM", "recurrent", (12, 64), parameters=33_280, field=None)
    made.rows[-1] = replace(made.rows[-1], output_shapes=((12, 64), (1, 64), (1, 64)))
    with made.block("unused", "Sequential"):
        pass
    made.row("aux_head.classifier_with_a_long_name_that_nobody_would_type_twice", "Linear", "linear", ())
    made.rows[-1] = replace(
        made.rows[-1], output_shapes=(), parameters=10_000, trainable=10_000, note="never called", field=None
    )
    made.rows[-1] = replace(made.rows[-1], kept_bytes=0, output_bytes=0)
    return made.done(
        inputs=(Input("image", (3, 48, 96), "float16"), Input("mask", (48, 96), "int64")),
        notes=("shapes depend on the values of the input here: this is one way through the net",),
        findings=(
            Finding("never called", "aux_head", "its 10,000 parameters get no gradient", "call it, or delete it"),
            *(Finding("odd", f"layer{n}", f"evidence {n} <b>", f"repair_{n} & more") for n in range(5)),
        ),
    )


def broken() -> Summary:
    """Return a net that stops at its head."""
    made = Maker("Broken", 3, 32, 32)
    with made.block("features", "Sequential"):
        made.conv("0", 8, 3, 3)
        made.relu("1")
    made.row("flatten", "flatten", "flatten", (8192,), field=Field((32, 32), (1, 1), (16.0, 16.0)))
    return made.done(
        failure=Failure(
            "classifier", "Linear", "8192 features", "512 features", "say nn.Linear(8192, 10), or pool before it"
        )
    )


def signal() -> Summary:
    """Return a net over signals, with huge numbers."""
    made = Maker("WaveNet", 1, 16000)
    made.conv("first", 256, 10, stride=5)
    with made.block("blocks", "Sequential"):
        for number in range(3):
            made.conv(str(number), 4096, 3, dilation=3**number)
    made.row("head", "Linear", "linear", (10**9,), parameters=7 * 10**12, macs=3 * 10**15, kept_bytes=5 * 2**40)
    return made.done()


def many(rows: int = 2000) -> Summary:
    """Return a deep net of many rows, in blocks of ten."""
    made = Maker("Deep", 8, 64, 64)
    with made.block("body", "Sequential"):
        for number in range(rows // 10):
            with made.block(str(number), "Block"):
                for index in range(5):
                    made.conv(f"conv{index}", 8, 3, 3)
                    made.relu(f"relu{index}")
    return made.done()


@st.composite
def nets(draw: st.DrawFn) -> Summary:
    """Any net of blocks within blocks, some of them empty, some alike."""
    made = Maker(draw(st.text(max_size=30)), 4, 32, 32)

    def fill(level: int) -> None:
        for number in range(draw(st.integers(0, 3))):
            what = draw(st.sampled_from(["conv", "norm", "relu", "block" if level < 4 else "relu"]))
            name = draw(st.sampled_from([what, str(number), "a_name_that_is_rather_long_for_a_table"]))
            if what == "conv":
                made.conv(name, 4, 3, draw(st.sampled_from([3, 5])))
            elif what == "norm":
                made.norm(name)
            elif what == "relu":
                made.relu(name)
            else:
                with made.block(name, "Block"):
                    fill(level + 1)

    fill(0)
    return made.done()
