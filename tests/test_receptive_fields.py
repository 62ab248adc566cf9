"""Receptive fields of whole graphs: published ones, what gradients show of random nets, and cases done by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own name for it)
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stepladder.errors import InspectionError
from stepladder.inspection.module import inspect
from stepladder.inspection.summary import Field, Summary
from zoo import ZOO


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small maps take longer on several threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def last_field(net: nn.Module | Callable[[Tensor], Tensor], shape: tuple[int, ...] = (1, 64, 64)) -> Field:
    """Return what the net's output sees."""
    summary = inspect(net if isinstance(net, nn.Module) else Applied(net), shape)
    field = summary.rows[summary.outputs[0]].field
    assert field is not None
    return field


class Applied(nn.Module):
    """A net that is one function of its input."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, values: Tensor) -> Tensor:
        return self.function(values)


# What is published


def of_layer(summary: Summary, name: str) -> Field | None:
    """Return what the last value of a module sees, be it a row or a block of several."""
    for block in reversed(summary.blocks):
        if block.name == name:
            return summary.rows[block.last - 1].field
    return next(row.field for row in reversed(summary.rows) if row.name == name)


@pytest.mark.parametrize("name", [name for name, entry in ZOO.items() if entry.fields or entry.receptive_field])
def test_published_fields_come_out(name: str) -> None:
    entry = ZOO[name]
    with torch.device("meta"):
        net = entry.build()
    summary = inspect(net, list(entry.example(batch=1, device="meta")))
    if entry.receptive_field is not None and entry.field_layer is not None:
        found = of_layer(summary, entry.field_layer)
        assert found is not None
        assert found.size[-1] == entry.receptive_field
    for layer, published in entry.fields.items():
        found = of_layer(summary, layer)
        assert found is not None
        assert found.size[-1] == published.size, layer
        if published.jump is not None:
            assert found.jump[-1] == published.jump, layer


# What gradients show


class Positive(nn.Module):
    """Parts one after another, with weights above zero, so that no two paths can cancel."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        # The last part is a layer, so that what the net gives is a row's.
        self.parts = nn.ModuleList([*parts, nn.Conv2d(1, 1, 1, bias=False)])
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.5)

    def forward(self, values: Tensor) -> Tensor:
        for part in self.parts:
            values = part(values)
        return values


class Branches(nn.Module):
    """Parts side by side, cropped to the smallest and added or put one after another along the channels."""

    def __init__(self, branches: list[nn.Module], join: str) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = join

    def forward(self, values: Tensor) -> Tensor:
        given = [branch(values) for branch in self.branches]
        rows, columns = (min(one.shape[axis] for one in given) for axis in (2, 3))
        given = [one[:, :, :rows, :columns] for one in given]
        if self.join == "cat":
            return torch.cat(given, 1).sum(1, keepdim=True)
        return torch.stack(given).sum(0) if self.join == "stack" else sum(given[1:], given[0])


def even(values: Tensor) -> Tensor:
    return values[:, :, : values.shape[2] // 2 * 2, : values.shape[3] // 2 * 2]


def resized(scale: int, mode: str) -> nn.Module:
    return nn.Upsample(scale_factor=scale, mode=mode)


sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
small = st.tuples(st.integers(1, 2), st.integers(1, 2))
paddings = st.tuples(st.integers(0, 2), st.integers(0, 2))
convolutions = st.builds(
    lambda kernel, stride, padding, dilation: nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False),
    sizes, small, paddings, small,
)  # fmt: skip
same_size = st.builds(
    lambda kernel, dilation: nn.Conv2d(1, 1, kernel, padding="same", dilation=dilation, bias=False), sizes, small
)
poolings = st.builds(lambda size, stride: nn.AvgPool2d(size, stride), st.integers(2, 3), st.integers(1, 3))
transposed = st.builds(
    lambda kernel, stride, padding: nn.ConvTranspose2d(1, 1, kernel, stride, padding, bias=False),
    st.tuples(st.integers(2, 4), st.integers(2, 4)), small, st.just(0),
)  # fmt: skip
resizing = st.builds(resized, st.integers(2, 2), st.sampled_from(["nearest", "bilinear"]))
views = st.sampled_from(
    [
        Applied(lambda values: values[:, :, 2:, 1::2]),
        Applied(lambda values: F.pad(values, (2, 1, 0, 3))),
        Applied(lambda values: F.unfold(values, 3, padding=1).sum(1).reshape(1, 1, *values.shape[2:])),
        Applied(lambda values: F.pixel_unshuffle(even(values), 2).sum(1, keepdim=True)),
        Applied(lambda values: values.flatten(2).reshape(values.shape) + values),
        Applied(lambda values: values.transpose(2, 3).contiguous().transpose(3, 2)),
        nn.ReLU(),
        nn.BatchNorm2d(1),
    ]
)  # fmt: skip
parts = st.one_of(convolutions, convolutions, same_size, poolings, transposed, resizing, views)
unstrided = st.one_of(
    same_size,
    poolings.filter(lambda one: one.stride == 1),
    convolutions.filter(lambda one: one.stride == (1, 1)),
)
branches = st.builds(
    Branches,
    st.lists(st.lists(unstrided, max_size=2).map(lambda inner: nn.Sequential(*inner)), min_size=2, max_size=3),
    st.sampled_from(["add", "cat", "stack"]),
)
nets = st.lists(st.one_of(parts, parts, branches), min_size=1, max_size=5).map(Positive)

