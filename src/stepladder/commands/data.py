"""``stepladder data``: what a data set holds, before anything is trained on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stepladder.commands.common import TableFormat
from stepladder.commands.subjects import check_known


def data(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH",
            help="A name of the catalogue, or your own: a folder with a subfolder a class (with or without train, val "
            "and test above them), a folder of IDX or .npy files, an .npz, .npy or CSV file.",
        ),
    ],
    size: Annotated[
        str | None,
        typer.Option(metavar="N|ROWSxCOLUMNS", help="Pixels to bring images to. Default: as for training."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also draw images of every class and their mean; the name ends in .svg, .png or .pdf.",
        ),
    ] = None,
    format: TableFormat = "text",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder that holds data of the catalogue. Default: $STEPLADDER_DATA.")
    ] = None,
) -> None:
    """Show what a data set holds: counts, sizes, duplicates, leaks; exit code 2 if no net can be trained on it."""
    from stepladder.data.reference import parse_size
    from stepladder.data.survey import survey
    from stepladder.data.survey_text import STYLES, render

    check_known("format", format, STYLES)
    if picture is not None:
        from stepladder.pictures.draw import suffix_of

        suffix = suffix_of(picture)
    found = survey(what, size=parse_size(size) if size is not None else None, data_dir=data_dir)
    print(render(found.facts, format), end="", flush=True)
    if picture is not None:
        from stepladder.data.sheet import sheet
        from stepladder.files import write_bytes
        from stepladder.pictures.style import save

        write_bytes(picture, save(sheet(found), suffix))
        print(picture, file=sys.stderr)
    if not found.is_trainable:
        raise typer.Exit(2)
