"""What inspection says of well-known nets is what torch, torchinfo and torch's own counter of operations say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
import torchinfo
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from laws import check_laws
from stepladder.errors import ShapeError
from stepladder.inspection.module import inspect
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import Row, Summary
from stepladder.notation import Net
from zoo import ZOO

# What is left out is more of the same blocks.
ALIKE = ("resnet34", "resnet101", "resnet152", "resnet50_original", "resnet101_original", "resnet152_original")
NETS = [name for name in ZOO if name not in (*ALIKE, "wide_resnet50", "inception_v3_plain")]


@dataclass(frozen=True)
class Said:
    """What each tool says of one net, all asked about the same module without memory.

    Args:
        net: the module.
        summary: what stepladder says.
        torchinfo: what torchinfo says: its layers by the path in the net, call by call.
        torchinfo_total: its sum of parameters.
        operations: torch's count of multiplications and additions, by path; "" is all.
    """

    net: nn.Module
    summary: Summary
    torchinfo: Mapping[str, Sequence[torchinfo.layer_info.LayerInfo]]
    torchinfo_total: int
    operations: Mapping[str, int]


@cache
def said(name: str) -> Said:
    entry = ZOO[name]
    with torch.device("meta"):
        net = entry.build().eval()
    example = entry.example(batch=1)
    paths = {module: path for path, module in net.named_modules()}
    layers = defaultdict(list)
    # One pass serves both.
    with FlopCounterMode(display=False) as counter:
        told = torchinfo.summary(net, input_data=example, device="meta", depth=100, verbose=0, cache_forward_pass=False)
    for layer in told.summary_list:
        layers[paths[layer.module]].append(layer)
    root = type(net).__name__
    operations = {
        path.removeprefix(root).removeprefix("."): sum(counts.values())
        for path, counts in counter.get_flop_counts().items()
        if path != "Global"
    }
    return Said(net, inspect(net, example), layers, told.total_params, operations)


def called(rows: Sequence[Row], net: nn.Module) -> dict[str, list[Row]]:
    """The rows that are modules, by path, call by call; those that are never called left out."""
    paths = {path for path, _ in net.named_modules()}
    calls = defaultdict(list)
    for row in rows:
        if row.name in paths and row.note != "never called":
            calls[row.name].append(row)
    return calls


# Parameters and shapes


@pytest.mark.parametrize("name", NETS)
def test_laws_hold(name: str) -> None:
    check_laws(said(name).summary, said(name).net)


TIED = {"gpt2_small": "head"}
"""Nets whose named layer has another layer's weight. torchinfo adds it up twice; the net has it once."""


@pytest.mark.parametrize("name", NETS)
def test_parameters_are_those_of_torch_and_torchinfo(name: str) -> None:
    net, total = said(name).net, said(name).summary.totals.parameters
    assert total == sum(one.numel() for one in net.parameters())
    twice = net.get_submodule(TIED[name]).weight.numel() if name in TIED else 0
    assert said(name).torchinfo_total == total + twice


@pytest.mark.parametrize("name", NETS)
def test_each_layer_has_the_parameters_and_the_shape_that_torchinfo_says(name: str) -> None:
    net, theirs = said(name).net, said(name).torchinfo
    compared = 0
    for path, rows in called(said(name).summary.rows, net).items():
        assert len(rows) == len(theirs[path]), path
        for row, layer in zip(rows, theirs[path], strict=True):
            # A layer that is called again has been counted before: torchinfo marks it, here it is "shared".
            counted = 0 if layer.is_recursive else layer.num_params
            if path == TIED.get(name):
                assert (row.parameters, row.shared) == (0, counted)
            else:
                assert row.parameters == counted, path
            # Here shapes are without the batch; an embedding of positions gives a tensor that has none.
            assert layer.output_size in ([1, *row.output_shape], list(row.output_shape)), path
            compared += 1
    assert compared


def test_torchinfo_looks_into_layers_that_are_one_row_here() -> None:
    # A convolution whose weight is normalised is one layer, as its author wrote it, and its parameters are its own.
    inside = [path for path in said("tcn").torchinfo if "parametrizations" in path]
    assert inside
    rows = said("tcn").summary.rows
    assert not any("parametrizations" in row.name for row in rows)
    convolution = next(row for row in rows if row.kind == "CausalConv")
    assert convolution.parameters == sum(one.numel() for one in said("tcn").net.blocks[0].layers[0].parameters())


