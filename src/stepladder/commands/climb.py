"""``stepladder climb``: a ladder is climbed, its goal judged, its report written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepladder.commands.ascend import Request, ascend, asks_questions
from stepladder.commands.common import (
    PRECISION,
    Data,
    DataDir,
    Device,
    Size,
    command_line,
    folder_name,
    interruptible,
    load,
    new_console,
    say,
)
from stepladder.durations import read_time
from stepladder.errors import SpecError


def climb(
    data: Data = "mnist",
    size: Size = None,
    ladder: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="classic: the guide's three experiments. full, or a file: asks what each technique is worth on "
            "held-out images, keeps what is, and looks at the test set once. auto: the same, but tries what "
            "stepladder advise says of what stands.",
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
        typer.Option(help=f"{PRECISION} A climb that goes on keeps what it began with."),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Runs side by side, one thread each. Default: one a core."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="20m|1h30m",
            help="How long a climb that compares candidates may take: epochs, seeds and steps are planned to fit, and "
            "what is left out is told.",
        ),
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
    from stepladder.durations import clock
    from stepladder.progress import display
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
        ascend(
            Request(
                ladder=ladder,
                data=data,
                size=size,
                epochs=epochs,
                seeds=seeds or 3,
                target=target,
                budget=budget,
                precision=precision,
                workers=workers,
                name=name,
                folder=folder,
                data_dir=data_dir,
                device=device,
                limit=read_time(time) if time is not None else None,
            )
        )
        return
    if time is not None:
        raise SpecError(
            "the classic ladder trains what its steps say, however long it takes",
            given=f"--time {time}",
            repair="lower --epochs or --seeds, or climb --ladder full",
        )
    seeds = seeds or 1
    options = ClimbOptions(
        ladder=ladder,
        epochs=epochs,
        seeds=seeds,
        protocol=protocol or "reference",
        target=target,
        budget=budget,
        compare_schedules=compare_schedules,
        command=command_line(),
    )
    options.resolve()  # mistakes in it are found before the data is looked for
    console = new_console()
    dataset = load(data, data_dir, console, size)
    options = replace(options, classes=len(dataset.classes))
    last = options.resolve().steps[-1]
    place = folder / folder_name(name or f"{ladder}-{short_name(dataset.name)}")
    plan(options, dataset, place)  # mistakes are found before anything is measured
    begun = sorted((place / "runs").glob("*"))
    choice = precisions.choose(precision, last.net, last.recipe, dataset.input_shape, begun, device)
    say(console, f"precision: {choice}")
    options = replace(options, precision=choice.precision)
    rungs = plan(options, dataset, place)
    jobs = [job for rung in rungs for job in rung.jobs]
    count = min(workers or usable_cores(), len(jobs))
    say(console, f"{len(jobs)} runs of {epochs} epochs on {dataset.title}, {count} at a time; folder: {place}")
    with interruptible(), display(jobs, console) as shown:
        for event in run(rungs, workers=count, data_dir=data_dir, device=device):
            shown.show(event)
    found = facts_module.gather(options, rungs, dataset, wall_seconds=perf_counter() - began, precision=choice)
    facts_module.save(found, place)
    pages = write_report(place)
    say(console, climb_summary(found))
    say(console, f"report: {pages.html}\n        {pages.markdown}\ntime: {clock(perf_counter() - began)}")
