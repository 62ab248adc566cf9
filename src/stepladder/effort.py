"""How much is spent on each step so that a climb ends in time: fewer epochs, then fewer seeds, then fewer steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from stepladder.durations import clock
from stepladder.layers import Shape
from stepladder.pace import Pace, Work
from stepladder.spec import Recipe
from stepladder.trials import Effort
from stepladder.tuning import RATES, tuning_epochs

SHARES = (1.0, 4 / 5, 2 / 3, 1 / 2, 2 / 5, 1 / 3)
"""Shares of a step's epochs that are tried in turn where time is short, before seeds are saved."""
FEWER = ((2, 1 / 3), (2, 1 / 5))
"""Seeds and shares after that, before steps are left out: two seeds seldom decide anything, one hardly ever
(docs/decisions.md)."""
LEFT_OUT = "Left out, for there is no time: "
_BACK = "Asked after all, for there is time: "
_TOOK_LONGER = "Took longer than allowed: "
OF_A_LIMIT = (LEFT_OUT, _BACK, _TOOK_LONGER)
"""How sentences begin that hold for one limit and not for another."""
_SLACK_TO_RISE = 0.8
_SLACK = 0.9


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

    ``macs`` is the multiply-accumulates of its largest candidate, 0 where that is not known, ``nets`` how many nets it
    trains that were not trained before. The title is empty where
    nobody knows yet what the step will be.
    """

    title: str
    share: float
    candidates: int
    tuned: bool
    macs: int = 0
    nets: int = 0

    def work(self, level: Level, epochs: int, each: float, workers: int) -> Work:
        """Return its runs' work, an epoch of ``each`` seconds: the candidates', in every second step what stands'."""
        effort = level.effort(epochs, self.share)
        candidates = self.candidates + 0.5
        work = Work.alike(candidates, effort.epochs * each, workers)
        work += Work.alike(candidates * (effort.seeds - 1), effort.epochs * each, workers)
        if self.tuned:
            work += Work.alike(RATES * self.candidates, tuning_epochs(effort.epochs) * each, workers)
        return work + Work(nets=self.nets)


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
        told: sentences about the plan.
        left_out: titles of the steps that there is no time for.
        back: titles of those that were left out and asked after all, in that order.
        pace: what runs take.
        ready: seconds until the first step began.
        least: work of the first step with the least that a step can have.
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
    back: list[str] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)
    ready: float | None = None
    least: Work = field(default_factory=Work)
    began: float = field(default_factory=perf_counter)
    level: Level | None = None
    _each: float = 0.0

    @property
    def elapsed(self) -> float:
        """Return the seconds spent so far."""
        return self.spent + perf_counter() - self.began

    def levels(self) -> list[Level]:
        """Return what can be spent on a step, the most first."""
        full = [Level(self.seeds, share) for share in SHARES]
        return full + [Level(min(seeds, self.seeds), share) for seeds, share in FEWER]

    def choose(
        self, key: str, now: Callable[[Level], Work], ahead: Sequence[Ahead], macs: float
    ) -> tuple[Level, list[Ahead]]:
        """Return what the step that begins gets, and which of the steps ahead there will be time for.

        Args:
            key: of the step.
            now: the work of its runs at a level.
            ahead: the steps after it, with those that were left out.
            macs: multiply-accumulates of the net that stands. Steps ahead are reckoned with it, or with the largest
                candidate of any of them, which may come to stand.
        """
        wanted = list(ahead)
        if key in self.kept:
            # What was left out before does not come back because it is not planned anew.
            gone = {*self.left_out, *self.back}
            return self._takes(self.kept[key]), [step for step in wanted if step.title not in gone]
        if self.limit is None or self.speed is None:
            return self._takes(Level(self.seeds, 1.0)), wanted
        left = self.limit - self.elapsed

        work = {level: now(level) for level in self.levels()}

        def cost(level: Level) -> float:
            return self._cost(level, work[level], wanted)

        while True:
            # A step that is left out brings no large net, either.
            self._each = self.images * self.speed.seconds(max([macs, *(step.macs for step in wanted)]))
            more = any(step.title in self.left_out for step in wanted)
            for level in self.levels():
                rises = self.level is not None and level.seeds * level.share > self.level.seeds * self.level.share
                if cost(level) <= left * (_SLACK_TO_RISE if more or rises else _SLACK):
                    for step in wanted:
                        self.take_back(step.title)
                    self._tell(level, cost(level), left)
                    return self._takes(level), wanted
            if not wanted:
                level = self.levels()[-1]
                self._tell(level, cost(level), left)
                return self._takes(level), wanted
            dropped = wanted.pop()
            if dropped.title:
                self.leave_out(dropped.title)

    def again(self, key: str, now: Callable[[Level], Work], question: tuple[float, int], macs: float) -> Level | None:
        """Return what a question can be asked again with in the time that is left: the most epochs, then seeds.

        ``choose`` then gives the step that. None where it cannot have more epochs than it had.

        Args:
            key: of the step that asks again.
            now: the work of its runs at a level.
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
        if title not in self.left_out:
            self.back = [one for one in self.back if one != title]
            self.left_out.append(title)
            self.told.append(f"{LEFT_OUT}{title}.")

    def take_back(self, title: str) -> None:
        """Note that there is time for a step, and tell it if it was left out."""
        if title in self.left_out:
            self.left_out.remove(title)
            self.back.append(title)
            self.told.append(f"{_BACK}{title}.")

    def end(self, last: Work) -> None:
        """Tell where the climb took longer than it was allowed, and what the least would have been with these runs."""
        if self.limit is None or self.elapsed <= self.limit or any(one.startswith(_TOOK_LONGER) for one in self.told):
            return
        least = (self.ready or 0.0) + self.pace.starting + self.pace.seconds(self.least + last)
        self.told.append(
            f"{_TOOK_LONGER}{clock(self.elapsed)} in place of {clock(self.limit)}; what is never left out, the "
            f"skeleton and the runs on all training images, takes about {clock(min(least, self.elapsed))} by itself."
        )

    def fits(self, now: Callable[[Level], Work], macs: float) -> bool:
        """Return whether there is time for a step of this work with the least that a step can have, and for the end.

        ``macs`` are the multiply-accumulates of its largest net, which may come to stand.
        """
        if self.limit is None or self.speed is None:
            return True
        self._each = self.images * self.speed.seconds(macs)
        level = self.levels()[-1]
        return self._cost(level, now(level), ()) <= (self.limit - self.elapsed) * _SLACK

    def affords(self, work: Work, ahead: Sequence[Ahead]) -> bool:
        """Return whether there is time for so much more work, the steps ahead as they are planned."""
        if self.limit is None or self.speed is None or self.level is None:
            return True
        return self._cost(self.level, work, ahead) <= (self.limit - self.elapsed) * _SLACK

    @property
    def _last(self) -> Work:
        """Return the work of the end."""
        return Work.alike(self.seeds, self.reserved / self.seeds * self._each, self.workers)

    def _cost(self, level: Level, now: Work, ahead: Sequence[Ahead]) -> float:
        """Return the seconds that remain: the work now, the steps ahead at a level, and the end."""
        later = [step.work(level, self.epochs, self._each, self.workers) for step in ahead]
        return self.pace.still_to_start + self.pace.seconds(sum(later, now + self._last))

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
