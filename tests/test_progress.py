"""Live bars: one row a run, whole in windows of any width."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from stepladder.loop import Progress
from stepladder.progress import display
from stepladder.runs import EpochRow, EpochTime
from stepladder.spec import Experiment
from stepladder.workers import EpochFinished, Finished, Job, Started, Stepped

JOBS = [
    Job(
        f"seed {seed}: With a learning-rate schedule",
        Experiment.read({"net": "8C3 GAP 10C1", "seed": seed}, "it"),
        Path(),
    )
    for seed in (0, 1)
]
ROW = EpochRow(1, 469, 0.1, 0.1, 0.1, 50_000, 60_000, "test", 0.1, 9_876, 10_000)


def shown(width: int) -> list[str]:
    """Return the last picture of two runs in the middle of their second epoch."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=20, color_system=None)
    with display(JOBS, console) as bars:
        for job in JOBS:
            bars.show(Started(job))
            bars.show(EpochFinished(job, ROW, EpochTime(10, 1), resumed=False))
            bars.show(Stepped(job, Progress(2, 235, 469, 0.1, 98.0, 6.0)))
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", console.file.getvalue())
    return [line.rstrip() for line in text.splitlines() if line.strip()][-3:]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_row_a_run_says_what_epoch_accuracy_and_time(width: int) -> None:
    whole, first, second = shown(width)
    assert "2.0/30" in whole
    for line, seed in ((first, 0), (second, 1)):
        assert len(line) <= width
        assert line.startswith(f"seed {seed}: With a")
        assert "1.5/15" in line
        assert "98.76%" in line
        assert re.search(r"\d:\d\d$|--:--$", line)
    assert ("img/s" in first) == (width >= 90)


def test_a_finished_run_makes_room_and_leaves_a_line() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=20, color_system=None)
    with display(JOBS, console) as bars:
        for job in JOBS:
            bars.show(Started(job))
            bars.show(EpochFinished(job, ROW, EpochTime(10, 1), resumed=False))
        bars.show(Finished(JOBS[0]))
    assert isinstance(console.file, io.StringIO)
    assert "seed 0: With a learning-rate schedule: finished 98.76%" in console.file.getvalue()
