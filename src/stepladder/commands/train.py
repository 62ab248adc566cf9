"""``stepladder train``: one experiment is trained in a run folder, with one seed or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.commands.common import (
    PRECISION,
    DataDir,
    Device,
    ExperimentData,
    Seed,
    Size,
    Threads,
    experiment_and_data,
    interruptible,
    new_console,
    say,
)
from stepladder.errors import SpecError

if TYPE_CHECKING:
    from rich.console import Console

    from stepladder.data import Dataset
    from stepladder.spec import Experiment


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
    data: ExperimentData = None,
    size: Size = None,
    seed: Seed = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Train with so many seeds, from --seed up, each in its own folder in the run folder (seed0, …); on a "
            "GPU all at once, elsewhere one a core.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="reference, holdout, or selection: as holdout, but the test set is not even looked at once."),
    ] = None,
    holdout_size: Annotated[
        int | None,
        typer.Option(min=1, help="Images held out of the training set. Default: the experiment's, or 10,000."),
    ] = None,
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
        typer.Option(help=f"{PRECISION} Default: the experiment's."),
    ] = None,
    threads: Threads = None,
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

    console = new_console()
    experiment, dataset = experiment_and_data(
        console,
        what,
        data=data,
        size=size,
        data_dir=data_dir,
        seed=seed,
        protocol=protocol,
        settings=settings,
        holdout_size=holdout_size,
    )
    experiment = _in_precision(experiment, what, precision, run, dataset, device, console)
    if not console.is_terminal:
        say(console, f"data: {dataset.title}")
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
    with interruptible(), display([job], console) as shown:
        train_here(job, shown.show, data_dir=data_dir, device=device, threads=threads, profiler=profiler)
    from stepladder.runs import open_finished

    last = open_finished(run).rows[-1]
    say(
        console,
        f"{dataset.title}: training {last.train_accuracy:.2f}%, {last.split} {last.evaluation_accuracy:.2f}% at epoch "
        f"{last.epoch}; run: {run}",
    )
    if profiler is not None:
        say(console, "\n" + profiler.report())


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
    with interruptible(), display(jobs, console) as shown:
        for event in execute(jobs, workers=min(usable_cores(), count), data_dir=data_dir, device=device):
            shown.show(event)
    rows = [open_finished(job.folder).rows[-1] for job in jobs]
    accuracies = [row.evaluation_accuracy for row in rows]
    seeds = f"{count} seeds" if count > 1 else "1 seed"
    say(
        console,
        f"{dataset.title}: {rows[0].split} {percent(mean(accuracies), deviation(accuracies))} over {seeds} at epoch "
        f"{rows[0].epoch}; runs: {folder}",
    )


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
    say(console, f"precision: {choice}")
    return experiment.model_copy(update={"recipe": recipe.model_copy(update={"precision": choice.precision})})


def _lacks(precision: str, device: str | None) -> bool:
    """Return whether training runs on a processor that the engine cannot use in this precision."""
    from stepladder import engine
    from stepladder.train import choose_device

    place = choose_device(device)
    return place.type == "cpu" and engine.missing(place, precision) is not None
