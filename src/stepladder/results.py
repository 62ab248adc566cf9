"""Finished things opened to be looked at: a run, runs side by side, a climb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stepladder import text
from stepladder.displayed import Displayed
from stepladder.runs import FinishedRun, open_finished
from stepladder.text import Compared, Facts


@dataclass(frozen=True)
class Comparison(Displayed):
    """Runs side by side, the first of them the baseline; prints as text, shows as HTML in a notebook."""

    runs: tuple[Compared, ...]

    def __str__(self) -> str:
        """Return the table that ``stepladder compare`` prints."""
        return text.as_text(self.runs).rstrip("\n")

    @property
    def labels(self) -> tuple[str, ...]:
        """Return a name for each run: its folder's, or the whole path where two folders are called the same."""
        names = tuple(Path(run.name).name for run in self.runs)
        return names if len(set(names)) == len(names) else tuple(run.name for run in self.runs)


@dataclass(frozen=True)
class Climb(Displayed):
    """The facts of a climb, as its report shows them; prints as text, shows as HTML in a notebook."""

    facts: Facts

    def __str__(self) -> str:
        """Return steps, verdict and place, as ``stepladder climb`` prints them."""
        return text.climb_summary(self.facts).strip("\n")


def open_run(folder: Path | str) -> FinishedRun:
    """Return the finished run in a folder.

    Raises:
        RunError: if the folder holds no finished run, a damaged one, or one of a later format.
    """
    return open_finished(Path(folder))


def compare_runs(folders: Sequence[Path | str]) -> Comparison:
    """Return finished runs side by side, each with its difference to the first.

    Differences are in percentage points with 95% intervals, paired by image.

    >>> print(compare_runs(["runs/plain", "runs/augmented"]))  # doctest: +SKIP

    Raises:
        RunError: if there are no folders, one holds no finished run, or the runs were evaluated on different images.
    """
    return Comparison(tuple(text.compared([Path(folder) for folder in folders])))


def open_climb(folder: Path | str) -> Climb:
    """Return what a climb's folder says.

    Raises:
        RunError: if it holds no facts, or they are damaged or of a later format.
    """
    from stepladder import facts

    return Climb(facts.read(Path(folder)))
