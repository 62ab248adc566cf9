"""The page about techniques: its figures are those of the rows, and nothing that was tried is left out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stepladder.durations import clock
from stepladder.evaluate import deviation, mean, percent
from stepladder.questions import load

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "techniques.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages() -> Iterator[ModuleType]:
    sys.path.insert(0, str(DOCS))
    try:
        import techniques_page

        yield techniques_page
    finally:
        sys.path.remove(str(DOCS))


def test_the_figures_are_those_of_the_rows(pages: ModuleType) -> None:
    assert pages.updated(PAGE) == PAGE, "run: python docs/techniques_page.py"


def test_the_readme_says_what_the_climb_on_the_full_mnist_reached(pages: ModuleType) -> None:
    climb = next(row for row in pages.Measured.read().climbs if row["climb"] == "full-mnist")
    reached = percent(mean(climb["final"]["accuracies"]), deviation(climb["final"]["accuracies"]))
    below = sum(one < climb["goal"]["target"] for one in climb["final"]["accuracies"])
    seeds = f"three seeds, {('none', 'one', 'two', 'all')[below]} of them below {climb['goal']['target']:g}"
    told = f"{reached} with {climb['final']['parameters']:,} parameters ({seeds}) in {clock(climb['seconds'])}"
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert told in " ".join(readme.split())
    assert climb["command"] in readme


def test_every_candidate_of_every_climb_is_on_the_page_once(pages: ModuleType) -> None:
    measured = pages.Measured.read()
    chooses = [pages.is_of("skeleton"), *pages.SECTIONS.values()]
    for row in measured.candidates:
        if not row["stood"]:
            assert sum(choose(row) for choose in chooses) == 1, row["candidate"]
            if row["points"] is not None:
                assert pages.effect_text(row) in PAGE
    assert set(pages.SECTIONS) <= set(re.findall(r"<!-- measured: ([a-z-]+) -->", PAGE))


def test_every_step_of_the_full_ladder_has_a_section_that_says_what_when_where_and_when_not() -> None:
    sections = dict(re.findall(r"\n### (.*?)\n(.*?)(?=\n###? |\Z)", PAGE, re.DOTALL))
    named = " ".join(sections).lower()
    for step in load("full").steps:
        if step.key != "regularisation":  # its candidates have sections of their own
            assert step.title.lower().removeprefix("learning-rate ") in named
    for title, text in sections.items():
        for part in ("**What.**", "**When.**", "**Where.**", "**When not.**"):
            assert part in text, title


def test_every_picture_is_there_and_small() -> None:
    pictures = re.findall(r"!\[(.+?)\]\((.+?)\)", PAGE)
    assert {name for _, name in pictures} == {path.name for path in DOCS.glob("techniques-*.*g")}
    for _, name in pictures:
        assert 1_000 < (DOCS / name).stat().st_size < 150_000


def test_the_chart_names_every_candidate(pages: ModuleType) -> None:
    measured = pages.Measured.read()
    chart = (DOCS / "techniques-effects.svg").read_text(encoding="utf-8")
    for row in measured.candidates:
        if row["points"] is not None:
            assert pages.label(row, measured.stood(row["climb"], row["step"])) in chart


def test_what_was_asked_again_stands_in_place_of_what_was_said_before(pages: ModuleType) -> None:
    def row(step: str, candidate: str, points: float | None, climb: str = "full-mnist") -> dict[str, Any]:
        names = {"climb": climb, "step": step, "step_title": step.capitalize(), "candidate": candidate}
        return names | {"points": points, "stood": points is None}

    rows = [
        row("dropout", "what stands", None),
        row("dropout", "dropout 0.05", -0.1),
        row("augmentation", "what stands", None),
        row("augmentation", "flip", -1.0),
        row("augmentation", "shift", -0.02),
        row("augmentation", "flip + shift", -0.03),
        row("augmentation", "what stands", None, climb="full-digits"),
        row("augmentation-again", "what stands", None),
        row("augmentation-again", "shift", 0.1),
        row("augmentation-again", "shift + scale", 0.2),
    ]
    found = [
        (one["step"], one["candidate"], one["points"]) for one in pages.latest(rows) if one["climb"] == "full-mnist"
    ]
    assert found == [
        ("dropout", "what stands", None),
        ("dropout", "dropout 0.05", -0.1),
        ("augmentation", "what stands", None),
        ("augmentation", "flip", -1.0),
        ("augmentation", "shift", 0.1),
        ("augmentation", "shift + scale", 0.2),
    ]
    assert len(pages.latest(rows)) == 7
    assert {one["step_title"] for one in pages.latest(rows)} == {"Dropout", "Augmentation"}


def test_an_effect_says_its_interval_what_was_decided_and_how_many_seeds(pages: ModuleType) -> None:
    row: dict[str, Any] = {"points": -0.204, "low": -0.31, "high": 0.1, "verdict": "undecided", "taken": False}
    row |= {"seeds": 3, "failure": ""}
    assert pages.effect_text(row) == "−0.20 (−0.31 to +0.10), undecided"
    assert pages.effect_text(row | {"seeds": 1, "verdict": "drop"}) == "−0.20 (−0.31 to +0.10), dropped; 1 seed"
    assert pages.effect_text(row | {"taken": True, "verdict": "keep"}) == "−0.20 (−0.31 to +0.10), **taken**"
    assert pages.effect_text(row | {"points": None, "failure": "cannot be trained"}) == "cannot be trained"
