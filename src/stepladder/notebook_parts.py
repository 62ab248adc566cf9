"""What the HTML of notebooks is made of: tables, notes and boxes whose styles stand in their elements.

Viewers strip style sheets, so there is none. Colours are the text's, so that dark and light notebooks both serve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from stepladder.inspection.tables.html import Look
from stepladder.inspection.tables.outline import Line

_LINE = "1px solid color-mix(in srgb, currentColor 25%, transparent)"
_SPACE, _DENSE = "padding:.3em .8em", "padding:.2em .55em"
_CELL = f"border:0;border-bottom:{_LINE};{_SPACE};vertical-align:top;background:transparent"
QUIET = "opacity:.75;font-size:.92em"
_TABLE = 'style="border-collapse:collapse;margin:.5em 0;table-layout:auto;color:inherit;font-size:1em"'
_ROW = ' style="background:transparent"'


def quiet(text: str) -> str:
    """Return a note in small, soft type; the text is escaped."""
    return f'<p style="{QUIET};margin:.4em 0">{escape(text)}</p>'


def code(text: str) -> str:
    """Return text as code; it is escaped."""
    return f'<code style="background:transparent;color:inherit">{escape(text)}</code>'


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    foot: Sequence[str] = (),
    numbers: Sequence[int] = (),
    head: int = 0,
    dense: bool = False,
) -> str:
    """Return a table of cells that are HTML already; ``head`` is the column that names each row.

    A ``dense`` table has many columns: their names wrap, and there is less space between them.
    """

    def cell(index: int, content: str, scope: str = "") -> str:
        opening, closing = (f'th scope="{scope}"', "th") if scope else ("td", "td")
        number = index in numbers
        whole = scope != "col" if dense else number or bool(scope)
        return f"<{opening} {_styled(number, whole, dense)}>{content}</{closing}>"

    def line(cells: Sequence[str]) -> str:
        made = (cell(index, content, "row" if index == head else "") for index, content in enumerate(cells))
        return f"<tr{_ROW}>{''.join(made)}</tr>"

    tops = "".join(cell(index, escape(name), "col") for index, name in enumerate(header))
    footer = f'<tfoot style="font-weight:bold">{line(foot)}</tfoot>' if foot else ""
    body = "".join(map(line, rows))
    return f"<table {_TABLE}>{heading(caption)}<thead><tr>{tops}</tr></thead><tbody>{body}</tbody>{footer}</table>"


def _styled(number: bool, whole: bool, dense: bool = False) -> str:
    """Return a cell's style; what is ``whole`` stays on one line."""
    side = ("right" if number else "left") + (";white-space:nowrap" if whole else "")
    return f'style="{_CELL if not dense else _CELL.replace(_SPACE, _DENSE)};text-align:{side}"'


def heading(text: str) -> str:
    """Return what stands above a table, HTML already; nothing for nothing."""
    return f'<caption style="text-align:left;padding:.3em 0;color:inherit">{text}</caption>' if text else ""


def box(*parts: str, width: str = "64em") -> str:
    """Return the parts, HTML already, in one box that scrolls where it is too wide."""
    inner = "\n".join(part for part in parts if part)
    return f'<div style="max-width:{width};overflow-x:auto;font-variant-numeric:tabular-nums">\n{inner}\n</div>\n'


def _bar(share: float) -> str:
    # The number stands in the cell before it, so the bar is nothing to read aloud.
    style = f"width:{7 * share:.2f}em;height:.8em;margin-top:.2em;background:currentColor;opacity:.45"
    return f'<div aria-hidden="true" style="min-width:7em"><div style="{style}"></div></div>'


def _name(line: Line, name: str) -> str:
    text = "▾ " * line.open + "▸ " * line.folds + name
    indented = f'<span style="padding-left:{1.2 * line.level:g}em">{text}</span>' if line.level else text
    return f"<strong>{indented}</strong>" if line.open else indented


LAYERS = Look(
    cell=lambda numbers, _: _styled(numbers, True, True), bar=_bar, row=lambda _: _ROW, name=_name, table=_TABLE
)
"""How notebooks show the table of layers."""
