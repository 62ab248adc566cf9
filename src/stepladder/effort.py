"""How much is spent on each step so that a climb ends in time: fewer epochs, then fewer seeds, then fewer steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from stepladder.durations import clock
from stepladder.layers import Shape
from stepladder.spec import Recipe
from stepladder.trials import Effort

SHARES = (1.0, 4 / 5, 2 / 3, 1 / 2, 2 / 5, 1 / 3)
"""Shares of a step's epochs that are tried in turn where time is short, before seeds are saved."""
FEWER = ((2, 1 / 3), (2, 1 / 5))
"""Seeds and shares after that, before steps are left out: two seeds seldom decide anything, one hardly ever
(docs/decisions.md)."""
LEFT_OUT = "Left out, for there is no time: "
_SLACK_TO_RISE = 0.8
_SLACK = 0.95
_FIRST_GUESS = 1.25
"""What starting processes and reading data add to training, until it is seen."""


@dataclass(frozen=True)
class Level:
    """Seeds of each candidate, and the share of a step's epochs that they are trained for."""

    seeds: int
    share: float

    def effort(self, epochs: int, share: float) -> Effort:
        """Return what a step gets of the goal's epochs, of which it asks for a share."""
        return Effort(self.seeds, max(1, round(epochs * share * self.share)))


@dataclass(frozen=True)
class Ahead:
    """A step to come: its title, its share of the goal's epochs, candidates, whether rates are tuned, and how large.

    ``macs`` is the multiply-accumulates of its largest candidate, 0 where that is not known. The title is empty where
    nobody knows yet what the step will be.
    """

    title: str
    share: float
    candidates: int
    tuned: bool
    macs: int = 0

    def epochs(self, level: Level, epochs: int) -> float:
        """Return the epochs of all its runs: the candidates', and for every second step those of what stands."""
        effort = level.effort(epochs, self.share)
        runs = (self.candidates + 0.5) * effort.seeds + (self.candidates if self.tuned else 0)
        return runs * effort.epochs


@dataclass(frozen=True)
class Speed:
    """Seconds that one core takes to train on one image: ``base`` and ``each`` for a multiply-accumulate."""

    base: float
    each: float

    def seconds(self, macs: float) -> float:
        """Return the seconds for one image."""
        return self.base + self.each * macs

    @classmethod
    def measured(cls, nets: Sequence[tuple[str, int]], recipe: Recipe, image: Shape) -> Speed:
        """Return it from two nets with their multiply-accumulates, the smaller first, trained on noise for a moment."""
        from stepladder.precision import measure

        (small, few), (large, many) = nets
        fast, slow = (1 / measure(net, recipe, image, (recipe.precision,))[recipe.precision] for net in (small, large))
        if many <= few or slow <= fast:
            return cls(0.0, slow / many)
        each = (slow - fast) / (many - few)
        return cls(max(0.0, slow - each * many), each)


