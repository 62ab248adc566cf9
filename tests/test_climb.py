"""Climbing in this process's eyes: the plan, its order, and what the holdout protocol gathers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import write_mnist
from stepladder import data, facts
from stepladder.climb import ClimbOptions, plan, run
from stepladder.errors import RunError, SpecError
from stepladder.ladder import classic
from stepladder.precision import Choice
from stepladder.report import write_report
from stepladder.spec import Experiment, Recipe
from stepladder.text import climb_summary
from stepladder.train import train
from stepladder.workers import EpochFinished, Finished, Job, Started, execute


def test_the_plan_has_a_run_a_step_and_seed_in_folders_of_their_own(tmp_path: Path) -> None:
    dataset = data.load(data_dir=write_mnist(tmp_path / "data"))
    rungs = plan(ClimbOptions(seeds=2, compare_schedules=True), dataset, tmp_path)
    folders = [job.folder.name for rung in rungs for job in rung.jobs]
    assert len(set(folders)) == 10
    assert folders[:2] == ["1-skeleton-seed0", "1-skeleton-seed1"]
    assert [rung.is_alternative for rung in rungs] == [False, False, False, True, True]


def test_the_goal_can_be_set() -> None:
    goal = ClimbOptions(target=98.0, budget=6000, epochs=4).resolve().goal
    assert (goal.target, goal.budget, goal.epochs, goal.held) == (98.0, 6000, 4, 4)
    assert classic().goal.held == 5


def test_a_net_that_does_not_fit_the_data_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no ladder"):
        plan(ClimbOptions(ladder="steep"), data.load("mnist-sample"), tmp_path)


def test_schedules_are_compared_on_one_net_and_the_same_images() -> None:
    ladder = classic()
    last = ladder.steps[-1]
    kinds = {step.recipe.schedule.kind for step in (last, *ladder.alternatives)}
    assert kinds == {"one-cycle", "plateau", "step"}
    for step in ladder.alternatives:
        assert step.net == last.net
        assert step.recipe.augmentation == last.recipe.augmentation


def test_a_holdout_climb_decides_on_the_holdout_and_tests_once(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path / "data")
    dataset = data.load(data_dir=folder)
    options = ClimbOptions(epochs=1, protocol="holdout")
    rungs = plan(options, dataset, tmp_path / "climb")
    events = list(run(rungs, workers=2, data_dir=folder))
    assert sum(isinstance(event, Finished) for event in events) == 3
    assert {event.row.split for event in events if isinstance(event, EpochFinished)} == {"holdout"}
    found = facts.gather(options, rungs, dataset, wall_seconds=1.0, precision=Choice("float32", "asked for"))
    assert found["data"]["evaluation_count"] == 50
    assert all(step["test_once"] for step in found["steps"])
    assert "The test set, looked at once" in climb_summary(found)
    assert "not comparable with published" in found["place"]
    facts.save(found, tmp_path / "climb")
    assert "looked at once" in write_report(tmp_path / "climb").html.read_text(encoding="utf-8")


def test_runs_on_other_images_are_refused_before_anything_is_trained(tiny: data.Dataset, tmp_path: Path) -> None:
    options = ClimbOptions(epochs=1)
    first = plan(options, tiny, tmp_path)[0].jobs[0]
    list(train(first.experiment, tiny, first.folder, threads=1))
    assert plan(options, tiny, tmp_path)
    other = replace(tiny, test=data.Split(tiny.test.images[:50], tiny.test.labels[:50]))
    with pytest.raises(RunError, match="trained on other images"):
        plan(options, other, tmp_path)


def test_finished_runs_cost_no_process(tiny: data.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("done", Experiment(net="8C3 GAP 10C1", recipe=Recipe(epochs=1)), tmp_path / "run")
    row = list(train(job.experiment, tiny, job.folder))[-1]
    monkeypatch.setattr("multiprocessing.context.SpawnContext.Process", None)
    assert list(execute([job], workers=1)) == [Started(job), EpochFinished(job, *row, resumed=True), Finished(job)]
    (job.folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(TypeError):
        list(execute([job], workers=1))
