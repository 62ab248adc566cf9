"""What the README shows of results, put there by the commands that measure them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from stepladder.files import write_text

README = Path(__file__).resolve().parent.parent / "README.md"


def put_table(mark: str, first_cell: str, page: str) -> None:
    """Put a page's table into the README between its marks.

    Args:
        mark: the README holds ``<!-- mark -->`` and ``<!-- end of mark -->``.
        first_cell: what the table's first line begins with.
        page: Markdown that holds the table.
    """
    table = re.search(rf"(?m)^\| {re.escape(first_cell)} .*\n(?:\|.*\n)+", page)
    before, start, rest = README.read_text(encoding="utf-8").partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- end of {mark} -->")
    if table is None or not start or not end:
        sys.exit(f"README.md has lost the marks around its {mark}")
    write_text(README, f"{before}{start}{table[0]}{end}{after}")
