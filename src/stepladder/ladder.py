"""Ladders: ordered steps, each one change to the experiment with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stepladder.displayed import Displayed
from stepladder.spec import (
    Augmentation,
    Experiment,
    OneCycle,
    Plateau,
    Recipe,
    Schedule,
    StepDecay,
)

GUIDE_NET = "8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1"
"""The reference guide's net, 7,496 parameters, without its dropout: on the holdout, recipes without dropout
were among the best (results/recipe.md)."""


@dataclass(frozen=True)
class Goal:
    """What a ladder climbs to.

    Args:
        target: accuracy in percent.
        budget: the most trainable parameters; the net has to stay below.
        epochs: within how many epochs.
        held: in how many of the last epochs the target has to be reached.
    """

    target: float = 99.4
    budget: int = 8000
    epochs: int = 15
    held: int = 5

    def __str__(self) -> str:
        """Return the goal in words."""
        last = f"each of the last {self.held} of {self.epochs} epochs" if self.epochs > self.held else "every epoch"
        return f"{self.target:g}% in {last}, with fewer than {self.budget:,} parameters"


@dataclass(frozen=True)
class Step(Displayed):
    """One change, before it is measured.

    Args:
        key: a short name for folders and links.
        title: what people read.
        technique: what is applied.
        purpose: why, and what is expected: the step's target in words.
        net: the one-line net.
        recipe: how it is trained.
    """

    key: str
    title: str
    technique: str
    purpose: str
    net: str
    recipe: Recipe

    def __str__(self) -> str:
        """Return title and purpose."""
        return f"{self.title}: {self.purpose}"

    def experiment(
        self, *, data: str = "mnist", protocol: str = "reference", holdout_size: int = 10_000, seed: int = 0
    ) -> Experiment:
        """Return the experiment of this step for one seed."""
        return Experiment.read(
            {
                "net": self.net,
                "recipe": self.recipe.model_dump(),
                "data": data,
                "protocol": protocol,
                "holdout_size": holdout_size,
                "seed": seed,
            },
            self.title,
        )


@dataclass(frozen=True)
class Ladder(Displayed):
    """Steps in order, and the goal at the top; ``alternatives`` are trained beside the last step to be compared."""

    name: str
    goal: Goal
    steps: tuple[Step, ...]
    alternatives: tuple[Step, ...] = ()

    def __str__(self) -> str:
        """Return the goal and the steps, one a line."""
        steps = (f"{number}. {step}" for number, step in enumerate(self.steps, start=1))
        return "\n".join([f"{self.name}: {self.goal}", *steps])


def classic(epochs: int = 15) -> Ladder:
    """Return the reference guide's ladder: skeleton, augmentation, learning-rate schedule."""
    bare = Recipe(epochs=epochs, learning_rate=0.05)
    varied = bare.model_copy(
        update={
            "augmentation": Augmentation(rotation=10, shift=1.5, scale=0.1, shear=5),
            "label_smoothing": 0.05,
            "averaging": 0.999,
        }
    )
    cycled = varied.model_copy(update={"learning_rate": 0.3, "schedule": OneCycle(warm_up=0.2), "averaging": 0.0})
    skeleton = Step(
        key="skeleton",
        title="The basic skeleton",
        technique="skeleton, batch normalisation, global average pooling",
        purpose="Find a small shape that learns: 3×3 convolutions, one pooling early, a 1×1 convolution to narrow the "
        "maps, global average pooling in place of large linear layers. Expected: close to 99% with two thirds of "
        "the budget.",
        net="8C3 16C3 MP2 8C1 12C3 12C3 12C3 GAP 16C1 10C1",
        recipe=bare,
    )
    augmentation = Step(
        key="augmentation",
        title="With data augmentation",
        technique="capacity, augmentation, label smoothing, weight averaging",
        purpose="Spend the rest of the budget on wider late layers, and turn, shift and scale every image a little, "
        "anew each time it is seen, so that the net cannot learn the training images by heart. At a constant learning "
        "rate the weights keep jumping; their moving average does not. Expected: the accuracy rises and the gap to the "
        "training accuracy closes.",
        net=GUIDE_NET,
        recipe=varied,
    )
    one_cycle = Step(
        key="one-cycle",
        title="With a learning-rate schedule",
        technique="learning-rate schedule",
        purpose="Keep the net and the images; let the learning rate rise to a high peak and fall to almost nothing "
        "(OneCycleLR), which settles the weights without averaging. Expected: at least 99.4% in each of the last five "
        "epochs.",
        net=GUIDE_NET,
        recipe=cycled,
    )
    return Ladder(
        name="classic",
        goal=Goal(epochs=epochs, held=min(Goal.held, epochs)),  # a quick look has no five last epochs
        steps=(skeleton, augmentation, one_cycle),
        alternatives=(
            _with_schedule(one_cycle, "plateau", "ReduceLROnPlateau", Plateau()),
            _with_schedule(one_cycle, "step", "StepLR", StepDecay(every=max(1, epochs // 3))),
        ),
    )


LADDERS = {"classic": classic}


def _with_schedule(step: Step, key: str, title: str, schedule: Schedule) -> Step:
    # The fixed and stepwise schedules start at their peak at once: the rate of the constant steps suits them.
    recipe = step.recipe.model_copy(update={"schedule": schedule, "learning_rate": 0.05})
    return replace(step, key=key, title=title, recipe=recipe)
