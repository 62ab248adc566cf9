"""Climbs with --time: what is left out is told once and not asked, comes back where time allows, and ends are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from small_climbs import questions, read, small_nets, train_here_once
from stepladder.ascent import AscentOptions, Climber
from stepladder.ascent_facts import DECISIONS
from stepladder.effort import LEFT_OUT, Ahead, Level, Plan
from stepladder.ladder import Goal
from stepladder.pace import Work
from stepladder.questions import Question, QuestionLadder
from stepladder.workers import Job

__all__ = ["small_nets"]
pytestmark = pytest.mark.usefixtures("small_nets")
GOAL = Goal(target=50, budget=6000, epochs=2, held=1)
OPTIONS = AscentOptions(questions("dropout", "schedule"), GOAL, seeds=1, holdout_size=300, limit=600)
TITLES = [step.title for step in OPTIONS.ladder.steps]


def nothing_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the plan leave out whatever is ahead, as if there were little time, which turns out to be wrong."""
    choose = Plan.choose

    def short(plan: Plan, key: str, now: Callable[[Level], Work], ahead: Sequence[Ahead], macs: float) -> Any:
        if key not in plan.kept:
            for step in reversed(ahead):
                plan.leave_out(step.title)
            ahead = []
        return choose(plan, key, now, ahead, macs)

    monkeypatch.setattr(Plan, "choose", short)


def test_what_the_first_plan_leaves_out_is_told_once_and_not_asked(tmp_path: Path) -> None:
    told: list[str] = []
    climber = Climber(replace(OPTIONS, limit=0.01), read("digits"), tmp_path, train_here_once, told.append)
    facts = climber.climb()
    assert [step["key"] for step in facts["steps"]] == ["skeleton"]
    assert sorted(facts["plan"]["left_out"]) == sorted(TITLES)
    for lines in (told, facts["plan"]["told"]):
        left_out = [line for line in lines if LEFT_OUT in line]
        assert len(left_out) == len(set(left_out)) == len(TITLES)
    (longer,) = [line for line in told if "Took longer than allowed" in line]
    assert longer.strip() in facts["plan"]["told"]
    assert "the skeleton and the runs on all training images, takes about" in longer
    again = Climber(replace(OPTIONS, limit=0.01), read("digits"), tmp_path, train_here_once, told.append).climb()
    assert {**again, "seconds": 0} == {**facts, "seconds": 0}


def test_a_step_that_even_the_least_is_too_much_for_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Plan, "fits", lambda *_: False)
    facts = Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    assert [step["key"] for step in facts["steps"]] == ["skeleton"]
    assert facts["plan"]["left_out"] == TITLES


def test_what_was_left_out_comes_back_in_order_and_before_what_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing_ahead(monkeypatch)
    told: list[str] = []
    trained: list[Path] = []

    def train(jobs: Sequence[Job]) -> None:
        trained.extend(job.folder for job in jobs)
        train_here_once(jobs)

    facts = Climber(OPTIONS, read("digits"), tmp_path, train, told.append).climb()
    keys = [step["key"] for step in facts["steps"]]
    assert keys[:3] == ["skeleton", "dropout", "schedule"]
    assert all(key.endswith("-again") for key in keys[3:])
    assert facts["plan"]["left_out"] == []
    assert facts["plan"]["back"] == TITLES
    assert [line for line in facts["plan"]["told"] if "after all" in line] == [
        f"Asked after all, for there is time: {title}." for title in TITLES
    ]
    assert [line for line in told if "after all" in line]
    trained.clear()
    again = Climber(OPTIONS, read("digits"), tmp_path, train, told.append).climb()
    assert {**again, "seconds": 0} == {**facts, "seconds": 0}
    assert trained == []


def test_what_came_apart_teaches_nothing_of_what_runs_take(tmp_path: Path) -> None:
    changes = {"absurd": {"learning_rate": 1e12}}
    step = Question(key="rate", title="Rate", question="?", technique="recipe", options={"changes": changes})
    options = replace(OPTIONS, ladder=QuestionLadder(name="absurd", steps=(step,)))
    facts = Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    assert facts["steps"][1]["candidates"][1]["failure"]
    again = Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    assert again["plan"] == facts["plan"]


class StoppedError(Exception):
    """Somebody stopped the climb."""


def test_a_climb_that_is_stopped_and_goes_on_asks_in_the_same_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nothing_ahead(monkeypatch)

    def train_until(count: int) -> Callable[[Sequence[Job]], None]:
        calls = iter(range(count))

        def train(jobs: Sequence[Job]) -> None:
            if next(calls, None) is None:
                raise StoppedError
            train_here_once(jobs)

        return train

    def decided(folder: Path, train: Callable[[Sequence[Job]], None]) -> list[tuple[Any, ...]]:
        facts = Climber(OPTIONS, read("digits"), folder, train, lambda line: None).climb()
        assert facts["plan"]["left_out"] == []
        return [(step["key"], step["taken"], step["level"], step["reason"]) for step in facts["steps"]]

    whole = decided(tmp_path / "whole", train_here_once)
    for batches in (3, 2):
        with pytest.raises(StoppedError):
            decided(tmp_path / "stopped", train_until(batches))
    assert (tmp_path / "stopped" / DECISIONS).is_file()
    assert decided(tmp_path / "stopped", train_here_once) == whole


def test_a_climb_that_goes_on_has_its_second_looks_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = replace(OPTIONS, ladder=questions("dropout"), seeds=2)
    facts = Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    monkeypatch.setattr(Plan, "affords", lambda *_: not any(map(looked_twice, facts["steps"])))
    again = Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    assert again["steps"] == facts["steps"]


def looked_twice(step: dict[str, Any]) -> bool:
    return any(len(row["runs"]) > step["seeds"] for row in step["candidates"])


def test_what_was_learned_of_the_machine_is_kept_for_a_climb_that_goes_on(tmp_path: Path) -> None:
    first = Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None)
    first.climb()
    told: list[str] = []
    again = Climber(OPTIONS, read("digits"), tmp_path, train_here_once, told.append)
    assert again.plan.speed == first.plan.speed
    assert again.plan.pace.fitted() == first.plan.pace.fitted()
    again.begin()
    assert "measuring how fast nets train here" not in told
