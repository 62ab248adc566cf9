"""``stepladder draw``: one picture of a net, an experiment, a run or a climb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepladder.commands.common import DataDir, Size, load, new_console


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
    console = new_console()
    figure = pictures.draw(subject, kind, lambda name: load(data or name, data_dir, console, size), input)
    from stepladder.pictures.style import save

    write_bytes(output, save(figure, suffix))
    print(output)
