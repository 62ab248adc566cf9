"""``stepladder climb --ladder full`` and ladders of people's own; ``stepladder ladder show``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.commands.common import command_line, folder_name, interruptible, load, new_console, say
from stepladder.errors import SpecError

if TYPE_CHECKING:
    from stepladder.data import Dataset
    from stepladder.workers import Job

ladder_app = typer.Typer(
    help="Ladders: show one, to read it or to change it.", no_args_is_help=True, rich_markup_mode=None
)


@ladder_app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(help="full: the ladder that asks what each technique is worth. classic and auto: what they do."),
    ],
) -> None:
    """Print a ladder's file; written into a file of your own it can be changed and climbed with --ladder FILE.toml."""
    from stepladder.questions import WITHOUT_FILE, about, source

    print(about(name) if name in WITHOUT_FILE else source(name), end="")


def asks_questions(ladder: str) -> bool:
    """Return whether a ladder decides step by step: one that comes with the package, or any from a file."""
    return ladder in ("full", "auto") or ladder.endswith(".toml")


@dataclass(frozen=True)
class Request:
    """What the command line asks of a climb of questions.

    Args:
        ladder: a name, or a file whose name ends in .toml.
        data: a name of the catalogue, or a path.
        size: pixels to bring images to, such as 28 or 28x32.
        epochs: of every run.
        seeds: runs of each candidate.
        target: accuracy to reach, in percent; None for the usual one.
        budget: trainable parameters to stay below; None for the usual one.
        precision: float32, bfloat16 or auto.
        workers: runs side by side; None for one a core.
        name: of the climb's folder; None for one made of ladder and data set.
        folder: that climbs are kept in.
        data_dir: that holds data of the catalogue.
        device: cpu or cuda; None for a GPU where there is one.
        limit: seconds that it may take; None for as long as it takes.
    """

    ladder: str
    data: str
    size: str | None
    epochs: int
    seeds: int
    target: float | None
    budget: int | None
    precision: str
    workers: int | None
    name: str | None
    folder: Path
    data_dir: Path | None
    device: str | None
    limit: float | None = None


def ascend(asked: Request) -> None:
    """Climb a ladder of questions in a folder, and write its report."""
    from dataclasses import replace

    from stepladder import precision
    from stepladder.ascent import AscentOptions, Climber
    from stepladder.bare_nets import bare_nets
    from stepladder.data import short_name
    from stepladder.durations import clock
    from stepladder.following import AUTO, LADDER, follow
    from stepladder.ladder import Goal
    from stepladder.progress import display
    from stepladder.questions import load as load_ladder
    from stepladder.report import write_story
    from stepladder.story import verdict
    from stepladder.workers import Pool, execute, usable_cores

    # Mistakes in it are found before the data is looked for.
    questions = LADDER if asked.ladder == AUTO else load_ladder(asked.ladder)
    console = new_console()
    dataset = load(asked.data, asked.data_dir, console, asked.size)
    place = asked.folder / folder_name(asked.name or f"{questions.name}-{short_name(dataset.name)}")
    workers = asked.workers or usable_cores()
    options = AscentOptions(
        ladder=questions,
        goal=Goal(
            target=Goal.target if asked.target is None else asked.target,
            budget=Goal.budget if asked.budget is None else asked.budget,
            epochs=asked.epochs,
        ),
        seeds=asked.seeds,
        holdout_size=_held_out(dataset),
        command=command_line(),
        limit=asked.limit,
        workers=workers,
        device=asked.device,
    )
    nets = bare_nets(dataset, options.goal, holdout_size=options.holdout_size, precision=options.precision)
    first = nets[0][1]
    begun = sorted((place / "runs").glob("*"))
    choice = precision.choose(asked.precision, first.trial.net, first.recipe, dataset.input_shape, begun, asked.device)
    say(console, f"precision: {choice}")
    options = replace(options, precision=choice.precision)

    def train(jobs: Sequence[Job]) -> None:
        count = min(workers, len(jobs))
        with display(jobs, console) as shown:
            for event in execute(
                jobs, workers=count, data_dir=asked.data_dir, device=asked.device, keep_going=True, pool=pool
            ):
                shown.show(event)

    def tell(line: str) -> None:
        say(console, line)

    within = f" within {clock(asked.limit)}" if asked.limit is not None else ""
    steps = f"{len(questions.steps) + 2} steps" if questions.steps else "steps as they are advised,"
    tell(f"{steps} on {dataset.title}, up to {asked.seeds} runs of each candidate{within}; folder: {place}")
    with interruptible(), Pool() as pool:
        climber = Climber(options, dataset, place, train, tell)
        facts = follow(climber) if asked.ladder == AUTO else climber.climb()
    pages = write_story(place, dataset)
    tell(f"{verdict(facts)}\nnet: {facts['net']}\nreport: {pages.html}\n        {pages.markdown}")
    tell(f"time: {clock(facts['seconds'])}")


def _held_out(dataset: Dataset) -> int:
    """Return how many training images are held out for the decisions."""
    from stepladder.data.own import HELD_OUT_A_CLASS, HELD_OUT_OF

    own = dataset.validation
    count = min(10_000, len(dataset.train) // HELD_OUT_OF) if own is None else len(own)
    classes = len(dataset.classes)
    needed = HELD_OUT_A_CLASS * classes
    if count < needed:
        if own is not None:
            raise SpecError(
                "the data's own validation split is too small to decide on",
                given=f"{dataset.title}: {count:,} validation images of {classes} classes",
                repair=f"have {needed:,} or more, {HELD_OUT_A_CLASS} a class, or leave it out to have training images "
                "held out",
            )
        raise SpecError(
            "there are too few training images to hold some out and decide on them",
            given=f"{dataset.title}: {len(dataset.train):,} training images of {classes} classes, of which {count:,} "
            "would be held out",
            repair=f"gather {HELD_OUT_OF * needed:,} training images or more, {HELD_OUT_OF * HELD_OUT_A_CLASS} a "
            f"class: one in {HELD_OUT_OF} is held out, and {HELD_OUT_A_CLASS} a class are the least to decide on; or "
            "climb the classic ladder",
        )
    return count
