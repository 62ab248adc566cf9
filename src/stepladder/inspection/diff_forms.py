"""A comparison of two nets as JSON, Markdown and HTML."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Collection, Sequence
from html import escape
from typing import Any

from stepladder.inspection.diff import Comparison, Pair
from stepladder.inspection.diff_text import Run, cells, condensed, field, final_fields, named, signed
from stepladder.inspection.summary import Field, Row, Summary
from stepladder.inspection.tables import page, words
from stepladder.inspection.tables.json_form import as_json
from stepladder.inspection.tables.plain import escaped_markdown

FORMAT = 1
HEADER = ("", "layer", *("left " + name for name in ("window", "output", "parameters", "field")))
HEADER += (*(name.replace("left", "right") for name in HEADER[2:]), "difference")
TOTALS = ("", "left", "right", "difference", "ratio")
NUMBERS, TOTAL_NUMBERS = {4, 5, 8, 9, 10}, {1, 2, 3, 4}
"""Columns that hold numbers."""


def json(comparison: Comparison) -> str:
    """Return the comparison as indented JSON, ending in a newline."""
    return json_module.dumps(facts(comparison), indent=2, ensure_ascii=False) + "\n"


def facts(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values; both nets are whole, and ``pairs`` points into their rows."""
    places = [{id(row): index for index, row in enumerate(one.rows)} for one in (comparison.left, comparison.right)]
    return {
        "format": FORMAT,
        "left": as_json(comparison.left),
        "right": as_json(comparison.right),
        "pairs": [
            {
                "sign": {"=": "same", "~": "changed", "−": "left", "+": "right"}[pair.sign],
                "left": None if pair.left is None else places[0][id(pair.left)],
                "right": None if pair.right is None else places[1][id(pair.right)],
                "changes": list(pair.changes),
            }
            for pair in comparison.pairs
        ],
        "totals": {
            one.name: {"left": one.left, "right": one.right, "difference": one.difference, "ratio": one.ratio}
            for one in comparison.totals
        },
        "receptive_field": dict(zip(("left", "right"), map(_sizes, comparison.fields), strict=True)),
    }


def _sizes(value: Field | None) -> list[int | None] | None:
    return None if value is None else list(value.size)


def markdown(comparison: Comparison) -> str:
    """Return the totals and the pairs as two tables in GitHub's Markdown."""
    lines = [f"- {name}: {escaped_markdown(_title(one))}" for name, one in _sides(comparison)]
    lines += ["", *_markdown(TOTALS, totals(comparison), TOTAL_NUMBERS), ""]
    rows = []
    for item in condensed(comparison.pairs):
        sign = item.sign.replace("=", "")
        rows.append([sign, item.text(), *[""] * 9] if isinstance(item, Run) else [sign, *_cells(item)])
    return "\n".join(lines + _markdown(HEADER, rows, NUMBERS)) + "\n"


def _sides(comparison: Comparison) -> tuple[tuple[str, Summary], tuple[str, Summary]]:
    return ("left", comparison.left), ("right", comparison.right)


def _title(summary: Summary) -> str:
    return f"{summary.net} for {words.inputs(summary)}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int]) -> list[str]:
    alignment = ["--:" if index in numbers else ":--" for index in range(len(header))]
    table = [header, alignment, *([*map(escaped_markdown, row)] for row in rows)]
    return ["| " + " | ".join(row) + " |" for row in table]


def totals(comparison: Comparison) -> list[list[str]]:
    """Return the rows of the table of totals, as text."""
    return [row for row in [*map(cells, comparison.totals), final_fields(comparison)] if row]


def _cells(pair: Pair) -> list[str]:
    more = (pair.right.parameters if pair.right else 0) - (pair.left.parameters if pair.left else 0)
    return [named(pair), *_side(pair.left), *_side(pair.right), signed(more)]


def _side(row: Row | None) -> list[str]:
    if row is None:
        return [""] * 4
    return [
        words.window(row.window, row.groups),
        words.shapes(row.output_shapes) or row.note,
        f"{row.parameters:,}" if row.parameters else "",
        field(row.field),
    ]


def rows(comparison: Comparison, mark: Callable[[str], str], changed: Callable[[str], str]) -> list[list[str]]:
    """Return the rows of the table of pairs as HTML; ``mark`` and ``changed`` dress a sign and a cell that differs.

    A row of two cells stands for several pairs.
    """
    table = []
    for item in condensed(comparison.pairs):
        sign = mark(item.sign) if item.sign != "=" else ""
        if isinstance(item, Run):
            table.append([sign, escape(item.text())])
            continue
        made = list(map(escape, _cells(item)))
        if item.sign == "~":
            differing = {"kind": 0, "window": 5, "output": 6, "parameters": 7, "field": 8}
            for change in item.changes:
                if change in differing:
                    made[differing[change]] = changed(made[differing[change]] or "–")
        table.append([sign, *made])
    return table


def html(comparison: Comparison) -> str:
    """Return a page of its own that opens offline."""
    classes = {"~": "changed", "−": "minus", "+": "plus"}
    body = rows(
        comparison,
        lambda sign: f'<b class="{classes[sign]}">{sign}</b>',
        lambda cell: f'<b class="differs">{cell}</b>',
    )
    sums = _table("sums", TOTALS, [[*map(escape, row)] for row in totals(comparison)], TOTAL_NUMBERS, 0)
    signs = [item.sign for item in condensed(comparison.pairs)]
    pairs = _table("pairs", HEADER, body, NUMBERS, 1, [classes.get(sign, "") for sign in signs])
    parts = [
        "<header><h1>Two nets side by side</h1>",
        *(
            f'<p><span class="soft">{name}</span> <code>{escape(_title(one))}</code></p>'
            for name, one in _sides(comparison)
        ),
        "</header>",
        f"<section><h2>Totals</h2>{sums}</section>",
        f'<section><h2>Layers</h2><div class="scroll" tabindex="0" role="region" aria-label="Layers">{pairs}</div>',
        f'<p class="soft small">{escape(legend(comparison))}</p></section>',
    ]
    return page.page(f"{comparison.left.net} and {comparison.right.net}", parts)


def legend(comparison: Comparison) -> str:
    """Return what the signs mean and how often they stand."""
    return (
        f"~ changed ({comparison.count('~')}), − only left ({comparison.count('−')}), + only right "
        f"({comparison.count('+')}); {comparison.count('=')} rows are alike. Difference: parameters that the right net "
        "has more. Field: the receptive field."
    )


def _table(
    name: str,
    header: Sequence[str],
    body: Sequence[Sequence[str]],
    numbers: Collection[int],
    head: int,
    classes: Sequence[str] = (),
) -> str:
    def cell(index: int, content: str, tag: str, scope: str = "") -> str:
        return f'<{tag}{scope} class="{"n" if index in numbers else "t"}">{content}</{tag}>'

    def scoped(index: int, row: Sequence[str]) -> str:
        rest = len(header) - index if index == len(row) - 1 else 1
        return ' scope="row"' + (f' colspan="{rest}"' if rest > 1 else "")

    top = "".join(cell(index, escape(name), "th", ' scope="col"') for index, name in enumerate(header))
    lines = "".join(
        (f'<tr class="{kind}">' if kind else "<tr>")
        + "".join(
            cell(index, content, "th", scoped(index, row)) if index == head else cell(index, content, "td")
            for index, content in enumerate(row)
        )
        + "</tr>\n"
        for row, kind in zip(body, classes or [""] * len(body), strict=True)
    )
    return f'<table id="{name}"><thead><tr>{top}</tr></thead>\n<tbody>\n{lines}</tbody></table>'
