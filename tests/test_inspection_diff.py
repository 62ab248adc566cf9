"""Two nets side by side: which rows answer each other, what differs, and how it looks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import GUIDE_NET
from hand_made import Maker, many, nets, residual
from markup import Tags
from stepladder.inspection import diff, tables
from stepladder.inspection.diff import compare
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import Summary
from stepladder.notation import Net

GOLDEN = Path(__file__).parent / "golden" / "tables"
GUIDE = describe(Net.parse(GUIDE_NET), (1, 28, 28))
SMALLER = describe(Net.parse("[BN ReLU] 8C3 16C3 MP2 12C3 GAP 10C1"), (1, 28, 28))

LOOKS: dict[str, Callable[[], str]] = {
    "diff-guide.txt": lambda: diff.render(compare(SMALLER, GUIDE), "text", width=100),
    "diff-residual-80.txt": lambda: diff.render(compare(residual(3, 4, 6, 3), residual(3, 8, 36, 3)), "text", width=80),
    "diff-residual.md": lambda: diff.render(compare(residual(1), residual(2, width=48)), "markdown"),
    "diff-guide.html": lambda: diff.render(compare(SMALLER, GUIDE), "html"),
}


@pytest.mark.parametrize("name", LOOKS)
def test_comparisons_look_as_they_did(name: str) -> None:
    path, rendered = GOLDEN / name, LOOKS[name]()
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 writes the files anew"


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.glob("diff-*")} == set(LOOKS)


@settings(max_examples=60, deadline=None)
@given(nets(), nets())
def test_a_comparison_has_every_row_once_in_order(left: Summary, right: Summary) -> None:
    comparison = compare(left, right)
    assert [pair.left for pair in comparison.pairs if pair.left is not None] == list(left.rows)
    assert [pair.right for pair in comparison.pairs if pair.right is not None] == list(right.rows)
    for total in comparison.totals:
        assert total.left + total.difference == total.right
    assert sum(map(comparison.count, "=~−+")) == len(comparison.pairs)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(nets(), nets(), st.integers(60, 140))
def test_comparisons_fit_the_terminal(left: Summary, right: Summary, width: int) -> None:
    text = diff.render(compare(left, right), "text", width=width)
    assert max(map(len, text.splitlines())) <= width


@settings(max_examples=40, deadline=None)
@given(nets())
def test_a_net_equals_itself(net: Summary) -> None:
    assert compare(net, net).same


def test_a_layer_put_in_is_the_only_one_without_a_partner() -> None:
    before = describe(Net.parse("8C3 BN ReLU 16C3 BN ReLU GAP 10C1"), (1, 28, 28))
    after = describe(Net.parse("8C3 BN ReLU MP2 16C3 BN ReLU GAP 10C1"), (1, 28, 28))
    comparison = compare(before, after)
    assert [pair.right.token for pair in comparison.pairs if pair.sign == "+"] == ["MP2"]  # type: ignore[union-attr]
    assert comparison.count("−") == 0
    changed = [pair for pair in comparison.pairs if pair.sign == "~"]
    assert changed
    assert all(pair.follows for pair in changed), "sizes, MACs and fields after it follow from it"


def test_another_kind_for_the_same_work_is_a_change() -> None:
    pairs = compare(
        describe(Net.parse("[ReLU] 8C3 GAP 10C1"), (1, 28, 28)), describe(Net.parse("[SiLU] 8C3 GAP 10C1"), (1, 28, 28))
    ).pairs
    assert [pair.sign for pair in pairs] == ["=", "~", "=", "="]
    assert pairs[1].changes == ("kind",)


def test_blocks_of_a_deeper_net_are_found_where_they_were_added() -> None:
    comparison = compare(residual(3, 4, 6, 3), residual(3, 4, 23, 3))
    added = {pair.right.name.rsplit(".", 1)[0] for pair in comparison.pairs if pair.right and pair.sign == "+"}
    assert added == {f"layer3.{number}" for number in range(6, 23)}
    assert comparison.count("−") == 0


def test_names_tell_which_of_many_like_blocks_is_gone() -> None:
    def net(channels: int, *blocks: int) -> Summary:
        made = Maker("net", channels, 8, 8)
        for number in blocks:
            with made.block(str(number), "Block"):
                made.conv("conv", channels, 3, 3)
                made.relu()
        return made.done()

    comparison = compare(net(4, 0, 1, 2, 3, 4), net(8, 0, 1, 3, 4))
    assert [pair.left.name for pair in comparison.pairs if pair.left and pair.sign == "−"] == ["2.conv", "2.relu"]
    assert comparison.count("+") == 0


def test_json_of_a_comparison_points_into_both_nets() -> None:
    comparison = compare(SMALLER, GUIDE)
    facts = json.loads(diff.render(comparison, "json"))
    assert facts["left"] == tables.as_json(SMALLER)
    assert facts["totals"]["parameters"]["difference"] == GUIDE.totals.parameters - SMALLER.totals.parameters
    both = [pair for pair in facts["pairs"] if pair["left"] is not None and pair["right"] is not None]
    kinds = {
        (facts["left"]["rows"][pair["left"]]["role"], facts["right"]["rows"][pair["right"]]["role"]) for pair in both
    }
    assert all(one == other for one, other in kinds)


def test_comparisons_show_themselves() -> None:
    comparison = compare(residual(1), residual(1, width=48))
    assert str(comparison) + "\n" == diff.render(comparison, "text")
    assert comparison._repr_html_().count("<table") == 2


def test_the_page_is_well_formed_and_fetches_nothing() -> None:
    text = diff.render(compare(residual(3, 4, 6, 3), residual(3, 8, 36, 3)), "html")
    tags = Tags(text.removeprefix("<!DOCTYPE html>"))
    assert not tags.open
    assert not tags.mistakes
    assert "http" not in text


def test_thousands_of_rows_are_compared_in_no_time() -> None:
    start = time.process_time()
    comparison = compare(many(2000), many(1500))
    assert comparison.count("−") == 500
    assert len(diff.render(comparison, "text", width=100).splitlines()) < 60
    assert time.process_time() - start < 5