@dataclass
class Plan:
    """What each step gets.

    Args:
        limit: seconds that the whole climb may take; None: as long as it takes.
        epochs: of the goal.
        seeds: of each candidate where time allows.
        images: that candidates are trained on.
        workers: runs side by side.
        speed: of one core; None where there is no limit.
        spent: seconds that earlier processes spent on the same climb.
        reserved: epochs of all images that the end takes.
        kept: level of each step that was begun before, by its key.
    """

    limit: float | None
    epochs: int
    seeds: int
    images: int
    workers: int
    speed: Speed | None = None
    spent: float = 0.0
    reserved: float = 0.0
    kept: dict[str, Level] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    began: float = field(default_factory=perf_counter)
    level: Level | None = None
    _each: float = 0.0
    _predicted: float = 0.0
    _taken: float = 0.0

    @property
    def elapsed(self) -> float:
        """Return the seconds spent so far."""
        return self.spent + perf_counter() - self.began

    @property
    def factor(self) -> float:
        """Return how many times longer runs take than a core alone would: others at work, processes that start."""
        return self._taken / self._predicted if self._predicted > 0 else _FIRST_GUESS

    def levels(self) -> list[Level]:
        """Return what can be spent on a step, the most first."""
        full = [Level(self.seeds, share) for share in SHARES]
        return full + [Level(min(seeds, self.seeds), share) for seeds, share in FEWER]

    def choose(
        self, key: str, now: Callable[[Level], float], ahead: Sequence[Ahead], macs: float
    ) -> tuple[Level, list[Ahead]]:
        """Return what the step that begins gets, and which of the steps ahead there will be time for.

        Args:
            key: of the step.
            now: the core-seconds of its runs at a level.
            ahead: the steps after it.
            macs: multiply-accumulates of the net that stands. Steps ahead are reckoned with it, or with the largest
                candidate of any of them, which may come to stand.
        """
        wanted = list(ahead)
        if key in self.kept:
            # What was left out before does not come back because it is not planned anew.
            return self._takes(self.kept[key]), [step for step in wanted if step.title not in self.left_out]
        if self.limit is None or self.speed is None:
            return self._takes(Level(self.seeds, 1.0)), wanted
        self._each = self.images * self.speed.seconds(max(macs, *(step.macs for step in ahead), 0))
        left = self.limit - self.elapsed

        def cost(level: Level) -> float:
            return self._cost(level, now(level), wanted)

        while True:
            for level in self.levels():
                rises = self.level is not None and level.seeds * level.share > self.level.seeds * self.level.share
                if cost(level) <= left * (_SLACK_TO_RISE if rises else _SLACK):
                    self._tell(level, cost(level), left)
                    return self._takes(level), wanted
            if not wanted:
                level = self.levels()[-1]
                self._tell(level, cost(level), left)
                return self._takes(level), wanted
            dropped = wanted.pop()
            if dropped.title:
                self.leave_out(dropped.title)

    def again(self, key: str, now: Callable[[Level], float], question: tuple[float, int], macs: float) -> Level | None:
        """Return what a question can be asked again with in the time that is left: the most epochs, then seeds.

        ``choose`` then gives the step that. None where it cannot have more epochs than it had.

        Args:
            key: of the step that asks again.
            now: the core-seconds of its runs at a level.
            question: the share of the goal's epochs that it asks for, and the epochs that it had.
            macs: multiply-accumulates of the net that stands.
        """
        if key in self.kept:
            return self.kept[key]
        asked, had = question
        everything = Level(self.seeds, 1.0)
        if self.limit is None or self.speed is None:
            return everything if everything.effort(self.epochs, asked).epochs > had else None
        self._each = self.images * self.speed.seconds(macs)
        left = self.limit - self.elapsed
        for share in SHARES:
            for seeds in sorted({self.seeds, min(2, self.seeds)}, reverse=True):
                level = Level(seeds, share)
                cost = self._cost(level, now(level), ())
                if level.effort(self.epochs, asked).epochs > had and cost <= left * _SLACK:
                    self.kept[key] = level
                    self._tell(level, cost, left)
                    return level
        return None

    def leave_out(self, title: str) -> None:
        """Note that there is no time for a step, and tell it."""
        self.left_out.append(title)
        self.told.append(f"{LEFT_OUT}{title}.")

    def fits(self, now: Callable[[Level], float]) -> bool:
        """Return whether there is time for a step of these core-seconds with the least that a step can have."""
        if self.limit is None or self.speed is None:
            return True
        level = self.levels()[-1]
        return self._cost(level, now(level), ()) <= (self.limit - self.elapsed) * _SLACK

    def affords(self, seconds: float, ahead: Sequence[Ahead]) -> bool:
        """Return whether there is time for so many more core-seconds, the steps ahead as they are planned."""
        if self.limit is None or self.speed is None or self.level is None:
            return True
        return self._cost(self.level, seconds, ahead) <= (self.limit - self.elapsed) * _SLACK

    def _cost(self, level: Level, now: float, ahead: Sequence[Ahead]) -> float:
        """Return the seconds that remain: core-seconds now, the steps ahead at a level, and the end."""
        later = sum(step.epochs(level, self.epochs) for step in ahead) + self.reserved
        return (now + later * self._each) * self.factor / self.workers

    def observe(self, trained: float, seconds: float) -> None:
        """Learn from runs that one core alone was thought to train in so many seconds what they took."""
        if trained > 0:
            self._predicted += trained
            self._taken += seconds * self.workers

    def core_seconds(self, macs: int, epochs: int) -> float:
        """Return what one run of a net is thought to take on a core of its own; 0 where there is no limit."""
        return 0.0 if self.speed is None else self.speed.seconds(macs) * epochs * self.images

    def _takes(self, level: Level) -> Level:
        self.level = level
        return level

    def _tell(self, level: Level, cost: float, left: float) -> None:
        if level == self.level:
            return
        share = "all" if level.share == 1 else f"{level.share:.0%}"
        runs = f"{level.seeds} seeds" if level.seeds > 1 else "1 seed"
        self.told.append(
            f"{'From here on' if self.level is not None else 'Planned'}: {runs} of each candidate, {share} of a step's "
            f"epochs; that takes about {clock(cost)} of the {clock(max(left, 0))} left."
        )
