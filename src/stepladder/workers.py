"""Where runs execute: side by side, one process a core with one thread each; on a GPU all seeds of a step at once.

Processes are started afresh ("spawn"), so they behave alike on Linux, macOS and Windows. A worker takes one group of
jobs after another through its pipe and sends events back; it never writes to the terminal.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from stepladder.errors import RunError, StepladderError, TrainingError
from stepladder.runs import EpochRow, EpochTime
from stepladder.spec import Experiment

if TYPE_CHECKING:
    from stepladder.data import Dataset
    from stepladder.loop import Progress
    from stepladder.profile_view import Profiler

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


@dataclass(frozen=True)
class Failed:
    """A job's loss stopped being a number; other jobs go on."""

    job: Job
    error: TrainingError


Event = Started | Stepped | EpochFinished | Finished | Failed


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
    together: bool | None = None,
    keep_going: bool = False,
    pool: Pool | None = None,
) -> Iterator[Event]:
    """Train all jobs in at most ``workers`` processes at a time and yield what happens as it happens.

    Jobs start in their order. When one fails, or the consumer stops, the others are stopped too; every one of them
    can go on from its last finished epoch.

    Args:
        jobs: what to train.
        workers: processes.
        data_dir: folder that holds the data.
        device: "cpu" or "cuda"; None takes a GPU where there is one.
        together: whether jobs that differ in their seeds alone are trained at once as one net, where that can be; None
            does so on a GPU, where several such nets take about the time of one.
        keep_going: whether a job whose loss stops being a number yields ``Failed`` and leaves the others alone.
        pool: where processes come from and stay for later calls; None starts some for this call.

    Raises:
        StepladderError: the error of the first job that failed.
    """
    finished = {job: rows for job in jobs if (rows := _rows_if_finished(job)) is not None}
    if together is None:
        together = 1 < len(jobs) > len(finished) and _is_on_gpu(device)
    waiting = _groups_to_train(jobs, finished, together)
    for job in jobs:
        if not any(job in group for group in waiting):
            yield Started(job)
            for row, time in finished[job]:
                yield EpochFinished(job, row, time, resumed=True)
            yield Finished(job)
    processes = pool or Pool()
    active: dict[Connection, tuple[tuple[Job, ...], set[Job], _Process]] = {}
    try:
        while waiting or active:
            while waiting and len(active) < workers:
                group = waiting.pop(0)
                process = processes.take(data_dir, device)
                active[process.connection] = (group, set(group), process)
                process.begin(group)
            for ready in wait(list(active)):
                assert isinstance(ready, Connection)
                group, left, process = active[ready]
                message = process.hear(group)
                if keep_going and isinstance(message, TrainingError):
                    yield from (Failed(job, message) for job in group if job in left)
                    left.clear()
                elif isinstance(message, BaseException):
                    raise message
                else:
                    yield message
                    if isinstance(message, Finished):
                        left.remove(message.job)
                if not left:
                    del active[ready]
                    processes.give_back(process)
    finally:
        for _, _, process in active.values():
            process.stop()
        if pool is None:
            processes.close()


class Pool:
    """Processes that wait for jobs, so that short runs do not each wait for torch to be imported and data to be read.

    Close it, or use it in a with statement; a process whose owner is gone ends by itself.
    """

    def __init__(self) -> None:
        self._idle: list[_Process] = []

    def __enter__(self) -> Pool:
        """Return the pool."""
        return self

    def __exit__(self, *error: object) -> None:
        """End its processes."""
        self.close()

    def take(self, data_dir: Path | None, device: str | None) -> _Process:
        """Return a process that waits for jobs on this device with data from this folder, or a new one."""
        for process in self._idle:
            if process.place == (data_dir, device) and process.is_alive():
                self._idle.remove(process)
                return process
        return _Process(data_dir, device)

    def give_back(self, process: _Process) -> None:
        """Keep a process for later jobs."""
        self._idle.append(process)

    def close(self) -> None:
        """End the processes that wait."""
        for process in self._idle:
            process.stop()
        self._idle.clear()


