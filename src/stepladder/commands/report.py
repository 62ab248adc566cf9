"""``stepladder report``: a climb's report, rendered again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished climb.")]) -> None:
    """Render a climb's report again, from its facts alone."""
    from stepladder.report import write_report

    pages = write_report(folder)
    print(f"{pages.html}\n{pages.markdown}")
