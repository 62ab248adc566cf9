"""What can happen to a climb: seeds that come apart, stops, too little time, other data, techniques that fail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from small_climbs import questions, read, small_nets, train_but, train_here_once
from stepladder import story
from stepladder.advice import Advice
from stepladder.answers import _decided
from stepladder.ascent import STANDS, AscentOptions, Climber
from stepladder.ascent_facts import DECISIONS
from stepladder.costs import Costs
from stepladder.data import Split
from stepladder.effort import Plan
from stepladder.errors import RunError, SpecError
from stepladder.following import LADDER, follow
from stepladder.joining import joined_candidate
from stepladder.ladder import Goal
from stepladder.noise import Correctness
from stepladder.questions import Question, QuestionLadder
from stepladder.report.story import write_story
from stepladder.runs import open_finished
from stepladder.spec import Recipe
from stepladder.techniques import Standing
from stepladder.trials import Tried
from stepladder.workers import Job

__all__ = ["small_nets"]
pytestmark = pytest.mark.usefixtures("small_nets")
GOAL = Goal(target=50, budget=6000, epochs=2, held=1)
OPTIONS = AscentOptions(questions("dropout"), GOAL, seeds=2, holdout_size=300)


def is_plain_candidate(job: Job) -> bool:
    """Return whether a job trains what stands for the step about dropout: skeletons are trained for one epoch."""
    chosen = job.experiment
    return chosen.protocol == "selection" and "D0" not in chosen.net and chosen.recipe.epochs == 2


# Seeds that come apart


@pytest.mark.parametrize("seed", [0, 1])
def test_what_stands_and_cannot_be_trained_with_every_seed_is_replaced_and_told(seed: int, tmp_path: Path) -> None:
    train = train_but(lambda job: is_plain_candidate(job) and job.experiment.seed == seed)
    facts = Climber(OPTIONS, read("digits"), tmp_path, train, lambda line: None).climb()
    step = facts["steps"][1]
    assert step["taken"] != STANDS
    assert step["reason"].startswith("what stands cannot be trained")
    assert "is the most accurate" in step["reason"]
    assert all(row["decision"] is None for row in step["candidates"])
    written = write_story(tmp_path, read("digits"))
    assert "hat stands cannot be trained" in written.markdown.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({"wide": (98.0, 900), "slim": (97.0, 500)}, "of the others wide is the most accurate."),
        ({"wide": (98.0, 900), "slim": (98.0, 500)}, "of the others slim is as accurate as wide, and cheaper."),
        (
            {"wide": (98.0, 900), "slim": (97.96, 500), "slow": (90.0, 100)},
            "of the others slim is cheaper than wide, the most accurate, and only 0.04 points behind.",
        ),
        ({"one": (97.96, 900), "other": (98.0, 900)}, "of the others other is the most accurate."),
    ],
)
def test_why_another_takes_the_place_of_what_cannot_be_trained(
    measured: dict[str, tuple[float, int]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Correctness, "read", lambda folder: Correctness(0, numpy.ones(10, dtype=bool)))
    trial, runs = a_standing().trial, (SimpleNamespace(folder=None),)
    others = [Made(name, trial, {}, cost, cost, runs, accuracy=one) for name, (one, cost) in measured.items()]
    lost = Made(STANDS, trial, {}, 900, 900, (), "cannot be trained", accuracy=0.0)
    found = _decided("Step", [lost, *others], 0.025, None, 1)
    assert found.reason == f"{STANDS} cannot be trained; {words}"
    assert f"the others {found.taken} is" in found.reason


def test_a_candidate_that_comes_apart_with_a_later_seed_is_not_one_that_was_given_up(tmp_path: Path) -> None:
    changes = {"as good": {"momentum": 0.89}}
    step = Question(key="mine", title="Mine", question="?", technique="recipe", options={"changes": changes})
    options = replace(OPTIONS, ladder=QuestionLadder(name="mine", steps=(step,)))
    train = train_but(lambda job: job.experiment.recipe.momentum == 0.89 and job.experiment.seed == 1)
    facts = Climber(options, read("digits"), tmp_path, train, lambda line: None).climb()
    stands, row = facts["steps"][1]["candidates"]
    assert row["decision"] is None
    assert row["failure"] == "cannot be trained with seed 1: its loss is no number any more"
    assert facts["steps"][1]["taken"] == STANDS
    assert facts["steps"][1]["reason"] == "nothing else could be trained"
    assert len(stands["runs"]) == 2


def test_a_final_seed_that_comes_apart_is_named_and_the_goal_not_met(tmp_path: Path) -> None:
    goal = replace(GOAL, target=5.0)
    train = train_but(lambda job: job.experiment.protocol == "reference" and job.experiment.seed == 1)
    Climber(replace(OPTIONS, goal=goal), read("digits"), tmp_path, train, lambda line: None).climb()
    facts = story.read(tmp_path)
    assert facts["final"]["failed_seeds"] == [1]
    assert not story.is_met(facts)
    assert "(in the 1 of 2 seeds that could be trained)" in story.verdict(facts)
    assert "not met: 1 of 2 seeds could not be trained" in story.verdict(facts)


# Stops, and climbs that go on


def test_a_climb_that_is_stopped_again_while_it_looks_at_what_is_there_loses_nothing(tmp_path: Path) -> None:
    facts = Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    before = (tmp_path / DECISIONS).read_text(encoding="utf-8")
    again = Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None)
    again.begin()  # and no further
    assert (tmp_path / DECISIONS).read_text(encoding="utf-8") == before
    assert facts["final"]["looks"] == 1


def test_what_was_planned_for_later_steps_outlives_a_second_stop(tmp_path: Path) -> None:
    options = replace(OPTIONS, ladder=questions("dropout", "schedule"))
    facts = Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    first = tmp_path / "runs" / facts["steps"][0]["candidates"][0]["runs"][0]
    (first / "result.json").unlink()  # so that there is something to train at the beginning
    again = Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None)
    again.begin()
    written = json.loads((tmp_path / DECISIONS).read_text(encoding="utf-8"))
    assert [step["key"] for step in written["steps"]] == ["skeleton"]
    assert set(written["known"]["levels"]) == {"dropout", "schedule"}
    assert written["known"]["final"]["runs"] == facts["final"]["runs"]


def test_a_test_set_that_is_opened_for_another_net_was_looked_at_twice(tmp_path: Path) -> None:
    Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    path = tmp_path / DECISIONS
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["final"]["runs"] = ["of-another-net"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    assert story.read(tmp_path)["final"]["looks"] == 2
    assert "looked at 2 times" in story.verdict(story.read(tmp_path))


def test_other_data_in_the_same_folder_is_another_climb(tmp_path: Path) -> None:
    Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None).climb()
    assert Climber(OPTIONS, read("digits"), tmp_path, train_here_once, lambda line: None).plan.kept
    for other in (
        Climber(OPTIONS, replace(read("digits"), name="mended"), tmp_path, train_here_once, lambda line: None),
        Climber(replace(OPTIONS, holdout_size=200), read("digits"), tmp_path, train_here_once, lambda line: None),
    ):
        assert not other.plan.kept
        assert other.plan.spent == 0
        assert other.preflight is None


def test_runs_on_other_images_of_the_same_name_are_no_runs_of_this_climb(tmp_path: Path) -> None:
    digits = read("digits")
    labels = digits.train.labels.copy()
    labels[0] = (labels[0] + 1) % 10
    mended = replace(digits, train=Split(digits.train.images, labels))
    Climber(OPTIONS, digits, tmp_path, train_here_once, lambda line: None).climb()
    again = Climber(OPTIONS, mended, tmp_path, train_here_once, lambda line: None)
    assert not again.plan.kept
    with pytest.raises(RunError, match="trained on other images"):
        again.climb()


# Too little time


def test_a_climb_that_follows_advice_ends_when_its_time_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def advised(folder: Path, *_: object) -> list[Advice]:
        experiment = open_finished(folder).experiment
        change = experiment.model_copy(update={"net": experiment.net.replace("[ReLU] ", "")})
        labels = Advice("labels", "Check labels", "They lie.", "", "", (1, 2), "", None, "stepladder data", "alarm")
        return [labels, Advice("norm", "Normalise", "It helps.", "", "", (1, 2), "", change, "stepladder train")]

    monkeypatch.setattr("stepladder.following.advise_run", advised)
    monkeypatch.setattr(Plan, "fits", lambda *_: False)
    options = replace(OPTIONS, ladder=LADDER, goal=replace(GOAL, target=100.0), limit=1000.0)
    told: list[str] = []
    facts = follow(Climber(options, read("digits"), tmp_path, train_here_once, told.append))
    assert [step["key"] for step in facts["steps"]] == ["skeleton"]
    assert facts["plan"]["left_out"] == ["Normalise"]
    assert told.count("    Left out, for there is no time: Normalise.") == 1
    assert facts["why_it_ended"] == "there was no time for 'Normalise'"
    assert told.count("    Alarm: Check labels. They lie. stepladder data") == 1


def test_advice_that_there_is_no_time_for_makes_room_for_a_cheaper_piece(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def advised(folder: Path, *_: object) -> list[Advice]:
        experiment = open_finished(folder).experiment

        def one(technique: str, title: str, **changes: object) -> Advice:
            change = experiment.model_copy(update={"recipe": experiment.recipe.model_copy(update=changes)})
            return Advice(technique, title, "It helps.", "", "", (1, 2), "", change, "stepladder train")

        return [one("batch size", "Dear", batch_size=33), one("label smoothing", "Cheap", label_smoothing=0.05)]

    monkeypatch.setattr("stepladder.following.advise_run", advised)
    monkeypatch.setattr(Costs, "fits", lambda _, question, candidates: question.title != "Dear")
    options = replace(OPTIONS, ladder=LADDER, goal=replace(GOAL, target=100.0), limit=1000.0)
    facts = follow(Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None))
    assert [step["title"] for step in facts["steps"]] == ["Skeleton", "Cheap"]
    assert facts["plan"]["left_out"] == ["Dear"]
    assert facts["why_it_ended"] == "there was no time for 'Dear'"
    # A climb that is started again keeps to that, whatever time its clock shows by then.
    monkeypatch.setattr(Costs, "fits", lambda *_: True)
    again = follow(Climber(options, read("digits"), tmp_path, train_here_once, lambda line: None))
    assert [step["title"] for step in again["steps"]] == ["Skeleton", "Cheap"]
    assert again["plan"]["left_out"] == ["Dear"]


# Candidates that are no candidates


def test_two_names_for_one_experiment_are_trained_once(tmp_path: Path) -> None:
    changes = {"one": {"momentum": 0.8}, "other": {"momentum": 0.8}}
    step = Question(key="twins", title="Twins", question="?", technique="recipe", options={"changes": changes})
    options = replace(OPTIONS, ladder=QuestionLadder(name="twins", steps=(step,)), seeds=1)
    trained: list[Path] = []

    def train(jobs: Sequence[Job]) -> None:
        trained.extend(job.folder for job in jobs)
        train_here_once(jobs)

    Climber(options, read("digits"), tmp_path, train, lambda line: None).climb()
    assert len(trained) == len(set(trained))


def test_a_candidate_cannot_have_epochs_of_its_own() -> None:
    step = Question(
        key="long", title="Long", question="?", technique="recipe", options={"changes": {"longer": {"epochs": 40}}}
    )
    with pytest.raises(SpecError, match="all of a step are trained equally long"):
        step.variants(a_standing())


def test_a_technique_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(standing: Standing) -> Any:
        raise ZeroDivisionError("by me")

    monkeypatch.setattr("stepladder.questions.technique", lambda name: broken)
    step = Question.model_construct(key="mine", title="Mine", question="?", technique="mine", options={})
    with pytest.raises(SpecError, match="ZeroDivisionError: by me"):
        step.variants(a_standing())


def a_standing() -> Standing:
    from small_climbs import Blueprint

    return Standing(Blueprint(("C3", "MP2", "C3"), (4, 4), 10), Recipe(epochs=2), (1, 8, 8), 6000)


def test_of_candidates_that_exclude_each_other_the_better_one_is_joined(tmp_path: Path) -> None:
    # On images without an upper side, both rotations seem to gain.
    standing = a_standing()
    stands = standing.recipe.augmentation.model_dump()
    before = standing.recipe.model_dump(mode="json")

    def tried(name: str, right: float, **changes: Any) -> Tried:
        trial = standing.with_recipe(augmentation=stands | changes).trial
        after = trial.recipe.model_dump(mode="json")
        differs = {field: value for field, value in after.items() if before[field] != value}
        return Made(name, trial, differs, 1, 1, ("a run",), accuracy=right)  # type: ignore[arg-type]

    everyone = [tried(STANDS, 90.0), tried("rotation", 91.0, rotation=7), tried("large rotation", 92.0, rotation=45)]
    assert joined_candidate(everyone) is None, "only one of the two is left"
    found = joined_candidate([*everyone, tried("shift", 90.5, shift=1), tried("flip", 89.0, horizontal_flip=0.5)])
    assert found is not None
    name, trial = found
    assert name == "large rotation + shift"
    assert trial.recipe.augmentation.limits().keys() == {"rotation", "shift"}
    assert trial.recipe.augmentation.rotation == 45


class Made(Tried):
    """A candidate whose accuracy is said in place of measured."""

    def __init__(self, *values: Any, accuracy: float) -> None:
        super().__init__(*values)
        object.__setattr__(self, "_accuracy", accuracy)

    @property
    def accuracies(self) -> tuple[float, ...]:
        return (self._accuracy,)  # type: ignore[attr-defined, no-any-return]
