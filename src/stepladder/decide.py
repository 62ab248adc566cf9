"""Whether a step of the ladder is kept: paired differences on the holdout, with both kinds of noise.

A difference between two recipes is blurred by the images (a finite holdout) and by the seeds (two runs of one recipe
differ). The rule, why it is this one, and how often it errs, by simulation: docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy

from stepladder.errors import RunError, SpecError
from stepladder.noise import PRIOR_SEEDS, RUN_SPREAD, Correctness, Noise, noise

LEVEL = 0.05
"""How often a step may keep a candidate that is worth nothing."""
WORTHWHILE = 0.2
"""Points of accuracy. A gain that is surely smaller is not worth having; a loss that is surely smaller may be paid for
fewer parameters."""
SAVING = 0.1
"""Share of the parameters that a candidate has to do without to be one that saves: for less no accuracy is given up."""
_MOST_SEEDS = 100

Verdict = Literal["keep", "drop", "undecided"]


@dataclass(frozen=True)
class Decision:
    """What was decided about one candidate, and why. All numbers are points of accuracy (percent).

    ``points`` is candidate minus baseline, ``low`` to ``high`` the interval that leaves out the truth with the chance
    ``level`` at either end. Kept if ``low`` is above ``needed``: nought, or minus the margin where the candidate is
    the simpler of the two. ``seed_error`` and ``image_error`` are the parts of the standard error. ``settles`` says
    what would settle it, None if nothing is open.
    """

    verdict: Verdict
    points: float
    low: float
    high: float
    level: float
    needed: float
    seed_error: float
    image_error: float
    seeds: int
    images: int
    reason: str
    settles: str | None

    def __str__(self) -> str:
        """Return the reason, and what would settle it."""
        return self.reason if self.settles is None else f"{self.reason} To settle it: {self.settles}."


def decide(
    baseline: Sequence[Correctness],
    candidate: Sequence[Correctness],
    *,
    simpler: Literal["baseline", "candidate"] = "baseline",
    worthwhile: float = WORTHWHILE,
    level: float = LEVEL,
) -> Decision:
    """Return whether the candidate is kept, from runs with the same seeds on the same images.

    Keep: it is surely better than nothing or, where the candidate is the simpler one, surely not worse by
    ``worthwhile``. Drop: what it gains is surely less than is worthwhile; the simpler candidate: it surely loses more.
    Undecided: neither; then the baseline stays, which is the simpler of the two unless the step is to save.

    >>> runs = [Correctness(seed, numpy.arange(1000) > 20) for seed in range(3)]
    >>> decide(runs, runs).verdict
    'drop'

    Args:
        baseline: a run a seed.
        candidate: a run a seed, in any order.
        simpler: which has fewer parameters.
        worthwhile: points; also the margin of a step that is to save.
        level: the chance of keeping a useless one. Divide it by the number of looks where runs are added until it is
            decided; ``choose`` sees to several candidates.

    Raises:
        RunError: if runs are missing, or do not have the same seeds and images.
        SpecError: if ``worthwhile`` is not above 0, or ``level`` not between 0 and 0.5.
    """
    _check(worthwhile, level)
    measured, images = _measure(baseline, candidate)
    needed = -worthwhile if simpler == "candidate" else 0.0
    return _judge(measured, images, needed, worthwhile, level)


def is_hopeless(
    baseline: Sequence[Correctness],
    candidate: Sequence[Correctness],
    *,
    simpler: Literal["baseline", "candidate"] = "baseline",
    worthwhile: float = WORTHWHILE,
    level: float = LEVEL,
) -> bool:
    """Return whether runs of one seed speak so clearly against a candidate that more would be wasted on it.

    So it is where it seems surely worse than would do, if runs lie no further apart than those of good schedules. That
    keeps nothing useless; where runs lie further apart, it may give up what is worth something.

    Raises:
        RunError: if runs are missing, or do not have the same seeds and images.
        SpecError: if a number is out of range.
    """
    _check(worthwhile, level)
    measured, _ = _measure(baseline, candidate, lone_spread=RUN_SPREAD)
    needed = -worthwhile if simpler == "candidate" else 0.0
    return bool(100 * float(measured.difference.item() + measured.half(level).item()) < needed)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One candidate of a step: its name, its runs, and what its net costs.

    ``weight`` is its share of the chance of an error, relative to the other candidates.
    """

    name: str
    runs: tuple[Correctness, ...]
    parameters: int
    macs: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Choice:
    """What a step ends in: the name of what is taken, why, and the decision on every candidate by its name."""

    taken: str
    reason: str
    decisions: dict[str, Decision]

    def __str__(self) -> str:
        """Return the choice, then each candidate's decision."""
        return "\n".join([self.reason, *(f"{name}: {decision}" for name, decision in self.decisions.items())])