# Multiply-accumulates


@pytest.mark.parametrize("name", NETS)
def test_multiply_accumulates_are_half_of_torchs_operations_in_total_and_in_each_module(name: str) -> None:
    rows = said(name).summary.rows
    for path, operations in said(name).operations.items():
        inside = [row for row in rows if not path or row.name == path or row.name.startswith(f"{path}.")]
        assert 2 * sum(row.macs for row in inside) == operations, path
    assert 2 * said(name).summary.totals.macs == said(name).operations.get("", 0)


def test_attention_is_counted_however_it_is_worked_out() -> None:
    class Attends(nn.Module):
        def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(queries, keys, values)

    inputs = [(2, 5, 8), (2, 7, 8), (2, 7, 8)]
    by_hand = 2 * 5 * 7 * 8 * 2  # heads, queries, keys, channels; scores and weighted sums
    assert inspect(Attends(), inputs).totals.macs == by_hand

    def operations(device: str) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            Attends()(*(torch.zeros(1, *shape, device=device) for shape in inputs))
        return counter.get_total_flops()

    assert operations("meta") == 2 * by_hand
    # torch's counter knows not the processor's own way of attention, and counts nothing.
    assert operations("cpu") in (0, 2 * by_hand)


def test_recurrent_layers_are_counted_where_torchinfo_guesses() -> None:
    lstm = nn.LSTM(6, 5, batch_first=True)
    summary = inspect(lstm, (7, 6))
    by_hand = 7 * 4 * 5 * (6 + 5)  # moments, gates, hidden values; the input's and the state's weights
    assert summary.totals.macs == by_hand
    other = torchinfo.summary(lstm, (1, 7, 6), verbose=0)
    # It multiplies all parameters, biases too, by the moments.
    assert other.total_mult_adds == 7 * summary.totals.parameters


def test_torchinfo_counts_normalisation_which_is_no_product_of_matrices() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
    summary = inspect(net, (3, 10, 10))
    assert summary.totals.macs == 8 * 3 * 9 * 64
    assert torchinfo.summary(net, (1, 3, 10, 10), verbose=0).total_mult_adds == summary.totals.macs + 16


def test_a_batch_multiplies_what_is_done_and_nothing_else() -> None:
    one = said("mobilenet_v2").summary
    with torch.device("meta"):
        net = ZOO["mobilenet_v2"].build()
    four = inspect(net, ZOO["mobilenet_v2"].inputs[0], batch=4)
    assert four.totals.macs == 4 * one.totals.macs
    assert four.totals.parameters == one.totals.parameters
    assert [row.output_shapes for row in four.rows] == [row.output_shapes for row in one.rows]
    assert [row.field for row in four.rows] == [row.field for row in one.rows]


# Shapes of a real run

