"""Summaries as text, JSON, CSV, Markdown, LaTeX, HTML, or the reference guide's two tables.

Each style has a module; what they share is in ``words`` (how single facts are written) and ``outline`` (which lines a
table has). The modules of styles are imported when they are asked for: a one-line net's table is there in an instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from stepladder.inspection.summary import BudgetVerdict, Summary
from stepladder.inspection.tables.text import budget_lines

STYLES = ("text", "json", "csv", "markdown", "latex", "html", "guide")

__all__ = ["STYLES", "as_json", "budget_lines", "render"]


def render(
    summary: Summary,
    style: str,
    budget: BudgetVerdict | None = None,
    *,
    depth: int | None = None,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """Return the summary in one of the styles, ending in a newline.

    Args:
        summary: the facts.
        style: one of ``STYLES``.
        budget: a verdict on the parameters, which is written below the table.
        depth: levels of blocks to show, from 1, in text, Markdown and LaTeX, and to open in HTML; what lies deeper is
            summed. None shows everything, or what fits 60 lines. JSON, CSV and the guide's tables have every row.
        width: columns of the text; None asks the terminal.
        colour: whether the text has a terminal's colours.

    Raises:
        KeyError: if the style is none of ``STYLES``.
    """
    if style == "text":
        from stepladder.inspection.tables import text

        return text.render(summary, budget, depth, width, colour=colour)
    module, name, folds = _HOMES[style]
    arguments = (summary, budget, depth) if folds else (summary, budget)
    rendered: str = getattr(import_module(f"stepladder.inspection.tables.{module}"), name)(*arguments)
    return rendered


def as_json(summary: Summary, budget: BudgetVerdict | None = None) -> dict[str, Any]:
    """Return the summary as plain values; lists of sizes go over the axes of the image, rows before columns."""
    from stepladder.inspection.tables import json_form

    return json_form.as_json(summary, budget)


# Where each style's renderer is, and whether it folds.
_HOMES = {
    "json": ("json_form", "render", False),
    "csv": ("plain", "csv", False),
    "markdown": ("plain", "markdown", True),
    "latex": ("plain", "latex", True),
    "html": ("page", "render", True),
    "guide": ("guide", "render", False),
}
