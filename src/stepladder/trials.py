"""Candidates of a step, trained and measured: the same seeds, the same held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepladder.data import Dataset
from stepladder.evaluate import deviation, mean, percent
from stepladder.inspection.oneline import describe
from stepladder.notation import Net
from stepladder.remarks import remark
from stepladder.runs import FinishedRun, open_finished
from stepladder.spec import Experiment, MultiStepDecay, Plateau, Recipe, StepDecay
from stepladder.workers import Job


@dataclass(frozen=True)
class Trial:
    """A net, in one line, and how it is trained."""

    net: str
    recipe: Recipe

    def with_rate(self, rate: float) -> Trial:
        """Return it with another learning rate."""
        return replace(self, recipe=self.recipe.model_copy(update={"learning_rate": float(f"{rate:.2g}")}))


Named = tuple[str, Trial]
"""A trial and what people call it."""


@dataclass(frozen=True)
class Effort:
    """How much is spent on a step.

    Args:
        seeds: runs of each candidate.
        epochs: of every run.
    """

    seeds: int
    epochs: int


@dataclass(frozen=True)
class Tried:
    """One candidate that was trained.

    Args:
        name: what it is called; the first of a step is what stood.
        trial: what was trained.
        changes: fields of the recipe that differ from what stood.
        parameters: of the net.
        macs: of the net, for one image.
        runs: the finished ones, one a seed; fewer than of what stood where it was soon seen to be worth nothing.
        failure: why it could not be trained with every seed; empty otherwise.
    """

    name: str
    trial: Trial
    changes: dict[str, Any]
    parameters: int
    macs: int
    runs: tuple[FinishedRun, ...]
    failure: str = ""

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Return the accuracy on the holdout after the last epoch, in percent, one a seed."""
        return tuple(run.rows[-1].evaluation_accuracy for run in self.runs)

    @property
    def curve(self) -> tuple[float, ...]:
        """Return the mean accuracy on the holdout after each epoch, in percent."""
        return tuple(mean([row.evaluation_accuracy for row in rows]) for rows in zip(*(run.rows for run in self.runs)))  # noqa: B905

    @property
    def seconds(self) -> float:
        """Return what its runs took, summed."""
        return sum(run.seconds for run in self.runs)

    @property
    def remark(self) -> str:
        """Return what has to be known about its runs before its accuracy says something about it; often nothing."""
        return remark(self.runs)

    def __str__(self) -> str:
        """Return the accuracy with its deviation."""
        return self.failure or percent(mean(self.accuracies), deviation(self.accuracies))


class Trials:
    """Trains and measures candidates in a folder, where runs are kept by the digest of their experiment.

    Args:
        dataset: what is learned.
        holdout_size: images held out for the decisions.
        folder: of the climb.
        train: trains jobs, shows how far they are, and leaves out those that cannot be trained.
    """

    def __init__(
        self, dataset: Dataset, holdout_size: int, folder: Path, train: Callable[[Sequence[Job]], None]
    ) -> None:
        self.dataset = dataset
        self.holdout_size = holdout_size
        self.folder = folder
        self._train = train
        self._asked: list[Job] = []
        self._counted: set[Path] = set()
        # Plans ask for the same runs and nets at every level of effort.
        self._finished: dict[Path, FinishedRun] = {}
        self._costs: dict[str, tuple[int, int]] = {}

    def run(self, title: str, candidates: Sequence[Named], seeds: range, epochs: int) -> None:
        """Train candidates with seeds, seed by seed."""
        wanted = [self.job(f"{title}: {name}", one, seed, epochs) for seed in seeds for name, one in candidates]
        jobs = list({job.folder: job for job in wanted}.values())  # two candidates may be the same experiment
        self._asked += jobs
        if jobs:
            self._train(jobs)

    def job(self, label: str, one: Trial, seed: int, epochs: int, protocol: str = "selection") -> Job:
        """Return the job that trains a trial with a seed."""
        values = {
            "net": one.net,
            "recipe": with_epochs(one.recipe, epochs),
            "data": self.dataset.name,
            "protocol": protocol,
            "holdout_size": self.holdout_size,
            "seed": seed,
        }
        experiment = Experiment.read(values, "the candidate")
        return Job(f"{label}, seed {seed}", experiment, self.folder / "runs" / experiment.identity)

    def new_seconds(self) -> float:
        """Return the seconds, summed, of runs that were asked for since this was last called and never before."""
        runs = {job.folder: self.finished(job) for job in self._asked if job.folder not in self._counted}
        self._asked = []
        self._counted |= runs.keys()
        return sum(run.seconds for run in runs.values() if run is not None)

    def finished(self, job: Job) -> FinishedRun | None:
        """Return a job's run; None if it is not finished, or could not be trained.

        Raises:
            RunError: if it was trained on other images than these.
        """
        if job.folder in self._finished:
            return self._finished[job.folder]
        if not (job.folder / "result.json").is_file():
            return None
        run = open_finished(job.folder)
        run.refuse_other_images(self.dataset.fingerprint)
        self._finished[job.folder] = run
        return run

    def cost(self, one: Trial) -> tuple[int, int]:
        """Return the parameters and the multiply-accumulates of a trial's net."""
        if one.net not in self._costs:
            totals = describe(Net.parse(one.net), self.dataset.input_shape).totals
            self._costs[one.net] = totals.parameters, totals.macs
        return self._costs[one.net]

    def tried(self, named: Named, stands: Trial, effort: Effort) -> Tried:
        """Return a named candidate with those of its runs that are finished; its changes are those to what stands."""
        name, one = named
        found = [self.finished(self.job("", one, seed, effort.epochs)) for seed in range(effort.seeds)]
        runs = [run for run in found if run is not None]
        lost = [str(seed) for seed, run in enumerate(found) if run is None]
        which = f" with seed {', '.join(lost)}" if runs else ""
        before, after = stands.recipe.model_dump(mode="json"), one.recipe.model_dump(mode="json")
        parameters, macs = self.cost(one)
        return Tried(
            name=name,
            trial=one,
            changes={field: value for field, value in after.items() if before.get(field) != value},
            parameters=parameters,
            macs=macs,
            runs=tuple(runs),
            failure=f"cannot be trained{which}: its loss is no number any more" if lost else "",
        )


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """Return the recipe over other epochs, the drops of its schedule at the same shares of them."""
    if epochs == recipe.epochs:
        return recipe
    share = epochs / recipe.epochs
    schedule: Any = recipe.schedule
    if isinstance(schedule, StepDecay):
        schedule = schedule.model_copy(update={"every": max(1, round(schedule.every * share))})
    elif isinstance(schedule, MultiStepDecay):
        schedule = schedule.model_copy(update={"at": tuple(max(1, round(at * share)) for at in schedule.at)})
    elif isinstance(schedule, Plateau):
        # It is the epoch after those waited for that lowers the rate.
        patience = max(1, round((schedule.patience + 1) * share)) - 1
        schedule = schedule.model_copy(update={"patience": patience})
    return recipe.model_copy(update={"epochs": epochs, "schedule": schedule})