SIZE = 128
MARGIN = 24
PERIOD = 48
"""Positions after which every pattern repeats: that of strides of 2 and 3 and of enlargements by 2."""


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    derandomize=True,  # the same nets each time; --hypothesis-seed has no say, other nets come with other strategies
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # making a net smaller takes minutes and teaches little
)
@given(nets)
def test_fields_are_where_gradients_are(net: Positive) -> None:
    """Every pixel in a value's field has a gradient of that value at both its ends, and none lies outside."""
    net = net.eval()
    image = torch.ones(1, 1, SIZE, SIZE, requires_grad=True)
    try:
        output = net(image)
    except RuntimeError:
        with pytest.raises(InspectionError):
            last_field(net, (1, SIZE, SIZE))
        return  # it shrinks the maps to nothing
    field = last_field(net, (1, SIZE, SIZE))
    enlarges = sum(isinstance(part, nn.ConvTranspose2d | nn.Upsample) for part in net.modules())
    assume(enlarges <= 4)  # or the pattern is longer than what is looked at
    views = any(isinstance(part, Applied) for part in net.modules())
    if enlarges and views and (field.unknown or None in field.start):
        return  # a view that cuts the pattern of an enlargement apart: not known, and said so
    assert not field.unknown
    places = [in_the_middle(field, axis, output.shape[2 + axis]) for axis in (0, 1)]
    count = min(map(len, places))
    assume(count)
    # A run of neighbours, and two that are one period further on; rows and columns move together.
    pattern = max(12, 2**enlarges)
    chosen = [one for one in (*range(pattern), PERIOD, PERIOD + 1) if one < count]
    ends = [seen(image, output, places[0][one], places[1][one]) for one in chosen]
    for axis in (0, 1):
        size, jump, start = field.size[axis], field.jump[axis], field.start[axis]
        assert start is not None
        assert jump is not None
        widest = max(last - first + 1 for first, last in (pair[axis] for pair in ends))
        # The size is the largest; where neighbours differ, a few of them may all be smaller.
        assert widest == size or (widest < size and (enlarges or views) and count < pattern)
        centres = {
            places[axis][one]: (pair[axis][0] + pair[axis][1] + 1) / 2 for one, pair in zip(chosen, ends, strict=True)
        }
        for place, centre in centres.items():
            # Enlargements give neighbours centres in a pattern; the first value's is where the pattern begins.
            if not (enlarges or views) or place % PERIOD == 0:
                assert centre == start + place * jump
            later = centres.get(place + PERIOD)
            assert later is None or later - centre == PERIOD * jump


def in_the_middle(field: Field, axis: int, length: int) -> list[int]:
    """Return the places along an axis of the output whose values see nothing near the edges, nor what padding made."""
    size, jump, start = field.size[axis], field.jump[axis], field.start[axis]
    assert size is not None
    assert jump is not None
    assert start is not None
    first, last = MARGIN + size, SIZE - MARGIN - size
    return [place for place in range(length) if first <= start + place * jump <= last]


