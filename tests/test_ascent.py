"""Ladders of questions: their files, what is tried, and a climb on real images that decides on held-out ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_climbs import questions, read, small_nets, train_here_once
from stepladder import cli, data
from stepladder.advice import Advice
from stepladder.ascent import STANDS, AscentOptions, Climber
from stepladder.ascent_facts import DECISIONS
from stepladder.bare_nets import bare_nets
from stepladder.blueprint import Blueprint
from stepladder.effort import Ahead, Level, Plan
from stepladder.errors import SpecError
from stepladder.following import LADDER, follow
from stepladder.ladder import Goal
from stepladder.promises import promises
from stepladder.questions import Question, QuestionLadder, load, source
from stepladder.runs import open_finished
from stepladder.spec import Experiment, Recipe
from stepladder.techniques import BUILT_IN, Standing, technique
from stepladder.workers import Job

IMAGE = (1, 28, 28)
BARE = Blueprint(("C3", "C3", "MP2", "C3", "C3"), (4, 8, 8, 8), 10)
__all__ = ["small_nets"]
STANDING = Standing(BARE, Recipe(epochs=1), IMAGE, 8000)


# Blueprints


def question_of(key: str) -> Question:
    return next(step for step in load("full").steps if step.key == key)


def test_a_blueprint_is_a_net_in_one_line() -> None:
    assert BARE.net == "[ReLU] 4C3 8C3 MP2 8C3 8C3 10F"
    better = replace(BARE, dense=False, norm=True, dropout=0.05)
    assert better.net == "[BN ReLU D0.05] 4C3 8C3 MP2 8C3 8C3 GAP 10C1"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=4, max_size=4), st.integers(600, 40_000), st.booleans(), st.booleans())
def test_widening_stays_below_the_budget_and_wastes_little(
    widths: list[int], budget: int, dense: bool, norm: bool
) -> None:
    blueprint = replace(BARE, widths=tuple(widths), dense=dense, norm=norm)
    wider = blueprint.widened(IMAGE, budget)
    parameters = wider.parameters(IMAGE)
    assert parameters is not None
    narrowest = replace(blueprint, widths=(2, 2, 2, 2)).parameters(IMAGE)
    assert narrowest is not None
    if narrowest < budget:
        assert parameters < budget
    else:
        assert parameters == narrowest


def test_a_pooling_moves_over_convolutions_and_not_out_of_the_net() -> None:
    earlier = BARE.with_pooling_moved(-1)
    assert earlier is not None
    assert earlier.body == ("C3", "MP2", "C3", "C3", "C3")
    assert earlier.widths == BARE.widths
    assert BARE.with_pooling_moved(-2) is None
    assert Blueprint(("C3", "C3"), (4, 4), 10).with_pooling_moved(1) is None


# Techniques and files


def test_the_full_ladder_asks_with_techniques_that_are_there() -> None:
    ladder = load("full")
    assert {step.technique for step in ladder.steps} == set(BUILT_IN)
    assert all(step.question.endswith("?") for step in ladder.steps)


@pytest.mark.parametrize("question", load("full").steps, ids=lambda one: one.key)
def test_variants_differ_from_what_stands_fit_and_stay_below_the_budget(question: Question) -> None:
    variants = question.variants(STANDING)
    assert variants
    assert len({name for name, _ in variants}) == len(variants)
    for _, one in variants:
        assert one != STANDING
        parameters = one.blueprint.parameters(IMAGE)
        assert parameters is not None
        assert parameters < STANDING.budget


def test_what_does_not_fit_the_budget_is_not_tried() -> None:
    narrowest = replace(BARE, widths=(2, 2, 2, 2))
    tight = replace(STANDING, blueprint=narrowest, budget=(narrowest.parameters(IMAGE) or 0) + 1)
    assert [name for name, _ in load("full").steps[0].variants(tight)] == []


def test_capacity_compares_nets_of_clearly_different_sizes() -> None:
    full = replace(STANDING, blueprint=BARE.widened(IMAGE, 8000))
    names = [name for name, _ in question_of("capacity").variants(full)]
    assert "50% of the budget" in names
    assert "100% of the budget" not in names, "that is what stands"
    assert "100% of the budget" in [name for name, _ in question_of("capacity").variants(STANDING)]


def test_batch_normalisation_without_room_for_its_parameters_narrows_the_layers() -> None:
    tight = replace(STANDING, budget=(BARE.parameters(IMAGE) or 0) + 1)
    ((_, normed),) = load("full").steps[0].variants(tight)
    assert normed.blueprint.norm
    assert sum(normed.blueprint.widths) < sum(BARE.widths)
    assert (normed.blueprint.parameters(IMAGE) or 0) < tight.budget


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('technique = "capacity"', 'technique = "capasity"'), "did you mean 'capacity'?"),
        (('key = "capacity"', 'key = "Capacity!"'), "key"),
        (('key = "capacity"', 'key = "dropout"'), "two steps have one key: dropout"),
        (('title = "Capacity"', 'titel = "Capacity"'), "'steps.2.titel' is not a field"),
        (("format = 1", "format = 2"), "format"),
        (("[[steps]]", "[[steps"), "not TOML"),
    ],
)
def test_mistakes_in_a_ladder_are_told(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(source("full").replace(*change), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(str(path))
    assert told in str(caught.value)


def test_options_that_a_technique_does_not_take_are_told() -> None:
    question = Question(key="a", title="A", question="?", technique="dropout", options={"share": 0.1})
    with pytest.raises(SpecError, match="does not take these options"):
        question.variants(STANDING)


def test_an_unknown_ladder_or_technique_is_told() -> None:
    with pytest.raises(SpecError, match="no ladder of this name"):
        source("fool")
    with pytest.raises(SpecError, match="cannot be read"):
        load("nowhere.toml")
    with pytest.raises(SpecError, match="no technique of this name"):
        technique("batch-normalization")


def test_a_ladder_can_be_shown_changed_and_read_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        cli.app(["ladder", "show", "full"])
    assert left.value.code == 0
    path = tmp_path / "mine.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load(str(path)) == load("full")


# Climbs


@pytest.mark.usefixtures("small_nets")
def test_a_climb_decides_keeps_what_it_decided_and_trains_nothing_twice(tmp_path: Path) -> None:
    dataset = read("digits")
    goal = Goal(target=50, budget=6000, epochs=1, held=1)
    options = AscentOptions(questions("batch-normalisation"), goal, seeds=2, holdout_size=300)
    told: list[str] = []
    trained: list[Path] = []

    def train(jobs: Sequence[Job]) -> None:
        trained.extend(job.folder for job in jobs)
        train_here_once(jobs)

    facts = Climber(options, dataset, tmp_path, train, told.append).climb()
    skeleton, normalised = facts["steps"]
    assert [row["name"] for row in normalised["candidates"]] == ["what stands", "batch normalisation"]
    assert normalised["taken"] in ("what stands", "batch normalisation")
    assert normalised["candidates"][0]["net"] == next(
        row["net"] for row in skeleton["candidates"] if row["name"] == skeleton["taken"]
    )
    # Nothing stands before the first step: the others are measured against the best skeleton.
    assert (
        skeleton["candidates"][0]["name"] == max(skeleton["candidates"], key=lambda row: sum(row["accuracies"]))["name"]
    )
    assert facts["net"] == next(row["net"] for row in normalised["candidates"] if row["name"] == normalised["taken"])
    assert all(len(row["accuracies"]) == 2 for step in facts["steps"] for row in step["candidates"])
    assert facts["final"]["parameters"] < goal.budget
    assert json.loads((tmp_path / DECISIONS).read_text(encoding="utf-8")) == json.loads(json.dumps(facts))
    assert len(trained) == len(set(trained))
    trained.clear()
    again = Climber(options, dataset, tmp_path, train, told.append).climb()
    assert {**again, "seconds": 0} == {**facts, "seconds": 0}
    assert trained == []


@pytest.mark.usefixtures("small_nets")
def test_with_time_left_what_is_open_is_asked_again_with_more_epochs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dataset = read("digits")
    goal = Goal(target=50, budget=6000, epochs=3, held=1)
    options = AscentOptions(questions("dropout"), goal, seeds=2, holdout_size=300, limit=600)
    choose = Plan.choose

    def short(plan: Plan, key: str, *rest: Any) -> tuple[Level, list[Ahead]]:
        """Plan as if there were little time, which turns out to be wrong."""
        return choose(plan, key, *rest) if key in plan.kept else (Level(2, 1 / 3), rest[1])

    monkeypatch.setattr(Plan, "choose", short)
    trained: list[Path] = []

    def train(jobs: Sequence[Job]) -> None:
        trained.extend(job.folder for job in jobs)
        train_here_once(jobs)

    facts = Climber(options, dataset, tmp_path, train, lambda line: None).climb()
    first, again = facts["steps"][1:]
    assert (first["key"], first["epochs"], first["taken"]) == ("dropout", 1, STANDS)
    left_open = [one["name"] for one in first["candidates"][1:] if one["decision"]["verdict"] == "undecided"]
    assert left_open
    assert (again["key"], again["epochs"]) == ("dropout-again", 3)
    assert [one["name"] for one in again["candidates"]] == [STANDS, *left_open]
    trained.clear()
    assert {**Climber(options, dataset, tmp_path, train, lambda line: None).climb(), "seconds": 0} == {
        **facts,
        "seconds": 0,
    }
    assert trained == []


def test_bare_nets_have_nothing_but_convolutions_poolings_and_a_linear_layer() -> None:
    dataset = read("mnist-sample")

    def found(budget: int) -> list[Blueprint]:
        goal = Goal(budget=budget, epochs=1)
        return [one.blueprint for _, one in bare_nets(dataset, goal, holdout_size=1000, precision="float32")]

    nets = found(8000)
    assert len(nets) >= 2
    for blueprint in nets:
        assert blueprint.dense
        assert not blueprint.norm
        parameters = blueprint.parameters(dataset.input_shape)
        assert parameters is not None
        assert parameters < 8000
    with pytest.raises(SpecError, match="budget"):
        found(60)


@pytest.mark.usefixtures("small_nets")
def test_a_candidate_that_cannot_be_trained_is_told_and_not_taken(tmp_path: Path) -> None:
    dataset = read("digits")
    step = Question(
        key="rate", title="Rate", question="?", technique="recipe",
        options={"changes": {"absurd": {"learning_rate": 1e12}}},
    )  # fmt: skip
    ladder = QuestionLadder(name="absurd", steps=(step,))
    options = AscentOptions(ladder, Goal(target=1, budget=3000, epochs=1, held=1), seeds=1, holdout_size=300)

    facts = Climber(options, dataset, tmp_path, train_here_once, lambda line: None).climb()
    row = facts["steps"][1]["candidates"][1]
    assert "no number any more" in row["failure"]
    assert facts["steps"][1]["taken"] == "what stands"


@pytest.mark.usefixtures("small_nets")
def test_a_climb_that_follows_advice_keeps_the_score(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dataset = read("digits")
    asked: list[Path] = []

    def advised(folder: Path, dataset: data.Dataset, budget: int) -> list[Advice]:
        """Say what helps, what cannot, and what is beyond the goal's epochs, of whichever run."""
        asked.append(folder)
        experiment = open_finished(folder).experiment

        def one(technique: str, title: str, effect: tuple[float, float], **changes: object) -> Advice:
            values = experiment.model_dump(mode="json")
            values["net"] = changes.pop("net", values["net"])
            values["recipe"] |= changes
            change = Experiment.read(values, "the advice")
            return Advice(technique, title, "a figure", "everywhere", "now", effect, "nothing", change, "stepladder")

        return [
            one("epochs", "more epochs", (1, 2), epochs=2),
            one(
                "batch normalisation",
                "batch normalisation",
                (5, 90),
                net=experiment.net.replace("[ReLU] ", ""),
                learning_rate=0.05,
            ),
            one("learning rate", "hardly any steps", (500, 600), learning_rate=1e-6),
        ]

    monkeypatch.setattr("stepladder.following.advise_run", advised)
    # Skeletons hardly learn, so that what helps is sure to be kept.
    monkeypatch.setattr(Climber, "_check", lambda *_: {"checks": [], "range_test": {"suggested": 1e-5}})
    options = AscentOptions(LADDER, Goal(target=99.9, budget=6000, epochs=1, held=1), seeds=2, holdout_size=300)
    told: list[str] = []
    facts = follow(Climber(options, dataset, tmp_path, train_here_once, told.append))
    skeleton, *steps = facts["steps"]
    assert skeleton["advice"] is None
    titles = [step["title"] for step in steps]
    assert "more epochs" not in titles
    assert titles[0] == "batch normalisation"
    assert set(titles) == {"batch normalisation", "hardly any steps"}
    by_title = {step["title"]: step for step in steps}
    assert by_title["batch normalisation"]["taken"] == "batch normalisation"
    score = {row["title"]: row["outcome"] for row in promises(facts)}
    assert score["batch normalisation"] == "kept"
    assert by_title["batch normalisation"]["advice"]["came"][0] > 5
    assert score["hardly any steps"] == "broken"
    assert by_title["hardly any steps"]["taken"] == STANDS
    assert len(set(asked)) == 2
    assert "    nothing is left to try" in told
    assert facts["why_it_ended"] == "nothing was left to try, within the goal's epochs and budget"
    assert told[-1] == f"promises of advice: kept 1, open 0, broken {len(steps) - 1}"
    (kept,) = (line for line in told if line.endswith(" came: kept"))
    assert kept.startswith("    promised +5.00 to +90.00 points, +")
    assert facts["final"]["accuracies"]
    # What is asked is a question, and the figures that speak for it are told as such.
    assert steps[0]["question"] == "Does it help to batch normalisation?"
    assert "    advised: batch normalisation. a figure" in told
    # Batch normalisation may shift the best rate; advice on the rate is about nothing else.
    tried = [open_finished(path.parent).experiment for path in tmp_path.glob("runs/*/result.json")]
    rates = {one.recipe.learning_rate for one in tried if "[ReLU]" not in one.net}
    assert {0.017, 0.05, 0.15} <= rates
    assert min(rates) == 1e-6


