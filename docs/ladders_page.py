"""Writes into docs/ladders.md what comes from the code: the full ladder's file and the table of techniques.

python docs/ladders_page.py
"""

from __future__ import annotations

import inspect
from pathlib import Path

from stepladder.files import write_text
from stepladder.questions import source
from stepladder.techniques import BUILT_IN

PAGE = Path(__file__).parent / "ladders.md"


def updated(page: str) -> str:
    """Return the page with both parts as they are now."""
    ladder = f"```toml\n{source('full')}```\n"
    lines = ["| technique | what it tries | options |", "| :-- | :-- | :-- |"]
    for name, technique in BUILT_IN.items():
        first = (inspect.getdoc(technique) or "").partition("\n\n")[0].replace("\n", " ")
        options = list(inspect.signature(technique).parameters)[1:]
        lines.append(f"| `{name}` | {first} | {', '.join(f'`{option}`' for option in options)} |")
    page = _between(page, "ladder", ladder)
    return _between(page, "techniques", "\n".join(lines) + "\n")


def _between(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    return before + begin + text + end + rest.partition(end)[2]


if __name__ == "__main__":
    write_text(PAGE, updated(PAGE.read_text(encoding="utf-8")))
