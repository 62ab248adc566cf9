"""Candidates of a step, trained and measured: the same seeds, the same held-out images, no more runs than it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from stepladder.data import Dataset
from stepladder.decide import Candidate, Choice, why_it_stays
from stepladder.errors import SpecError, TrainingError
from stepladder.evaluate import deviation, mean, percent
from stepladder.inspection.oneline import describe
from stepladder.looks import LEVEL_OF_A_LOOK, first_to_stand, is_given_up, look, second_level, worth_more_seeds
from stepladder.noise import Correctness
from stepladder.notation import Net
from stepladder.runs import FinishedRun, open_finished
from stepladder.spec import Experiment, MultiStepDecay, Recipe, StepDecay
from stepladder.workers import Job

RATE_FACTORS = (1 / 3, 3.0)
"""What a learning rate is multiplied by where it is tuned again."""
_TUNING_SHARE = 1 / 3
_TUNING_ROUNDS = 3


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

    def __str__(self) -> str:
        """Return the accuracy with its deviation."""
        return self.failure or percent(mean(self.accuracies), deviation(self.accuracies))


@dataclass(frozen=True)
class Answer:
    """What trying the candidates of a step gave: each one, the decisions, and which is taken for what reason.

    ``worth_more_seeds`` names those that more seeds may decide, with what stands; nothing where something is kept.
    """

    tried: tuple[Tried, ...]
    choice: Choice | None
    taken: str
    reason: str
    worth_more_seeds: frozenset[str] = frozenset()

    @property
    def left_open(self) -> list[str]:
        """Return the names of undecided candidates, where nothing was taken in place of what stood."""
        if self.choice is None or self.taken != self.tried[0].name:
            return []
        return [name for name, decision in self.choice.decisions.items() if decision.verdict == "undecided"]

    @property
    def trial(self) -> Trial:
        """Return what is taken."""
        return next(one.trial for one in self.tried if one.name == self.taken)


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

    def answer(
        self,
        title: str,
        candidates: Sequence[Named],
        effort: Effort,
        *,
        combine: bool = False,
        stands: bool = True,
        more: Callable[[Sequence[Job]], bool] = lambda jobs: True,
    ) -> Answer:
        """Return what the candidates are worth against the first of them, which is what stands.

        All are trained with the first seed. Those that are hopeless then are trained no more, which costs the others
        nothing: that no useless one is kept is decided on all seeds of those that are left. If that keeps none, the
        undecided ones that seem to gain most get as many seeds again; the two looks share the chance of an error.

        Args:
            title: of the step.
            candidates: what stands, then what could be instead; names all different.
            effort: seeds and epochs.
            combine: whether those that seem to gain are joined to one more candidate.
            stands: whether the first one stands. If none does yet, the best one on the holdout comes first, or one that
                is as good and cheaper.
            more: is asked whether there is time for the second look's jobs.

        Raises:
            TrainingError: if none can be trained.
        """
        everyone = list(candidates)
        self.run(title, everyone, range(1), effort.epochs)
        if not stands:
            # Others are measured against it: a first one that came apart with one seed would leave nothing to decide.
            self.run(title, everyone, range(1, effort.seeds), effort.epochs)
            everyone.sort(key=lambda one: -self._accuracy(one[1], effort))
            first = first_to_stand([(self._accuracy(one, effort), *self.cost(one)) for _, one in everyone])
            everyone.insert(0, everyone.pop(first))
        left = self._promising(everyone, effort.epochs)
        self.run(title, left, range(1, effort.seeds), effort.epochs)
        given_up = replace(effort, seeds=1)
        tried = [self._tried(one, everyone[0][1], effort if one in left else given_up) for one in everyone]
        joined = _joined(tried) if combine else None
        if joined is not None:
            self.run(title, [joined], range(effort.seeds), effort.epochs)
            tried.append(self._tried(joined, everyone[0][1], effort))
        weight = len(everyone) - 1
        answer = _decided(title, tried, LEVEL_OF_A_LOOK, joined, weight)
        again = [(one.name, one.trial) for one in tried if one.name in answer.worth_more_seeds]
        seeds = range(effort.seeds, 2 * effort.seeds)
        if (
            again
            and effort.seeds > 1
            and more([self.job("", one, seed, effort.epochs) for seed in seeds for _, one in again])
        ):
            self.run(f"{title}, more seeds", again, seeds, effort.epochs)
            twice = replace(effort, seeds=2 * effort.seeds)
            looked_at = [self._tried(one, everyone[0][1], twice) for one in again]
            by_name = {one.name: one for one in looked_at}
            tried = [by_name.get(one.name, one) for one in tried]
            second = _decided(title, looked_at, second_level(len(left) - 1), joined, weight)
            answer = _after_both(answer, second, tried)
        return answer

    def tuned(self, title: str, candidates: Sequence[Named], epochs: int) -> list[Named]:
        """Return the candidates, each with the learning rate that short runs of one seed found to be best.

        A third of the rate, the rate, and three times the rate are tried, and where the best is at an end one further;
        the lowest loss on the holdout decides.
        """
        short = _tuning_epochs(epochs)
        losses: list[dict[float, float]] = [{} for _ in candidates]
        ahead = [_rates(one) for _, one in candidates]
        for _ in range(_TUNING_ROUNDS):
            rated = [
                (f"{name}, rate {rate.recipe.learning_rate:g}", rate)
                for (name, _), rates in zip(candidates, ahead, strict=True)
                for rate in rates
            ]
            self.run(f"{title}, learning rate", rated, range(1), short)
            for found, rates in zip(losses, ahead, strict=True):
                for rate in rates:
                    run = self.finished(self.job("", rate, 0, short))
                    found[rate.recipe.learning_rate] = inf if run is None else run.rows[-1].evaluation_loss
            ahead = [_further(one, found) for (_, one), found in zip(candidates, losses, strict=True)]
            if not any(ahead):
                break
        return [
            (name, one.with_rate(min(found, key=found.__getitem__)))
            for (name, one), found in zip(candidates, losses, strict=True)
        ]

    def tuning_jobs(self, candidates: Sequence[Named], epochs: int) -> list[Job]:
        """Return what ``tuned`` trains first."""
        return [self.job(name, rate, 0, _tuning_epochs(epochs)) for name, one in candidates for rate in _rates(one)]

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
        """Return a job's run; None if it is not finished, or could not be trained."""
        return open_finished(job.folder) if (job.folder / "result.json").is_file() else None

    def _accuracy(self, one: Trial, effort: Effort) -> float:
        """Return the mean accuracy of a trial's runs on the holdout, in percent; -1 where one could not be trained."""
        runs = [self.finished(self.job("", one, seed, effort.epochs)) for seed in range(effort.seeds)]
        found = [run.rows[-1].evaluation_accuracy for run in runs if run is not None]
        return mean(found) if len(found) == len(runs) else -1.0

    def _promising(self, candidates: Sequence[Named], epochs: int) -> list[Named]:
        """Return what stands, and what is not hopeless after the first seed."""
        runs = [self.finished(self.job("", one, 0, epochs)) for _, one in candidates]
        able = {one: run for one, run in zip(candidates, runs, strict=True) if run is not None}
        if runs[0] is None:
            return list(able)
        first, *others = [
            Candidate(name, (Correctness.read(run.folder),), *self.cost(one)) for (name, one), run in able.items()
        ]
        given_up = {one.name for one in others if is_given_up(first, one)}
        return [one for one in able if one[0] not in given_up]

    def cost(self, one: Trial) -> tuple[int, int]:
        """Return the parameters and the multiply-accumulates of a trial's net."""
        totals = describe(Net.parse(one.net), self.dataset.input_shape).totals
        return totals.parameters, totals.macs

    def _tried(self, named: Named, stands: Trial, effort: Effort) -> Tried:
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


