"""What commands share: options and their help, the terminal, data sets with bars, experiments with settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.commands.subjects import unknown
from stepladder.errors import SpecError

if TYPE_CHECKING:
    from rich.console import Console

    from stepladder.data import Dataset
    from stepladder.spec import Experiment

DATA = (
    "Data set: mnist, mnist-sample, fashion-mnist, kmnist, qmnist, emnist-letters, emnist-balanced, cifar10, digits, "
    "or the path of your own: a folder with a subfolder a class, a folder of IDX files, an .npz, .npy or CSV file."
)
Data = Annotated[str, typer.Option(metavar="NAME|PATH", help=DATA)]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder that holds the data (mnist/, MNIST/raw, or the files). Default: $STEPLADDER_DATA; where that is "
        "unset, the cache, then a download."
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="N|ROWSxCOLUMNS",
        help="Pixels to bring images to, such as 28 or 28x32. Default: the size of nine in ten images "
        "or more, else a square of the median of their shorter sides, 64 at most.",
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda. Default: a GPU where there is one.")]
Subject = Annotated[
    str,
    typer.Argument(
        metavar="NET|EXPERIMENT.toml|NAME", help="A one-line net, an experiment file, or the name of an experiment."
    ),
]
ExperimentData = Annotated[
    str | None, typer.Option(metavar="NAME|PATH", help=DATA + " Default: the experiment's, or mnist.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed. Default: the experiment's, or 0.")]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="Threads. Default: torch's choice.")]
PRECISION = "float32, bfloat16, or auto: whichever a short measurement finds to be faster."
TableFormat = Annotated[str, typer.Option(help="text, json or markdown.")]


def new_console(format: str = "text") -> Console:
    """Return what lines and bars are shown on: standard output, as it is at this moment.

    Args:
        format: that of the answer. Any but text has standard output for itself, so that JSON stays JSON.
    """
    from rich.console import Console

    return Console(stderr=format != "text", highlight=False)


def say(console: Console, text: str) -> None:
    """Print plain text where the console writes, at once."""
    print(text, file=console.file, flush=True)


def command_line() -> str:
    """Return the command line that this process was started with, quoted for a shell."""
    import shlex

    return shlex.join(["stepladder", *sys.argv[1:]])


def folder_name(name: str) -> str:
    """Return a folder's name as it is.

    Raises:
        SpecError: if it is empty, leads elsewhere, or holds what some file systems do not take.
    """
    if not name or name in (".", "..") or any(character in name for character in '/\\:*?"<>|\0'):
        raise SpecError("this is no name for a folder", given=repr(name), repair="use letters, digits and dashes")
    return name


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C during training into one line that says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last finished epoch", file=sys.stderr)
        raise typer.Exit(130) from None


def load(name: str, data_dir: Path | None, console: Console, size: str | None = None) -> Dataset:
    """Return a data set by its name or path; a terminal shows bars while files are downloaded or read.

    Args:
        name: of the catalogue, or a path.
        data_dir: folder that holds data of the catalogue.
        console: where bars and lines are shown.
        size: pixels to bring images to, such as 28 or 28x32.

    Raises:
        DataError: if there is no such data, or it cannot be read.
        SpecError: if the size is none.
    """
    from rich.progress import BarColumn, Progress, TextColumn

    from stepladder import data

    wanted = data.parse_size(size) if size is not None else None
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    tasks: dict[str, Any] = {}

    def progress(what: str, so_far: int, total: int | None) -> None:
        is_reading = what in data.READING
        if what not in tasks:
            tasks[what] = bars.add_task(what if is_reading else f"downloading {what}", total=total, amount="")
            if not console.is_terminal and not is_reading:
                size = f" ({total:,} bytes)" if total else ""
                say(console, f"downloading {what}{size}")
        unit, each = ("", 1) if is_reading else (" kB", 1000)
        amount = f"{so_far // each:,}{unit}" + (f" of {total // each:,}{unit}" if total else "")
        bars.update(tasks[what], completed=so_far, amount=amount)

    with bars:
        return data.load(
            name, size=wanted, data_dir=data_dir, notify=lambda line: say(console, line), progress=progress
        )


def experiment_and_data(
    console: Console,
    what: str,
    *,
    data: str | None,
    size: str | None,
    data_dir: Path | None,
    seed: int | None,
    protocol: str | None,
    settings: list[str] | None,
    holdout_size: int | None = None,
) -> tuple[Experiment, Dataset]:
    """Return the experiment that a net, a file or a name stands for, and its data; the experiment names that data."""
    experiment = read_experiment(
        what, data=data, seed=seed, protocol=protocol, settings=settings or [], holdout_size=holdout_size
    )
    dataset = load(experiment.data, data_dir, console, size)
    return experiment.model_copy(update={"data": dataset.name}), dataset


def read_experiment(
    what: str,
    *,
    data: str | None,
    seed: int | None,
    protocol: str | None,
    settings: list[str],
    holdout_size: int | None = None,
) -> Experiment:
    """Return the experiment that a net, a file or a name stands for, with what options change in it.

    Args:
        what: a one-line net, a file whose name ends in .toml, or the name of an experiment.
        data: the data set, if not the experiment's.
        seed: if not the experiment's.
        protocol: if not the experiment's.
        settings: fields of the recipe, such as epochs=3 or schedule.kind=one-cycle.
        holdout_size: images held out of the training set, if not the experiment's.

    Raises:
        SpecError: with every mistake in it.
    """
    import difflib
    import tomllib

    from stepladder.experiments import NAMES, named
    from stepladder.files import read_text
    from stepladder.spec import Experiment

    values: dict[str, Any] = {"net": what}
    known = named(what)
    if known is not None:
        values = known.model_dump(mode="json")
    elif what.endswith(".toml"):
        values = Experiment.from_toml(read_text(Path(what), "the experiment file"), what).model_dump(mode="json")
    elif difflib.get_close_matches(what.lower(), NAMES, cutoff=0.7):
        raise unknown("experiment", what, NAMES)
    given = {"data": data, "seed": seed, "protocol": protocol, "holdout_size": holdout_size}
    values |= {key: value for key, value in given.items() if value is not None}
    recipe = values.setdefault("recipe", {})
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise SpecError("a setting is a field and a value", given=f"--set {setting}", repair="write field=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text  # words need no quotes
        *path, last = key.strip().split(".")
        inner = recipe
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise SpecError("this field holds no fields", given=f"--set {setting}", repair=f"set {part} itself")
        if last == "kind":
            inner.clear()  # another kind of schedule has other fields
        inner[last] = value
    return Experiment.read(values, "the experiment")
