"""What a climb's steps cost: the work of runs that are not there yet, and whether there is time for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stepladder.effort import Ahead, Level, Plan, Speed
from stepladder.pace import Work
from stepladder.questions import Question
from stepladder.techniques import Standing
from stepladder.trials import Named, Trial, Trials
from stepladder.tuning import tuning_jobs
from stepladder.workers import Job


class Costs:
    """Reckons what steps cost. Runs that are there already cost nothing, so that nothing is decided anew.

    Args:
        trials: of the climb.
        plan: of the climb; it knows how fast nets train here, once that was measured.
        epochs: of the goal.
    """

    def __init__(self, trials: Trials, plan: Plan, epochs: int) -> None:
        self._trials = trials
        self._plan = plan
        self._epochs = epochs
        self._known: set[str] = set()

    def measure_speed(self, skeleton: Standing) -> None:
        """Let the plan know how fast nets train here: bare ones, and large ones."""
        image, recipe = skeleton.image, skeleton.recipe
        whole = replace(skeleton.blueprint, norm=True, dense=False).widened(image, skeleton.budget)
        nets = [(one.net, self._macs(Trial(one.net, recipe))) for one in (skeleton.blueprint, whole)]
        nets.sort(key=lambda net: net[1])
        self._plan.speed = Speed.measured(nets, recipe, image)

    def of_step(self, question: Question, candidates: Sequence[Named], level: Level) -> Work:
        """Return the work of a step's runs that are not there yet."""
        return self._of_batches([self.missing(jobs) for jobs in self._batches(question, candidates, level)])

    def of_whole_step(self, question: Question, candidates: Sequence[Named], level: Level) -> Work:
        """Return the work of a step's runs, whether they are there or not."""
        return self._of_batches(self._batches(question, candidates, level))

    def of_jobs(self, jobs: Sequence[Job]) -> Work:
        """Return the work of jobs that begin together; of no seconds where there is no limit."""
        return self._of_batches([jobs])

    def know(self, jobs: Sequence[Job]) -> None:
        """Note that the nets of jobs were trained."""
        self._known |= {job.experiment.net for job in jobs}

    def fits(self, question: Question, candidates: Sequence[Named]) -> bool:
        """Return whether there is time to ask a question at all; one that was begun before has its time."""
        if question.key in self._plan.kept:
            return True
        largest = max(self._macs(one) for _, one in candidates)
        return self._plan.fits(lambda level: self.of_step(question, candidates, level), largest)

    def affords(self, jobs: Sequence[Job], ahead: Sequence[Ahead]) -> bool:
        """Return whether there is time for jobs, with the steps ahead as they are planned."""
        missing = self.missing(jobs)
        return not missing or self._plan.affords(self.of_jobs(missing), ahead)

    def missing(self, jobs: Sequence[Job]) -> list[Job]:
        """Return the jobs that are not finished, each once."""
        return [job for job in {job.folder: job for job in jobs}.values() if self._trials.finished(job) is None]

    def ahead(self, question: Question, standing: Standing) -> Ahead:
        """Return a step to come as the plan sees it, if what stands now stands then."""
        variants = question.variants(standing)
        nets = len({one.trial.net for _, one in variants} - self._known)
        largest = max((self._macs(one.trial) for _, one in variants), default=0)
        return Ahead(
            question.title, question.epochs, len(variants) + question.combine, question.tune_rate, largest, nets
        )

    def _batches(self, question: Question, candidates: Sequence[Named], level: Level) -> list[list[Job]]:
        """Return what a step trains, one batch after the other: rates, the first seed, the other seeds."""
        effort = level.effort(self._epochs, question.epochs)
        trials = self._trials
        tuning = tuning_jobs(trials, candidates, effort.epochs) if question.tune_rate else []
        first, *others = [
            [trials.job("", one, seed, effort.epochs) for _, one in candidates] for seed in range(effort.seeds)
        ]
        return [tuning, first, [job for batch in others for job in batch]]

    def _of_batches(self, batches: Sequence[Sequence[Job]]) -> Work:
        """Return the work of jobs in batches, one after the other."""
        works = [Work.of([self._seconds(job) for job in jobs], self._plan.workers) for jobs in batches]
        nets = {job.experiment.net for jobs in batches for job in jobs} - self._known
        return sum(works, Work(nets=len(nets)))

    def _seconds(self, job: Job) -> float:
        experiment = job.experiment
        macs = self._macs(Trial(experiment.net, experiment.recipe))
        return self._plan.core_seconds(macs, experiment.recipe.epochs)

    def _macs(self, one: Trial) -> int:
        return self._trials.cost(one)[1]
