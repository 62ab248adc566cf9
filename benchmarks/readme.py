"""What the README and other pages show of results, put there by the commands that measure them."""

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
    if table is None:
        sys.exit(f"there is no table of {mark} to put into the README")
    put_between(mark, table[0], README)


def put_between(mark: str, text: str, page: Path) -> None:
    """Put a text into a page between its marks.

    Args:
        mark: the page holds ``<!-- mark -->`` and ``<!-- end of mark -->``.
        text: Markdown that ends in a newline.
        page: its path.
    """
    before, start, rest = page.read_text(encoding="utf-8").partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- end of {mark} -->")
    if not start or not end:
        sys.exit(f"{page.name} has lost the marks around its {mark}")
    write_text(page, f"{before}{start}{text}{end}{after}")