def choose(
    baseline: Candidate, candidates: Sequence[Candidate], *, worthwhile: float = WORTHWHILE, level: float = LEVEL
) -> Choice:
    """Return which of a step's candidates is taken, or that the baseline stays.

    Each is decided against the baseline; that any useless one is kept has the chance ``level`` in all (Holm,
    Scandinavian Journal of Statistics 6, 1979, with weights). A candidate that saves a tenth of the parameters has to
    be no worse by ``worthwhile``, any other to be better. A candidate may have fewer runs than the baseline, because
    it was soon seen to be worth nothing; it is decided on those, is never kept, and the others share its chance. Of
    those kept the cheapest is taken (fewer parameters, then fewer MACs) that is not clearly worse than the best.

    Args:
        baseline: what stands.
        candidates: in the order of the ladder, names all different.
        worthwhile: points, as in ``decide``.
        level: as in ``decide``.

    Raises:
        RunError: if runs are missing, or do not have the same seeds and images.
        SpecError: if there are no candidates, two have one name, or a number is out of range.
    """
    _check(worthwhile, level)
    names = [baseline.name, *(one.name for one in candidates)]
    if not candidates or len(set(names)) < len(names):
        raise SpecError(
            "a step needs a candidate, and names that differ", given=", ".join(names), repair="name each differently"
        )
    needed = [-worthwhile if saves(one.parameters, baseline.parameters) else 0.0 for one in candidates]
    given_up = [len(one.runs) < len(baseline.runs) for one in candidates]
    measured = [
        # As it was judged when it was given up.
        _measure(_of_seeds(baseline.runs, one.runs), one.runs, RUN_SPREAD if is_given_up else None)
        for one, is_given_up in zip(candidates, given_up, strict=True)
    ]
    # One that was given up can be kept no more, so it asks for no share of the chance that a useless one is.
    running = [number for number, is_given_up in enumerate(given_up) if not is_given_up]
    chances = [float(measured[number][0].chance(needed[number] / 100)) for number in running]
    levels = dict.fromkeys(range(len(candidates)), LEVEL)  # that of is_hopeless
    levels |= zip(running, _holm(chances, [candidates[number].weight for number in running], level), strict=True)
    decisions = {
        one.name: _judge(*measured[number], needed[number], worthwhile, levels[number])
        for number, one in enumerate(candidates)
    }
    kept = [one for one in candidates if decisions[one.name].verdict == "keep" and len(one.runs) == len(baseline.runs)]
    if not kept:
        return Choice(baseline.name, why_it_stays(baseline.name, decisions), decisions)
    best = max(kept, key=lambda one: decisions[one.name].points)
    cheaper = [one for one in kept if (one.parameters, one.macs) < (best.parameters, best.macs)]
    for one in sorted(cheaper, key=lambda one: (one.parameters, one.macs)):
        ahead = decide(one.runs, best.runs, worthwhile=worthwhile, level=level / (len(kept) - 1))
        if ahead.verdict != "keep":
            reason = f"{one.name} is taken: kept, and cheaper than {best.name}, which is not clearly better"
            return Choice(one.name, f"{reason} ({_interval(ahead)}).", decisions)
    if len(kept) == 1:
        why = "the only one kept"
    elif cheaper:
        beaten = ", ".join(one.name for one in cheaper)
        why = f"the best of those kept, and clearly better than what is cheaper: {beaten}"
    else:
        why = "the best of those kept, none of which is cheaper"
    return Choice(best.name, f"{best.name} is taken: {why}.", decisions)


def why_it_stays(baseline: str, decisions: Mapping[str, Decision]) -> str:
    """Return the reason where no candidate was kept: it names those that are undecided."""
    undecided = [name for name, decision in decisions.items() if decision.verdict == "undecided"]
    open_ones = f"; {', '.join(undecided)} undecided" if undecided else ""
    return f"{baseline} stays: no candidate is kept{open_ones}."


def saves(parameters: int, baseline: int) -> bool:
    """Return whether so many parameters save a worthwhile share of the baseline's."""
    return parameters <= (1 - SAVING) * baseline


def _holm(chances: Sequence[float], weights: Sequence[float], level: float) -> list[float]:
    """Return the level at which each is judged, in their order.

    The smallest p-value in relation to its weight at the level times its share of all weights, the next at its share of
    those that are left, and so on; from the first that fails on shares stay, so that a later one cannot pass.
    """
    levels = [level] * len(chances)
    left = sum(weights)
    passing = True
    ranks = numpy.argsort([chance / weight for chance, weight in zip(chances, weights, strict=True)], kind="stable")
    for number in ranks:
        levels[int(number)] = level * weights[number] / left
        passing = passing and chances[number] < levels[int(number)]
        if passing:
            left -= weights[number]
    return levels


def _of_seeds(baseline: Sequence[Correctness], candidate: Sequence[Correctness]) -> Sequence[Correctness]:
    """Return the baseline's runs with the candidate's seeds; all of them where those are as many."""
    seeds = {run.seed for run in candidate}
    return baseline if len(candidate) >= len(baseline) else [run for run in baseline if run.seed in seeds]


