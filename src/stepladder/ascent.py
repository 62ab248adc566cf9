"""A ladder of questions is climbed: candidates are trained, what they are worth is decided, and what was kept stands.

Every choice is made on the holdout. Runs are kept by what they are, so that a climb that goes on, or is extended,
trains nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from stepladder import ascent_facts
from stepladder.answers import find_answer
from stepladder.ascent_facts import Rung
from stepladder.bare_nets import bare_nets
from stepladder.costs import Costs
from stepladder.data import Dataset
from stepladder.effort import OF_A_LIMIT, Ahead, Level, Plan, Speed
from stepladder.errors import TrainingError
from stepladder.ladder import Goal
from stepladder.pace import Pace, Seen, Work
from stepladder.questions import Question, QuestionLadder, told_with
from stepladder.techniques import Standing, Variant
from stepladder.trials import Named, Trial, Trials
from stepladder.tuning import tuned
from stepladder.workers import Job

SKELETON = Question.model_construct(
    key="skeleton",
    title="Skeleton",
    question="Which bare shape learns best: convolutions, poolings, a linear layer over what is left, nothing else?",
    technique="skeleton",  # no technique to choose in a ladder: the skeletons come from the data
    epochs=0.5,
    tune_rate=True,
)
STANDS = "what stands"


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
        limit: seconds that it may take; None: as long as it takes.
        workers: runs side by side.
        device: where the pre-flight and range tests compute: "cpu" or "cuda"; None takes a GPU where there is one.
    """

    ladder: QuestionLadder
    goal: Goal
    seeds: int = 3
    holdout_size: int = 10_000
    precision: str = "float32"
    command: str = "stepladder climb --ladder full"
    limit: float | None = None
    workers: int = 1
    device: str | None = None


