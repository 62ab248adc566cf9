"""A step's answer: what its candidates are worth on the held-out images, from no more runs than that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stepladder.decide import Candidate, Choice, choose, why_it_stays
from stepladder.errors import TrainingError
from stepladder.evaluate import mean
from stepladder.joining import joined_candidate
from stepladder.looks import LEVEL_OF_A_LOOK, first_to_stand, is_given_up, second_level, worth_more_seeds
from stepladder.noise import Correctness
from stepladder.trials import Effort, Named, Trial, Trials, Tried
from stepladder.workers import Job


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


def find_answer(
    trials: Trials,
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
        trials: train and measure.
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
    trials.run(title, everyone, range(1), effort.epochs)
    if not stands:
        # Others are measured against it: a first one that came apart with one seed would leave nothing to decide.
        trials.run(title, everyone, range(1, effort.seeds), effort.epochs)
        everyone.sort(key=lambda one: -_accuracy(trials, one[1], effort))
        first = first_to_stand([(_accuracy(trials, one, effort), *trials.cost(one)) for _, one in everyone])
        everyone.insert(0, everyone.pop(first))
    left = _promising(trials, everyone, effort.epochs)
    trials.run(title, left, range(1, effort.seeds), effort.epochs)
    given_up = replace(effort, seeds=1)
    tried = [trials.tried(one, everyone[0][1], effort if one in left else given_up) for one in everyone]
    joined = joined_candidate(tried) if combine else None
    if joined is not None:
        trials.run(title, [joined], range(effort.seeds), effort.epochs)
        tried.append(trials.tried(joined, everyone[0][1], effort))
    weight = len(everyone) - 1
    answer = _decided(title, tried, LEVEL_OF_A_LOOK, joined, weight)
    again = [(one.name, one.trial) for one in tried if one.name in answer.worth_more_seeds]
    seeds = range(effort.seeds, 2 * effort.seeds)
    if (
        again
        and effort.seeds > 1
        and more([trials.job("", one, seed, effort.epochs) for seed in seeds for _, one in again])
    ):
        trials.run(f"{title}, more seeds", again, seeds, effort.epochs)
        twice = replace(effort, seeds=2 * effort.seeds)
        looked_at = [trials.tried(one, everyone[0][1], twice) for one in again]
        by_name = {one.name: one for one in looked_at}
        tried = [by_name.get(one.name, one) for one in tried]
        second = _decided(title, looked_at, second_level(len(left) - 1), joined, weight)
        answer = _after_both(answer, second, tried)
    return answer


def _accuracy(trials: Trials, one: Trial, effort: Effort) -> float:
    """Return the mean accuracy of a trial's runs on the holdout, in percent; -1 where one could not be trained."""
    runs = [trials.finished(trials.job("", one, seed, effort.epochs)) for seed in range(effort.seeds)]
    found = [run.rows[-1].evaluation_accuracy for run in runs if run is not None]
    return mean(found) if len(found) == len(runs) else -1.0


def _promising(trials: Trials, candidates: Sequence[Named], epochs: int) -> list[Named]:
    """Return what stands, and what is not hopeless after the first seed."""
    runs = [trials.finished(trials.job("", one, 0, epochs)) for _, one in candidates]
    able = {one: run for one, run in zip(candidates, runs, strict=True) if run is not None}
    if runs[0] is None:
        return list(able)
    first, *others = [
        Candidate(name, (Correctness.read(run.folder),), *trials.cost(one)) for (name, one), run in able.items()
    ]
    given_up = {one.name for one in others if is_given_up(first, one)}
    return [one for one in able if one[0] not in given_up]


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
        reason = f"{tried[0].name} {tried[0].failure}; of the others {_why_it_comes_first(best, candidates)}."
        return Answer(tuple(tried), None, best.name, reason)
    if len(able) == 1:
        reason = "nothing else fits here" if len(tried) == 1 else "nothing else could be trained"
        return Answer(tuple(tried), None, able[0].name, reason)
    stands, *others = able
    choice = choose(stands, others, level=level)
    again = worth_more_seeds(stands, others, choice)
    names = frozenset(one.name for one in [stands, *again]) if again else frozenset()
    return Answer(tuple(tried), choice, choice.taken, choice.reason, names)


def _why_it_comes_first(best: Tried, candidates: Sequence[Tried]) -> str:
    """Return in words why ``first_to_stand`` chose one of the candidates: accuracy, or less cost for about as much."""
    top = max(candidates, key=lambda one: mean(one.accuracies))
    behind = mean(top.accuracies) - mean(best.accuracies)
    if top is best:
        return f"{best.name} is the most accurate"
    if round(behind, 4) == 0:
        return f"{best.name} is as accurate as {top.name}, and cheaper"
    return f"{best.name} is cheaper than {top.name}, the most accurate, and only {behind:.2g} points behind"


def _after_both(first: Answer, second: Answer, tried: Sequence[Tried]) -> Answer:
    """Return the second look's answer, with what the first one decided about those that were not looked at again."""
    assert first.choice is not None
    failed = {one.name for one in tried if one.failure}
    found = first.choice.decisions | (second.choice.decisions if second.choice is not None else {})
    decisions = {name: decision for name, decision in found.items() if name not in failed}
    stays = second.taken == tried[0].name and second.choice is not None
    reason = why_it_stays(second.taken, decisions) if stays else second.reason
    return Answer(tuple(tried), Choice(second.taken, reason, decisions), second.taken, reason)
