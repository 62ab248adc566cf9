"""Learning rates tuned by short runs, and what a candidate's runs tell besides their accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from stepladder.remarks import remark
from stepladder.runs import EpochRow, FinishedRun
from stepladder.spec import Recipe
from stepladder.trials import Named, Trial, Trials
from stepladder.tuning import tuned

EPOCHS = 9
IMAGES = 200
NET = "[ReLU] 4C3 GAP 10C1"


@dataclass
class Run:
    """A finished run of which only the rows count."""

    rows: list[EpochRow]
    experiment: Any = None


@dataclass
class PretendTrials:
    """Trains nothing: an accuracy comes from the rate and the epochs, the loss falls as it rises."""

    accuracy: Callable[[float, int], float | None]
    trained: list[tuple[float, int]] = field(default_factory=list)

    def run(self, title: str, candidates: Sequence[Named], seeds: range, epochs: int) -> None:
        self.trained += [(one.recipe.learning_rate, epochs) for _, one in candidates]

    def job(self, label: str, one: Trial, seed: int, epochs: int) -> tuple[float, int]:
        return one.recipe.learning_rate, epochs

    def finished(self, job: tuple[float, int]) -> Run | None:
        assert job in self.trained, "only what was trained can be read"
        reached = self.accuracy(*job)
        return None if reached is None else Run([row(1, reached)])


def row(epoch: int, accuracy: float, rate: float = 0.1) -> EpochRow:
    right = round(IMAGES * accuracy / 100)
    return EpochRow(epoch, 10, rate, 1.0, 1.0, right, IMAGES, "holdout", 2 - accuracy / 100, right, IMAGES)


def rate_after(accuracy: Callable[[float, int], float | None]) -> tuple[float, PretendTrials]:
    trials = PretendTrials(accuracy)
    candidates = [("plain", Trial(NET, Recipe(learning_rate=0.1, epochs=EPOCHS)))]
    ((_, chosen),) = tuned(cast(Trials, trials), "A step", candidates, EPOCHS)
    return chosen.recipe.learning_rate, trials


def test_the_best_of_three_rates_is_taken() -> None:
    rate, trials = rate_after(lambda rate, epochs: 90 - abs(rate - 0.1))
    assert rate == 0.1
    assert trials.trained == [(0.1, 3), (0.033, 3), (0.3, 3), (0.1, 9)], "the whole run is one that the step needs"


def test_where_the_best_is_at_an_end_one_further_is_tried() -> None:
    rate, trials = rate_after(lambda rate, epochs: 90 - abs(rate - 0.3))
    assert rate == 0.3
    assert (0.9, 3) in trials.trained


def test_a_rate_that_breaks_the_whole_run_makes_room_for_a_third_of_it() -> None:
    """A bare net on patches of photographs reached 53.5% in a third of its epochs and 10.8% at their end."""
    rate, trials = rate_after(lambda rate, epochs: 10.8 if epochs == EPOCHS and rate > 0.05 else 53.5 - abs(rate - 0.1))
    assert rate == 0.033
    assert trials.trained[-2:] == [(0.1, 9), (0.033, 9)]


def test_a_rate_at_which_the_loss_is_lost_makes_room_too() -> None:
    assert (
        rate_after(lambda rate, epochs: None if epochs == EPOCHS and rate > 0.05 else 60 - abs(rate - 0.1))[0] == 0.033
    )


def test_a_net_that_breaks_at_every_rate_ends_the_search() -> None:
    rate, trials = rate_after(lambda rate, epochs: 10.0 if epochs == EPOCHS else 60 - abs(rate - 0.1))
    assert rate == 0.011
    assert [epochs for _, epochs in trials.trained].count(EPOCHS) == 2


def test_a_few_points_less_after_more_epochs_are_luck() -> None:
    assert rate_after(lambda rate, epochs: 85.0 if epochs == EPOCHS else 90 - abs(rate - 0.1))[0] == 0.1


def runs_of(
    curves: Sequence[Sequence[float]], rates: Sequence[float] | None = None, **recipe: Any
) -> list[FinishedRun]:
    """Return runs with these accuracies after each epoch."""
    experiment = type("Experiment", (), {"recipe": Recipe.read({"epochs": EPOCHS, **recipe}, "a test")})
    return [
        cast(
            FinishedRun,
            Run(
                [
                    row(epoch, accuracy, rates[epoch - 1] if rates else 0.1)
                    for epoch, accuracy in enumerate(curve, start=1)
                ],
                experiment,
            ),
        )
        for curve in curves
    ]


@pytest.mark.parametrize(
    ("curves", "said"),
    [
        ([[50.0, 80.0, 90.0]], ""),
        ([[50.0, 90.0, 86.0]], ""),  # four points are the luck of 200 images
        ([[53.5, 10.5, 10.5]], "its run fell apart, from 53.5% after epoch 1 to 10.5% at the end"),
        (
            [[60.0, 80.0], [70.0, 20.0], [50.0, 10.0]],
            "2 of 3 runs fell apart, from 70.0% after epoch 1 to 20.0% at the end",
        ),
    ],
)
def test_runs_that_fell_apart_say_so(curves: list[list[float]], said: str) -> None:
    assert remark(runs_of(curves)) == said


def test_a_plateau_that_never_came_is_told() -> None:
    """ReduceLROnPlateau was measured beside a constant rate, and was the same training to the bit."""
    plateau = {"schedule": {"kind": "plateau"}}
    curves = [[50.0, 80.0, 90.0]] * 2
    assert remark(runs_of(curves, **plateau)) == "no plateau came: the rate was constant"
    assert remark(runs_of(curves, rates=[0.1, 0.1, 0.01], **plateau)) == ""
    some = [*runs_of(curves[:1], **plateau), *runs_of(curves[:1], rates=[0.1, 0.1, 0.01], **plateau)]
    assert remark(some) == "no plateau came in 1 of 2 runs: the rate was constant"
    assert remark(runs_of(curves)) == ""
