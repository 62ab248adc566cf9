"""Climb a ladder: train every step for every seed, side by side, each in its run folder."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stepladder.data import Dataset
from stepladder.errors import ShapeError, SpecError
from stepladder.inspection.oneline import describe
from stepladder.ladder import LADDERS, Ladder, Step
from stepladder.notation import Net
from stepladder.questions import BUILT_IN
from stepladder.runs import refuse_other_images
from stepladder.workers import Event, Job, execute


@dataclass(frozen=True)
class ClimbOptions:
    """What decides a climb.

    Args:
        ladder: its name.
        epochs: of every run.
        seeds: how many runs a step gets, with the seeds 0, 1, 2, …
        protocol: "reference" or "holdout".
        holdout_size: images of the holdout.
        target: accuracy in percent; None takes the ladder's.
        budget: parameters; None takes the ladder's.
        compare_schedules: whether to train the ladder's alternatives too.
        precision: of every run: "float32" or "bfloat16".
        classes: of the data; nets that end in ten values end in so many instead.
        batch_size: the most images a step; where a recipe has more, its learning rate is lowered in proportion. None
            leaves recipes as they are.
        command: the command line that reproduces the climb.
    """

    ladder: str = "classic"
    epochs: int = 15
    seeds: int = 1
    protocol: str = "reference"
    holdout_size: int = 10_000
    target: float | None = None
    budget: int | None = None
    compare_schedules: bool = False
    precision: str = "float32"
    classes: int = 10
    batch_size: int | None = None
    command: str = "stepladder climb"

    def resolve(self) -> Ladder:
        """Return the ladder with the goal as asked for.

        Raises:
            SpecError: if there is no ladder of this name.
        """
        if self.ladder not in LADDERS:
            known = (*LADDERS, *BUILT_IN)
            nearest = difflib.get_close_matches(self.ladder, known, n=1)
            raise SpecError(
                "there is no ladder of this name",
                given=self.ladder,
                repair=f"did you mean '{nearest[0]}'?"
                if nearest
                else f"known: {', '.join(known)}, or a file whose name ends in .toml",
            )
        ladder = LADDERS[self.ladder](self.epochs)
        goal = replace(
            ladder.goal,
            target=ladder.goal.target if self.target is None else self.target,
            budget=ladder.goal.budget if self.budget is None else self.budget,
        )
        return replace(
            ladder,
            goal=goal,
            steps=tuple(self._adapted(step) for step in ladder.steps),
            alternatives=tuple(self._adapted(step) for step in ladder.alternatives),
        )

    def _adapted(self, step: Step) -> Step:
        changes: dict[str, object] = {"precision": self.precision}
        most = self.batch_size or step.recipe.batch_size
        if most < step.recipe.batch_size:
            # A smaller batch takes more steps over the same images (Goyal et al., Accurate, large minibatch SGD, 2017).
            rate = step.recipe.learning_rate * most / step.recipe.batch_size
            changes |= {"batch_size": most, "learning_rate": rate}
        recipe = step.recipe.model_copy(update=changes)
        return replace(step, recipe=recipe, net=_for_classes(step.net, self.classes))


@dataclass(frozen=True)
class Rung:
    """A step with the jobs that measure it, one a seed, and the multiply-accumulates of its net."""

    step: Step
    jobs: tuple[Job, ...]
    is_alternative: bool
    macs: int


def plan(options: ClimbOptions, dataset: Dataset, folder: Path) -> list[Rung]:
    """Return what has to be trained, checked to fit the data, without training anything.

    Raises:
        SpecError: if the ladder is unknown or a step's net does not fit the data.
        RunError: if runs that are there already are on other images.
    """
    options = replace(options, classes=len(dataset.classes))
    if dataset.is_own:
        options = replace(options, batch_size=batch_for(len(dataset.train)))
    ladder = options.resolve()
    steps = [(step, False) for step in ladder.steps]
    if options.compare_schedules:
        steps += [(step, True) for step in ladder.alternatives]
    rungs = []
    for number, (step, is_alternative) in enumerate(steps, start=1):
        macs = _macs(step, ladder, dataset)
        prefix = f"{len(ladder.steps)}-" if is_alternative else f"{number}-"
        jobs = tuple(
            Job(
                label=f"seed {seed}: {step.title}" if options.seeds > 1 else step.title,
                experiment=step.experiment(
                    data=dataset.name,
                    protocol=options.protocol,
                    holdout_size=min(options.holdout_size, len(dataset.train) // 6),
                    seed=seed,
                ),
                folder=folder / "runs" / f"{prefix}{step.key}-seed{seed}",
            )
            for seed in range(options.seeds)
        )
        for job in jobs:
            refuse_other_images(job.folder, dataset.fingerprint)
        rungs.append(Rung(step, jobs, is_alternative, macs))
    return rungs


def run(rungs: list[Rung], *, workers: int, data_dir: Path | None = None, device: str | None = None) -> Iterator[Event]:
    """Train every job of the plan and yield what happens; finished runs are passed through, not trained again.

    Raises:
        StepladderError: if a job fails; the others are stopped and can go on later.
    """
    # Seed by seed, so that a climb that is stopped early has whole ladders to show; within a seed the longest runs
    # first, so that no long one is left to run alone at the end.
    jobs = [
        job
        for column in zip(*(rung.jobs for rung in sorted(rungs, key=_cost, reverse=True)), strict=True)
        for job in column
    ]
    yield from execute(jobs, workers=workers, data_dir=data_dir, device=device)


def batch_for(images: int) -> int:
    """Return the batch for so many training images: a power of two from 16 to 128, with 16 steps an epoch if it can be.

    The ladder's recipes are for tens of thousands of images. In one or two steps an epoch neither the weights nor the
    running statistics of batch normalisation would come far.
    """
    return min(128, max(16, 1 << max(0, (images // 16).bit_length() - 1)))


def _for_classes(net: str, classes: int) -> str:
    """Return the net with so many outputs, if it ends in the ten of MNIST's digits."""
    return re.sub(r"(?<![^\s])10(?=(?:C1|F)b?$)", str(classes), net.strip())


def _macs(step: Step, ladder: Ladder, dataset: Dataset) -> int:
    try:
        return describe(Net.parse(step.net), dataset.input_shape).totals.macs
    except ShapeError as error:
        rows, columns = dataset.input_shape[1:]
        raise ShapeError(
            f"the nets of the {ladder.name} ladder do not fit images of {rows}×{columns}",
            given=f"{dataset.title}; {step.title}: {step.net}; {error.what}",
            repair="enlarge the images, such as with --size 28, choose another --ladder, or train a net of your own "
            "with stepladder train",
        ) from None


def _cost(rung: Rung) -> tuple[int, bool]:
    """Return what orders runs by their time: multiply-accumulates, and whether images are augmented."""
    return rung.macs, not rung.step.recipe.augmentation.is_none
