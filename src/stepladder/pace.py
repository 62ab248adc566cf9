"""How long runs take here: a part that each costs, a part in proportion to its work, and a part for each new net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import ceil, floor
from statistics import median
from typing import NamedTuple

_FACTOR = 1.25
_FIXED = 0.25
_COMPILING = 1.0
_STARTING = 5.0
"""Seconds reckoned with until runs were seen: for a second of work, a run, a new net, and processes that start."""
_DIFFER = 2.0
"""How many times as long runs must be as others, so that the difference says what work takes and not chance."""


@dataclass(frozen=True)
class Work:
    """Runs to train, side by side where there are several workers.

    Args:
        rounds: how many one worker trains, one after another.
        seconds: that they take on a core that does nothing else.
        nets: of theirs that were not trained before, for which machine code is written.
    """

    rounds: float = 0.0
    seconds: float = 0.0
    nets: int = 0

    def __add__(self, other: Work) -> Work:
        """Return what one takes after the other."""
        return Work(self.rounds + other.rounds, self.seconds + other.seconds, self.nets + other.nets)

    @classmethod
    def of(cls, runs: Sequence[float], workers: int) -> Work:
        """Return the work of runs of so many core-seconds, each begun as soon as a worker is free."""
        queues = [0.0] * workers
        for run in runs:
            queues[queues.index(min(queues))] += run
        return cls(ceil(len(runs) / workers), max(queues))

    @classmethod
    def alike(cls, runs: float, seconds: float, workers: int) -> Work:
        """Return the work of about so many runs of so many core-seconds each."""
        fewer = ceil(floor(runs) / workers)
        rounds = fewer + (runs - floor(runs)) * (ceil((floor(runs) + 1) / workers) - fewer)
        return cls(rounds, rounds * seconds)


class Seen(NamedTuple):
    """Runs that were trained: their work, and what they took.

    ``trained`` are the seconds of their epochs alone, ``seconds`` everything; ``started`` is whether processes had to
    be started for them.
    """

    rounds: float
    work: float
    nets: int
    trained: float
    seconds: float
    started: bool


@dataclass
class Pace:
    """What runs take, learned from those of this climb.

    Args:
        seen: what was trained so far, by earlier processes too.
        processes: that are there to train.
    """

    seen: list[Seen] = field(default_factory=list)
    processes: int = 0

    def observe(self, work: Work, trained: float, seconds: float, processes: int) -> None:
        """Learn from runs of so much work: the seconds of their epochs and of everything, in so many processes."""
        started = processes > self.processes
        self.processes = max(processes, self.processes)
        if work.seconds > 0:
            self.seen.append(Seen(work.rounds, work.seconds, work.nets, min(trained, seconds), seconds, started))

    def seconds(self, work: Work) -> float:
        """Return what work takes, once processes have started."""
        fixed, factor = self.fitted()
        return fixed * work.rounds + factor * work.seconds + (self._compiling * work.nets if work.nets else 0.0)

    def fitted(self) -> tuple[float, float]:
        """Return the seconds that a run costs whatever it trains, and those that a core-second of work takes.

        Work takes as long as the epochs did, or longer where long runs say so, since there is more to an epoch than is
        on its clock. Neither starting processes nor what new nets take is part of that.
        """
        if not self.seen:
            return _FIXED, _FACTOR
        usual = [one for one in self.seen if not one.started and not one.nets]
        seen = usual or self.seen
        work = sum(one.work for one in seen)
        most = sum(one.seconds for one in seen) / work
        least = sum(one.trained for one in seen) / work
        runs = [(one.work / one.rounds, one.seconds / one.rounds) for one in seen]
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in permutations(runs, 2) if b[0] >= _DIFFER * a[0]]
        factor = min(most, max(least, median(slopes))) if slopes else least
        fixed = max(0.0, median(taken - factor * each for each, taken in runs))
        return fixed if usual else min(fixed, _FIXED), factor

    @property
    def starting(self) -> float:
        """Return the seconds until processes have started, as it was when they last did."""
        beyond = [one.seconds - self.seconds(Work(*one[:3])) for one in self.seen if one.started]
        return max(0.0, beyond[-1]) if beyond else _STARTING

    @property
    def still_to_start(self) -> float:
        """Return the seconds until processes have started, 0 where they have."""
        return 0.0 if self.processes else self.starting

    @property
    def _compiling(self) -> float:
        """Return the seconds that a net takes once, which was not trained before."""
        fixed, factor = self.fitted()
        new = [one for one in self.seen if one.nets and not one.started]
        beyond = [(one.seconds - fixed * one.rounds - factor * one.work) / one.nets for one in new]
        return max(0.0, median(beyond)) if beyond else _COMPILING
