"""What notebooks show: the HTML of each kind as it was, and laws that any of it keeps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter

import hand_made
import stepladder
from conftest import GUIDE_NET
from markup import Tags
from stepladder.compare import Difference
from stepladder.data import Dataset
from stepladder.errors import RunError
from stepladder.inspection.diff import compare
from stepladder.ladder import Goal, Ladder, classic
from stepladder.notation import Net
from stepladder.notebook import html
from stepladder.results import Climb, Comparison
from stepladder.runs import EpochRow, EpochTime, FinishedRun
from stepladder.spec import Experiment
from stepladder.text import Compared
from stepladder.train import train

GOLDEN = Path(__file__).parent / "golden" / "notebook"
NET = "8C3 MP2 16C3 GAP 10C1"


def epoch(number: int, train_correct: int, correct: int) -> EpochRow:
    return EpochRow(number, 20, 0.05, 0.25, 0.5 / number, train_correct, 4000, "test", 0.25 / number, correct, 1000)


def run_of(*rows: EpochRow, name: str = "plain", title: str = "MNIST sample (5,000 images)") -> FinishedRun:
    experiment = Experiment.read({"net": NET, "recipe": {"epochs": len(rows)}, "data": "mnist-sample"}, "the test")
    result = {"parameters": 1448, "split": "test", "data": {"title": title}}
    times = tuple(EpochTime(20.0, 1.5) for _ in rows)
    return FinishedRun(Path("runs") / name, experiment, rows, times, result, {})


def compared(name: str, difference: Difference | None) -> Compared:
    return Compared(name, NET, 1448, "MNIST", "test", 3, 0, 98.5, 98.75, 98.8, 98.25, 65.0, difference)


def facts_of_a_climb() -> dict[str, Any]:
    step = {
        "number": 1,
        "title": "The basic skeleton",
        "parameters": 5328,
        "train": {"mean": 99.43, "deviation": None},
        "evaluation": {"mean": 99.02, "deviation": 0.1},
        "worst_of_last": 98.85,
        "seconds": 141.0,
        "test_once": None,
        "analysis": [{"kind": "level", "text": "Level at the end."}],
    }
    return {
        "data": {"title": "MNIST", "split": "test"},
        "ladder": "classic",
        "goal": {"held": 5},
        "steps": [step],
        "alternatives": [step | {"number": 2, "title": "StepLR"}],
        "verdict": {"text": "The goal is met."},
        "place": "99.02% with 5,328 parameters.",
    }


RUN = run_of(epoch(1, 3600, 930), epoch(2, 3800, 960), epoch(3, 3900, 970))
WORSE = Difference(-0.17, -0.30, -0.04, "image", 10_000)
THINGS: dict[str, Callable[[], Any]] = {
    "net": lambda: Net.parse(GUIDE_NET),
    "summary": lambda: stepladder.describe(Net.parse(GUIDE_NET), (1, 28, 28)),
    "findings": lambda: stepladder.describe(Net.parse("8C3b 16C3x5s2 GAP 10F"), (3, 32, 32)),
    "blocks": lambda: hand_made.residual(3, 4, 6, 3),
    "oddities": hand_made.oddities,
    "broken": hand_made.broken,
    "nets": lambda: compare(hand_made.residual(1), hand_made.residual(2, width=48)),
    "run": lambda: RUN,
    "difference": lambda: WORSE,
    "difference-by-seed": lambda: Difference(0.4, 0.2, 0.6, "seed", 5),
    "comparison": lambda: Comparison((compared("runs/plain", None), compared("runs/turned", WORSE))),
    "step": lambda: classic().steps[1],
    "ladder": classic,
    "climb": lambda: Climb(facts_of_a_climb()),
}


@pytest.mark.parametrize("name", THINGS)
def test_html_looks_as_it_did(name: str) -> None:
    path = GOLDEN / f"{name}.html"
    rendered = THINGS[name]()._repr_html_()
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 writes the files anew"


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*")} == set(THINGS)


@pytest.mark.parametrize("name", THINGS)
def test_html_is_well_formed_and_suits_any_notebook(name: str) -> None:
    text = html(THINGS[name]())
    tags = Tags(text)
    assert not tags.open
    assert not tags.mistakes
    assert not re.search(r"#[0-9a-f]{3,8}\b|\brgb|:(black|white)\b", text), "a colour that one of two themes lacks"
    assert "http" not in text, "nothing is fetched"
    headings = [attributes for tag, attributes in tags.seen if tag == "th"]
    assert all(attributes["scope"] in ("col", "row") for attributes in headings)
    assert all(attributes["aria-label"] for tag, attributes in tags.seen if tag == "svg")


@pytest.mark.parametrize("name", THINGS)
def test_rows_are_as_long_as_their_headers(name: str) -> None:
    for table in re.findall(r"<table.*?</table>", html(THINGS[name]()), re.DOTALL):
        lengths = {len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)}
        assert len(lengths) == 1


@pytest.mark.parametrize("name", THINGS)
def test_a_notebook_gets_html_and_readable_text(name: str) -> None:
    """What stands beside the HTML, for viewers without any, is no dump of fields."""
    thing = THINGS[name]()
    shown, _ = DisplayFormatter().format(thing)
    assert shown["text/html"] == html(thing)
    assert shown["text/plain"] == str(thing)
    assert type(thing).__name__ + "(" not in str(thing)


def test_parameters_of_the_rows_sum_to_the_total() -> None:
    summary = THINGS["summary"]()
    table = html(summary)
    body, foot = table[table.index("<tbody>") : table.index("<tfoot")], table[table.index("<tfoot") :]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr.*?</tr>", body)]
    numbers = [int(re.sub(r"<.*?>|,", "", cells[2])) for cells in rows]
    assert len(numbers) == len(summary.rows)
    assert sum(numbers) == 7496
    assert "7,496" in foot
    widths = [float(width) for width in re.findall(r"width:([\d.]+)em;height:.8em", body)]
    assert max(widths) == widths[numbers.index(max(numbers))] == 7.0


def test_the_layers_of_a_net_are_all_counted() -> None:
    net = Net.parse(GUIDE_NET)
    counts = re.findall(r"nowrap\">(\d+)</td>", html(net))
    assert sum(map(int, counts)) == len(net.layers)
    assert [layer.token() for layer, _ in net.groups()] == GUIDE_NET.split("] ")[1].replace("/BN/ReLU", "").split()


def test_what_people_write_is_escaped() -> None:
    run = run_of(epoch(1, 3600, 930), name="<b>&'\"", title="<script>alert(1)</script>")
    text = html(run)
    assert "<script>" not in text
    assert "<b>" not in text
    assert run.folder.name in Tags(text).text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 1000)), min_size=1, max_size=20))
def test_any_rows_can_be_drawn(counts: list[tuple[int, int]]) -> None:
    """One epoch, no mistakes at all, nothing right: the drawing stays inside its frame."""
    text = html(run_of(*(epoch(number, *both) for number, both in enumerate(counts, start=1))))
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())  # type: ignore[union-attr]
    for points in re.findall(r'points="([^"]+)"', text):
        places = [tuple(map(float, point.split(","))) for point in points.split()]
        assert len(places) == len(counts)
        assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    assert len(re.findall("<tr", text)) == 1 + len(counts)


def test_what_has_no_html_says_so() -> None:
    with pytest.raises(TypeError, match="Goal has no HTML"):
        html(Goal())


def test_a_ladder_without_alternatives_names_none() -> None:
    ladder = Ladder("short", Goal(epochs=3), classic(3).steps[:1])
    assert "To compare" not in html(ladder)
    assert "99.4% in every epoch, with fewer than 8,000 parameters" in html(ladder)


def test_showing_a_net_imports_no_torch() -> None:
    code = (
        "import sys; from stepladder import Net; Net.parse('8C3 GAP 10C1')._repr_html_(); "
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_runs_are_opened_and_compared_by_folder(tmp_path: Path, tiny: Dataset) -> None:
    folders = [tmp_path / "first" / "run", tmp_path / "second" / "run"]
    for seed, folder in enumerate(folders):
        experiment = Experiment.read({"net": "4C3s2 GAP 10C1", "recipe": {"epochs": 2}, "seed": seed}, "the test")
        for _ in train(experiment, tiny, folder, threads=1):
            pass
    run = stepladder.open_run(str(folders[0]))
    last = run.rows[-1]
    assert f"{last.evaluation_accuracy:.2f}% of 100 test images right at epoch 2" in html(run)
    assert str(run) == (
        f"run: tiny, training {last.train_accuracy:.2f}%, test {last.evaluation_accuracy:.2f}% at epoch 2, "
        f"{Net.parse('4C3s2 GAP 10C1').parameters((1, 28, 28))} parameters, seed 0"
    )
    comparison = stepladder.compare_runs(folders)
    assert comparison.labels == tuple(map(str, folders)), "two folders of one name need their paths"
    assert comparison.runs[0].difference is None
    assert comparison.runs[1].difference is not None
    assert "paired by image" in str(comparison)
    assert "the baseline" in html(comparison)


def test_comparing_nothing_is_refused() -> None:
    with pytest.raises(RunError, match="no runs to compare"):
        stepladder.compare_runs([])


def test_opening_a_climb_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no facts"):
        stepladder.open_climb(tmp_path)