@pytest.mark.usefixtures("small_nets")
def test_a_climb_that_is_extended_by_a_seed_trains_that_seed_alone(tmp_path: Path) -> None:
    dataset = read("digits")
    goal = Goal(target=50, budget=6000, epochs=1, held=1)
    trained: list[int] = []

    def train(jobs: Sequence[Job]) -> None:
        trained.extend(job.experiment.seed for job in jobs)
        train_here_once(jobs)

    for seeds in (1, 2):
        trained.clear()
        options = AscentOptions(questions("dropout"), goal, seeds=seeds, holdout_size=300)
        facts = Climber(options, dataset, tmp_path, train, lambda line: None).climb()
        # A second look, at undecided candidates, may ask for two more.
        assert set(trained) - {2, 3} == {seeds - 1}
    assert len(facts["final"]["accuracies"]) == 2


def test_a_technique_of_ones_own_is_one_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def smaller_batches(standing, size=32):\n"
        "    yield f'batches of {size}', standing.with_recipe(batch_size=size)\n",
        encoding="utf-8",
    )
    package = tmp_path / "mine-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n", encoding="utf-8")
    (package / "entry_points.txt").write_text(
        "[stepladder.techniques]\nsmaller-batches = mine:smaller_batches\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    question = Question(key="batch", title="Batch", question="?", technique="smaller-batches", options={"size": 16})
    [(name, variant)] = question.variants(STANDING)
    assert name == "batches of 16"
    assert variant.recipe.batch_size == 16
