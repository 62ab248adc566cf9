"""The benchmarks: every contestant learns, turns and ratios are what they are said to be, and the page is its rows."""

from __future__ import annotations

import math
import os
import random
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

import contest
import frameworks
import goals
import limit
import memory
import ours
import reference_way
import scaling
import startup
import throughput
import time_to_target
from conftest import write_mnist
from contest import Contestant, NotInstalledError, hold, rates, ratios, spread
from contestants import absent, counting, failing
from goals import Found
from speed_page import page
from stepladder import data
from stepladder.inputs import Normalisation
from stepladder.notation import Net

SAMPLE = "mnist-sample"


def turn(contestant: str, number: int, amount: float, seconds: float, **more: object) -> dict:
    return {"contestant": contestant, "round": number, "amount": amount, "seconds": seconds} | more


def test_contestants_take_turns_and_each_round_begins_with_another_one() -> None:
    said: list[str] = []
    rows, left_out = hold(
        [Contestant("a", counting, {"first": 0}), Contestant("b", counting, {"first": 10}), Contestant("c", absent)],
        2,
        said.append,
    )
    assert [(row["round"], row["contestant"]) for row in rows] == [(0, "a"), (0, "b"), (1, "b"), (1, "a")]
    # The first lap of each warmed it up.
    assert {row["number"] for row in rows} == {1, 2, 11, 12}
    assert rates(rows, "a") == [0.5, 1.0]
    assert left_out == {"c": "no such package"}
    assert said[0] == "c: left out, no such package"


def test_a_contestant_that_fails_ends_the_contest_with_its_reason() -> None:
    with pytest.raises(RuntimeError, match=r"failing failed(.|\n)*in the first lap that counts"):
        hold([Contestant("failing", failing)], 1, print)


def test_ratios_are_taken_within_a_round() -> None:
    """The machine slows down by half between the rounds: rates differ, ratios do not."""
    rows = [turn("slow", 0, 100, 1), turn("fast", 1, 300, 2), turn("slow", 1, 100, 2), turn("fast", 0, 300, 1)]
    assert rates(rows, "fast") == [300, 150]
    assert ratios(rows, "fast", "slow") == [3, 3]
    with pytest.raises(ValueError, match="shorter"):
        ratios(rows[:-1], "slow", "fast")


def test_a_spread_is_a_median_with_both_ends() -> None:
    assert f"{spread([3.0, 1.0, 10.0]):.1f}" == "3.0 (1.0–10.0)"


def test_the_reference_net_is_the_guides() -> None:
    net, own = reference_way.guide_net(), Net.parse(ours.GUIDE_NET).build((1, 28, 28))
    shapes = [[tuple(parameter.shape) for parameter in module.parameters()] for module in (net, own)]
    assert shapes[0] == shapes[1]
    kinds = [[type(layer).__name__ for layer in module if type(layer).__name__ != "Flatten"] for module in (net, own)]
    assert [kind.count("Dropout") for kind in kinds] == [6, 6]
    assert len(kinds[0]) == len(kinds[1])
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_reference_images_are_normalised_as_ours_and_turned_for_training_only() -> None:
    dataset = data.load(SAMPLE)
    (mean,), (deviation,) = data.statistics(dataset.train.images)
    normalisation = Normalisation((mean,), (deviation,))
    expected = normalisation.apply(normalisation.scale(torch.tensor(dataset.train.images[:3])))
    plain = reference_way.Digits(dataset.train, 0.0, mean, deviation)
    turned = reference_way.Digits(dataset.train, 7.0, mean, deviation)
    for index in range(3):
        torch.testing.assert_close(plain[index][0], expected[index])
        assert plain[index][1] == dataset.train.labels[index]
    # A small angle moves no pixel to another place. Background moves in from outside.
    random.seed(0)
    pairs = [(turned[index][0], plain[index][0]) for index in range(20)]
    assert sum(not torch.equal(one, other) for one, other in pairs) > 5
    for one, other in pairs:
        assert one.min() == other.min()
        assert one.mean().item() == pytest.approx(other.mean().item(), abs=0.1)


@pytest.mark.parametrize(
    ("laps", "arguments"),
    [
        (reference_way.laps, {"workers": 0, "images": 1280}),
        (ours.plain_run, {"threads": 1, "images": 1280}),
        (ours.one_run, {"threads": 1, "images": 1280}),
    ],
    ids=["reference", "plain", "one run"],
)
def test_contestants_learn(laps: object, arguments: dict) -> None:
    found = list(islice(laps(name=SAMPLE, **arguments), 3))
    losses = [lap.details["loss"] for lap in found]
    assert math.log(10) * 1.1 > losses[0] > losses[1] > losses[2]
    assert [lap.amount for lap in found] == [1280] * 3
    assert all(lap.seconds > 0 for lap in found)


