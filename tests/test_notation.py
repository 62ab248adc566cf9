"""The one-line notation: what it says, how it prints back, and how it refuses."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import GUIDE_NET
from stepladder.errors import NotationError, ShapeError, SpecError
from stepladder.layers import (
    AveragePool,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    ReLU,
    SiLU,
    Softmax,
)
from stepladder.notation import Net, parse_input_shape


def test_every_convolution_but_the_last_is_followed_by_batch_norm_and_relu() -> None:
    net = Net.parse("8C3 MP2 GAP 10C1")
    assert net.layers == (
        Convolution(8, (3, 3)),
        BatchNorm(),
        ReLU(),
        MaxPool((2, 2), (2, 2)),
        GlobalAveragePool(),
        Convolution(10, (1, 1)),
    )


def test_the_guides_net_has_30_layers_and_7496_parameters() -> None:
    net = Net.parse(GUIDE_NET)
    assert len(net.layers) == 30
    assert net.parameters((1, 28, 28)) == 7496
    assert str(net) == GUIDE_NET


def test_dropout_needs_no_parameters() -> None:
    without = "8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1"
    assert Net.parse(without).parameters((1, 28, 28)) == 7496
    assert str(Net.parse(without)) == without


def test_brackets_set_the_chain_and_a_word_may_have_its_own() -> None:
    net = Net.parse("[SiLU] 8C3 4C1/none 6C3/BN/ReLU/D0.1 GAP 10C1/ReLU")
    assert [layer.token() for layer in net.layers] == (
        ["8C3", "SiLU", "4C1", "6C3", "BN", "ReLU", "D0.1", "GAP", "10C1", "ReLU"]
    )


def test_empty_brackets_make_every_word_literal() -> None:
    assert Net.parse("[] 8C3 BN SiLU 10C1").layers[2] == SiLU()


def test_suffixes() -> None:
    net = Net.parse("[] 8C3x5s2p1x2d2g4b AP3s2p1 GAP 10C1")
    assert net.layers[0] == Convolution(8, (3, 5), (2, 2), (1, 2), (2, 2), 4, True)
    assert net.layers[1] == AveragePool((3, 3), (2, 2), (1, 1))


def test_flattening_is_put_in_before_the_first_linear_layer() -> None:
    net = Net.parse("8C3 MP2 32F 10Fb")
    assert [type(layer) for layer in net.layers[4:]] == [Flatten, Linear, BatchNorm, ReLU, Linear]
    assert str(net) == "8C3 MP2 32F 10Fb"


def test_letters_may_be_of_either_case() -> None:
    assert Net.parse("[bn relu d0.05] 8c3 mp2 gap 10c1") == Net.parse("[BN ReLU D0.05] 8C3 MP2 GAP 10C1")


def test_a_softmax_can_only_be_the_last_word() -> None:
    net = Net.parse("8C3 MP2 GAP 10C1 sm")
    assert net.layers[-1] == Softmax()
    assert net.layers[-2] == Convolution(10, (1, 1))  # the last convolution gives the logits and is bare
    assert str(net) == "8C3 MP2 GAP 10C1 SM"
    for text in ("8C3 SM 10F", "SM 8C3 GAP", "8C3 10F SM SM"):
        with pytest.raises(NotationError, match="'SM' can only be the last word"):
            Net.parse(text)
    with pytest.raises(NotationError, match="'SM' cannot stand in a chain"):
        Net.parse("8C3/SM 10F")


@pytest.mark.parametrize("end", ["GAP 5C1", "5F", "16F 5F"])
def test_softmax_gives_probabilities_of_an_image(end: str) -> None:
    logits = Net.parse(f"4C3 {end}").build((1, 6, 6)).eval()
    probabilities = Net.parse(f"4C3 {end} SM").build((1, 6, 6)).eval()
    probabilities.load_state_dict(logits.state_dict())
    images = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = logits(images).flatten(1).softmax(1)
        torch.testing.assert_close(probabilities(images).flatten(1), expected)
        assert torch.allclose(expected.sum(1), torch.ones(3))


_chains = st.lists(st.sampled_from([BatchNorm(), ReLU(), SiLU(), Dropout(0.05), Dropout(0.25)]), max_size=3)
_sizes = st.integers(1, 3)
_weighted = st.one_of(
    st.builds(
        Convolution,
        st.integers(1, 40),
        st.tuples(_sizes, _sizes),
        st.tuples(_sizes, _sizes),
        st.tuples(st.integers(0, 3), st.integers(0, 3)),
        st.tuples(_sizes, _sizes),
        _sizes,
        st.booleans(),
    ),
    st.builds(Linear, st.integers(1, 40), st.booleans()),
)
_others = st.one_of(
    st.builds(MaxPool, st.tuples(_sizes, _sizes), st.tuples(_sizes, _sizes)),
    st.builds(AveragePool, st.tuples(_sizes, _sizes), st.tuples(_sizes, _sizes), st.tuples(_sizes, _sizes)),
    st.sampled_from([GlobalAveragePool(), BatchNorm(), ReLU(), Flatten(), Dropout(0.5)]),
)
_blocks = st.one_of(st.builds(lambda layer, chain: [layer, *chain], _weighted, _chains), _others.map(lambda one: [one]))


@given(st.lists(_blocks, min_size=1, max_size=8))
def test_what_is_printed_reads_back_to_the_same_net(blocks: list[list]) -> None:
    layers: list = []
    for layer in (layer for block in blocks for layer in block):
        # Nothing can be written that has a linear layer without a flattening somewhere before it.
        if isinstance(layer, Linear) and not any(isinstance(one, Flatten) for one in layers):
            layers.append(Flatten())
        layers.append(layer)
    net = Net(tuple(layers))
    text = str(net)
    assert Net.parse(text) == net
    assert str(Net.parse(text)) == text


def test_all_mistakes_are_named_at_once_with_column_and_nearest_word() -> None:
    with pytest.raises(NotationError) as caught:
        Net.parse("8C3 MX2 0C3 D1.5 8C3q2 MP2/BN 8C3/XN")
    text = str(caught.value)
    assert "6 mistakes" in text
    assert "column 5: 'MX2' is no layer; did you mean 'MP2'?" in text
    assert "column 9: '0C3'" in text
    assert "column 13: 'D1.5' the probability of dropout must be at least 0 and below 1" in text
    assert "column 18: '8C3q2' ends in 'q2'" in text
    assert "column 24: 'MP2/BN' only convolutions and linear layers carry a chain" in text
    assert "column 35: 'XN' is no layer; did you mean 'BN'?" in text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "there is no layer"),
        ("[BN ReLU] ", "there is no layer"),
        ("[BN 8C3 10C1", "never closed"),
        ("[8C3] 10C1", "cannot stand in a chain"),
        ("8C3s2s1", "says 's' twice"),
        ("8C3s0", "stride out of range"),
        ("MP2d2", "no suffix"),
        ("8C3g2x2", "one number of groups"),
        ("8C", "is no layer; did you mean '8C3'?"),
    ],
)
def test_mistakes(text: str, part: str) -> None:
    with pytest.raises(NotationError, match="mistake") as caught:
        Net.parse(text)
    assert part in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_gives_a_net_or_a_notation_error(text: str) -> None:
    try:
        net = Net.parse(text)
    except NotationError:
        return
    assert Net.parse(str(net)) == net


@pytest.mark.parametrize("text", ["9" * 100_000 + "C3", "X" * 100_000, "8Q3 " * 20_000, "D" + "9" * 100_000])
def test_hostile_texts_are_refused_quickly_and_briefly(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(NotationError) as caught:
        Net.parse(text)
    assert time.perf_counter() - began < 5
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize(
    ("text", "layer", "repair"),
    [
        ("8C3 MP2 MP2 MP2 16C3 16C3 GAP 10C1", "layer 10, '16C3'", "pad it by 1 more"),
        ("8C3 MP28 GAP 10C1", "layer 4, 'MP28'", "remove it"),
        ("8C3g3 10C1", "layer 1, '8C3g3'", "divides both"),
        ("10F 8C3", "layer 5, '8C3'", "before the flattening"),
        ("MP2p2 10C1", "layer 1, 'MP2p2'", "pad less"),
    ],
)
def test_an_impossible_shape_names_the_layer_and_the_repair(text: str, layer: str, repair: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Net.parse(text).shapes((1, 28, 28))
    assert layer in str(caught.value)
    assert repair in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shape"), [("1x28x28", (1, 28, 28)), ("3×32×30", (3, 32, 30)), ("1, 8, 9", (1, 8, 9))]
)
def test_input_shapes(text: str, shape: tuple[int, int, int]) -> None:
    assert parse_input_shape(text) == shape


@pytest.mark.parametrize("text", ["", "28", "1x28", "0x28x28", "ax28x28", "1x28x28x28", "1x-1x28", "1x999999x2"])
def test_wrong_input_shapes(text: str) -> None:
    with pytest.raises(SpecError, match="three whole numbers"):
        parse_input_shape(text)
