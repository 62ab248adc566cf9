"""Bare nets that a climb begins with, shaped by the data and below the budget."""

from __future__ import annotations

from stepladder.blueprint import Blueprint
from stepladder.climb import batch_for
from stepladder.data import Dataset
from stepladder.errors import SpecError
from stepladder.ladder import Goal
from stepladder.proposals.propose import LARGEST_COUNT, design
from stepladder.spec import Recipe
from stepladder.techniques import Standing, Variant

_MOST = 3
_FIRST_RATE = 0.05


def bare_nets(dataset: Dataset, goal: Goal, *, holdout_size: int, precision: str) -> list[Variant]:
    """Return skeletons for the data, each a bare net: convolutions, ReLU, poolings, and a linear layer at the end.

    The learning rate falls along a cosine: with a constant one, runs of one recipe lie so far apart that a gain of 0.2
    points is found once in eight times (docs/decisions.md). What that is worth is asked in the step about schedules.

    Args:
        dataset: what is learned.
        goal: the parameters to stay below, and the epochs.
        holdout_size: training images held out; the size of the batches goes by the others.
        precision: of the runs.

    Raises:
        SpecError: if none fits the images and stays below the budget.
    """
    image, classes = dataset.input_shape, len(dataset.classes)
    recipe = Recipe.read(
        {
            "epochs": goal.epochs,
            "batch_size": batch_for(len(dataset.train) - holdout_size),
            "learning_rate": _FIRST_RATE,
            "precision": precision,
            "schedule": {"kind": "cosine"},
            "initialisation": "he",
        },
        "the recipe",
    )
    found: list[Variant] = []
    seen = set()
    for proposal in design(image, classes, goal.budget, count=LARGEST_COUNT):
        words = [word for word in proposal.net.split() if not word.startswith("[")]
        body = tuple(word.lstrip("0123456789") for word in words[:-1] if word not in ("GAP", "FL") and "C1" not in word)
        widths = tuple(int(word.partition("C")[0]) for word in words[:-1] if "C" in word and "C1" not in word)
        blueprint = Blueprint(body, widths, classes).widened(image, goal.budget)
        parameters = blueprint.parameters(image)
        if parameters is not None and parameters < goal.budget and body not in seen:
            seen.add(body)
            found.append((proposal.kind, Standing(blueprint, recipe, image, goal.budget)))
    if not found:
        raise SpecError(
            "no bare net with a linear layer at its end fits these images below the budget",
            given=f"{'×'.join(map(str, image))}, {classes} classes, {goal.budget:,} parameters",
            repair="raise --budget, or train one of the nets that stepladder design proposes",
        )
    return found[:_MOST]
