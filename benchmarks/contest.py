"""Contests: contestants take turns in one sitting, each in a process of its own; every turn is kept as a row.

Machines drift: the same code may take a fifth longer a minute later. Contestants that take turns meet the same drift,
so the ratio of two of them within a round holds where their times do not. What is reported is the median of the ratios
over the rounds, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import statistics
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from stepladder import data, environment
from stepladder.files import write_text
from stepladder.workers import usable_cores

RESULTS = Path(__file__).resolve().parent.parent / "results" / "speed"
PACKAGES = ("pillow", "lightning", "keras", "jax")
"""Of the contestants: their versions stand beside stepladder's own in every file of rows."""

Row = dict[str, Any]

_PATIENCE = 5
"""Seconds that a contestant has to end by itself."""


class NotInstalledError(Exception):
    """A contestant needs a package that is not there."""


@dataclass(frozen=True)
class Lap:
    """One turn of a contestant: how much it did (training images, as a rule), in how many seconds."""

    amount: float
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """What was done a second."""
        return self.amount / self.seconds


@dataclass(frozen=True)
class Contestant:
    """Who takes part.

    Args:
        name: for people.
        laps: a function at the top of a module; called with the arguments, in a new process, it gives an iterator.
            What comes first warms up and is not kept; each turn takes what comes next.
        arguments: plain values.
    """

    name: str
    laps: Callable[..., Iterator[Lap]]
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spread:
    """A median with the smallest and the largest of its values."""

    median: float
    low: float
    high: float

    def __format__(self, form: str) -> str:
        """Return ``median (low–high)``, each number in the given form."""
        return f"{self.median:{form}} ({self.low:{form}}–{self.high:{form}})"


def spread(values: Sequence[float]) -> Spread:
    """Return the median of the values with the smallest and the largest."""
    return Spread(statistics.median(values), min(values), max(values))


def hold(
    contestants: Sequence[Contestant], rounds: int, say: Callable[[str], None] = print
) -> tuple[list[Row], dict[str, str]]:
    """Let the contestants take turns and return a row a turn, and why others could not take part, by name.

    Every contestant lives in its own process from the start, warmed up and waiting; one at a time works. Each round
    begins with another one.

    Args:
        contestants: with names of their own.
        rounds: turns of each.
        say: told what happens, a line at a time.

    Raises:
        RuntimeError: if a contestant fails; all are stopped then.
    """
    context = multiprocessing.get_context("spawn")
    lanes: dict[str, tuple[Connection, Any]] = {}
    absent: dict[str, str] = {}
    rows: list[Row] = []
    try:
        for contestant in contestants:
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(contestant, there), name=contestant.name)
            process.start()
            there.close()
            lanes[contestant.name] = (here, process)
            try:
                _answer(here, contestant.name)
            except NotInstalledError as reason:
                absent[contestant.name] = str(reason)
                say(f"{contestant.name}: left out, {reason}")
                _stop(*lanes.pop(contestant.name))
        names = list(lanes)
        for number in range(rounds):
            turn = number % max(1, len(names))
            for place, name in enumerate(names[turn:] + names[:turn]):
                pipe, _ = lanes[name]
                pipe.send("go")
                lap = _answer(pipe, name)
                rows.append(
                    {"round": number, "place": place, "contestant": name, "amount": lap.amount, "seconds": lap.seconds}
                    | lap.details
                )
                say(f"round {number + 1} of {rounds}, {name}: {lap.amount:,.0f} in {lap.seconds:.2f} s")
    finally:
        for pipe, process in lanes.values():
            _stop(pipe, process)
    return rows, absent


def rates(rows: Sequence[Row], contestant: str) -> list[float]:
    """Return what the contestant did a second, round by round."""
    chosen = sorted((row for row in rows if row.get("contestant") == contestant), key=lambda row: row["round"])
    return [row["amount"] / row["seconds"] for row in chosen]


def ratios(rows: Sequence[Row], contestant: str, baseline: str) -> list[float]:
    """Return how many times the baseline's rate the contestant had, round by round.

    Raises:
        ValueError: if one of them has more rounds than the other.
    """
    pairs = zip(rates(rows, contestant), rates(rows, baseline), strict=True)
    return [own / other for own, other in pairs]


def write_rows(name: str, command: str, rows: Sequence[Row], **facts: Any) -> Path:
    """Write the rows to results/speed/NAME.jsonl, whole or not at all, and return the path.

    The first line says where they come from: command, date, versions, processor, cores, commit, and the facts given.
    """
    described = environment.describe(0, "cpu", "")
    for aside in ("threads", "device", "engine"):  # these differ between rows and stand there
        del described[aside]
    head = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "usable_cores": usable_cores(),
        "environment": described | {package: _version(package) for package in PACKAGES},
        **facts,
    }
    path = RESULTS / f"{name}.jsonl"
    write_text(path, "".join(json.dumps(row) + "\n" for row in [head, *rows]))
    return path


def read_rows(name: str) -> tuple[Row, list[Row]] | None:
    """Return the first line and the rows of results/speed/NAME.jsonl; None where there is no such file."""
    path = RESULTS / f"{name}.jsonl"
    if not path.exists():
        return None
    head, *rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return head, rows


def need_full_mnist() -> None:
    """End the program if only the sample is there: its numbers are not comparable with the full set's."""
    if data.load("mnist", notify=None).is_sample:
        sys.exit("the full MNIST is needed: name its folder in STEPLADDER_DATA, or go online once")


def measure_or_render(
    description: str | None,
    name: str,
    path: Path,
    measure: Callable[[int], list[Row]],
    page: Callable[[Row, list[Row]], str],
) -> None:
    """Read the command line (--seeds, --render); measure unless told not to, and write the page from the rows.

    Args:
        description: of the command.
        name: of the rows.
        path: of the page.
        measure: gives the rows for so many seeds.
        page: gives the page's text from the rows' first line and the rows.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--render", action="store_true", help="the page alone, from the rows that are there")
    arguments = parser.parse_args()
    if not arguments.render:
        need_full_mnist()
        write_rows(name, command_line(), measure(arguments.seeds), seeds=list(range(arguments.seeds)))
    stored = read_rows(name)
    if stored is None:
        sys.exit(f"there are no rows yet: python benchmarks/{name}.py")
    write_text(path, page(*stored))
    print(f"written: {path}")


def command_line() -> str:
    """Return the command that is running, as it can be typed in the project's folder."""
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _serve(contestant: Contestant, pipe: Connection) -> None:
    """Live as one contestant until nobody asks for turns any more."""
    # Ctrl-C reaches the whole group; the process that holds the contest stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        laps = contestant.laps(**contestant.arguments)
        pipe.send(next(laps))
        while pipe.recv():
            pipe.send(next(laps))
    except (EOFError, BrokenPipeError):
        pass
    except NotInstalledError as reason:
        pipe.send(reason)
    except Exception:
        pipe.send(traceback.format_exc())


def _answer(pipe: Connection, name: str) -> Lap:
    try:
        answer = pipe.recv()
    except EOFError:
        raise RuntimeError(f"{name} ended without a word") from None
    if isinstance(answer, NotInstalledError):
        raise answer
    if not isinstance(answer, Lap):
        raise RuntimeError(f"{name} failed:\n{answer}")
    return answer


def _stop(pipe: Connection, process: Any) -> None:
    """End a contestant and what it has started: it goes by itself when its pipe is closed, unless it is at work."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    pipe.close()
    process.join(timeout=_PATIENCE)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    process.join(timeout=_PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()