def _decided(title: str, tried: Sequence[Tried], level: float, joined: Named | None, weight: int) -> Answer:
    """Return the answer of one of two looks at its level, the joined candidate with its weight."""
    able = [
        Candidate(
            name=one.name,
            runs=tuple(Correctness.read(run.folder) for run in one.runs),
            parameters=one.parameters,
            macs=one.macs,
            # The joined one is the most promising: half of the chance of an error is its own.
            weight=weight if joined is not None and one.name == joined[0] else 1,
        )
        for one in tried
        if not one.failure
    ]
    if not able:
        raise TrainingError(
            "no candidate of the step could be trained",
            given=title,
            repair="lower the learning rate, or choose another ladder",
        )
    if tried[0].failure:
        # Nothing to measure others against: what cannot be trained with every seed does not stand.
        whole = [one for one in tried if not one.failure and len(one.runs) == max(len(one.runs) for one in tried)]
        candidates = whole or [one for one in tried if not one.failure]
        best = candidates[first_to_stand([(mean(one.accuracies), one.parameters, one.macs) for one in candidates])]
        reason = f"{tried[0].name} {tried[0].failure}; of the others {best.name} is the most accurate."
        return Answer(tuple(tried), None, best.name, reason)
    if len(able) == 1:
        reason = "nothing else fits here" if len(tried) == 1 else "nothing else could be trained"
        return Answer(tuple(tried), None, able[0].name, reason)
    stands, *others = able
    choice = look(stands, others, level)
    again = worth_more_seeds(stands, others, choice)
    names = frozenset(one.name for one in [stands, *again]) if again else frozenset()
    return Answer(tuple(tried), choice, choice.taken, choice.reason, names)


