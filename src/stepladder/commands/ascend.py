"""``stepladder climb --ladder full`` and ladders of people's own; ``stepladder ladder show``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.errors import SpecError

if TYPE_CHECKING:
    from rich.console import Console

    from stepladder.data import Dataset
    from stepladder.ladder import Goal
    from stepladder.questions import QuestionLadder
    from stepladder.workers import Job

ladder_app = typer.Typer(
    help="Ladders: show one, to read it or to change it.", no_args_is_help=True, rich_markup_mode=None
)


@ladder_app.command()
def show(name: Annotated[str, typer.Argument(help="full: the ladder that asks what each technique is worth.")]) -> None:
    """Print a ladder's file; written into a file of your own it can be changed and climbed with --ladder FILE.toml."""
    from stepladder.questions import source

    print(source(name), end="")


def asks_questions(ladder: str) -> bool:
    """Return whether a ladder decides step by step: one that comes with the package, or any from a file."""
    return ladder == "full" or ladder.endswith(".toml")


def ascend(
    questions: QuestionLadder,
    dataset: Dataset,
    goal: Goal,
    *,
    seeds: int,
    precision: str,
    place: Path,
    workers: int,
    data_dir: Path | None,
    device: str | None,
    command: str,
    console: Console,
    interruptible: Callable[[], object],
) -> None:
    """Climb a ladder of questions in a folder, and write its report."""
    from stepladder.ascent import AscentOptions, Climber
    from stepladder.ascent_page import page, verdict
    from stepladder.files import write_text
    from stepladder.progress import clock, display
    from stepladder.workers import execute

    began = perf_counter()
    held_out = min(10_000, len(dataset.train) // 5)
    if held_out < 10 * len(dataset.classes):
        raise SpecError(
            "there are too few training images to hold some out and decide on them",
            given=f"{dataset.title}: {len(dataset.train):,} images of {len(dataset.classes)} classes",
            repair="gather more images, or climb the classic ladder",
        )
    options = AscentOptions(questions, goal, seeds, held_out, precision, command)

    def train(jobs: Sequence[Job]) -> None:
        with display(jobs, console) as shown:
            for event in execute(jobs, workers=min(workers, len(jobs)), data_dir=data_dir, device=device):
                shown.show(event)

    def tell(line: str) -> None:
        print(line, file=console.file, flush=True)

    tell(f"{len(questions.steps) + 2} steps on {dataset.title}, {seeds} runs of each candidate; folder: {place}")
    with interruptible():  # type: ignore[attr-defined]
        facts = Climber(options, dataset, place, train, tell).climb()
    write_text(place / "report.md", page(facts))
    tell(f"{verdict(facts)}\nnet: {facts['net']}\nreport: {place / 'report.md'}\ntime: {clock(perf_counter() - began)}")
