"""Designing nets: below the budget always, valid, explained, monotone, and quick."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from types import ModuleType

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import stepladder
from stepladder import Net, describe, design
from stepladder.errors import SpecError
from stepladder.ladder import GUIDE_NET
from stepladder.notebook import html
from stepladder.proposals import forms
from stepladder.proposals.propose import LARGEST_COUNT, Proposal
from stepladder.proposals.skeletons import FAMILIES, skeletons
from stepladder.proposals.widths import rungs

ROOT = Path(__file__).parent.parent
MNIST = (1, 28, 28)

shapes = st.tuples(st.integers(1, 4), st.integers(8, 224), st.integers(8, 224))
budgets = st.one_of(st.integers(1, 20_000), st.integers(1, 10_000_000))


def convolutions(proposal: Proposal) -> list[list[int]]:
    """Return the channels of the 3×3 convolutions; a list for each block that 1×1 convolutions do not divide."""
    blocks: list[list[int]] = [[]]
    for row in proposal.summary.rows:
        if row.role == "convolution" and row.window is not None:
            if row.window.kernel == (3, 3):
                blocks[-1].append(row.output_shape[0])
            else:
                blocks.append([])
    return [block for block in blocks if block]


def or_least(shape: tuple[int, int, int], classes: int, budget: int) -> tuple[Proposal, ...]:
    """Return all proposals; none where the budget is too small."""
    try:
        return design(shape, classes, budget, count=LARGEST_COUNT)
    except SpecError as error:
        if error.what != "no sensible net has fewer parameters than this budget":
            raise
        return ()


@settings(max_examples=30, deadline=None)
@given(shapes, st.integers(2, 1000), budgets)
@example((1, 8, 8), 2, 1_000)
@example((4, 224, 224), 1000, 100_000)
@example((1, 8, 224), 10, 10_000)
@example((3, 27, 31), 7, 10_000_000)
def test_every_proposal_is_below_the_budget_and_valid(shape: tuple[int, int, int], classes: int, budget: int) -> None:
    for proposal in or_least(shape, classes, budget):
        summary = describe(Net.parse(proposal.net), shape)  # raises if a layer does not fit
        assert summary.totals.parameters == summary.totals.trainable == proposal.parameters < budget
        assert summary.rows[-1].output_shape[0] == classes
        assert proposal.net == str(Net.parse(proposal.net))
        explained = {"heavy head"} if proposal.kind == "dense" else set()
        assert {finding.kind for finding in summary.findings} <= explained
        assert all(any(finding.kind in reason for reason in proposal.reasons) for finding in summary.findings)
        # A transition narrows the maps, so the guide's widths grow within its blocks, the others' from end to end.
        blocks = convolutions(proposal)
        assert len(blocks) == 1 or proposal.kind == "guide"
        assert all(before <= after for block in blocks for before, after in pairwise(block))


@settings(max_examples=12, deadline=None)
@given(shapes, st.integers(2, 1000), budgets, st.integers(1, 5_000))
def test_a_larger_budget_gives_no_kind_fewer_parameters(
    shape: tuple[int, int, int], classes: int, budget: int, more: int
) -> None:
    small = {one.kind: one.parameters for one in or_least(shape, classes, budget)}
    large = {one.kind: one.parameters for one in or_least(shape, classes, budget + more)}
    assume(small)
    # Two kinds that come to the same net are proposed once, under the first name, so kinds may disappear.
    assert all(large[kind] >= parameters for kind, parameters in small.items() if kind in large)
    assert max(large.values()) >= max(small.values())


def test_parameters_never_fall_over_all_small_budgets() -> None:
    last: dict[str, int] = {}
    for budget in range(1_000, 9_000, 61):
        now = {one.kind: one.parameters for one in or_least(MNIST, 10, budget)}
        assert set(last) <= set(now)
        assert all(now[kind] >= parameters for kind, parameters in last.items())
        last = now
    assert len(last) >= 4


@settings(max_examples=10, deadline=None)
@given(shapes, st.integers(2, 1000))
def test_the_least_budget_of_the_message_is_the_least(shape: tuple[int, int, int], classes: int) -> None:
    with pytest.raises(SpecError) as caught:
        design(shape, classes, 1)
    found = re.search(r"at least ([\d,]+), which fits (.*)", caught.value.repair)
    assert found is not None
    least = int(found[1].replace(",", ""))
    assert found[2] in [one.net for one in design(shape, classes, least, count=LARGEST_COUNT)]
    with pytest.raises(SpecError, match="no sensible net"):
        design(shape, classes, least - 1)


@settings(max_examples=12, deadline=None)
@given(st.integers(8, 224))
@example(65)
def test_last_maps_of_squares_are_about_4_to_8_wide_and_the_field_is_what_describe_says(side: int) -> None:
    for proposal in or_least((1, side, side), 10, 100_000):
        assert all(4 <= size <= 9 for size in forms.last_map(proposal)), proposal.kind
        head = next(row for row in proposal.summary.rows if row.role == "flatten" or row.token == "GAP")
        assert head.field_in is not None
        assert head.field_in.size == proposal.field
        last = proposal.summary.rows[-1].field
        assert last is not None
        assert last.covers((side, side))


def test_odd_sizes_are_padded_where_they_are_halved() -> None:
    proposals = design((1, 223, 223), 10, 20_000)
    assert all("MP3s2p1" in one.net or "s2p1" in one.net for one in proposals)
    assert all("padding keeps its edge" in one.reasons[0] for one in proposals)
    even = design((1, 224, 224), 10, 20_000)
    assert all("padding keeps its edge" not in one.reasons[0] for one in even)


def test_an_object_smaller_than_the_image_asks_for_a_smaller_field() -> None:
    whole, part = (
        {one.kind: one for one in design(MNIST, 10, 8000, count=LARGEST_COUNT, objects=objects)}
        for objects in (None, (14, 14))
    )
    assert part["guide"].field < whole["guide"].field
    assert "(14×14 are wanted)" in part["guide"].reasons[1]


def test_the_kinds_are_what_they_say() -> None:
    kinds = {one.kind: one for one in design((3, 32, 32), 10, 20_000, count=LARGEST_COUNT)}
    assert {*kinds} >= {"guide", "deep", "late", "strided", "early", "dense"}
    depth = {kind: sum(map(len, convolutions(one))) for kind, one in kinds.items()}
    width = {kind: max(map(max, convolutions(one))) for kind, one in kinds.items()}
    macs = {kind: one.summary.totals.macs for kind, one in kinds.items()}
    assert depth["deep"] == max(depth.values()) > depth["early"] == min(depth.values())
    assert width["early"] > width["deep"]
    assert macs["late"] > 2 * macs["early"]
    assert "MP" not in kinds["strided"].net
    assert "C1 " in kinds["guide"].net
    assert kinds["dense"].net.endswith("10F")
    assert all(one.net.endswith("GAP 10C1") for kind, one in kinds.items() if kind not in ("dense", "guide"))


def test_the_guides_net_is_on_the_ladder_of_its_skeleton() -> None:
    """What is designed for the guide's task has the guide's layers; widths differ by what its budget leaves."""
    guide = next(one for one in design(MNIST, 10, 8000) if one.kind == "guide")
    assert re.sub(r"\d+(?=C)", "", guide.net) == re.sub(r"\d+(?=C)", "", GUIDE_NET)
    assert guide.field == (18, 18)


def test_the_order_is_the_rule_and_always_the_same() -> None:
    for budget in (1_500, 2_000, 3_000, 8_000, 100_000):
        proposals = design(MNIST, 10, budget, count=LARGEST_COUNT)
        assert proposals == design(MNIST, 10, budget, count=LARGEST_COUNT)
        names = [family.name for family in FAMILIES]
        keys = [(bool(one.summary.findings), one.room < 1.5, names.index(one.kind)) for one in proposals]
        assert keys == sorted(keys)
        assert design(MNIST, 10, budget, count=2) == proposals[:2]
        assert forms.first_because(proposals).startswith(proposals[0].kind)


def test_rungs_widen_one_layer_at_a_time_and_count_as_describe_does() -> None:
    for family in FAMILIES:
        skeleton = skeletons(family, (28, 28), (28, 28), 10)[0]
        for multiple in (1, 4):
            climbed = [rung for rung, _ in zip(rungs(skeleton, 3, 10, multiple), range(40), strict=False)]
            for below, above in pairwise(climbed):
                assert sum(one != other for one, other in zip(below.channels, above.channels, strict=True)) == 1
                assert above.parameters > below.parameters
            assert all(width % multiple == 0 for rung in climbed for width in rung.channels[:-1])
            net = Net.parse(skeleton.net(climbed[-1].channels))
            assert net.parameters((3, 28, 28)) == climbed[-1].parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_shape": (5, 28, 28)}, "channels: 5 is not from 1 to 4"),
        ({"input_shape": (1, 7, 300)}, "rows: 7 is not from 8 to 224"),
        ({"input_shape": (1, 7, 300)}, "columns: 300 is not from 8 to 224"),
        ({"input_shape": (28, 28)}, "channels, rows, columns"),
        ({"classes": 1}, "classes: 1 is not from 2 to 1,000"),
        ({"budget": 0}, "budget: 0 is no whole number from 1 up"),
        ({"budget": 8e3}, "budget: 8000.0 is no whole number"),
        ({"count": 0}, "proposals: 0 is not from 1 to 7"),
        ({"objects": (40, 20)}, "40×20 is not two sizes within 28×28"),
        ({"objects": (20,)}, "20 is not two sizes within 28×28"),
    ],
)
def test_mistakes_are_told(change: dict[str, object], message: str) -> None:
    values: dict[str, object] = {"input_shape": MNIST, "classes": 10, "budget": 8000}
    with pytest.raises(SpecError, match=re.escape(message)):
        design(**(values | change))  # type: ignore[arg-type]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stepladder", "design", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_command_prints_the_proposals() -> None:
    asked = ("--input", "1x28x28", "--classes", "10", "--budget", "8000", "--object", "20x20")
    text = run(*asked)
    assert text.returncode == 0, text.stderr
    proposals = design(MNIST, 10, 8000, objects=(20, 20))
    assert text.stdout == str(proposals) + "\n"
    assert max(map(len, text.stdout.splitlines())) <= 120
    facts = json.loads(run(*asked, "--format", "json", "--count", "2").stdout)
    assert [one["net"] for one in facts["proposals"]] == [one.net for one in proposals[:2]]
    assert facts["proposals"][0]["macs"] == describe(Net.parse(proposals[0].net), MNIST).totals.macs
    markdown = run(*asked, "--format", "markdown").stdout
    assert all(f"| `{one.net}` | {one.parameters:,} |" in markdown for one in proposals)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "1x28x28", "--classes", "10", "--budget", "500"), "to repair: allow at least 1,0"),
        (("--input", "28x28", "--classes", "10", "--budget", "8000"), "three whole numbers"),
        (("--input", "1x28x28", "--classes", "10", "--budget", "8000", "--format", "yaml"), "known: text, json"),
        (("--input", "1x28x28", "--classes", "10", "--budget", "8000", "--object", "big"), "write --object 20x20"),
    ],
)
def test_the_command_tells_mistakes_in_one_message(arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("stepladder: ")
    assert "Traceback" not in done.stderr


def test_designing_needs_no_torch_and_little_time() -> None:
    code = (
        "import sys; from stepladder import design; str(design((3, 224, 224), 1000, 1_000_000)); "
        "sys.exit(bool({'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    began = perf_counter()
    design(MNIST, 10, 8000)
    between = perf_counter()
    design((3, 224, 224), 1000, 1_000_000)
    # Far above what it takes, so that a busy machine does not matter; the command adds the start of Python.
    assert between - began < 1
    assert perf_counter() - between < 2


def test_notebooks_show_a_table_and_the_reasons() -> None:
    proposals = stepladder.design(MNIST, 10, 8000)
    shown = html(proposals)
    assert shown.count("<tr") == 1 + len(proposals)
    assert all(one.net in shown for one in proposals)
    assert "of the budget" in html(proposals[0])


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem + "_for_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_what_its_commands_print_and_the_figures_of_the_rows() -> None:
    benchmark = module_of(ROOT / "benchmarks" / "design.py")
    head, *rows = (json.loads(line) for line in (ROOT / "results" / "design.jsonl").read_text("utf-8").splitlines())
    assert (ROOT / "results" / "design.md").read_text("utf-8") == benchmark.page(head, rows)
    shown = (ROOT / "docs" / "design.md").read_text("utf-8")
    assert shown == benchmark.inserted(shown, benchmark.page(head, rows)), "python benchmarks/design.py --render"
    assert shown == module_of(ROOT / "docs" / "inspect_page.py").refreshed(shown), (
        "python benchmarks/design.py --render"
    )


def test_what_is_proposed_is_what_was_trained() -> None:
    benchmark = module_of(ROOT / "benchmarks" / "design.py")
    _, *rows = (json.loads(line) for line in (ROOT / "results" / "design.jsonl").read_text("utf-8").splitlines())
    trained = {(row["budget"], row["kind"], row["net"], row["seed"]) for row in rows}
    wanted = {(*one, seed) for one in benchmark.contestants() for seed in benchmark.SEEDS}
    assert trained == wanted, "what is proposed has changed: run python benchmarks/design.py"
