"""What a ladder's file says wrongly is told before anything is trained; what a step cannot try is told with why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from small_climbs import read, small_nets, train_here_once
from stepladder import cli
from stepladder.ascent import AscentOptions, Climber
from stepladder.blueprint import Blueprint
from stepladder.errors import SpecError
from stepladder.ladder import Goal
from stepladder.questions import Question, QuestionLadder, load, told_with
from stepladder.spec import Recipe
from stepladder.techniques import Standing

__all__ = ["small_nets"]

STANDING = Standing(Blueprint(("C3", "MP2", "C3"), (4, 4), 10), Recipe(epochs=2), (1, 8, 8), 6000)


def question(technique: str, **options: Any) -> Question:
    return Question(key="one", title="One", question="?", technique=technique, options=options)


# Mistakes in a file


@pytest.mark.parametrize(
    ("technique", "options", "told"),
    [
        (
            "recipe",
            'changes = { "slow" = { momentun = 0.5 } }',
            "candidate 'slow': 'momentun' is not a field; did you mean 'momentum'?",
        ),
        (
            "recipe",
            'changes = { "slow" = { momentum = 2 } }',
            "candidate 'slow': momentum: Input should be less than 1 (given: 2)",
        ),
        (
            "recipe",
            'changes = { "a" = { schedule = { kind = "cosin" } } }',
            "candidate 'a': schedule: write schedule.kind = 'cosine'",
        ),
        (
            "recipe",
            'changes = { "a" = { schedule = { kind = "step", evry = 3 } } }',
            "'schedule.step.evry' is not a field; did you mean 'every'?",
        ),
        (
            "recipe",
            'changes = { "a" = { augmentation = { rotaton = 3 } } }',
            "'augmentation.rotaton' is not a field; did you mean 'rotation'?",
        ),
        ("recipe", 'changes = { "a" = { epochs = 30 } }', "candidate 'a': a candidate cannot have epochs of its own"),
        ("recipe", 'changes = { "a" = 3 }', "candidate 'a' has to have fields (given: 3)"),
        ("recipe", "changes = 3", "changes has to name candidates"),
        ("recipe", "", "the option 'changes' is missing"),
        (
            "augmentation",
            'kinds = { "turn" = { rotaton = 7 } }',
            "candidate 'turn': 'rotaton' is not a field; did you mean 'rotation'?",
        ),
        (
            "augmentation",
            'kinds = { "turn" = { rotation = 700 } }',
            "candidate 'turn': rotation: Input should be less than or equal to 180",
        ),
        ("dropout", "sharess = [0.1]", "'sharess' is not an option; did you mean 'shares'?"),
        ("dropout", "shares = [1.5]", "shares.0: Input should be less than 1 (given: 1.5)"),
        ("capacity", 'shares = ["half"]', "shares.0: Input should be a valid number (given: 'half')"),
        ("learning-rate", "factors = [-1]", "factors.0: Input should be greater than 0"),
        ("schedule", "kind = 3", "'kind' is not an option; known here: none"),
        ("mine", "sizze = 16", "'sizze' is not an option; did you mean 'size'?"),
    ],
)
def test_mistakes_in_options_are_told_with_file_step_and_candidate(
    technique: str, options: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_point(monkeypatch, tmp_path, "def mine(standing, size=32):\n    yield 'it', standing\n")
    path = tmp_path / "mine.toml"
    head = (
        f'format = 1\nname = "mine"\n[[steps]]\nkey = "one"\ntitle = "One"\nquestion = "?"\ntechnique = "{technique}"\n'
    )
    path.write_text(f"{head}options = {{ {options} }}\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(str(path))
    assert str(path) in str(caught.value)
    assert "step 'one': " in str(caught.value)
    assert told in str(caught.value)


def test_every_mistake_is_told_at_once_and_what_only_goes_together_on_what_stands_is_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    step = '[[steps]]\nkey = "{0}"\ntitle = "T"\nquestion = "?"\ntechnique = "recipe"\noptions.changes.a = {{ {1} }}\n'
    head = 'format = 1\nname = "mine"\n'
    path.write_text(head + step.format("one", "momentun = 1") + step.format("two", "nesterof = true"), encoding="utf-8")
    with pytest.raises(SpecError, match="2 mistakes"):
        load(str(path))
    # Nesterov needs momentum, but a step before may have turned it off.
    path.write_text(head + step.format("one", "momentum = 0.0"), encoding="utf-8")
    assert load(str(path)).steps[0].options == {"changes": {"a": {"momentum": 0.0}}}


# Techniques of other packages


@pytest.mark.parametrize(
    ("body", "given"),
    [
        ("standing.with_recipe(batch_size=16)", "None"),
        ("return 3", "3"),
        ("return ['batches']", "'batches'"),
        ("yield 'batches', 16", "('batches', 16)"),
        ("yield standing", "Standing("),
    ],
)
def test_a_technique_that_gives_something_else_is_told_what_it_must(
    body: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_point(monkeypatch, tmp_path, f"def mine(standing):\n    {body}\n")
    with pytest.raises(SpecError, match="pairs of a name and a Standing") as caught:
        question("mine").variants(STANDING)
    assert caught.value.given.startswith(given)
    assert "yield (name, standing.with_net(…))" in caught.value.repair


def test_a_type_error_inside_a_technique_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry_point(monkeypatch, tmp_path, "def mine(standing):\n    return [len(3)]\n")
    with pytest.raises(SpecError, match="the technique 'mine' failed") as caught:
        question("mine").variants(STANDING)
    assert "TypeError" in caught.value.given


def entry_point(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Make a technique ``mine`` of a package of one's own."""
    scope: dict[str, Any] = {}
    exec(code, scope)

    class Entry:
        name, value = "mine", "package:mine"

        def load(self) -> Any:
            return scope["mine"]

    monkeypatch.setattr("stepladder.techniques.entry_points", lambda group: [Entry()])