def _measure(
    baseline: Sequence[Correctness], candidate: Sequence[Correctness], lone_spread: float | None = None
) -> tuple[Noise, int]:
    sides = [{run.seed: run for run in side} for side in (baseline, candidate)]
    seeds = sorted(sides[0])
    if not seeds or seeds != sorted(sides[1]) or len(baseline) + len(candidate) != 2 * len(seeds):
        raise RunError(
            "runs are paired by seed, so both sides need one run of each seed",
            given=f"seeds {[run.seed for run in baseline]} and {[run.seed for run in candidate]}",
            repair="train the missing ones, or leave out those that have no partner",
        )
    runs = [*baseline, *candidate]
    if len({(run.images, run.right.shape) for run in runs}) > 1 or runs[0].right.size < 2:
        given = sorted({f"{run.right.size:,} images {run.images}".strip() for run in runs})
        raise RunError(
            "runs are paired by image, so all need the same holdout, of two images or more",
            given="; ".join(given),
            repair="train them on the same data with the same holdout size",
        )
    before, after = (numpy.stack([side[seed].right for seed in seeds]).astype(bool) for side in sides)
    answers = after.astype(numpy.int8) - before.astype(numpy.int8)
    count = answers.shape[-1]
    wrong = numpy.array([(~side).sum() for side in (before, after)])
    return noise(answers, wrong, count, lone_spread=lone_spread), count


def _judge(measured: Noise, images: int, needed: float, worthwhile: float, level: float) -> Decision:
    """Return the verdict from the interval at this level, with its reason."""
    points, half = 100 * float(measured.difference.item()), 100 * float(measured.half(level).item())
    enough = needed + worthwhile
    verdict: Verdict = "keep" if points - half > needed else "drop" if points + half < enough else "undecided"
    if needed < 0:
        verdict = "keep" if points - half > needed else "drop" if points + half < needed else "undecided"
    draft = Decision(
        verdict=verdict,
        points=points,
        low=points - half,
        high=points + half,
        level=level,
        needed=needed,
        seed_error=100 * sqrt(float(measured.of_seeds.item()) / measured.seeds),
        image_error=100 * sqrt(float(measured.of_images.item())),
        seeds=measured.seeds,
        images=images,
        reason="",
        settles=None,
    )
    settles = _settles(draft, enough) if verdict == "undecided" else None
    return replace(draft, reason=_reason(draft, worthwhile), settles=settles)


def _reason(decision: Decision, worthwhile: float) -> str:
    numbers = f"{decision.points:+.2f} points ({_interval(decision)})"
    saves = decision.needed < 0
    why = {
        "keep": f"not worse by {worthwhile:.2f} points" if saves else "better",
        "drop": f"worse by more than {worthwhile:.2f} points" if saves else f"worth less than {worthwhile:.2f} points",
        "undecided": f"a loss of {worthwhile:.2f} points can neither be shown nor ruled out"
        if saves
        else f"neither surely better nor surely worth less than {worthwhile:.2f} points",
    }[decision.verdict]
    if decision.verdict == "drop" and not saves and decision.high < 0:
        why = "worse"
    words = {"keep": "Kept", "drop": "Dropped", "undecided": "Undecided"}
    lone = "; how far runs with other seeds lie apart is assumed, not measured" if decision.seeds == 1 else ""
    return f"{words[decision.verdict]}: {numbers}: {why}{lone}."


def _interval(decision: Decision) -> str:
    seeds = f"{decision.seeds} seeds" if decision.seeds > 1 else "1 seed"
    confidence = f"{100 * (1 - 2 * decision.level):.4g}% interval"
    return f"{confidence} {decision.low:+.2f} to {decision.high:+.2f}; {seeds}, {decision.images:,} images"


def _settles(decision: Decision, enough: float) -> str:
    """Return what would settle it, if the difference is what it seems to be."""
    from scipy.special import ndtri, stdtrit

    if decision.seeds == 1:
        return "about 2 more seeds, which measure how far runs lie apart"
    above, below = decision.points - decision.needed, enough - decision.points
    distance = abs(above) if decision.needed < 0 else max(above, below)
    one_seed, images = decision.seed_error**2 * decision.seeds, decision.image_error**2
    for seeds in range(decision.seeds + 1, _MOST_SEEDS + 1):
        error = sqrt(one_seed / seeds + images)
        if float(stdtrit(PRIOR_SEEDS + seeds - 1, 1 - decision.level)) * error < distance:
            more = seeds - decision.seeds
            return f"about {more} more seed{'s' if more > 1 else ''}"
    alone = float(ndtri(1 - decision.level)) * decision.image_error
    if alone < distance:
        return f"more than {_MOST_SEEDS} seeds: the difference is too close to where the verdict turns"
    return (
        f"more images: whatever the seeds, these {decision.images:,} leave {alone:.2f} points of doubt to either side"
    )


def _check(worthwhile: float, level: float) -> None:
    if not (worthwhile > 0 and 0 < level < 0.5):
        raise SpecError(
            "what is worthwhile must be above 0 points, and the level between 0 and 0.5",
            given=f"worthwhile = {worthwhile:g}, level = {level:g}",
            repair=f"leave them at {WORTHWHILE:g} and {LEVEL:g}",
        )
