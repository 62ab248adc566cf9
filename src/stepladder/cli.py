"""The command line: one handler a command. Heavy imports stay inside the handlers, so that --help is fast."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.commands.ascend import asks_questions, ladder_app
from stepladder.commands.data import data as survey
from stepladder.commands.design import design
from stepladder.commands.inspect import inspect
from stepladder.commands.subjects import unknown
from stepladder.errors import SpecError, StepladderError

if TYPE_CHECKING:
    from rich.console import Console

    from stepladder.data import Dataset
    from stepladder.spec import Experiment

app = typer.Typer(
    help="Climb, one measured step at a time, to a small convolutional network that meets an accuracy target under a "
    "parameter budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

_DATA = (
    "Data set: mnist, mnist-sample, fashion-mnist, kmnist, qmnist, emnist-letters, emnist-balanced, cifar10, digits, "
    "or the path of your own: a folder with a subfolder a class, a folder of IDX files, an .npz, .npy or CSV file."
)
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder that holds the data (mnist/, MNIST/raw, or the files). Default: $STEPLADDER_DATA, then the cache, "
        "then a download."
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="N|ROWSxCOLUMNS",
        help="Pixels to bring images to, such as 28 or 28x32. Default: the most common size, or that of most images.",
    ),
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda. Default: a GPU where there is one.")]


@app.command()
def climb(
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help=_DATA)] = "mnist",
    size: Size = None,
    ladder: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="classic: the guide's three experiments. full, or a file: asks what each technique is worth on "
            "held-out images, keeps what is, and looks at the test set once.",
        ),
    ] = "classic",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of every run.")] = 15,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Runs of every step or candidate, with seeds 0, 1, 2, … Default: 1; 3 where candidates are compared.",
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Accuracy to reach, in percent. Default: the ladder's."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Trainable parameters to stay below. Default: the ladder's.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="reference: log the test set, choose nothing. holdout: log images split from training. Default: "
            "reference; ladders that compare candidates always hold out."
        ),
    ] = None,
    compare_schedules: Annotated[
        bool, typer.Option("--compare-schedules", help="Also train the last step with other schedules.")
    ] = False,
    precision: Annotated[
        str,
        typer.Option(
            help="float32, bfloat16, or auto: whichever a short measurement finds to be faster. A climb that goes on "
            "keeps what it began with."
        ),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Runs side by side, one thread each. Default: one a core."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the climb's folder. Default: ladder and data set.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder that climbs are kept in.")] = Path("climbs"),
    data_dir: DataDir = None,
    device: Device = None,
) -> None:
    """Climb a ladder: train its steps, judge the goal, write the report."""
    from dataclasses import replace
    from time import perf_counter

    from stepladder import facts as facts_module
    from stepladder import precision as precisions
    from stepladder.climb import ClimbOptions, plan, run
    from stepladder.data import short_name
    from stepladder.progress import clock, display
    from stepladder.report import write_report
    from stepladder.text import climb_summary
    from stepladder.workers import usable_cores

    began = perf_counter()
    if asks_questions(ladder):
        if protocol is not None or compare_schedules:
            raise SpecError(
                "a ladder that compares candidates has its own protocol and schedules",
                given="--protocol" if protocol is not None else "--compare-schedules",
                repair="leave it out",
            )
        _ascend(
            ladder, data, size, epochs, seeds or 3, target, budget, precision, workers, name, folder, data_dir, device
        )
        return
    seeds = seeds or 1
    options = ClimbOptions(
        ladder=ladder,
        epochs=epochs,
        seeds=seeds,
        protocol=protocol or "reference",
        target=target,
        budget=budget,
        compare_schedules=compare_schedules,
        command=_command_line(),
    )
    options.resolve()  # mistakes in it are found before the data is looked for
    console = _console()
    dataset = _load(data, data_dir, console, size)
    options = replace(options, classes=len(dataset.classes))
    last = options.resolve().steps[-1]
    place = folder / _folder_name(name or f"{ladder}-{short_name(dataset.name)}")
    plan(options, dataset, place)  # mistakes are found before anything is measured
    begun = sorted((place / "runs").glob("*"))
    choice = precisions.choose(precision, last.net, last.recipe, dataset.input_shape, begun, device)
    _say(console, f"precision: {choice}")
    options = replace(options, precision=choice.precision)
    rungs = plan(options, dataset, place)
    jobs = [job for rung in rungs for job in rung.jobs]
    count = min(workers or usable_cores(), len(jobs))
    _say(console, f"{len(jobs)} runs of {epochs} epochs on {dataset.title}, {count} at a time; folder: {place}")
    with _interruptible(), display(jobs, console) as shown:
        for event in run(rungs, workers=count, data_dir=data_dir, device=device):
            shown.show(event)
    found = facts_module.gather(options, rungs, dataset, wall_seconds=perf_counter() - began, precision=choice)
    facts_module.save(found, place)
    pages = write_report(place)
    _say(console, climb_summary(found))
    _say(console, f"report: {pages.html}\n        {pages.markdown}\ntime: {clock(perf_counter() - began)}")


@app.command()
def train(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NET|EXPERIMENT.toml|NAME",
            help="A one-line net, an experiment file, or the name of an experiment. fast: to 99.4% on MNIST in the "
            "least compute.",
        ),
    ],
    run: Annotated[Path, typer.Option(help="Run folder; the same command goes on there after a stop.")],
    data: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help=_DATA + " Default: the experiment's, or mnist.")
    ] = None,
    size: Size = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed. Default: the experiment's, or 0.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Train with so many seeds, from --seed up, each in its own folder in the run folder (seed0, …); on a "
            "GPU all at once, elsewhere one a core.",
        ),
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="reference or holdout.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field of the recipe, such as --set epochs=3 or --set schedule.kind=one-cycle.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, bfloat16, or auto: whichever a short measurement finds to be faster. Default: the "
            "experiment's."
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=1024, help="Threads. Default: torch's choice.")] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where an epoch's time goes when training is done.")
    ] = False,
    data_dir: DataDir = None,
    device: Device = None,
) -> None:
    """Train one experiment in a run folder."""
    from stepladder.profile_view import Profiler
    from stepladder.progress import display
    from stepladder.workers import Job, train_here

    console = _console()
    experiment = _experiment(what, data=data, seed=seed, protocol=protocol, settings=settings or [])
    dataset = _load(experiment.data, data_dir, console, size)
    experiment = experiment.model_copy(update={"data": dataset.name})
    experiment = _in_precision(experiment, what, precision, run, dataset, device, console)
    if not console.is_terminal:
        _say(console, f"data: {dataset.title}")
    if seeds is not None:
        if profile or threads is not None:
            raise SpecError(
                "a profile and a number of threads are for one run",
                given="--seeds with " + ("--profile" if profile else "--threads"),
                repair="leave out one of them",
            )
        _train_seeds(experiment, seeds, run, dataset, data_dir, device, console)
        return
    profiler = Profiler() if profile else None
    job = Job(dataset.title, experiment, run)
    with _interruptible(), display([job], console) as shown:
        train_here(job, shown.show, data_dir=data_dir, device=device, threads=threads, profiler=profiler)
    from stepladder.runs import open_finished

    last = open_finished(run).rows[-1]
    _say(
        console,
        f"{dataset.title}: training {last.train_accuracy:.2f}%, {last.split} {last.evaluation_accuracy:.2f}% at epoch "
        f"{last.epoch}; run: {run}",
    )
    if profiler is not None:
        _say(console, "\n" + profiler.report())


app.command()(design)
app.command()(inspect)
app.command(name="data")(survey)
app.add_typer(ladder_app, name="ladder")


@app.command()
def draw(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="NET|EXPERIMENT.toml|FOLDER",
            help="A one-line net, an experiment file, a run folder or a climb's folder.",
        ),
    ],
    kind: Annotated[
        str, typer.Option(help="architecture, field, augmentation, schedule, curves, errors or confusion.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; its name ends in .svg, .png or .pdf.")],
    input: Annotated[
        str | None, typer.Option(help="Input shape: channels x rows x columns. Default: the run's, or 1x28x28.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="Data set whose images it shows. Default: the run's.")
    ] = None,
    size: Size = None,
    data_dir: DataDir = None,
) -> None:
    """Draw one picture of a net, an experiment, a run or a climb."""
    from stepladder.files import write_bytes
    from stepladder.pictures import draw as pictures

    suffix = pictures.suffix_of(output)
    console = _console()
    figure = pictures.draw(subject, kind, lambda name: _load(data or name, data_dir, console, size), input)
    from stepladder.pictures.style import save

    write_bytes(output, save(figure, suffix))
    print(output)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished climb.")]) -> None:
    """Render a climb's report again, from its facts alone."""
    from stepladder.report import write_report

    pages = write_report(folder)
    print(f"{pages.html}\n{pages.markdown}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, the first the baseline.")],
    format: Annotated[str, typer.Option(help="text, json or markdown.")] = "text",
) -> None:
    """Print finished runs side by side, with the difference of each to the first."""
    from stepladder.text import COMPARISON_STYLES, comparison

    if format not in COMPARISON_STYLES:
        raise unknown("format", format, COMPARISON_STYLES)
    print(comparison(runs, format), end="")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run, or of a climb: its last step's first run.")],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Photographs, scans or drawings, one object or digit each.")
    ],
    top: Annotated[int, typer.Option(min=1, help="Classes to name for each image, the likeliest first.")] = 3,
    show: Annotated[bool, typer.Option("--show", help="Also show what the net saw of each image.")] = False,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Ask a finished run's net about your own images; the exit code is 2 if any has no answer."""
    from stepladder import predict as module

    if format not in module.STYLES:
        raise unknown("format", format, module.STYLES)
    answers = module.predict(run, module.expand(images))
    print(module.render(answers, format, top=top, show=show), end="", flush=True)
    errors = [answer.error for answer in answers if answer.error is not None]
    for error in errors:
        print(f"stepladder: {error}", file=sys.stderr)
    if errors:
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; every mistake a user can make ends in one message and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # Tables hold characters that an old code page lacks; a replacement beats a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except StepladderError as error:
        print(f"stepladder: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe left, such as head: not an error, but nothing more can be printed either.
        sys.stderr.close()
        sys.exit(141)


def _train_seeds(
    experiment: Experiment,
    count: int,
    folder: Path,
    dataset: Dataset,
    data_dir: Path | None,
    device: str | None,
    console: Console,
) -> None:
    from stepladder.evaluate import deviation, mean, percent
    from stepladder.progress import display
    from stepladder.runs import open_finished
    from stepladder.workers import Job, execute, usable_cores

    jobs = [
        Job(f"seed {seed}", experiment.model_copy(update={"seed": seed}), folder / f"seed{seed}")
        for seed in range(experiment.seed, experiment.seed + count)
    ]
    with _interruptible(), display(jobs, console) as shown:
        for event in execute(jobs, workers=min(usable_cores(), count), data_dir=data_dir, device=device):
            shown.show(event)
    rows = [open_finished(job.folder).rows[-1] for job in jobs]
    accuracies = [row.evaluation_accuracy for row in rows]
    seeds = f"{count} seeds" if count > 1 else "1 seed"
    _say(
        console,
        f"{dataset.title}: {rows[0].split} {percent(mean(accuracies), deviation(accuracies))} over {seeds} at epoch "
        f"{rows[0].epoch}; runs: {folder}",
    )


def _ascend(
    ladder: str,
    data: str,
    size: str | None,
    epochs: int,
    seeds: int,
    target: float | None,
    budget: int | None,
    precision: str,
    workers: int | None,
    name: str | None,
    folder: Path,
    data_dir: Path | None,
    device: str | None,
) -> None:
    """Climb a ladder that asks questions."""
    from stepladder import precision as precisions
    from stepladder.commands.ascend import ascend
    from stepladder.data import short_name
    from stepladder.ladder import GUIDE_NET, Goal
    from stepladder.notation import Net
    from stepladder.questions import load
    from stepladder.spec import Recipe
    from stepladder.workers import usable_cores

    questions = load(ladder)  # mistakes in it are found before the data is looked for
    console = _console()
    dataset = _load(data, data_dir, console, size)
    goal = Goal(
        target=Goal.target if target is None else target,
        budget=Goal.budget if budget is None else budget,
        epochs=epochs,
    )
    place = folder / _folder_name(name or f"{questions.name}-{short_name(dataset.name)}")
    begun = sorted((place / "runs").glob("*"))
    shape = dataset.input_shape
    net = GUIDE_NET if min(shape[1:]) >= 28 else "8C3 8C3 GAP 10C1"  # stands in for nets that are not known yet
    Net.parse(net).shapes(shape)
    choice = precisions.choose(precision, net, Recipe(epochs=epochs), shape, begun, device)
    _say(console, f"precision: {choice}")
    ascend(
        questions,
        dataset,
        goal,
        seeds=seeds,
        precision=choice.precision,
        place=place,
        workers=workers or usable_cores(),
        data_dir=data_dir,
        device=device,
        command=_command_line(),
        console=console,
        interruptible=_interruptible,
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn Ctrl-C during training into one line that says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last finished epoch", file=sys.stderr)
        raise typer.Exit(130) from None


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _say(console: Console, text: str) -> None:
    print(text, file=console.file, flush=True)


def _load(name: str, data_dir: Path | None, console: Console, size: str | None = None) -> Dataset:
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
                _say(console, f"downloading {what}{size}")
        unit, each = ("", 1) if is_reading else (" kB", 1000)
        amount = f"{so_far // each:,}{unit}" + (f" of {total // each:,}{unit}" if total else "")
        bars.update(tasks[what], completed=so_far, amount=amount)

    with bars:
        return data.load(
            name, size=wanted, data_dir=data_dir, notify=lambda line: _say(console, line), progress=progress
        )


def _experiment(
    what: str, *, data: str | None, seed: int | None, protocol: str | None, settings: list[str]
) -> Experiment:
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
    values |= {
        key: value for key, value in {"data": data, "seed": seed, "protocol": protocol}.items() if value is not None
    }
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


def _in_precision(
    experiment: Experiment,
    what: str,
    asked: str | None,
    run: Path,
    dataset: Dataset,
    device: str | None,
    console: Console,
) -> Experiment:
    """Return the experiment in the precision asked for; a named one in float32 where bfloat16 would be slow."""
    from stepladder.experiments import NAMES

    recipe = experiment.recipe
    if asked is None:
        if what not in NAMES or not _lacks(recipe.precision, device):
            return experiment
        asked = "auto"
    from stepladder import precision

    begun = [run, *sorted(run.glob("seed*"))]
    choice = precision.choose(asked, experiment.net, recipe, dataset.input_shape, begun, device)
    _say(console, f"precision: {choice}")
    return experiment.model_copy(update={"recipe": recipe.model_copy(update={"precision": choice.precision})})


def _lacks(precision: str, device: str | None) -> bool:
    """Return whether training runs on a processor that the engine cannot use in this precision."""
    from stepladder import engine
    from stepladder.train import choose_device

    place = choose_device(device)
    return place.type == "cpu" and engine.missing(place, precision) is not None


def _folder_name(name: str) -> str:
    if not name or name in (".", "..") or any(character in name for character in '/\\:*?"<>|\0'):
        raise SpecError("this is no name for a folder", given=repr(name), repair="use letters, digits and dashes")
    return name


def _command_line() -> str:
    import shlex

    return shlex.join(["stepladder", *sys.argv[1:]])
