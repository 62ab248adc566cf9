"""``stepladder predict``: a finished run's net is asked about one's own images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stepladder.commands.subjects import check_known


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

    check_known("format", format, module.STYLES)
    answers = module.predict(run, module.expand(images))
    print(module.render(answers, format, top=top, show=show), end="", flush=True)
    errors = [answer.error for answer in answers if answer.error is not None]
    for error in errors:
        print(f"stepladder: {error}", file=sys.stderr)
    if errors:
        raise typer.Exit(2)
