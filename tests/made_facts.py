"""Facts made by hand: those of a sound run, and changes to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stepladder.diagnosis.structure import net_facts
from stepladder.diagnosis.values import Epoch, Facts, LabelFacts, LayerState, RangeFacts, Score
from stepladder.notation import Net
from stepladder.spec import Experiment

NET = "8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1"
IMAGE = (1, 28, 28)


def epochs(losses: list[float], accuracy: float, rates: list[float] | None = None) -> tuple[Epoch, ...]:
    """Return epochs with these training losses; the rate is 0.1 throughout, or one of these an epoch."""
    rates = rates or [0.1] * len(losses)
    return tuple(Epoch(rate, rate, loss, accuracy, loss, accuracy) for rate, loss in zip(rates, losses, strict=True))


def state(layer: str = "1 8C3", **changes: Any) -> LayerState:
    """Return a sound layer: values of spread 1, a step moves its weights by a fifth."""
    return replace(LayerState(layer, 1.0, None, 0.01, 0.2), **changes)


def facts(
    net: str = NET,
    recipe: dict[str, Any] | None = None,
    train: float = 99.6,
    holdout: float | None = 98.6,
    **changes: Any,
) -> Facts:
    """Return facts of a sound run on 3,000 digits, with some of them changed.

    Args:
        net: in one line; what it is made of follows from it.
        recipe: fields of the recipe.
        train: accuracy on 3,000 training images, in percent.
        holdout: accuracy on 1,000 held-out images; None logs the test set instead.
        changes: other facts.
    """
    usual = {"epochs": 8, "batch_size": 64, "schedule": {"kind": "cosine"}, "augmentation": {"rotation": 5}}
    experiment = Experiment.read(
        {
            "net": net,
            "recipe": usual | (recipe or {}),
            "data": "mnist-sample",
            "protocol": "reference" if holdout is None else "holdout",
            "holdout_size": 1000,
        },
        "made by hand",
    )
    made = Facts(
        folder="runs/mine",
        experiment=experiment,
        title="made by hand",
        classes=tuple("0123456789"),
        image=IMAGE,
        objects=(20, 16),
        train_count=3000,
        steps=47,
        epochs=epochs([1.7, 0.4, 0.2, 0.1, 0.07, 0.05, 0.046, 0.045], train),
        failure="",
        train=Score(round(30 * train), 3000, 0.02),
        holdout=None if holdout is None else Score(round(10 * holdout), 1000, 0.05),
        first_loss=2.35,
        input_mean=0.0,
        input_deviation=1.0,
        net=net_facts(Net.parse(net), IMAGE),
        first=(state("1 8C3"), state("19 10C1")),
        last=(state("1 8C3"), state("19 10C1")),
        confusions=(),
        augmentation=(),
        labels=LabelFacts(3000, 92.0, 0.016, 0.001, 0.0007, ()),
        range_test=RangeFacts(suggested=0.05, highest=0.3, learns=True),
    )
    return replace(made, **changes)
