"""The goals of speed, and what the benchmarks' rows say was reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

import scaling
import startup
import throughput
import time_to_target
from contest import RESULTS, Row, Spread, rates, ratios, read_rows, spread

NAMES = ("throughput", "time_to_target", "reference_way", "scaling", "startup", "memory", "climb", "many_seeds")
TRIED = RESULTS.parent / "fast-recipe.md"
_UNKNOWN = "not measured"


@dataclass(frozen=True)
class Found:
    """The rows of the benchmarks that have run, by name, with their first lines; and the page on what was tried."""

    heads: dict[str, Row] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    tried: str = ""

    @property
    def cores(self) -> int:
        """The cores of the machine that throughput or scaling was measured on."""
        return next((self.heads[name]["usable_cores"] for name in ("throughput", "scaling") if name in self.heads), 1)

    def of(self, name: str) -> list[Row]:
        """Return the rows of a benchmark; none where it has not run."""
        return self.rows.get(name, [])


@dataclass(frozen=True)
class Goal:
    """A goal of speed: what is measured, what is asked for, what was reached, and whether that is enough."""

    measure: str
    goal: str
    reached: str = _UNKNOWN
    is_met: bool | None = None

    @property
    def verdict(self) -> str:
        """Whether it is met, in a word."""
        return {True: "met", False: "not met", None: "–"}[self.is_met]


def read() -> Found:
    """Return what is in results/."""
    stored = {name: both for name in NAMES if (both := read_rows(name)) is not None}
    return Found(
        heads={name: head for name, (head, _) in stored.items()},
        rows={name: rows for name, (_, rows) in stored.items()},
        tried=TRIED.read_text(encoding="utf-8") if TRIED.exists() else "",
    )


def goals(found: Found) -> list[Goal]:
    """Return every goal with the median of what was reached, and its spread."""
    rows = found.of("throughput")
    there = [name for name in throughput.REFERENCE if rates(rows, name)]
    one, several = (
        throughput.fastest(rows, names) if there else None for names in (throughput.ONE, throughput.SEVERAL)
    )
    return [
        _throughput("one run on the whole machine", 7, rows, one),
        _throughput("one run a core, several at once", 8, rows, several),
        _time_to_target(found),
        _scaling(found),
        _startup("stepladder --help", startup.HELP, 0.3, found),
        _startup("stepladder inspect of a one-line net", startup.INSPECT, 0.5, found),
        _memory(found),
        _climb(found),
    ]


def _throughput(what: str, goal: float, rows: list[Row], name: str | None) -> Goal:
    measure, asked = f"throughput of {what}, against the reference way", f"{goal:g}×"
    if name is None:
        return Goal(measure, asked)
    reached = spread(ratios(rows, name, throughput.better_reference(rows)))
    precision = name.rpartition(", ")[2]
    return Goal(measure, asked, f"{reached:.2f}× in {precision}", reached.median >= goal)


def _time_to_target(found: Found) -> Goal:
    measure = "time to 99.4%: mean of the seeds at the last epoch, against the guide's recipe trained the reference way"
    rows = found.of("time_to_target")
    if not rows or not found.of("reference_way"):
        return Goal(measure, "30×")
    accuracy = statistics.mean(time_to_target.accuracies(rows))
    parameters = max(row["parameters"] for row in rows if "parameters" in row)
    reached = spread(time_to_target.times_faster(rows, epochs_needed(found)))
    text = f"{reached:.1f}×; {accuracy:.3f}% with {parameters:,} parameters"
    if found.heads["time_to_target"]["is_stand_in"]:
        text += ", by a stand-in"
    is_met = reached.median >= 30 and accuracy >= time_to_target.TARGET and parameters < 8000
    return Goal(measure, "30×, at least 99.40%, under 8,000 parameters", text, is_met)


def epochs_needed(found: Found) -> float:
    """Return the epochs that the reference way needs, the median of its seeds."""
    return statistics.median(
        number for number, _ in time_to_target.epochs_to_target(found.of("reference_way")).values()
    )


def _scaling(found: Found) -> Goal:
    measure = "scaling from one worker to one a core"
    rows = found.of("scaling")
    if not rows:
        return Goal(measure, "0.9")
    reached = spread(scaling.scaling(rows, found.cores)["workers"])
    return Goal(measure, "0.9", f"{reached:.2f} on {found.cores} cores", reached.median >= 0.9)


def _startup(measure: str, name: str, goal: float, found: Found) -> Goal:
    rows = found.of("startup")
    if not rows:
        return Goal(measure, f"{goal:g} s")
    reached = spread(startup.seconds(rows, name))
    return Goal(measure, f"{goal:g} s", f"{reached:.2f} s", reached.median <= goal)


def _memory(found: Found) -> Goal:
    measure = "peak memory of a climb on MNIST with two workers, all processes"
    rows = found.of("memory")
    if not rows:
        return Goal(measure, "under 1.5 GiB")
    reached = gib(rows)
    return Goal(measure, "under 1.5 GiB", f"{reached:.2f} GiB ({rows[0]['measure']})", reached.high < 1.5)


def _climb(found: Found) -> Goal:
    measure = "the classic climb with three seeds"
    rows = found.of("climb")
    if not rows:
        return Goal(measure, "under 10 minutes")
    minutes = rows[0]["seconds"] / 60
    return Goal(measure, "under 10 minutes", f"{minutes:.1f} minutes", minutes < 10 and rows[0]["seeds"] == 3)


def gib(rows: list[Row]) -> Spread:
    """Return the peak of a climb's memory in GiB."""
    return spread([row["peak_bytes"] / 2**30 for row in rows])
