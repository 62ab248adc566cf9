"""The learning-rate range test: where the loss falls, what is suggested, and what it leaves alone."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from typer.testing import CliRunner

from conftest import write_mnist
from stepladder import data
from stepladder.cli import app
from stepladder.commands.rates import render
from stepladder.data import Dataset, Split
from stepladder.errors import DataError, SpecError
from stepladder.pictures.rates import range_curve
from stepladder.pictures.style import save
from stepladder.range_test import RangeTest, range_test
from stepladder.spec import Experiment
from stepladder.train import train

NET = "8C3 MP2 16C3 MP2 GAP 10C1"


def experiment(net: str = NET, protocol: str = "reference", **recipe: Any) -> Experiment:
    values = {"net": net, "protocol": protocol, "holdout_size": 100, "recipe": {"batch_size": 32, **recipe}}
    return Experiment.read(values, "experiment")


@pytest.fixture(scope="module")
def sample() -> Dataset:
    whole = data.load("mnist-sample")
    return dataclasses.replace(whole, train=Split(whole.train.images[:1500], whole.train.labels[:1500]))


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "muon"])
def test_the_suggested_rate_learns_more_than_a_much_lower_and_a_much_higher_one(
    optimiser: str, sample: Dataset
) -> None:
    found = range_test(experiment(optimiser=optimiser), sample, threads=1)
    assert found.learns
    assert found.lowest < found.suggested < found.highest
    reached = []
    for times in (1 / 100, 1, 100):
        rates = {name: rate * times for name, rate in found.settings.items()}
        # Too high a rate does not have to end in numbers that are none: two epochs tell.
        rows = list(train(experiment(optimiser=optimiser, epochs=2, **rates), sample, threads=1))
        reached.append(rows[-1][0].train_accuracy)
    assert reached[1] > max(reached[0], reached[2]) + 10


def test_equal_calls_give_equal_results_and_no_global_state_changes(tiny: Dataset) -> None:
    torch.manual_seed(5)
    numpy.random.seed(5)
    before = torch.random.get_rng_state(), numpy.random.get_state()[1].copy(), torch.get_num_threads()
    tests = [range_test(experiment("8C3/BN/ReLU/D0.1 GAP 10C1"), tiny, steps=40, threads=1) for _ in range(2)]
    assert tests[0] == tests[1]
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert numpy.array_equal(numpy.random.get_state()[1], before[1])
    assert torch.get_num_threads() == before[2]


def test_held_out_and_test_images_are_not_looked_at(tiny: Dataset) -> None:
    chosen = experiment(protocol="holdout")
    _, held = tiny.split_holdout(chosen.holdout_size)
    images = tiny.train.images.copy()
    images[held] = 255 - images[held]
    blank = Split(numpy.zeros_like(tiny.test.images), tiny.test.labels)
    other = dataclasses.replace(tiny, train=Split(images, tiny.train.labels), test=blank)
    found = [range_test(chosen, one, steps=30, threads=1) for one in (tiny, other)]
    assert found[0] == found[1]
    assert found[0] != range_test(experiment(), tiny, steps=30, threads=1)


def test_it_ends_when_the_loss_diverges(sample: Dataset) -> None:
    found = range_test(experiment("[ReLU] 8C3b MP2 8C3b GAP 10C1b"), sample, high=1000, steps=60, threads=1)
    assert found.diverged
    assert len(found.rates) == len(found.raw_losses) == len(found.losses) < 60
    assert numpy.isfinite(found.raw_losses).all()


def test_where_no_rate_learns_it_says_so(tiny: Dataset) -> None:
    blank = dataclasses.replace(tiny, train=Split(numpy.zeros_like(tiny.train.images), tiny.train.labels))
    found = range_test(experiment(), blank, steps=60, threads=1)
    assert not found.learns
    assert found.suggested == pytest.approx(found.highest / 10, rel=0.06)
    assert "at no learning rate did the loss fall" in render(found)
    assert "↑" not in render(found)


def test_muons_two_rates_rise_together(tiny: Dataset) -> None:
    found = range_test(experiment(optimiser="muon", learning_rate=0.1, matrix_rate=0.02), tiny, steps=40, threads=1)
    assert found.settings["learning_rate"] == found.suggested
    assert found.settings["matrix_rate"] == pytest.approx(found.suggested / 5, rel=0.05)


def test_progress_is_reported_step_by_step(tiny: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    range_test(experiment(), tiny, steps=25, threads=1, report=lambda step, steps: seen.append((step, steps)))
    assert seen == [(step, 25) for step in range(1, len(seen) + 1)]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"low": 1.0, "high": 0.1}, "from a low one above 0 to a higher one"),
        ({"low": -1.0}, "from a low one above 0"),
        ({"high": float("inf")}, "from a low one above 0"),
        ({"steps": 3}, "needs more steps"),
    ],
)
def test_bad_ranges_are_refused(options: dict[str, Any], complaint: str, tiny: Dataset) -> None:
    with pytest.raises(SpecError, match=complaint):
        range_test(experiment(), tiny, **options)


def test_a_net_of_other_classes_is_refused(tiny: Dataset) -> None:
    with pytest.raises(SpecError, match="outputs are not the data set's classes"):
        range_test(experiment("8C3 GAP 7C1"), tiny)


# --- shown -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def made_up() -> RangeTest:
    rates = tuple(float(rate) for rate in numpy.geomspace(1e-3, 1, 31))
    losses = tuple(2.0 - 0.05 * step for step in range(31))
    return RangeTest(rates, losses, losses, 0.1, 0.001, 1.0, True, False, {"learning_rate": 0.1})


def test_the_curve_falls_as_the_losses_do_and_the_mark_is_at_the_rate(made_up: RangeTest) -> None:
    lines = render(made_up).splitlines()
    heights = ["".join(line[8:])[place] for line in lines[:8] for place in (0, -1)]
    assert heights[0] == "█"  # the highest loss at the left fills the column
    assert lines[0].split()[0] == "2"
    assert lines[7].split()[0] == "0.5"
    names, mark = next(line for line in lines if "0.01" in line), next(line for line in lines if "↑" in line)
    assert abs(names.index("0.1") + 1 - mark.index("↑")) <= 1


def test_the_picture_shows_the_suggestion(made_up: RangeTest) -> None:
    drawn = save(range_curve(made_up), "svg").decode()
    assert "suggested: 0.1" in drawn
    assert drawn == save(range_curve(made_up), "svg").decode()
    silent = dataclasses.replace(made_up, learns=False)
    assert "suggested" not in save(range_curve(silent), "svg").decode()


def test_the_command_prints_what_trains_with_the_rate(tmp_path: Path) -> None:
    picture = tmp_path / "rates.svg"
    words = ["rates", NET, "--data", "mnist-sample", "--set", "learning_rate=3", "--set", "batch_size=32"]
    ran = CliRunner().invoke(app, [*words, "--steps", "60", "--threads", "1", "-o", str(picture)])
    assert ran.exit_code == 0, ran.output
    last = next(line for line in ran.output.splitlines() if line.startswith("to train with it: "))
    assert f"stepladder train '{NET}' --data mnist-sample --set batch_size=32 --set learning_rate=" in last
    assert "learning_rate=3" not in last.replace("learning_rate=3e", "")
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


def test_the_command_gives_its_values_as_json_and_nothing_else(tmp_path: Path) -> None:
    words = ["rates", NET, "--data", "mnist-sample", "--steps", "30", "--threads", "1", "--format", "json"]
    words += ["-o", str(tmp_path / "rates.svg")]
    ran = CliRunner().invoke(app, words)
    values = json.loads(ran.stdout)
    assert values["settings"]["learning_rate"] == values["suggested"]
    assert len(values["rates"]) == len(values["losses"])


def test_the_command_takes_the_data_from_the_folder_that_is_named_and_passes_it_on(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "my data", train=300)
    words = ["rates", NET, "--data", "mnist", "--data-dir", str(folder), "--set", "batch_size=32", "--steps", "30"]
    words += ["--threads", "1"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    last = next(line for line in ran.output.splitlines() if line.startswith("to train with it: "))
    assert f"--data mnist --data-dir {shlex.quote(str(folder))} " in last
    measured = json.loads(CliRunner().invoke(app, [*words, "--format", "json"]).stdout)
    there = range_test(experiment(), data.load("mnist", data_dir=folder), steps=30, threads=1)
    assert measured == json.loads(json.dumps(there.as_values()))


def test_a_data_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["rates", NET, "--data", "mnist", "--data-dir", str(tmp_path / "nowhere")])
    assert isinstance(ran.exception, DataError)
    assert "the data folder is not there" in str(ran.exception)
    assert str(tmp_path / "nowhere") in str(ran.exception)


def test_bad_options_end_in_one_message() -> None:
    for words in (["--format", "xml"], ["-o", "curve.gif"], ["--low", "5", "--high", "1"]):
        ran = CliRunner().invoke(app, ["rates", NET, "--data", "mnist-sample", *words])
        assert isinstance(ran.exception, SpecError), ran.output