RUN = ["lenet5", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2", "dcgan_generator", "autoencoder"]
RUN += ["tcn", "lstm_classifier", "gru_forecaster", "crnn", "unet"]


def flat(value: Any) -> list[tuple[int, ...]]:
    """The shapes of the tensors in a value, without the batch of two."""
    if isinstance(value, Tensor):
        return [tuple(value.shape[1:]) if value.shape[0] == 2 else tuple(value.shape)]
    return [shape for one in value for shape in flat(one)] if isinstance(value, list | tuple) else []


@pytest.mark.parametrize("name", RUN)
def test_shapes_are_those_that_hooks_see_with_real_weights(name: str) -> None:
    entry = ZOO[name]
    net = entry.build().eval()
    # A smaller image takes the same way, where the net takes any.
    smaller = {224: 96, 572: 188}
    shapes = [tuple(smaller.get(size, size) for size in shape) for shape in entry.inputs]
    dtypes = entry.dtypes or (torch.float32,) * len(shapes)
    example = [torch.zeros(2, *shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    rows = called(inspect(net, example, batch=2).rows, net)
    seen = defaultdict(list)
    for path in rows:

        def note(_module: nn.Module, given: object, result: object, calls: list[Any] = seen[path]) -> None:
            calls.append((flat(given), flat(result)))

        net.get_submodule(path).register_forward_hook(note)
    with torch.no_grad():
        net(*example)
    assert len(rows) > 1
    for path, calls in rows.items():
        assert [(list(row.input_shapes), list(row.output_shapes)) for row in calls] == seen[path], path


# One-line nets are described without torch: by other code, with the same outcome

activations = st.sampled_from(["ReLU", "SiLU", "GELU"])
chains = st.lists(st.one_of(activations, st.sampled_from(["BN", "D0.1"])), max_size=3, unique=True)
convolutions = st.builds(
    lambda groups, width, kernel, suffixes, chain: (
        f"{2 * width}C{kernel}{groups}{''.join(suffixes)}{'/' + '/'.join(chain) if chain else ''}"
    ),
    st.sampled_from(["", "g2"]),
    st.integers(1, 4),
    st.sampled_from(["1", "2", "3", "1x3", "3x2", "5"]),
    st.tuples(
        st.sampled_from(["", "s2", "s1x2"]),
        st.sampled_from(["", "p1", "p0x1"]),
        st.sampled_from(["", "d2"]),
        st.sampled_from(["", "b"]),
    ),
    chains,
)
poolings = st.sampled_from(["MP2", "AP2", "MP3s2", "MP3s1p1", "AP3s1p1", "MP2x1", "AP1x2"])
layers = st.one_of(convolutions, convolutions, poolings, activations, st.sampled_from(["BN", "D0.2"]))
tails = st.sampled_from(["", "GAP", "GAP 10C1", "GAP FL 10F", "10F", "16F 10Fb", "FL D0.3 10F", "AP2 FL BN 4F"])
notations = st.builds(
    lambda front, body, tail: " ".join(one for one in [front, *body, tail] if one),
    st.sampled_from(["", "[BN ReLU]", "[ReLU]", "[BN SiLU D0.1]"]),
    st.lists(layers, min_size=1, max_size=5),
    tails,
)
COMPARED = (
    "kind",
    "role",
    "input_shapes",
    "output_shapes",
    "parameters",
    "trainable",
    "buffers",
    "bias",
    "macs",
    "inputs",
    "window",
    "groups",
    "field_in",
    "field",
    "output_bytes",
    "kept_bytes",
)
UNHURRIED = settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def compared(row: Row) -> dict[str, Any]:
    """What both ways of describing have to agree in."""
    facts = {name: getattr(row, name) for name in COMPARED}
    for name, shape in (("field_in", row.input_shape), ("field", row.output_shape)):
        if len(shape) < 3 or min(shape[1:]) == 1:
            # Where one place is left there is no next one: how far it would be is a convention.
            facts[name] = (facts[name].size, facts[name].start)
    return facts


@UNHURRIED
@given(notations, st.sampled_from([(2, 15, 17), (4, 12, 12)]))
def test_a_one_line_net_is_described_as_the_module_that_it_builds(text: str, shape: tuple[int, int, int]) -> None:
    net = Net.parse(text)
    try:
        plain = describe(net, shape)
        built = net.build(shape)
    except ShapeError:
        assume(False)
        raise
    torchs = inspect(built, shape)
    for ours, theirs in zip(plain.rows, torchs.rows, strict=True):
        assert compared(ours) == compared(theirs), f"{text}: {ours.token}"
    assert plain.totals == torchs.totals, text
    assert (plain.image, plain.outputs) == (torchs.image, torchs.outputs)
    assert [finding.kind for finding in plain.findings] == [finding.kind for finding in torchs.findings]


class Residual(nn.Module):
    """A net and what it was given, added up."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


@settings(UNHURRIED, max_examples=25)
@given(st.lists(st.sampled_from(["4C3p1", "4C1", "4C5p2", "4C3p2d2", "MP3s1p1", "BN", "SiLU", "4C3p1g2b"]), max_size=4))
def test_a_shortcut_adds_one_row_and_leaves_the_others_as_they_are(words: list[str]) -> None:
    net = Net.parse(" ".join([*words, "4C1/BN"]))
    plain = describe(net, (4, 12, 12))
    torchs = inspect(Residual(net.build((4, 12, 12))), (4, 12, 12))
    *inner, added = torchs.rows
    assert [(row.kind, row.parameters, row.macs, row.field) for row in inner] == [
        (row.kind, row.parameters, row.macs, row.field) for row in plain.rows
    ]
    assert (added.role, added.parameters, added.macs) == ("add", 0, 0)
    assert added.inputs == (-1, len(inner) - 1)
    # The larger branch decides, and all kernels here are odd, so the centres agree.
    assert added.field == plain.rows[-1].field
