"""Where runs execute: side by side, one process a core with one thread each.

Processes are started afresh ("spawn"), so they behave alike on Linux, macOS and Windows. A worker sends events
through its pipe; it never writes to the terminal.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from stepladder.errors import RunError, StepladderError
from stepladder.runs import EpochRow, EpochTime
from stepladder.spec import Experiment

if TYPE_CHECKING:
    from stepladder.loop import Progress

_SECONDS_BETWEEN_PROGRESS = 0.2


@dataclass(frozen=True)
class Job:
    """One run to execute: its label for people, what to train, and where to keep it."""

    label: str
    experiment: Experiment
    folder: Path


@dataclass(frozen=True)
class Started:
    """A job began to train or to go on."""

    job: Job


@dataclass(frozen=True)
class Stepped:
    """A job is somewhere inside an epoch."""

    job: Job
    progress: Progress


@dataclass(frozen=True)
class EpochFinished:
    """A job finished an epoch; ``resumed`` when an earlier process had trained it."""

    job: Job
    row: EpochRow
    time: EpochTime
    resumed: bool


@dataclass(frozen=True)
class Finished:
    """A job's result is in its folder."""

    job: Job


Event = Started | Stepped | EpochFinished | Finished


def usable_cores() -> int:
    """Return the cores that this process may use: container and affinity limits count."""
    import psutil

    with suppress(AttributeError, OSError):  # macOS knows no affinity
        return max(1, len(psutil.Process().cpu_affinity()))
    return psutil.cpu_count(logical=False) or 1


def execute(
    jobs: Sequence[Job],
    *,
    workers: int,
    data_dir: Path | None = None,
    device: str | None = None,
) -> Iterator[Event]:
    """Train all jobs, at most ``workers`` at a time, and yield what happens as it happens.

    Jobs start in their order. When one fails, or the consumer stops, the others are stopped too; every one of them
    can go on from its last finished epoch.

    Raises:
        StepladderError: the error of the first job that failed.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)
    active: dict[Connection, tuple[Job, Any]] = {}
    try:
        while waiting or active:
            while waiting and len(active) < workers:
                job = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_work, args=(job, data_dir, device, sender), name=job.label, daemon=True
                )
                process.start()
                sender.close()
                active[receiver] = (job, process)
            for ready in wait(list(active)):
                assert isinstance(ready, Connection)
                job, process = active[ready]
                try:
                    message = ready.recv()
                except EOFError:
                    message = _died(job, process)
                if isinstance(message, BaseException):
                    raise message
                yield message
                if isinstance(message, Finished):
                    process.join()
                    ready.close()
                    del active[ready]
    finally:
        for receiver, (_, process) in active.items():
            process.terminate()
            process.join()
            receiver.close()


def train_here(
    job: Job, send: Callable[[Event], None], *, data_dir: Path | None, device: str | None, threads: int | None
) -> None:
    """Train one job in this process and send its events.

    Raises:
        StepladderError: as ``stepladder.train.train`` does.
    """
    from stepladder import data
    from stepladder.runs import RunFolder
    from stepladder.train import train

    dataset = data.load(job.experiment.data, data_dir=data_dir, offline=True)
    with RunFolder(job.folder, job.experiment) as folder:
        stored = folder.checkpoint()
    resumed = len(stored.rows) if stored else 0
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _SECONDS_BETWEEN_PROGRESS or progress.step == progress.steps:
            last = now
            send(Stepped(job, progress))

    send(Started(job))
    stream = train(job.experiment, dataset, job.folder, threads=threads, device=device, report=report)
    for row, time in stream:
        send(EpochFinished(job, row, time, resumed=row.epoch <= resumed))
    send(Finished(job))


def _work(job: Job, data_dir: Path | None, device: str | None, sender: Connection) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        train_here(job, sender.send, data_dir=data_dir, device=device, threads=1)
    except StepladderError as error:
        sender.send(error)
    except BrokenPipeError:
        return  # the parent is gone: nobody is left to tell
    except Exception:
        sender.send(RunError("a worker failed", given=job.label + "\n" + traceback.format_exc(), repair="report this"))


def _died(job: Job, process: Any) -> StepladderError:
    process.join()
    return RunError(
        "a worker process ended without a word",
        given=f"{job.label}, exit code {process.exitcode}",
        repair="the system may be short of memory: try --workers 1; the same command goes on where it stopped",
    )