class Climber:
    """Climbs a ladder in a folder.

    Args:
        options: what decides the climb.
        dataset: what is learned.
        folder: where everything is kept.
        train: trains jobs, shows how far they are, and leaves out those whose loss stops being a number.
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
        self.tell = tell
        self.trials = Trials(dataset, options.holdout_size, folder, self._train)
        self.rungs: list[Rung] = []
        self._before = ascent_facts.begun(folder, self.identity)
        self._is_replayed = bool(self._before["levels"])
        self.preflight: dict[str, Any] | None = self._before["preflight"]
        self._execute = train
        self._number = 0
        self.under_way: tuple[str, Level] | None = None
        self.final: dict[str, Any] | None = None
        self.why_it_ended = ""
        self.plan = self._planned()
        self.costs = Costs(self.trials, self.plan, options.goal.epochs)
        self._told = len(self.plan.told)

    @property
    def identity(self) -> dict[str, Any]:
        """Return what a climb that goes on must have in common with the one before to keep to its plan."""
        options = self.options
        return {
            "ladder": options.ladder.model_dump(mode="json"),
            "goal": [options.goal.target, options.goal.budget, options.goal.epochs],
            "seeds": options.seeds,
            "data": self.dataset.name,
            "images": self.dataset.fingerprint,
            "holdout_size": options.holdout_size,
            "precision": options.precision,
        }

    def known(self) -> dict[str, Any]:
        """Return what an earlier process knew of steps that this one has not come to again, and of their end."""
        before = self._before
        asked = {rung.question.key for rung in self.rungs}
        left = {
            name: {key: value for key, value in before[name].items() if key not in asked}
            for name in ("levels", "answered", "range_tests")
        }
        has_end = before["ended"] and self.final is None
        return left | {"final": {"looks": before["looks"], "runs": before["final_runs"]} if has_end else {}}

    def climb(self) -> dict[str, Any]:
        """Ask every question, then train what stands on all training images, look at the test set once, return facts.

        Raises:
            SpecError: if no bare net fits the images and the budget.
            StepladderError: if runs fail for another reason than a loss that is no longer a number.
        """
        standing, questions = self.begin()
        steps = self.options.ladder.steps
        while questions:
            question, *questions = questions
            if self._fits(question, standing):
                standing, questions = self.ask(question, standing, steps[steps.index(question) + 1 :])
        while questions := self._back(standing):
            question, *questions = questions
            self.plan.take_back(question.title)
            standing, _ = self.ask(question, standing, questions)
        for rung in self._open_rungs():
            standing = self._ask_again(rung, standing)
        return self.finish(standing.trial)

    def begin(self, ahead: Sequence[Ahead] = ()) -> tuple[Standing, list[Question]]:
        """Return the best skeleton, after the pre-flight, and which questions there is time for.

        Steps ahead that are in no ladder count in its plan.
        """
        options = self.options
        skeletons = bare_nets(
            self.dataset, options.goal, holdout_size=options.holdout_size, precision=options.precision
        )
        if self.preflight is None:
            self.preflight = self._check(skeletons[0][1].trial)
        rate = self.preflight["range_test"]["suggested"]
        skeletons = [(name, one.with_recipe(learning_rate=rate)) for name, one in skeletons]
        if options.limit is not None:
            if self.plan.speed is None:
                self.tell("measuring how fast nets train here")
                self.costs.measure_speed(skeletons[0][1])
            candidates = [(name, one.trial) for name, one in skeletons]
            self.plan.least = self.costs.of_whole_step(SKELETON, candidates, self.plan.levels()[-1])
            self.plan.ready = self.plan.elapsed if self.plan.ready is None else self.plan.ready
        return self._answered(SKELETON, skeletons, list(options.ladder.steps), more_ahead=ahead)

    def ask(self, question: Question, standing: Standing, later: Sequence[Question]) -> tuple[Standing, list[Question]]:
        """Return what stands after a question, and which of the later ones there is time for."""
        range_test = None
        if question.technique == "learning-rate":
            range_test = self._before["range_tests"].get(question.key) or self._range_test(standing.trial)
            standing = replace(standing, suggested_rate=range_test["suggested"])
        variants = [(STANDS, standing), *question.variants(standing)]
        not_tried = question.not_tried(standing)
        standing, left = self._answered(question, variants, later, range_test, not_tried=not_tried)
        return replace(standing, suggested_rate=None), left

    def _fits(self, question: Question, standing: Standing) -> bool:
        """Return whether there is time to ask a question at all; if there is none, it is left out."""
        variants = [(STANDS, standing), *question.variants(standing)]
        fits = self.costs.fits(question, [(name, one.trial) for name, one in variants])
        if not fits:
            self.plan.leave_out(question.title)
            self.tell_plan()
        return fits

    def _back(self, standing: Standing) -> list[Question]:
        """Return the questions that were left out and that there is time for after all, in the ladder's order.

        Those that came back before come first, in the order in which they did.
        """
        asked = {rung.question.title for rung in self.rungs}
        by_title = {question.title: question for question in self.options.ladder.steps}
        left = [by_title[title] for title in self.plan.back if title not in asked]
        if not self._is_over:  # otherwise it came to its end within this time, and there was none for them
            left += [one for one in self.options.ladder.steps if one.title in self.plan.left_out]
        return [one for one in left if self._fits(one, standing)]

    @property
    def _is_over(self) -> bool:
        """Return whether an earlier process came to the climb's end, with the same limit."""
        return bool(self._before["ended"]) and self._before["limit"] == self.options.limit

    def _open_rungs(self) -> list[Rung]:
        """Return the rungs that left something undecided, those first whose question asks for the most epochs.

        What schedules and regularisation are worth shows over the whole of the epochs, and short runs mislead.
        """
        left = [rung for rung in self.rungs if rung.question is not SKELETON and rung.answer.left_open]
        return sorted(left, key=lambda rung: -rung.question.epochs)

    def _ask_again(self, rung: Rung, standing: Standing) -> Standing:
        """Return what stands after what was left open is asked again with more epochs, if there is time for that."""
        question = rung.question.again()
        if self._is_over and question.key not in self.plan.kept:
            return standing  # it came to its end within this time, and there was none for this
        rated = replace(standing, suggested_rate=(rung.range_test or {}).get("suggested"))
        still = [one for one in question.variants(rated) if one[0] in rung.answer.left_open]
        variants = [(STANDS, standing), *still]
        candidates = [(name, one.trial) for name, one in variants]
        level = self.plan.again(
            question.key,
            lambda one: self.costs.of_step(question, candidates, one),
            (question.epochs, rung.effort.epochs),
            self.trials.cost(standing.trial)[1],
        )
        if level is None or not still:
            return standing
        return replace(self._answered(question, variants, [])[0], suggested_rate=None)

    def _answered(
        self,
        question: Question,
        variants: Sequence[Variant],
        later: Sequence[Question],
        range_test: dict[str, Any] | None = None,
        more_ahead: Sequence[Ahead] = (),
        not_tried: Sequence[str] = (),
    ) -> tuple[Standing, list[Question]]:
        by_name = dict(variants)
        ahead = [*(self.costs.ahead(one, variants[0][1]) for one in later), *more_ahead]
        candidates = [(name, one.trial) for name, one in variants]
        rung, kept_ahead = self.answer(question, candidates, ahead, range_test=range_test, not_tried=not_tried)
        if rung.answer.taken in by_name:
            standing = replace(by_name[rung.answer.taken], recipe=rung.answer.trial.recipe)
        else:  # several joined to one: the net stays
            standing = replace(variants[0][1], recipe=rung.answer.trial.recipe)
        titles = {one.title for one in kept_ahead}
        return standing, [one for one in later if one.title in titles]

    def answer(
        self,
        question: Question,
        candidates: Sequence[Named],
        ahead: Sequence[Ahead] = (),
        *,
        range_test: dict[str, Any] | None = None,
        advice: dict[str, Any] | None = None,
        not_tried: Sequence[str] = (),
    ) -> tuple[Rung, list[Ahead]]:
        """Return a question's answer, with as much effort as there is time for, and the steps still to come.

        What could not be tried is told with the reason of the decision.
        """
        self._number += 1
        macs = self.trials.cost(candidates[0][1])[1]
        level, kept = self.plan.choose(
            question.key, lambda one: self.costs.of_step(question, candidates, one), ahead, macs
        )
        effort = level.effort(self.options.goal.epochs, question.epochs)
        self.tell(
            f"{self._number} of {self._number + len(kept) + 1}: {question.title}. {question.question} "
            f"({effort.seeds} seed{'s' if effort.seeds > 1 else ''}, {effort.epochs} epochs)"
        )
        self.tell_plan()
        self.under_way = (question.key, level)
        self.save()
        if question.tune_rate:
            stands = [] if question is SKELETON else list(candidates[:1])
            candidates = stands + tuned(self.trials, question.title, candidates[len(stands) :], effort.epochs)
        answer = find_answer(
            self.trials,
            question.title,
            candidates,
            effort,
            combine=question.combine,
            stands=question is not SKELETON,
            more=lambda jobs: self._before["answered"].get(question.key, self.costs.affords(jobs, kept)),
        )
        answer = replace(answer, reason=told_with(answer.reason, not_tried, is_alone=len(answer.tried) == 1))
        rung = Rung(question, answer, level, effort, self.trials.new_seconds(), range_test, advice)
        self.rungs.append(rung)
        for row in answer.tried:
            mark = "→" if row.name == answer.taken else " "
            self.tell(f"  {mark} {row.name}: {row}, {row.parameters:,} parameters")
        self.tell(f"    {answer.reason}")
        self.under_way = None
        self.save()
        return rung, kept

    def finish(self, trial: Trial) -> dict[str, Any]:
        """Train what stands on all training images, look at the test set, and return the facts of the climb."""
        self._number += 1
        seeds = self.options.seeds
        self.tell(f"{self._number} of {self._number}: All training images. What does the test set say of what stands?")
        epochs = self.options.goal.epochs
        jobs = [
            self.trials.job("all training images", trial, seed, epochs, protocol="reference") for seed in range(seeds)
        ]
        self._train(jobs)
        runs = [self.trials.finished(job) for job in jobs]
        finished = [run for run in runs if run is not None]
        if not finished:
            raise TrainingError(
                "what stands cannot be trained on all training images",
                given=trial.net,
                repair="climb again with a lower learning rate in the ladder",
            )
        self.final = ascent_facts.final(finished, seeds, self.options.goal, *self.trials.cost(trial))
        before = self._before
        is_known = self.final["runs"] == before["final_runs"]
        self.final["looks"] = before["looks"] if is_known else before["looks"] + 1
        self._is_replayed = False
        if not self._is_over:
            self.plan.end(self.costs.of_jobs(jobs))
            self.tell_plan()
        return self.save()

    def save(self) -> dict[str, Any]:
        """Write what is known so far, and return it; what an earlier process wrote stays until there is more."""
        facts = ascent_facts.gather(self)
        if not self._is_replayed:
            ascent_facts.write(self.folder, facts)
        return facts

    def _planned(self) -> Plan:
        """Return the plan: the one that an earlier process began with, where the climb is the same."""
        before = self._before
        goal = self.options.goal
        # With another limit, what was left out is planned anew; what was asked stays as it was.
        is_same = before["limit"] == self.options.limit
        images = len(self.dataset.train) - self.options.holdout_size
        return Plan(
            limit=self.options.limit,
            epochs=goal.epochs,
            seeds=self.options.seeds,
            images=images,
            workers=self.options.workers,
            spent=before["elapsed"],
            reserved=self.options.seeds * goal.epochs * len(self.dataset.train) / images,
            kept={key: Level(*values) for key, values in before["levels"].items()},
            told=[line for line in before["told"] if is_same or not line.startswith(OF_A_LIMIT)],
            left_out=list(before["left_out"]) if is_same else [],
            back=list(before["back"]),
            speed=None if before["speed"] is None or self.options.limit is None else Speed(**before["speed"]),
            pace=Pace([Seen(*values) for values in before["seen"]]),
            ready=before["ready"],
        )

    def _train(self, jobs: Sequence[Job]) -> None:
        left = self.costs.missing(jobs)
        self.costs.know([job for job in jobs if job not in left])
        if not left:
            return
        self._is_replayed = False
        expected, began = self.costs.of_jobs(left), perf_counter()
        self._execute(left)
        self.costs.know(left)
        runs = [run for job in left if (run := self.trials.finished(job)) is not None]
        workers, pace = self.options.workers, self.plan.pace
        processes = min(workers, len(left))
        if len(runs) == len(left):
            trained = Work.of([run.seconds for run in runs], workers).seconds
            pace.observe(expected, trained, perf_counter() - began, processes)
        else:  # one that came apart ended early, and is tried again by a climb that goes on
            pace.processes = max(processes, pace.processes)
        self.save()  # the time that is spent counts when a climb is stopped in the middle of a step

    def tell_plan(self) -> None:
        """Tell what the plan says that was not told yet."""
        for line in self.plan.told[self._told :]:
            self.tell(f"    {line}")
        self._told = len(self.plan.told)

    def _check(self, trial: Trial) -> dict[str, Any]:
        """Return what a look at data and net says before anything is trained, and which learning rate to begin with."""
        from stepladder.class_sheet import class_sheet
        from stepladder.preflight import preflight

        self.tell("pre-flight: do the data and the first net hold what training takes for granted?")
        range_test = self._range_test(trial)
        trial = trial.with_rate(range_test["suggested"])
        experiment = self.trials.job("", trial, 0, self.options.goal.epochs).experiment
        checked = preflight(experiment, self.dataset, device=self.options.device, threads=self.options.workers)
        for check in checked.checks:
            self.tell(f"  {'✓' if check.passed else '✗'} {check.name}: {check.measured} (expected: {check.expected})")
            if not check.passed:
                self.tell(f"    {check.meaning}")
        self.tell(f"  learning rate to begin with, from a range test: {range_test['suggested']:g}")
        return {**checked.as_values(), "range_test": range_test, "inputs": class_sheet(experiment, self.dataset)}

    def _range_test(self, trial: Trial) -> dict[str, Any]:
        """Return what a learning-rate range test of a trial says."""
        from stepladder.range_test import range_test

        experiment = self.trials.job("", trial, 0, self.options.goal.epochs).experiment
        found = range_test(experiment, self.dataset, device=self.options.device, threads=self.options.workers)
        return found.as_values()
