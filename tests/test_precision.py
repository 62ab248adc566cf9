"""A climb's precision is measured once and kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from conftest import write_mnist
from stepladder import precision
from stepladder.cli import app
from stepladder.engine import missing
from stepladder.errors import SpecError
from stepladder.ladder import classic
from stepladder.runs import read_experiment

NET, RECIPE = "4C5s2 GAP 10C1", classic(2).steps[-1].recipe.model_copy(update={"batch_size": 32})
HAS_BFLOAT16 = missing(torch.device("cpu"), "bfloat16") is None


@pytest.fixture
def no_measuring(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the speed of bfloat16 over float32 that the measurement finds; to be set by the test."""
    speed = [2.0]
    monkeypatch.setattr(precision, "measure", lambda *_: {"float32": 100.0, "bfloat16": 100.0 * speed[0]})
    monkeypatch.setattr("stepladder.engine.missing", lambda *_: None)
    return speed


def test_what_is_asked_for_is_taken_without_measuring() -> None:
    choice = precision.choose("bfloat16", NET, RECIPE, (1, 28, 28), [], "cpu")
    assert (choice.precision, choice.rates) == ("bfloat16", {})


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SpecError, match="float16"):
        precision.choose("float16", NET, RECIPE, (1, 28, 28), [], "cpu")


@pytest.mark.parametrize(("speed", "chosen"), [(1.5, "bfloat16"), (1.05, "float32"), (0.5, "float32")])
def test_bfloat16_has_to_be_worth_it(no_measuring: list[float], speed: float, chosen: str) -> None:
    no_measuring[0] = speed
    choice = precision.choose("auto", NET, RECIPE, (1, 28, 28), [], "cpu")
    assert choice.precision == chosen
    assert f"{speed:.2f} times" in str(choice)


def test_where_the_processor_lacks_bfloat16_that_is_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("stepladder.engine.missing", lambda *_: "this processor does not multiply bfloat16")
    choice = precision.choose("auto", NET, RECIPE, (1, 28, 28), [], "cpu")
    assert str(choice) == "float32 (this processor does not multiply bfloat16)"


@pytest.mark.skipif(not HAS_BFLOAT16, reason="the processor has no bfloat16")
def test_both_precisions_are_measured_in_the_engine() -> None:
    rates = precision.measure(NET, RECIPE, (1, 28, 28))
    assert rates.keys() == {"float32", "bfloat16"}
    assert min(rates.values()) > 0


def test_a_climb_records_its_precision_and_goes_on_in_it(no_measuring: list[float], tmp_path: Path) -> None:
    write_mnist(tmp_path / "data" / "mnist")
    command = ["climb", "--epochs", "1", "--data-dir", str(tmp_path / "data"), "--folder", str(tmp_path)]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "precision: bfloat16 (measured: bfloat16 trains 2.00 times as fast as float32 here)" in first.output
    facts = json.loads((tmp_path / "classic-mnist" / "facts.json").read_text())
    assert facts["precision"]["rates"] == {"float32": 100.0, "bfloat16": 200.0}
    assert {step["recipe"]["precision"] for step in facts["steps"]} == {"bfloat16"}
    no_measuring[0] = 0.5
    again = CliRunner().invoke(app, command)
    assert re.search(r"precision: bfloat16 \(as the runs that are there already\)", again.output)
    other = CliRunner().invoke(app, [*command, "--precision", "float32"])
    assert other.exit_code != 0


def test_one_run_takes_a_precision_by_name_or_by_measuring_and_keeps_it(
    no_measuring: list[float], tmp_path: Path
) -> None:
    write_mnist(tmp_path / "data" / "mnist")
    command = ["train", NET, "--run", str(tmp_path / "run"), "--set", "epochs=1", "--data-dir", str(tmp_path / "data")]
    first = CliRunner().invoke(app, [*command, "--precision", "auto"])
    assert "precision: bfloat16 (measured" in first.output, first.output
    assert read_experiment(tmp_path / "run").recipe.precision == "bfloat16"
    no_measuring[0] = 0.5
    again = CliRunner().invoke(app, [*command, "--precision", "auto"])
    assert "precision: bfloat16 (as the runs that are there already)" in again.output
    command[3] = str(tmp_path / "other")
    forced = CliRunner().invoke(app, [*command, "--precision", "float32"])
    assert forced.exit_code == 0, forced.output
    assert read_experiment(tmp_path / "other").recipe.precision == "float32"


def test_a_named_experiment_is_trained_in_what_the_processor_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_mnist(tmp_path / "data" / "mnist")
    monkeypatch.setattr("stepladder.engine.missing", lambda *_: "this processor does not multiply bfloat16")
    command = ["train", "fast", "--run", str(tmp_path / "run"), "--set", "epochs=1"]
    done = CliRunner().invoke(app, [*command, "--data-dir", str(tmp_path / "data")])
    assert "precision: float32 (this processor does not multiply bfloat16)" in done.output, done.output
    assert read_experiment(tmp_path / "run").recipe.precision == "float32"
