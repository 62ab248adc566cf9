"""``stepladder compare``: finished runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepladder.commands.common import TableFormat
from stepladder.commands.subjects import check_known


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, the first the baseline.")],
    format: TableFormat = "text",
) -> None:
    """Print finished runs side by side, with the difference of each to the first."""
    from stepladder.text import COMPARISON_STYLES, comparison

    check_known("format", format, COMPARISON_STYLES)
    print(comparison(runs, format), end="")
