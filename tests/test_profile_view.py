"""The profile: rows that add up, layers that are told apart, and a run that does not notice."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import nn
from typer.testing import CliRunner

from conftest import write_mnist
from stepladder.cli import app
from stepladder.data import Dataset
from stepladder.loop import Loop
from stepladder.profile_view import Profiler, ProfileRow, Timings, profile, table
from stepladder.runs import EpochRow, EpochTime
from stepladder.spec import Experiment
from stepladder.train import build_module, prepare, train

KNOWN = Timings(
    stages={
        "backward": 5.0,
        "backward/Conv2d": 4.0,
        "forward": 2.0,
        "forward/ReLU": 0.5,
        "forward/Conv2d": 1.5,
        "warm-up": 1.0,  # a stage that nobody has thought about
        "averaging": 1e-5,
        "evaluation": 1.0,
        "checkpoint": 0.5,
    },
    training=8.5,
    steps=100,
    images=1000,
    evaluated=200,
)


def test_a_known_profile_by_hand() -> None:
    rows = profile(KNOWN)
    assert [(row.name, row.level) for row in rows] == [
        ("forward", 1),
        ("Conv2d", 2),
        ("ReLU", 2),
        ("backward", 1),
        ("Conv2d", 2),
        ("the rest", 2),
        ("warm-up", 1),
        ("the rest", 1),
        ("training", 0),
        ("evaluation", 0),
        ("checkpoint", 0),
        ("epoch", 0),
    ]
    by_name = {(row.name, row.level): row for row in rows}
    assert by_name["forward", 1] == ProfileRow("forward", 1, 20.0, 0.2, 500.0)
    assert by_name["evaluation", 0] == ProfileRow("evaluation", 0, 10.0, 0.1, 200.0)
    assert by_name["checkpoint", 0].rate is None
    assert by_name["the rest", 1].milliseconds == pytest.approx(5)


@given(
    stages=some.dictionaries(
        some.sampled_from(["data", "forward", "forward/A", "forward/B", "backward", "evaluation", "x"]),
        some.floats(0, 10),
    ),
    training=some.floats(0.1, 100),
)
def test_rows_add_up_to_their_totals(stages: dict[str, float], training: float) -> None:
    parts = sum(stages.get(name, 0) for name in ("forward/A", "forward/B"))
    stages = {**stages, "forward": stages.get("forward", 0) + parts}
    inside = sum(value for name, value in stages.items() if "/" not in name and name != "evaluation")
    rows = profile(Timings(stages, training + inside, 7, 70, 10))
    by_name = {row.name: row for row in rows if row.level == 0}
    total = sum(row.milliseconds for row in rows if row.level == 1)
    assert total == pytest.approx(by_name["training"].milliseconds)
    assert by_name["epoch"].share == pytest.approx(1)
    assert sum(row.share for row in rows if row.level == 0 and row.name != "epoch") == pytest.approx(1)
    forward = [row for row in rows if row.name == "forward"]
    below = [row for row in rows if row.level == 2]
    if forward and below:
        # What would be shown as 0.0% is left out, part by part.
        assert sum(row.share for row in below) == pytest.approx(forward[0].share, abs=2e-3)


def test_the_table_is_aligned() -> None:
    heading, empty, *lines = table(KNOWN, "a heading").splitlines()
    assert (heading, empty) == ("a heading", "")
    assert lines[0].split() == ["stage", "ms", "a", "step", "share", "images/s"]
    ends = {re.search(r"\d+\.\d%", line).end() for line in lines[1:]}  # type: ignore[union-attr]
    assert ends == {lines[0].index("share") + len("share")}
    assert any(re.fullmatch(r" {2}forward +20\.000 +20\.0% +500", line) for line in lines)


def test_timings_of_epochs_add_up() -> None:
    both = KNOWN + Timings({"forward": 1.0, "other": 2.0}, 4.0, 10, 20, 30)
    assert (both.stages["forward"], both.stages["other"], both.stages["backward"]) == (3.0, 2.0, 5.0)
    assert (both.training, both.steps, both.images, both.evaluated) == (12.5, 110, 1020, 230)


class Slow(nn.Module):
    """Takes its time forward, and the given time backward."""

    class _Function(torch.autograd.Function):
        @staticmethod
        def forward(context, values, forward, backward):  # type: ignore[no-untyped-def]
            context.seconds = backward
            time.sleep(forward)
            return values.clone()

        @staticmethod
        def backward(context, gradient):  # type: ignore[no-untyped-def]
            time.sleep(context.seconds)
            return gradient, None, None

    def __init__(self, forward: float, backward: float) -> None:
        super().__init__()
        self._times = (forward, backward)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self._Function.apply(values, *self._times)  # type: ignore[no-any-return, no-untyped-call]


class Slower(Slow):
    """The same under another name."""


def test_time_is_given_to_the_layer_that_took_it(tiny: Dataset) -> None:
    experiment = Experiment.read({"net": "4C3 GAP 10C1", "recipe": {"batch_size": 100}}, "it")
    materials = prepare(experiment, tiny, torch.device("cpu"))
    net = build_module(experiment, materials.input_shape)
    module = nn.Sequential(next(net.children()), Slow(0.02, 0.04), nn.ReLU(), Slower(0.06, 0.01), *list(net)[1:])  # type: ignore[call-overload]
    recipe, images = experiment.recipe, materials.training
    loop = Loop(module, recipe, images, materials.normalisation, 0, torch.device("cpu"), "plain")
    profiler = Profiler()
    profiler.attach(loop)
    began = time.perf_counter()
    training = loop.train_epoch(0, [])
    seconds = EpochTime(time.perf_counter() - began, 0.0)
    profiler.finish_epoch(EpochRow(1, 3, 0.1, 0.1, 0.1, 1, training.count, "test", 0.1, 1, 100), seconds)
    forward, backward = profiler.report().split("  backward")
    for text, expected in ((forward, {"Slow": 20, "Slower": 60}), (backward, {"Slow": 40, "Slower": 10})):
        found = {name: float(value) for name, value in re.findall(r"(\w+) +([\d.]+) +[\d.]+%", text)}
        # Sleep may take longer than it was asked to, never shorter.
        assert all(found[name] >= milliseconds for name, milliseconds in expected.items()), text
        assert sorted(expected, key=expected.get) == sorted(expected, key=found.get), text  # type: ignore[arg-type]


@pytest.mark.parametrize("net", ["[BN ReLU D0.1] 6C3 MP2 8C3 GAP 10C1", "[BN SiLU D0.1] 6C3 MP2 8C3 GAP 10C1"])
def test_a_run_gives_the_same_bits_with_a_profiler(net: str, tiny: Dataset, tmp_path: Path) -> None:
    recipe = {"epochs": 2, "batch_size": 64, "augmentation": {"rotation": 7}, "averaging": 0.9}
    experiment = Experiment.read({"net": net, "recipe": recipe}, "the experiment")
    profiler = Profiler()
    rows = [row for row, _ in train(experiment, tiny, tmp_path / "a", device="cpu")]
    watched = [row for row, _ in train(experiment, tiny, tmp_path / "b", device="cpu", profiler=profiler)]
    assert rows == watched
    for kept in ("weights.safetensors", "predictions.safetensors", "epochs.jsonl"):
        assert (tmp_path / "a" / kept).read_bytes() == (tmp_path / "b" / kept).read_bytes()
    report = profiler.report()
    assert "1 epoch of 5 steps, the first left out" in report
    for stage in ("augmentation", "forward", "backward", "optimiser", "evaluation", "checkpoint"):
        assert stage in report
    assert "Conv2d" in report or "conv1 and what follows" in report
    # What is finished takes no time.
    again = Profiler()
    list(train(experiment, tiny, tmp_path / "a", device="cpu", profiler=again))
    assert "nothing was trained" in again.report()


def test_the_command_prints_the_table(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "data" / "mnist").parent
    run = tmp_path / "run"
    command = ["train", "8C3 MP2 GAP 10C1", "--run", str(run), "--set", "epochs=2", "--data-dir", str(folder)]
    done = CliRunner().invoke(app, [*command, "--profile", "--device", "cpu"], catch_exceptions=False)
    assert done.exit_code == 0
    *_, last = done.output.strip().splitlines()
    assert re.fullmatch(r"epoch +[\d.]+ +100\.0% +[\d,]+", last)
    assert done.output.index("at epoch 2") < done.output.index("where the time goes")