FRAMEWORKS = [("lightning", frameworks.lightning_laps), ("jax", frameworks.keras_laps)]


@pytest.mark.parametrize(("package", "laps"), FRAMEWORKS, ids=["Lightning", "Keras"])
def test_frameworks_that_are_not_installed_say_how_to_install_them(
    package: str, laps: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotInstalledError, match="pip install"):
        next(laps(images=128))


@pytest.mark.skipif("STEPLADDER_BENCH" not in os.environ, reason="they start slowly; STEPLADDER_BENCH asks for them")
@pytest.mark.parametrize(("package", "laps"), FRAMEWORKS, ids=["Lightning", "Keras"])
def test_other_frameworks_learn(package: str, laps: object) -> None:
    rows, left_out = hold([Contestant(package, laps, {"images": 640, "name": SAMPLE})], 2, print)
    assert not left_out
    assert rows[1]["loss"] < rows[0]["loss"] < math.log(10) * 1.1
    assert [row["amount"] for row in rows] == [640, 640]


def test_runs_side_by_side_leave_out_their_first_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPLADDER_DATA", str(write_mnist(tmp_path / "mnist").parent))
    ready, lap = islice(ours.several_runs(workers=2, epochs=2), 2)
    assert ready.amount == 0
    assert lap.amount == 2 * 300
    assert len(lap.details["each"]) == 2
    # The rate of both lies about the sum of each: one mean of seconds stands for both runs.
    assert lap.rate == pytest.approx(sum(lap.details["each"]), rel=0.5)


def test_the_reference_way_stops_at_the_target(tiny: data.Dataset) -> None:
    """Striped images are learnt at once; an epoch that reaches the target is the last."""
    rows = list(reference_way.train_to_target(tiny, seed=0))
    assert 0 < len(rows) < reference_way.EPOCHS
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    reached = [row["test_correct"] / row["test_count"] >= 0.994 for row in rows]
    assert reached == [False] * (len(rows) - 1) + [True]


def test_training_operations_by_hand() -> None:
    # 4 channels of 3×3 at 4×4 places: 576; a linear layer of 4×10: 40. Images need no gradient.
    assert limit.training_operations("4C3 GAP 10C1", (1, 6, 6)) == (616, 2 * (3 * 616 - 576))


def test_memory_counts_what_a_process_and_its_children_hold() -> None:
    held = 200 * 2**20
    child = f"import time; block = b'x' * {held}; time.sleep(0.6)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    found = memory.peak([sys.executable, "-c", code])
    assert held < found["peak_bytes"] < 2 * held
    assert len(found["each_bytes"]) == 2
    with pytest.raises(RuntimeError, match="nothing of this name"):
        memory.peak([sys.executable, "-c", "raise SystemExit('nothing of this name')"])


def test_start_is_measured_for_every_command() -> None:
    rows = startup.measure(1)
    assert [row["contestant"] for row in rows] == list(startup.commands())
    assert startup.seconds(rows, startup.INSPECT)[0] > startup.seconds(rows, startup.NOTHING)[0]


def test_rows_come_back_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "RESULTS", tmp_path)
    assert contest.read_rows("none") is None
    rows = [turn("a", 0, 1, 2)]
    contest.write_rows("some", "python benchmarks/some.py", rows, seeds=[0, 1])
    head, found = contest.read_rows("some")
    assert found == rows
    assert head["command"] == "python benchmarks/some.py"
    assert head["seeds"] == [0, 1]
    assert {"processor", "torch", "python", "lightning"} <= head["environment"].keys()
    assert head["usable_cores"] >= 1


