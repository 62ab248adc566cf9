"""Nets changed by one technique: the rest stays as it was, and what comes out still fits its images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stepladder import edits
from stepladder.inspection.oneline import describe
from stepladder.notation import Net

IMAGE = (1, 28, 28)
NETS = some.sampled_from(
    [
        "8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1",
        "[ReLU] 8C3 MP2 256Fb 10F",
        "[BN SiLU D0.1] 9C3 11C3s2p1 13C3 GAP 10C1",
        "[ReLU] 4C5b MP2 6C3 GAP 10F",
        "8C3 8C3p1g8 8C1 GAP 10C1",
        "10F",
    ]
)


def change(edit: str, net: str) -> str:
    """Return a net in one line after an edit without arguments."""
    return str(getattr(edits, edit)(Net.parse(net)))


def test_wider_layers_leave_the_last_one_alone() -> None:
    assert str(edits.widened(Net.parse("2C3 MP2 3C3 GAP 10C1"), 4)) == "8C3 MP2 12C3 GAP 10C1"
    assert str(edits.widened(Net.parse("8C3 16F 10F"), 0.5)) == "4C3 8F 10F"


def test_norms_take_the_place_of_biases() -> None:
    assert change("with_norms", "[ReLU] 4C3b 6C3 GAP 10F") == "4C3 6C3 GAP 10F"
    assert change("with_norms", "4C3 6C3 GAP 10F") == "4C3 6C3 GAP 10F"


def test_activations_stand_behind_the_norms() -> None:
    assert change("with_activations", "[BN] 4C3 6C3 GAP 10F") == "4C3 6C3 GAP 10F"
    assert change("with_activations", "4C3/none 6C3/SiLU GAP 10F") == "4C3/ReLU 6C3/SiLU GAP 10F"


def test_dropout_ends_each_chain_but_the_last() -> None:
    assert str(edits.with_chains(Net.parse("4C3 MP2 6C3 GAP 10F"), 0.05)) == "[BN ReLU D0.05] 4C3 MP2 6C3 GAP 10F"
    assert str(edits.with_dropout(Net.parse("[BN ReLU D0.5] 4C3 GAP 10F"), 0)) == "4C3 GAP 10F"


def test_an_average_takes_the_place_of_a_dense_head() -> None:
    averaged = edits.with_average(Net.parse("[ReLU] 8C3 MP2 256Fb 10F"), IMAGE)
    assert str(averaged) == "8C3/ReLU MP2 GAP 10C1"
    assert edits.with_average(Net.parse("8C3 GAP 10C1"), IMAGE) is None


@pytest.mark.parametrize(("net", "wanted"), [("16C3 32C3 GAP 10C1", (18, 14)), ("[ReLU] 8C3 MP2 GAP 10C1", (20, 20))])
def test_more_convolutions_see_as_much_as_is_wanted(net: str, wanted: tuple[int, int]) -> None:
    grown = edits.seeing(Net.parse(net), IMAGE, wanted)
    assert grown is not None
    head = next(row for row in describe(grown, IMAGE).rows if row.token == "GAP")
    assert head.field_in is not None
    assert all((have or 0) >= want for have, want in zip(head.field_in.size, wanted, strict=True))
    assert grown.layers[: len(Net.parse(net).layers) - 2] == Net.parse(net).layers[:-2]


def test_a_net_without_convolutions_cannot_see_more() -> None:
    assert edits.seeing(Net.parse("16F 10F"), IMAGE, (20, 20)) is None


@given(net=NETS, budget=some.integers(50, 400_000))
def test_a_fitted_net_is_below_its_budget_and_no_narrower_than_it_has_to_be(net: str, budget: int) -> None:
    before = Net.parse(net)
    fitted = edits.fitted(before, IMAGE, budget)
    if before.parameters(IMAGE) < budget:
        assert fitted == before
    if fitted is not None:
        assert fitted.parameters(IMAGE) < budget


@given(net=NETS)
def test_every_edit_gives_a_net_that_fits_and_reads_back(net: str) -> None:
    parsed = Net.parse(net)
    changed = [
        edits.widened(parsed, 2),
        edits.widened(parsed, 0.3),
        edits.with_norms(parsed),
        edits.with_activations(parsed),
        edits.with_chains(parsed, 0.05),
        edits.with_average(parsed, IMAGE),
        edits.seeing(parsed, IMAGE, (28, 28)),
    ]
    for one in changed:
        if one is not None:
            assert one.shapes(IMAGE)[-1] in ((10,), (10, 1, 1))
            assert Net.parse(str(one)) == one
