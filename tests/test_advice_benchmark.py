"""The benchmark of advice: its faults are sound to train, and its scores are counted from rows."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import advice
from advice_faults import FAULTS, HEALTHY, RECIPE, Fault, Healthy
from advice_results import improved, page, scores
from stepladder.inspection.oneline import describe
from stepladder.notation import Net
from stepladder.rules import RULES
from stepladder.spec import Experiment

TECHNIQUES = {
    "activation",
    "augmentation",
    "batch normalisation",
    "batch size",
    "capacity",
    "dropout",
    "epochs",
    "global average pooling",
    "input normalisation",
    "labels",
    "learning rate",
    "learning-rate schedule",
    "receptive field",
    "softmax",
}


def test_there_are_sixteen_faults_and_ten_sound_runs_all_different() -> None:
    assert (len(FAULTS), len(HEALTHY)) == (16, 10)
    assert len({one.name for one in (*FAULTS, *HEALTHY)}) == 26
    assert {technique for one in FAULTS for technique in one.accepted} <= TECHNIQUES
    assert len(RULES) > len(TECHNIQUES)


@pytest.mark.parametrize("one", [*FAULTS, *HEALTHY], ids=lambda one: one.name)
def test_each_can_be_trained(one: Fault | Healthy) -> None:
    Experiment.read({"net": one.net, "recipe": RECIPE | one.recipe}, one.name)
    shape = (1, 8, 8) if isinstance(one, Healthy) and one.data == "digits" else (1, 28, 28)
    assert describe(Net.parse(one.net), shape).totals.parameters > 0


def test_shuffled_labels_keep_their_counts_and_change_in_their_share() -> None:
    labels = numpy.arange(4000) % 10
    mixed = advice.shuffled(labels, 0.1)
    assert (numpy.bincount(mixed) == numpy.bincount(labels)).all()
    assert 0.08 < (mixed != labels).mean() <= 0.1
    assert (advice.shuffled(labels, 0.1) == mixed).all()


def row(name: str, first: str | None, before: float | None, after: float | None, *kinds: str) -> dict[str, Any]:
    said = [[kind, first, "do it", [0.5, 1.5]] for kind in kinds]
    shown = {"said": said, "first": first, "before": before, "after": after, "advised": "dropout = 0", "seed": 0}
    return {"name": name, "data": "mnist-sample", **shown}


def test_scores_count_names_improvements_and_silence() -> None:
    rows = [
        row("dropout 0.5 everywhere", "dropout", 60.0, 98.0, "alarm"),
        row("vertical flips", "epochs", 97.0, 97.0, "alarm"),
        row("all labels shuffled", "labels", None, 97.0, "alarm"),
        row("softmax before cross-entropy", "softmax", 97.0, None, "alarm"),
        row("a deep net", None, 98.0, None),
        row("the fast net, cosine", "augmentation", 98.0, None, "idea", "alarm"),
    ]
    assert scores(rows) == {"named": (3, 4), "improved": (2, 4), "quiet": (1, 2)}
    assert [improved(one) for one in rows[:4]] == [True, False, True, False]
    head = {"environment": {"processor": "a processor", "torch": "2"}}
    shown = page(head, rows)
    assert "| first advice names the fault | 90% | 75% (3 of 4) | missed |" in shown
    assert "| dropout 0.5 everywhere | dropout | 1 of 1 | 60.00% | 98.00% | 0.5 to 1.5 | +38.0 |" in shown
