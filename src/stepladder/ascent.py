"""A ladder of questions is climbed: candidates are trained, what they are worth is decided, and what was kept stands.

Every choice is made on the holdout. Runs are kept by what they are, so that a climb that goes on trains nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepladder.blueprint import Blueprint
from stepladder.data import Dataset
from stepladder.decide import Candidate, Choice, choose
from stepladder.errors import SpecError, TrainingError
from stepladder.evaluate import deviation, mean, percent
from stepladder.files import write_json
from stepladder.ladder import Goal
from stepladder.noise import Correctness
from stepladder.proposals.propose import design
from stepladder.questions import Question, QuestionLadder
from stepladder.runs import open_finished
from stepladder.spec import Experiment, Recipe
from stepladder.techniques import Standing, Variant
from stepladder.workers import Job

FORMAT = 1
DECISIONS = "decisions.json"
_SKELETON = Question.model_construct(
    key="skeleton",
    title="Skeleton",
    question="Which bare shape learns best: convolutions, poolings, a linear layer over what is left, nothing else?",
    technique="skeleton",
    options={},
)


@dataclass(frozen=True)
class AscentOptions:
    """What decides a climb.

    Args:
        ladder: its questions.
        goal: accuracy, parameters and epochs.
        seeds: runs of each candidate, with seeds 0, 1, 2, …
        holdout_size: training images held out for the decisions.
        precision: of every run.
        command: the command line that reproduces the climb.
    """

    ladder: QuestionLadder
    goal: Goal
    seeds: int = 3
    holdout_size: int = 10_000
    precision: str = "float32"
    command: str = "stepladder climb --ladder full"


@dataclass(frozen=True)
class Tried:
    """One candidate that was trained.

    Args:
        name: what it is called; the first of a step is what stood.
        net: in one line.
        changes: fields of the recipe that differ from what stood.
        parameters: of the net.
        macs: of the net, for one image.
        accuracies: on the holdout at the last epoch, in percent, one a seed; empty if it could not be trained.
        failure: why it could not be trained; empty otherwise.
    """

    name: str
    net: str
    changes: dict[str, Any]
    parameters: int
    macs: int
    accuracies: tuple[float, ...]
    failure: str = ""

    def __str__(self) -> str:
        """Return the accuracy with its deviation."""
        return self.failure or percent(mean(self.accuracies), deviation(self.accuracies))


@dataclass(frozen=True)
class Rung:
    """A question with its answer."""

    question: Question
    tried: tuple[Tried, ...]
    choice: Choice | None
    taken: str
    reason: str


class Climber:
    """Climbs a ladder in a folder.

    Args:
        options: what decides the climb.
        dataset: what is learned.
        folder: where runs are kept, by the digest of their experiment.
        train: trains jobs and shows how far they are.
        tell: is given lines for people.
    """

    def __init__(
        self,
        options: AscentOptions,
        dataset: Dataset,
        folder: Path,
        train: Callable[[Sequence[Job]], None],
        tell: Callable[[str], None],
    ) -> None:
        self.options = options
        self.dataset = dataset
        self.folder = folder
        self.train = train
        self.tell = tell

    def climb(self) -> dict[str, Any]:
        """Ask every question, then train what stands on all training images, look at the test set once, return facts.

        Raises:
            SpecError: if no bare net fits the images and the budget.
            StepladderError: if runs fail for another reason than a loss that is no longer a number.
        """
        skeletons = bare_nets(self.dataset, self.options)
        standing = skeletons[0][1]
        rungs: list[Rung] = []
        count = len(self.options.ladder.steps) + 2
        name = skeletons[0][0]
        for number, question in enumerate((_SKELETON, *self.options.ladder.steps), start=1):
            variants = skeletons[1:] if question is _SKELETON else question.variants(standing)
            self.tell(f"{number} of {count}: {question.title}. {question.question}")
            rung, standing = self._answer(question, (name, standing), variants)
            name = "what stands"
            rungs.append(rung)
            write_json(self.folder / DECISIONS, as_values(rungs, standing))
        self.tell(f"{count} of {count}: All training images. What does the test set say of what stands?")
        jobs = [self._job("all training images", standing, seed, "reference") for seed in range(self.options.seeds)]
        self.train(jobs)
        rows = [open_finished(job.folder).rows[-1] for job in jobs]
        summary = standing.blueprint.summary(self.dataset.input_shape)
        assert summary is not None
        facts = as_values(rungs, standing) | {
            "ladder": self.options.ladder.name,
            "title": self.dataset.title,
            "data": self.dataset.name,
            "goal": asdict(self.options.goal),
            "seeds": self.options.seeds,
            "holdout_size": self.options.holdout_size,
            "command": self.options.command,
            "final": {
                "accuracies": [row.evaluation_accuracy for row in rows],
                "parameters": summary.totals.parameters,
                "macs": summary.totals.macs,
                "runs": [job.folder.name for job in jobs],
            },
        }
        write_json(self.folder / DECISIONS, facts)
        return facts

    def _answer(self, question: Question, stands: Variant, variants: Sequence[Variant]) -> tuple[Rung, Standing]:
        candidates = [stands, *variants]
        self._train(question, candidates)
        measured = [(name, one, *self._measure(one)) for name, one in candidates]
        by_name = dict(candidates)
        tried = tuple(self._tried(name, one, stands[1], runs, failure) for name, one, runs, failure in measured)
        able = [
            Candidate(row.name, tuple(runs), row.parameters, row.macs)
            for row, (_, _, runs, _) in zip(tried, measured, strict=True)
            if runs
        ]
        if not able:
            raise TrainingError(
                "no candidate of the step could be trained",
                given=question.title,
                repair="lower the learning rate, or choose another ladder",
            )
        if len(able) == 1:
            taken, reason, choice = able[0].name, "nothing else fits here", None
        else:
            choice = choose(able[0], able[1:])
            taken, reason = choice.taken, choice.reason
        for row in tried:
            mark = "→" if row.name == taken else " "
            self.tell(f"  {mark} {row.name}: {row}, {row.parameters:,} parameters")
        self.tell(f"    {reason}")
        return Rung(question, tried, choice, taken, reason), by_name[taken]

    def _train(self, question: Question, candidates: Sequence[Variant]) -> None:
        """Train every candidate with every seed."""
        jobs = [
            self._job(f"{question.title}: {name}", one, seed, "holdout")
            for seed in range(self.options.seeds)
            for name, one in candidates
        ]
        try:
            self.train(jobs)
        except TrainingError:
            # One of them cannot be trained; the others still can.
            for job in jobs:
                try:
                    self.train([job])
                except TrainingError:
                    continue

    def _measure(self, standing: Standing) -> tuple[list[Correctness], str]:
        runs = []
        for seed in range(self.options.seeds):
            folder = self._job("", standing, seed, "holdout").folder
            if not (folder / "result.json").is_file():
                return [], "cannot be trained: its loss is no number any more"
            runs.append(Correctness.read(folder))
        return runs, ""

    def _tried(self, name: str, one: Standing, stands: Standing, runs: Sequence[Correctness], failure: str) -> Tried:
        summary = one.blueprint.summary(self.dataset.input_shape)
        assert summary is not None
        before, after = stands.recipe.model_dump(mode="json"), one.recipe.model_dump(mode="json")
        return Tried(
            name=name,
            net=one.blueprint.net,
            changes={field: value for field, value in after.items() if before.get(field) != value},
            parameters=summary.totals.parameters,
            macs=summary.totals.macs,
            accuracies=tuple(100 * float(run.right.mean()) for run in runs),
            failure=failure,
        )

    def _job(self, label: str, standing: Standing, seed: int, protocol: str) -> Job:
        experiment = Experiment(
            net=standing.blueprint.net,
            recipe=standing.recipe,
            data=self.dataset.name,
            protocol="holdout" if protocol == "holdout" else "reference",
            holdout_size=self.options.holdout_size,
            seed=seed,
        )
        return Job(f"{label}, seed {seed}", experiment, self.folder / "runs" / experiment.identity)


def bare_nets(dataset: Dataset, options: AscentOptions) -> list[Variant]:
    """Return skeletons for the data, each a bare net: convolutions, ReLU, poolings, and a linear layer at the end.

    Raises:
        SpecError: if none fits the images and stays below the budget.
    """
    image, classes = dataset.input_shape, len(dataset.classes)
    recipe = Recipe.read(
        {"epochs": options.goal.epochs, "learning_rate": 0.05, "precision": options.precision}, "the recipe"
    )
    found: list[Variant] = []
    seen = set()
    for proposal in design(image, classes, options.goal.budget, count=7):
        words = [word for word in proposal.net.split() if not word.startswith("[")]
        body = tuple(word.lstrip("0123456789") for word in words[:-1] if word not in ("GAP", "FL") and "C1" not in word)
        widths = tuple(int(word.partition("C")[0]) for word in words[:-1] if "C" in word and "C1" not in word)
        blueprint = Blueprint(body, widths, classes).widened(image, options.goal.budget)
        parameters = blueprint.parameters(image)
        if parameters is not None and parameters < options.goal.budget and body not in seen:
            seen.add(body)
            found.append((proposal.kind, Standing(blueprint, recipe, image, options.goal.budget)))
    if not found:
        raise SpecError(
            "no bare net with a linear layer at its end fits these images below the budget",
            given=f"{'×'.join(map(str, image))}, {classes} classes, {options.goal.budget:,} parameters",
            repair="raise --budget, or train one of the nets that stepladder design proposes",
        )
    return found[:3]


def as_values(rungs: Sequence[Rung], standing: Standing) -> dict[str, Any]:
    """Return the answered questions as plain values."""
    return {
        "format": FORMAT,
        "net": standing.blueprint.net,
        "recipe": standing.recipe.model_dump(mode="json"),
        "steps": [
            {
                "key": rung.question.key,
                "title": rung.question.title,
                "question": rung.question.question,
                "taken": rung.taken,
                "reason": rung.reason,
                "candidates": [
                    {
                        "name": row.name,
                        "net": row.net,
                        "changes": row.changes,
                        "parameters": row.parameters,
                        "macs": row.macs,
                        "accuracies": list(row.accuracies),
                        "failure": row.failure,
                        "decision": _decision(rung, row.name),
                    }
                    for row in rung.tried
                ],
            }
            for rung in rungs
        ],
    }


def _decision(rung: Rung, name: str) -> dict[str, Any] | None:
    decision = rung.choice.decisions.get(name) if rung.choice is not None else None
    if decision is None:
        return None
    return {
        "verdict": decision.verdict,
        "points": decision.points,
        "low": decision.low,
        "high": decision.high,
        "reason": decision.reason,
    }