# What cannot be tried


@pytest.mark.parametrize(
    ("asked", "changed", "told"),
    [
        (question("batch-normalisation"), {"norm": True}, ["batch normalisation is what stands already"]),
        (question("pooling-position"), {}, ["pool earlier has no place in this net"]),
        (
            question("pooling-position"),
            {"body": ("C3", "C3"), "widths": (4, 4)},
            ["pool earlier has no place in this net", "pool later has no place in this net"],
        ),
        (question("dropout", shares=[]), {}, ["the technique 'dropout' proposes nothing for this net"]),
        (question("dropout", shares=[0, 0.1]), {}, ["dropout 0 is what stands already"]),
    ],
)
def test_what_cannot_be_tried_is_told_with_why(asked: Question, changed: dict[str, Any], told: list[str]) -> None:
    standing = replace(STANDING, blueprint=replace(STANDING.blueprint, **changed))
    assert asked.not_tried(standing) == told


def test_what_is_beyond_the_budget_is_told_with_both_numbers() -> None:
    tight = replace(STANDING, budget=100)
    (told,) = question("dropout", shares=[0.1]).not_tried(tight)
    assert told.endswith("parameters, and fewer than 100 are the budget")


def test_the_reason_of_a_decision_tells_what_was_not_tried() -> None:
    assert told_with("a stays: no candidate is kept.", [], is_alone=False) == "a stays: no candidate is kept."
    told = told_with("a stays: no candidate is kept.", ["b is what stands already"], is_alone=False)
    assert told == "a stays: no candidate is kept. Not tried: b is what stands already."


@pytest.mark.usefixtures("small_nets")
def test_a_climb_says_that_what_stands_already_is_nothing_to_try(tmp_path: Path) -> None:
    steps = (question("recipe", changes={"SGD": {"optimiser": "sgd"}}),)
    ladder = QuestionLadder(name="mine", steps=steps)
    options = AscentOptions(ladder, Goal(target=50, budget=6000, epochs=1, held=1), seeds=1, holdout_size=300)
    told: list[str] = []
    facts = Climber(options, read("digits"), tmp_path, train_here_once, told.append).climb()
    assert facts["steps"][1]["reason"] == "nothing to try: SGD is what stands already"
    assert "    nothing to try: SGD is what stands already" in told


# stepladder ladder show


@pytest.mark.parametrize(
    ("name", "told"),
    [("classic", "the guide's three experiments"), ("auto", "it follows advice in place of a fixed order")],
)
def test_ladders_without_a_file_are_shown_as_what_they_are(
    name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.app(["ladder", "show", name])
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert told in lines[0]
    assert all(line.startswith("#") for line in lines)
    assert "stepladder ladder show full > mine.toml" in lines[-1]
