"""What a person sees while runs train: live bars on a terminal, the guide's log lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from stepladder.durations import clock
from stepladder.runs import guide_log
from stepladder.workers import EpochFinished, Event, Failed, Finished, Job, Started, Stepped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


_EPOCHS_BEFORE_ESTIMATE = 4
_WIDE = 90


class Display(Protocol):
    """Something that shows events."""

    def show(self, event: Event) -> None:
        """Show one event."""


@contextmanager
def display(jobs: Sequence[Job], console: Console) -> Iterator[Display]:
    """Return live bars where the console is a terminal, plain lines where it is none."""
    if console.is_terminal:
        with _bars(console) as bars:
            yield _LiveDisplay(jobs, bars)
    else:
        yield _PlainDisplay(jobs, console)


class _PlainDisplay:
    """The log in the guide's form, each epoch one block, headed by its run where there are several."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self._several = len(jobs) > 1
        self._console = console
        self._left = sum(job.experiment.recipe.epochs for job in jobs)
        self._done = 0
        self._started = monotonic()

    def show(self, event: Event) -> None:
        if isinstance(event, EpochFinished):
            self._left -= 1
            if event.resumed:
                return
            self._done += 1
            heading = f"[{event.job.label}; {self._time_left()}]\n" if self._several else ""
            # Not through rich's markup: brackets in labels are brackets.
            print(heading + guide_log(event.row, event.time), file=self._console.file, flush=True)
        elif isinstance(event, Finished) and self._several:
            print(f"[{event.job.label}] finished\n", file=self._console.file, flush=True)
        elif isinstance(event, Failed):
            print(f"[{event.job.label}] {event.error.what}\n", file=self._console.file, flush=True)

    def _time_left(self) -> str:
        # Runs side by side end their first epochs together: before a few have ended the pace says little.
        if self._done < _EPOCHS_BEFORE_ESTIMATE:
            return f"{self._left} epochs left in all"
        pace = (monotonic() - self._started) / self._done
        return f"about {clock(pace * self._left)} left in all"


class _LiveDisplay:
    """One bar a run that is training, and one for the whole."""

    def __init__(self, jobs: Sequence[Job], bars: Progress) -> None:
        self._bars = bars
        self._epochs = sum(job.experiment.recipe.epochs for job in jobs)
        self._whole: TaskID | None = None
        if len(jobs) > 1:
            self._whole = bars.add_task("all runs", total=float(self._epochs), accuracy="", rate="")
        self._tasks: dict[Job, TaskID] = {}
        self._accuracy: dict[Job, str] = {}

    def show(self, event: Event) -> None:
        job = event.job
        if isinstance(event, Started):
            total = float(job.experiment.recipe.epochs)
            self._tasks[job] = self._bars.add_task(job.label, total=total, accuracy="", rate="")
            return
        task = self._tasks[job]
        if isinstance(event, Stepped):
            progress = event.progress
            rate = progress.step * job.experiment.recipe.batch_size / max(progress.seconds, 1e-9)
            self._bars.update(
                task,
                completed=progress.epoch - 1 + progress.step / progress.steps,
                rate=f"{rate:,.0f} img/s",
            )
        elif isinstance(event, EpochFinished):
            self._accuracy[job] = f"{event.row.evaluation_accuracy:.2f}%"
            self._bars.update(task, completed=float(event.row.epoch), accuracy=self._accuracy[job])
            if self._whole is not None:
                self._bars.advance(self._whole, 1)
        elif isinstance(event, Finished):
            # With several runs the finished make room for those that still train.
            self._bars.update(task, visible=self._whole is None, refresh=True)
            last = self._accuracy.get(job, "")
            self._bars.console.print(f"{job.label}: finished {last}", markup=False, highlight=False)
        elif isinstance(event, Failed):
            self._bars.update(task, visible=False, refresh=True)
            self._bars.console.print(f"{job.label}: {event.error.what}", markup=False, highlight=False)


def _bars(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    # A narrow window goes without bars and rates, so that names, epochs and time left stay whole.
    wide = console.width >= _WIDE
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", table_column=Column(ratio=2, no_wrap=True, overflow="ellipsis"))
    ]
    if wide:
        columns.append(BarColumn(bar_width=None, table_column=Column(ratio=1)))
    texts = ["epoch {task.completed:.1f}/{task.total:.0f}", "{task.fields[accuracy]}", "{task.fields[rate]}"]
    if not wide:
        texts = ["{task.completed:.1f}/{task.total:.0f}", "{task.fields[accuracy]}"]
    columns += [TextColumn(text, table_column=Column(no_wrap=True)) for text in texts]
    columns.append(TimeRemainingColumn(compact=not wide, table_column=Column(no_wrap=True)))
    return Progress(*columns, console=console, expand=True)
