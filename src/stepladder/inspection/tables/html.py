"""The table as HTML: what the page of ``--format html`` and notebooks share. Everything is escaped here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from stepladder.inspection.summary import Summary
from stepladder.inspection.tables import words
from stepladder.inspection.tables.outline import Line


@dataclass(frozen=True)
class Look:
    """Attributes of the table's elements: classes where there is a style sheet, else styles that stand in them.

    Args:
        cell: returns a cell's attributes, given whether it holds numbers and whether it heads a row or column.
        bar: returns the element that shows a share from 0 to 1.
        row: returns the attributes of a line's row.
        name: returns the HTML of a line's name, given the escaped name.
        table: attributes of the table.
        sums: whether open blocks have bars too, since they may be closed where the table is shown.
    """

    cell: Callable[[bool, bool], str]
    bar: Callable[[float], str]
    row: Callable[[Line | None], str]
    name: Callable[[Line, str], str]
    table: str
    sums: bool = False


@dataclass(frozen=True)
class _Column:
    name: str
    cell: Callable[[Line], str]
    total: str = ""
    numbers: bool = True


def table(
    summary: Summary,
    lines: Sequence[Line],
    look: Look,
    caption: str = "",
    *,
    wide: bool = False,
    extra: tuple[int, str] = (0, ""),
) -> str:
    """Return the lines as a table; ``wide`` adds the start and all digits of MACs.

    ``caption`` and ``extra``, a row and before which line it stands, are HTML already.
    """
    reasons = words.Reasons([line.field for line in lines])
    columns = _columns(summary, lines, look, reasons, wide)
    one_line = bool(summary.rows) and all(row.token for row in summary.rows)

    def cells(first: str, scope: str, others: Iterable[tuple[_Column, str]]) -> str:
        made = [f'<th scope="{scope}" {look.cell(False, True)}>{first}</th>']
        tag, attribute = ("th", f' scope="{scope}"') if scope == "col" else ("td", "")
        for column, content in others:
            made.append(f"<{tag}{attribute} {look.cell(column.numbers, scope == 'col')}>{content}</{tag}>")
        return "".join(made)

    head = cells("layer", "col", ((column, escape(column.name)) for column in columns))
    body = [
        f"<tr{look.row(line)}>"
        + cells(look.name(line, escape(line.name)), "row", ((column, column.cell(line)) for column in columns))
        + "</tr>\n"
        for line in lines
    ]
    body.insert(extra[0], extra[1])
    foot = cells("total", "row", ((column, escape(column.total)) for column in columns))
    if one_line:
        head = head.replace(">kind<", ">word<", 1)
    return (
        f"<table {look.table}>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(body)}</tbody>\n"
        f"<tfoot><tr{look.row(None)}>{foot}</tr></tfoot></table>"
    )


def _columns(summary: Summary, lines: Sequence[Line], look: Look, reasons: words.Reasons, wide: bool) -> list[_Column]:
    totals = summary.totals
    write = "{:,}".format if wide else words.counter(totals.macs)
    largest = max((line.parameters for line in lines if look.sums or not line.open), default=0) or 1

    def text(cell: Callable[[Line], str]) -> Callable[[Line], str]:
        return lambda line: escape(cell(line))

    def code(line: Line) -> str:
        known = f"<code {_CODE}>{escape(line.kind)}</code>"
        return escape(words.kind(line)).replace(escape(line.kind), known, 1)

    def relative(line: Line) -> str:
        return "" if line.open and not look.sums else look.bar(line.parameters / largest)

    def bytes_of(count: int) -> str:
        return words.memory(count) if count else ""

    columns = [
        _Column("kind", code, numbers=False),
        _Column("output shape", text(words.given)),
        _Column("parameters", lambda line: _count(words.parameters(line)), f"{totals.parameters:,}"),
        _Column("relative", relative, numbers=False),
        _Column("MACs", lambda line: _count(write(line.macs) if line.macs else ""), write(totals.macs)),
    ]
    if any(line.window for line in lines):
        columns.append(_Column("window", text(lambda line: words.window(line.window, line.groups)), numbers=False))
    if any(line.field for line in lines):
        columns.append(_Column("receptive field", text(lambda line: words.seen(line.field, reasons))))
        columns.append(_Column("jump", text(lambda line: words.stepped(line.field, reasons))))
        if wide:
            columns.append(_Column("start", text(lambda line: words.numbers(line.field.start) if line.field else "")))
    if totals.training_bytes:
        kept = bytes_of(totals.training_bytes)
        columns.append(_Column("kept", text(lambda line: bytes_of(line.kept_bytes)), kept))
    return columns


_CODE = 'style="background:transparent;color:inherit"'


def _count(number: str) -> str:
    return escape(number) if number else '<span style="opacity:.45">0</span>'


def legend(summary: Summary, lines: Sequence[Line]) -> list[str]:
    """Return what the columns and signs mean, as text."""
    where = "pixels" if len(summary.image) == 2 else "positions"
    said = ["MACs: multiply-accumulates of convolutions and matrix products for one " + words.example(summary) + "."]
    letters = {word[0] for line in lines for word in words.window(line.window, line.groups).split()[1:]}
    if any(line.window for line in lines):
        names = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}
        said.append(
            "Window: kernel" + "".join(f", {key} {name}" for key, name in names.items() if key in letters) + "."
        )
    if any(line.field for line in lines):
        said.append(f"Receptive field: the {where} of the input that one value sees; jump: from one value to the next.")
    if summary.totals.training_bytes:
        said.append("Kept: memory that training keeps for the backward pass.")
    return [" ".join(said), *words.signs(lines, words.Reasons([line.field for line in lines]))]