def seen(image: Tensor, output: Tensor, row: int, column: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and the last row, and the first and the last column, that a value of the output depends on."""
    (gradient,) = torch.autograd.grad(output[0, :, row, column].sum(), image, retain_graph=True)
    rows, columns = (torch.nonzero((gradient[0, 0] != 0).any(1 - axis)).flatten() for axis in (0, 1))
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))


# By hand


def test_branches_with_other_kernels_see_what_the_largest_sees() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.small, self.large = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 5, padding=2)

        def forward(self, values: Tensor) -> Tensor:
            return self.small(values) + self.large(values)

    assert last_field(Two()) == Field((5, 5), (1, 1), (0.5, 0.5))


def test_branches_off_centre_are_told() -> None:
    shifted = last_field(lambda values: values[:, :, 2:, :] + values[:, :, :-2, :])
    assert shifted.size == (3, 1)
    assert not shifted.aligned
    assert last_field(lambda values: values + values.relu()).aligned


@pytest.mark.parametrize(
    ("net", "size", "jump", "start"),
    [
        (nn.Conv2d(1, 1, (3, 5), (1, 2), (1, 0), (2, 1)), (5, 5), (1, 2), (1.5, 2.5)),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3)), (8, 8), (2, 2), (4.0, 4.0)),
        (nn.MaxPool2d(3, 2, 1, ceil_mode=True), (3, 3), (2, 2), (0.5, 0.5)),
        (nn.ConvTranspose2d(1, 1, 2, 2), (1, 1), (Fraction(1, 2), Fraction(1, 2)), (0.5, 0.5)),
        (nn.ConvTranspose2d(1, 1, 4, 2, 1), (2, 2), (Fraction(1, 2), Fraction(1, 2)), (0.0, 0.0)),
        (nn.AdaptiveAvgPool2d(1), (64, 64), (1, 1), (32.0, 32.0)),
        (nn.AdaptiveAvgPool2d(7), (10, 10), (Fraction(64, 7), Fraction(64, 7)), (5.0, 5.0)),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 62 * 62, 2)), (64, 64), (1, 1), (32.0, 32.0)),
        (nn.PixelUnshuffle(4), (1, 1), (4, 4), (0.5, 0.5)),
        (nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(16, 1, 1)), (4, 4), (4, 4), (2.0, 2.0)),
        (nn.Sequential(nn.Conv2d(1, 4, 1), nn.PixelShuffle(2)), (1, 1), (Fraction(1, 2), Fraction(1, 2)), (0.5, 0.5)),
    ],
)  # fmt: skip
def test_layers_one_by_one(
    net: nn.Module, size: tuple[int, int], jump: tuple[int, int], start: tuple[float, float]
) -> None:
    field = last_field(net)
    assert field.size == size
    assert field.jump == jump
    assert field.start == start


def test_a_gate_from_the_whole_map_lets_every_value_see_the_whole_map() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps, self.gate = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 1)

        def forward(self, values: Tensor) -> Tensor:
            maps = self.maps(values)
            return maps * torch.sigmoid(self.gate(maps.mean((2, 3), keepdim=True)))

    field = last_field(Gated())
    assert field.size == (65, 65)  # 32 values that move by 2, each 3 wide
    assert field.jump == (2, 2)


def test_attention_sees_all_tokens_and_a_token_sees_its_patch() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(1, 16, 8, 8)
            self.first = nn.Linear(16, 16)
            self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, values: Tensor) -> Tensor:
            tokens = self.first(self.patches(values).flatten(2).transpose(1, 2))
            return self.attention(tokens, tokens, tokens)[0]

    summary = inspect(Attends(), (1, 64, 64))
    fields = {row.name: row.field for row in summary.rows}
    assert fields["first"] == Field((8, 8), (8, 8), (4.0, 4.0))
    assert fields["attention"] is not None
    assert fields["attention"].size == (64, 64)


def test_a_recurrent_layer_sees_the_whole_sequence() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.reads = nn.Embedding(50, 8), nn.LSTM(8, 4, batch_first=True)

        def forward(self, words: Tensor) -> Tensor:
            return self.reads(self.words(words))[0][:, -1]

    summary = inspect(Reads(), torch.zeros(1, 20, dtype=torch.int64))
    assert [row.field and row.field.size for row in summary.rows] == [(1,), (20,)]


def test_what_no_rule_covers_is_unknown() -> None:
    field = last_field(lambda values: F.grid_sample(values, torch.zeros(1, 8, 8, 2), align_corners=False))
    assert field.size == (None, None)
    assert "grid_sampler" in field.unknown


def test_a_map_that_is_written_piece_by_piece_is_unknown() -> None:
    def written(values: Tensor) -> Tensor:
        result = torch.zeros_like(values)
        result[:, :, :32] = F.avg_pool2d(values, 3, 1, 1)[:, :, :32]
        return result + values

    assert last_field(written).unknown


def test_values_in_place_are_the_same_values() -> None:
    def changed(values: Tensor) -> Tensor:
        maps = F.avg_pool2d(values, 3)
        flat = maps.flatten(2)
        flat.add_(1)
        return maps

    assert last_field(changed, (1, 63, 63)).size == (3, 3)