def planted(*, fast_accuracy: int = 9941, fast_seconds: float = 8.0) -> Found:
    """Return rows of a machine on which everything takes round numbers."""
    head = {
        "command": "python benchmarks/planted.py",
        "date": "2026-11-24T13:00:00+00:00",
        "usable_cores": 2,
        "environment": {"processor": "P", "memory_gib": 8, "system": "S", "python": "3", "torch": "2", "jax": None},
        "absent": {throughput.KERAS: "jax is not installed"},
        "is_stand_in": False,
        "device": "a GPU",
    }
    speeds = {throughput.REFERENCE[0]: 2000, throughput.REFERENCE[1]: 1000, throughput.ONE["float32"]: 14_000}
    speeds |= {throughput.ONE["bfloat16"]: 12_000, throughput.SEVERAL["float32"]: 15_000}
    rows = {"throughput": [turn(name, number, rate, 1) for name, rate in speeds.items() for number in range(3)]}
    for precision, threads in (("float32", 1), ("float32", 2)):
        product = limit.label(precision, threads)
        rows["throughput"].append(turn(product, 0, threads * 1e11, 1, precision=precision, threads=threads))
    scales = {scaling.ONE_WORKER: 100, scaling.ALL_WORKERS: 190, scaling.ONE_THREAD: 100, scaling.ALL_THREADS: 150}
    rows["scaling"] = [turn(name, 0, rate, 1) for name, rate in scales.items()]
    starts = {startup.HELP: 0.2, startup.INSPECT: 0.6, startup.NOTHING: 0.02}
    rows["startup"] = [turn(name, 0, 1, seconds) for name, seconds in starts.items()]
    rows["memory"] = [{"round": 0, "peak_bytes": 2**30, "each_bytes": [2**29, 2**29], "measure": "PSS"}]
    rows["climb"] = [{"seconds": 540, "seeds": 3}]
    many = {"one run after another": 1000, "8 seeds at once": 5000}
    rows["many_seeds"] = [turn(name, 0, rate, 1) for name, rate in many.items()]
    rows["reference_way"] = [
        {"seed": seed, "epoch": epoch, "test_correct": 9900 + 4 * epoch, "test_count": 10_000}
        for seed in range(2)
        for epoch in range(1, 11)
    ]
    fast = {"correct": fast_accuracy, "count": 10_000, "parameters": 7000, "net": "8C3 GAP 10C1", "recipe": {}}
    fast |= {"training_seconds": fast_seconds - 1, "process_seconds": fast_seconds + 3}
    rows["time_to_target"] = [
        row
        for seed in range(2)
        for row in (
            turn(time_to_target.FAST, seed, 1, fast_seconds, seed=seed, **fast),
            turn(time_to_target.REFERENCE[0], seed, 1, 24.0),
            turn(time_to_target.REFERENCE[2], seed, 1, 30.0),
        )
    ]
    return Found(dict.fromkeys(rows, head), rows, "# What was tried\n\n## Nets\n\nSee [rows](fast-recipe.jsonl).")


def test_goals_are_judged_by_the_rows() -> None:
    verdicts = [(goal.reached, goal.verdict) for goal in goals.goals(planted())]
    assert verdicts == [
        ("7.00 (7.00–7.00)× in float32", "met"),
        ("7.50 (7.50–7.50)× in float32", "not met"),
        # 10 epochs of 24 seconds in 8.
        ("30.0 (30.0–30.0)×; 99.410% with 7,000 parameters", "met"),
        ("0.95 (0.95–0.95) on 2 cores", "met"),
        ("0.20 (0.20–0.20) s", "met"),
        ("0.60 (0.60–0.60) s", "not met"),
        ("1.00 (1.00–1.00) GiB (PSS)", "met"),
        ("9.0 minutes", "met"),
    ]


@pytest.mark.parametrize("found", [planted(fast_accuracy=9939), planted(fast_seconds=8.1)], ids=["worse", "slower"])
def test_a_run_that_is_too_bad_or_too_slow_is_no_way_to_the_target(found: Found) -> None:
    assert goals.goals(found)[2].verdict == "not met"


def test_goals_without_rows_are_not_measured() -> None:
    assert {goal.reached for goal in goals.goals(Found())} == {"not measured"}
    assert {goal.verdict for goal in goals.goals(Found())} == {"–"}
    assert "not measured" in page(Found())


def test_the_page_says_what_the_rows_say() -> None:
    text = page(planted())
    assert f"| {throughput.ONE['float32']} | 14,000 (14,000–14,000) | 7.00 (7.00–7.00) |" in text
    assert "Keras 3 on JAX was left out: jax is not installed." in text
    # 14,000 images a second of 6.09 million operations each are 85.3 of 200 GFLOP/s.
    assert f"| {throughput.ONE['float32']} | 85.3 | 42.7% |" in text
    assert "| float32 | 2 | 200 | 32,822 |" in text
    assert "On a GPU; images count once a seed." in text
    assert "| 8 seeds at once | 5,000 (5,000–5,000) | 5.00 (5.00–5.00) |" in text
    assert "**99.410 ± 0.000%** over 2 seeds" in text
    assert "was epoch 10 (seed 0), 10 (seed 1)" in text
    assert "### Nets\n\nSee [rows](../results/fast-recipe.jsonl)." in text
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_seeds_that_never_reach_the_target_are_told_apart() -> None:
    rows = [{"seed": 0, "epoch": 15, "test_correct": 9939, "test_count": 10_000}]
    rows += [{"seed": 1, "epoch": 9, "test_correct": 9940, "test_count": 10_000}]
    assert time_to_target.epochs_to_target(rows) == {0: (15, False), 1: (9, True)}


def test_the_page_in_docs_is_that_of_the_rows() -> None:
    stored = Path(__file__).parent.parent / "docs" / "speed.md"
    assert stored.read_text(encoding="utf-8") == page(goals.read()), "run: python benchmarks/speed.py"
