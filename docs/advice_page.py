"""Write the rules and the benchmark's tables into docs/advice.md; ``--check`` only compares."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from stepladder.files import write_text
from stepladder.rules import Rule, before, classes, duration, images, net, rates, regularisation

PAGE = Path(__file__).with_name("advice.md")
RESULTS = PAGE.parent.parent / "results" / "advice.md"
START, END = "<!-- advice -->\n", "<!-- end of advice -->"
RULES_START, RULES_END = "<!-- rules -->\n", "<!-- end of rules -->"
GROUPS: dict[str, Sequence[Rule]] = {
    "Before anything else": before.RULES,
    "What goes in": images.RULES,
    "Steps": (*rates.RULES, *duration.RULES),
    "The net": net.RULES,
    "Learning by heart": regularisation.RULES,
    "What is left": classes.RULES,
}


def rules() -> str:
    """Return every rule with when it speaks and what it proposes, out of its docstring, as a table in Markdown."""
    lines = ["| | Rule | Speaks | Proposes |", "| :-- | :-- | :-- | :-- |"]
    for title, group in GROUPS.items():
        for index, rule in enumerate(group):
            speaks, _, rest = (rule.__doc__ or "").partition("Proposes")
            name = getattr(rule, "__name__", "").replace("_", " ")
            when = _sentence(speaks).removeprefix("Speaks").strip(" ,.").replace(". As", "; as")
            lines.append(f"| {title if index == 0 else ''} | {name} | {when} | {_sentence(rest).strip(' .')} |")
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return " ".join(text.split())


def updated(page: str) -> str:
    """Return the page with the rules as the code has them, and the tables as the results have them."""
    page = _put(page, RULES_START, RULES_END, rules())
    if RESULTS.exists():
        tables = RESULTS.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
        page = _put(page, START, END, tables)
    return page


def _put(page: str, first: str, last: str, text: str) -> str:
    head, _, rest = page.partition(first)
    return head + first + text + last + rest.partition(last)[2]


def main() -> int:
    """Write the page, or compare it with ``--check``; return the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        return int(page != updated(page))
    write_text(PAGE, updated(page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