def _after_both(first: Answer, second: Answer, tried: Sequence[Tried]) -> Answer:
    """Return the second look's answer, with what the first one decided about those that were not looked at again."""
    assert first.choice is not None
    failed = {one.name for one in tried if one.failure}
    found = first.choice.decisions | (second.choice.decisions if second.choice is not None else {})
    decisions = {name: decision for name, decision in found.items() if name not in failed}
    stays = second.taken == tried[0].name and second.choice is not None
    reason = why_it_stays(second.taken, decisions) if stays else second.reason
    return Answer(tuple(tried), Choice(second.taken, reason, decisions), second.taken, reason)


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
    return recipe.model_copy(update={"epochs": epochs, "schedule": schedule})


def _tuning_epochs(epochs: int) -> int:
    return max(1, round(epochs * _TUNING_SHARE))


def _rates(one: Trial) -> list[Trial]:
    return [one, *(one.with_rate(one.recipe.learning_rate * factor) for factor in RATE_FACTORS)]


def _further(one: Trial, losses: Mapping[float, float]) -> list[Trial]:
    """Return the next rate beyond the best one where that is at an end of those tried, otherwise nothing."""
    best = min(losses, key=losses.__getitem__)
    lower, higher = RATE_FACTORS
    if losses[best] == inf or min(losses) < best < max(losses):
        return []
    return [one.with_rate(best * (higher if best == max(losses) else lower))]


def _joined(tried: Sequence[Tried]) -> Named | None:
    """Return the candidates that seem to gain as one; None if there are fewer than two.

    Of those that exclude each other, such as two limits of one kind of augmentation, the more accurate one is joined.
    """
    stands = tried[0]
    if stands.failure:
        return None
    gaining = [
        one
        for one in tried[1:]
        if not one.failure
        and len(one.runs) == len(stands.runs)
        and one.trial.net == stands.trial.net
        and mean(one.accuracies) > mean(stands.accuracies)
    ]
    before = stands.trial.recipe.model_dump(mode="json")
    values, names, taken = before, set(), set[tuple[str, ...]]()
    for one in sorted(gaining, key=lambda one: -mean(one.accuracies)):
        changes = _leaves(one.changes, before)
        # The best one's learning rate is the joined one's.
        wanted = {path: value for path, value in changes.items() if path not in taken or path not in _RATES}
        if taken & wanted.keys():
            continue
        joined = _with_leaves(values, wanted)
        try:
            Recipe.read(joined, "the candidates joined")
        except SpecError:
            continue  # such as two kinds of averages
        values, taken = joined, taken | wanted.keys()
        names.add(one.name)
    if len(names) < 2:
        return None
    name = " + ".join(one.name for one in gaining if one.name in names)
    return name, Trial(stands.trial.net, Recipe.read(values, "the candidates joined"))


_RATES = {("learning_rate",), ("matrix_rate",)}


def _leaves(changes: Mapping[str, Any], before: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return what differs by its path: one field of a recipe or, of fields without a kind, one of theirs."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in changes.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict) and "kind" not in value:
            found |= {(name, key): one for key, one in value.items() if old.get(key) != one}
        else:
            found[(name,)] = value
    return found


def _with_leaves(values: Mapping[str, Any], leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    found = dict(values)
    for (name, *inner), value in leaves.items():
        found[name] = {**found[name], inner[0]: value} if inner else value
    return found