class _Process:
    """A worker process and the pipe to it."""

    def __init__(self, data_dir: Path | None, device: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.place = (data_dir, device)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(data_dir, device, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def begin(self, group: tuple[Job, ...]) -> None:
        # One that died meanwhile is told of when its answer is waited for.
        with suppress(OSError):
            self.connection.send(group)

    def hear(self, group: tuple[Job, ...]) -> Any:
        """Return its next event, or the error that ended the group."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return RunError(
                "a worker process ended without a word",
                given=f"{_labels(group)}, exit code {self._process.exitcode}",
                repair="the system may be short of memory: try --workers 1; the same command goes on where it stopped",
            )

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self.connection.close()


def group_by_seed(jobs: Sequence[Job]) -> list[tuple[Job, ...]]:
    """Return the jobs in groups that differ in their seeds alone, in the order of each group's first."""
    groups: dict[Experiment, list[Job]] = {}
    for job in jobs:
        groups.setdefault(job.experiment.model_copy(update={"seed": 0}), []).append(job)
    return [tuple(group) for group in groups.values()]


def _groups_to_train(jobs: Sequence[Job], finished: Collection[Job], together: bool) -> list[tuple[Job, ...]]:
    """Return what each process is to train: the jobs that are not finished, by themselves or together."""
    if not together:
        return [(job,) for job in jobs if job not in finished]
    groups = []
    for group in group_by_seed(jobs):
        left = tuple(job for job in group if job not in finished)
        # Stopped between two results: the last evaluation has to be of the same nets at once for the same bits.
        if left and all(_epochs_kept(job) == job.experiment.recipe.epochs for job in group):
            left = group
        if left:
            groups.append(left)
    return groups


def train_here(
    job: Job,
    send: Callable[[Event], None],
    *,
    data_dir: Path | None,
    device: str | None,
    threads: int | None,
    profiler: Profiler | None = None,
    load: Callable[[str], Dataset] | None = None,
) -> None:
    """Train one job in this process and send its events.

    Args:
        job: what to train.
        send: is given each event.
        data_dir: folder that holds the data.
        device: "cpu" or "cuda"; None takes a GPU where there is one.
        threads: torch's threads; None leaves them alone.
        profiler: listens to where the time goes.
        load: returns the data set of a name; None reads it afresh.

    Raises:
        StepladderError: as ``stepladder.train.train`` does.
    """
    from stepladder.train import train

    dataset = (load or _reader(data_dir))(job.experiment.data)
    resumed = _epochs_kept(job)
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= _SECONDS_BETWEEN_PROGRESS or progress.step == progress.steps:
            last = now
            send(Stepped(job, progress))

    send(Started(job))
    stream = train(
        job.experiment, dataset, job.folder, threads=threads, device=device, report=report, profiler=profiler
    )
    for row, time in stream:
        send(EpochFinished(job, row, time, resumed=row.epoch <= resumed))
    send(Finished(job))


def train_together(
    jobs: Sequence[Job],
    send: Callable[[Event], None],
    *,
    data_dir: Path | None,
    device: str | None,
    threads: int | None,
    load: Callable[[str], Dataset] | None = None,
) -> None:
    """Train jobs that differ in their seeds alone, at once where that can be, and send their events.

    Where it cannot be (the recipe has what cannot be batched, or the runs are at different epochs) they are trained one
    after another.

    Raises:
        StepladderError: as ``stepladder.many.train_many`` and ``stepladder.train.train`` do.
    """
    from stepladder.many import can_go_on, obstacle, train_many

    experiment = jobs[0].experiment
    experiments = [job.experiment for job in jobs]
    folders = [job.folder for job in jobs]
    if len(jobs) == 1 or obstacle(experiment.recipe) is not None or not can_go_on(experiments, folders):
        for job in jobs:
            train_here(job, send, data_dir=data_dir, device=device, threads=threads, load=load)
        return
    resumed = min(_epochs_kept(job) for job in jobs)
    for job in jobs:
        send(Started(job))

    def report(progress: Progress) -> None:
        for job in jobs:
            send(Stepped(job, progress))

    dataset = (load or _reader(data_dir))(experiment.data)
    seeds = [job.experiment.seed for job in jobs]
    for rows, time in train_many(experiment, dataset, seeds, folders, threads=threads, device=device, report=report):
        for job, row in zip(jobs, rows, strict=True):
            send(EpochFinished(job, row, time, resumed=row.epoch <= resumed))
    for job in jobs:
        send(Finished(job))


def _rows_if_finished(job: Job) -> list[tuple[EpochRow, EpochTime]] | None:
    """Return what a finished run's folder holds, which costs neither a process nor torch; None where work is left."""
    from stepladder.runs import RunFolder, open_finished

    with RunFolder(job.folder, job.experiment) as folder:
        if not folder.is_finished():
            return None
    try:
        run = open_finished(job.folder)
    except RunError:
        return None  # whoever trains it makes it whole, or says what is wrong
    return list(zip(run.rows, run.times, strict=True)) if len(run.rows) == len(run.times) else None


def _epochs_kept(job: Job) -> int:
    from stepladder.runs import RunFolder

    with RunFolder(job.folder, job.experiment) as folder:
        stored = folder.checkpoint()
    return len(stored.rows) if stored else 0


def _is_on_gpu(device: str | None) -> bool:
    from stepladder.train import choose_device

    return choose_device(device).type != "cpu"


def _reader(data_dir: Path | None) -> Callable[[str], Dataset]:
    from stepladder import data

    return lambda name: data.load(name, data_dir=data_dir, offline=True)


def _serve(data_dir: Path | None, device: str | None, connection: Connection) -> None:
    """Train one group of jobs after another until nobody asks any more."""
    # Ctrl-C reaches the whole process group; the parent decides what to do about it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load = lru_cache(maxsize=1)(_reader(data_dir))
    while True:
        try:
            jobs = connection.recv()
        except (EOFError, OSError):
            return
        try:
            train_together(jobs, connection.send, data_dir=data_dir, device=device, threads=1, load=load)
        except StepladderError as error:
            connection.send(error)
        except BrokenPipeError:
            return  # the parent is gone: nobody is left to tell
        except Exception:
            given = _labels(jobs) + "\n" + traceback.format_exc()
            connection.send(RunError("a worker failed", given=given, repair="report this"))


def _labels(jobs: Sequence[Job]) -> str:
    return ", ".join(job.label for job in jobs)
