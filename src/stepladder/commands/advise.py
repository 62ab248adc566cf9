"""``stepladder advise``: what a finished run shows, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stepladder.commands.common import DATA, DataDir, Size, TableFormat, load, new_console
from stepladder.commands.subjects import check_known


def advise(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|CLIMB",
            help="Folder of a run, finished or failed, or of a climb: the first run of what stands.",
        ),
    ],
    data: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help=DATA + " Default: what the run was trained on.")
    ] = None,
    size: Size = None,
    doubtful: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Also write the training images whose labels are doubted: number from 0, label, suggested label, and, "
            "of one's own data, the file.",
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Trainable parameters that nets of the advice stay below. Default: the climb's; of a run no limit.",
        ),
    ] = None,
    format: TableFormat = "text",
    data_dir: DataDir = None,
) -> None:
    """Look at a finished run again and say what to change: alarms first, each with evidence, effect and command."""
    from stepladder import advised as module
    from stepladder.files import write_text
    from stepladder.options import given_options
    from stepladder.runs import read_experiment

    check_known("format", format, module.STYLES)
    subject = module.find_subject(folder, budget)
    dataset = load(data or read_experiment(subject.run).data, data_dir, new_console(format), size)
    found = module.advised(subject, dataset, given_options(data=data, size=size, data_dir=data_dir))
    if doubtful is not None:
        write_text(doubtful, module.doubtful_table(found.facts))
        print(doubtful, file=sys.stderr)
    print(module.STYLES[format](found), end="", flush=True)
