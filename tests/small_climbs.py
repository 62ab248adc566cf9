"""Climbs of nets that are trained in no time, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

import pytest

from stepladder import data
from stepladder.ascent import Climber
from stepladder.blueprint import Blueprint
from stepladder.errors import TrainingError
from stepladder.ladder import Goal
from stepladder.questions import QuestionLadder, load
from stepladder.spec import Recipe
from stepladder.techniques import Standing
from stepladder.workers import Job, train_here

RANGE_TEST = {
    "suggested": 0.05,
    "lowest": 0.01,
    "highest": 0.1,
    "rates": [0.01, 0.03, 0.1],
    "losses": [2.3, 2.1, 2.0],
    "raw_losses": [2.3, 2.1, 2.0],
    "learns": True,
}


def questions(*keys: str) -> QuestionLadder:
    ladder = load("full")
    return ladder.model_copy(update={"steps": tuple(step for step in ladder.steps if step.key in keys)})


read = cache(data.load)


def train_here_once(jobs: Sequence[Job]) -> None:
    """Train what is not finished, in this process, and leave out what cannot be trained."""
    for job in jobs:
        if not (job.folder / "result.json").is_file():
            with suppress(TrainingError):
                train_here(job, lambda event: None, data_dir=None, device=None, threads=1, load=read)


@pytest.fixture
def small_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from nets that are made and trained in no time."""

    def two(dataset: data.Dataset, goal: Goal, **_: object) -> list[tuple[str, Standing]]:
        bodies = {"early": ("C3", "MP2", "C3"), "late": ("C3", "C3", "MP2")}
        recipe = Recipe(epochs=goal.epochs, learning_rate=0.05)
        return [
            (name, Standing(Blueprint(body, (4, 4), 10), recipe, dataset.input_shape, goal.budget))
            for name, body in bodies.items()
        ]

    monkeypatch.setattr("stepladder.ascent.bare_nets", two)
    # What the pre-flight finds is tested where it is made; the climb of a colour folder has a real one.
    monkeypatch.setattr(Climber, "_check", lambda *_: {"checks": [], "range_test": RANGE_TEST})


def train_but(fails: Callable[[Job], bool]) -> Callable[[Sequence[Job]], None]:
    """Return what trains jobs, except that some of them come apart."""
    return lambda jobs: train_here_once([job for job in jobs if not fails(job)])
