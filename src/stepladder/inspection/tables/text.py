"""The table for the terminal: as wide as there is room for, with totals, budget and findings below."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stepladder.inspection.summary import BudgetVerdict, Finding, Summary
from stepladder.inspection.tables import words
from stepladder.inspection.tables.outline import Line, Outline, outline

Span = tuple[str, str]
"""Text and its style, in rich's words; empty for none."""
Spans = list[Span]

WIDTH = 120
"""Columns where there is no terminal to ask."""
_EXACT = 100_000_000
"""MACs of a net from which on each line's are written with three digits."""
_SHORTEST = 10
"""Characters that a shortened layer's name keeps in any case."""
_SHORT = {"layer": 28, "kind": 12}
"""Characters that these columns keep while there are others to leave out."""
_SHOWN = 3
"""Findings of one kind that are written out; the others are named."""


@dataclass
class _Column:
    """A column, and how its cells look; ``drop`` is the place in the order in which columns are left out, 0: never."""

    name: str
    cells: list[str]
    right: bool = False
    drop: int = 0
    style: str = ""

    @property
    def width(self) -> int:
        return max(len(self.name), *map(len, self.cells))

    def pad(self) -> Callable[[str], str]:
        """Return what brings a cell to the column's width."""
        width = self.width
        return (lambda text: text.rjust(width)) if self.right else (lambda text: text.ljust(width))


def render(
    summary: Summary,
    budget: BudgetVerdict | None,
    depth: int | None = None,
    width: int | None = None,
    *,
    colour: bool = False,
) -> str:
    """Return the table, ending in a newline, no wider than ``width`` (default: the terminal's, or 120; at least 40).

    With less room the layers' names and the kinds are shortened in the middle, then columns are left out, in this
    order: the memory kept, the bars, the shares, the jump, the kinds (in a one-line net its words, before the shares),
    the windows, the MACs, the field, the output. Numbers are never shortened.
    """
    room = room_for(width)
    lines = list(_lines(summary, budget, outline(summary, depth), room))
    return painted(lines, room) if colour else plain(lines)


def room_for(width: int | None) -> int:
    """Return the columns to write in: the width that was asked for, else the terminal's, else 120; at least 40."""
    return max(40, width or shutil.get_terminal_size((WIDTH, 40)).columns)


def plain(lines: Iterable[Spans]) -> str:
    """Return lines without their styles, ending in a newline."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def painted(lines: Iterable[Spans], width: int) -> str:
    """Return lines with the colours that the terminal has (rich asks it), ending in a newline."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        for line in lines:
            console.print(Text.assemble(*line, end=""), no_wrap=True, crop=False, overflow="ignore")
    return capture.get()


def _lines(summary: Summary, budget: BudgetVerdict | None, plan: Outline, room: int) -> Iterable[Spans]:
    yield from wrapped([(summary.net, "bold")], room)
    yield from wrapped([(f"for {words.inputs(summary)}", "dim")], room)
    yield []
    reasons = words.Reasons([line.field for line in plan.lines])
    columns, left_out = _fit(_columns(summary, plan, reasons), room)
    rule: Spans = [("─" * (sum(column.width for column in columns) + 2 * len(columns) - 2), "dim")]
    # A thousand lines have ten thousand cells: their columns are as wide as they are once and for all.
    pads = [column.pad() for column in columns]
    yield _joined([(pad(column.name), "bold") for column, pad in zip(columns, pads, strict=True)])
    yield rule
    for index, line in enumerate(plan.lines):
        cells = zip(columns, pads, strict=True)
        yield _joined([(pad(column.cells[index]), _style(line, column)) for column, pad in cells])
    if summary.failure is not None:
        yield [(words.shortened(f"✗ {summary.failure.layer} ({summary.failure.kind}): stopped here", room), "bold red")]
    yield rule
    yield _joined([(pad(column.cells[-1]), "bold") for column, pad in zip(columns, pads, strict=True)])
    yield []
    for name, text in words.facts(summary):
        yield from wrapped([(f"{name:<12}", "bold"), (text, "")], room, 12)
    yield from _budget(budget, room)
    for index, text in enumerate(_legend(summary, plan, columns, reasons, left_out)):
        yield from [] if index else [[]]
        yield from wrapped([(text, "dim")], room, 2)
    yield from _failure(summary, room)
    yield from _findings(summary.findings, room)
    for note in summary.notes:
        yield from wrapped([("note: ", "bold"), (note, "")], room, 2)


def _columns(summary: Summary, plan: Outline, reasons: words.Reasons) -> list[_Column]:
    lines, totals = plan.lines, summary.totals
    write = "{:,}".format if totals.macs < _EXACT else words.size
    has_blocks = any(line.block for line in lines)
    one_line = bool(summary.rows) and all(row.token for row in summary.rows)

    def column(
        name: str, cell: Callable[[Line], str], total: str = "", *, right: bool = False, drop: int = 0
    ) -> _Column:
        return _Column(name, [*map(cell, lines), total], right, drop)

    def part(line: Line) -> str:
        return words.share(line.parameters, totals.parameters)

    table = [
        column("layer", lambda line: tree(line, has_blocks), "total so far" if summary.failure else "total"),
        column("word" if one_line else "kind", words.kind, drop=3 if one_line else 6),
        column("output", words.given, drop=10),
        column("parameters", words.parameters, f"{totals.parameters:,}", right=True),
        column("share", part, right=True, drop=4),
        column("", lambda line: words.bar(line.parameters, totals.parameters), drop=2),
        column("MACs", lambda line: write(line.macs) if line.macs else "", write(totals.macs), right=True, drop=8),
        column("window", lambda line: words.window(line.window, line.groups), drop=7),
        column("field", lambda line: words.seen(line.field, reasons), right=True, drop=9),
        column("jump", lambda line: words.stepped(line.field, reasons), right=True, drop=5),
        column("kept", lambda line: words.memory(line.kept_bytes) if line.kept_bytes else "", right=True, drop=1),
    ]
    for one in table:
        if one.name in ("parameters", "field", "jump"):
            one.cells = words.levelled(one.cells)
    if totals.training_bytes:
        table[-1].cells[-1] = words.memory(totals.training_bytes)
    return [one for one in table if any(one.cells) or (not one.drop)]


def tree(line: Line, has_blocks: bool) -> str:
    """Return the name, indented by the blocks that hold it, with ▾ before open blocks and ▸ before folded ones."""
    mark = "▾ " if line.open else "▸ " if line.folds else "  " if has_blocks else ""
    return "  " * line.level + mark + line.name


def _fit(every: list[_Column], room: int) -> tuple[list[_Column], list[str]]:
    """Return the columns that fit, and the names of those left out."""
    columns = every
    left_out: list[_Column] = []
    while (spare := _spare(columns, room)) < 0:
        last = min((column for column in columns if column.drop), key=lambda column: column.drop, default=None)
        limits = _SHORT if last else {"layer": _SHORTEST}
        # Names give way first, down to a length at which they can be told apart; a column after that.
        long = next((column for column in columns if column.width > limits.get(column.name, column.width)), None)
        if long is not None:
            _shorten(long, max(limits[long.name], long.width + spare))
        elif last is not None:
            columns = [column for column in columns if column is not last]
            left_out.append(last)
        else:
            break
    # A wide column that had to go may have made room for narrow ones that went before.
    order = {column.name: index for index, column in enumerate(every)}
    for column in reversed(left_out[:-1]):
        if _spare([*columns, column], room) >= 0:
            columns = sorted([*columns, column], key=lambda one: order[one.name])
            left_out.remove(column)
    return columns, [column.name or "bars" for column in left_out]


def _spare(columns: Sequence[_Column], room: int) -> int:
    return room - sum(column.width for column in columns) - 2 * (len(columns) - 1)


def _shorten(column: _Column, width: int) -> None:
    kept = []
    for cell in column.cells:
        # The indentation says which block it lies in; the name after it is what can be shortened.
        name = cell.lstrip(" ▾▸")
        indent = cell[: len(cell) - len(name)]
        kept.append(indent[: max(0, width - 4)] + words.shortened(name, width - min(len(indent), max(0, width - 4))))
    column.cells = kept
    if column.width > width:
        column.name = words.shortened(column.name, width)


def _style(line: Line, column: _Column) -> str:
    if line.note == "never called":
        return "dim red"
    if line.open:
        return "bold" if column.name == "layer" else "dim"
    return {"": "cyan", "share": "cyan"}.get(column.name, "bold" if line.block and column.name == "layer" else "")


def _joined(cells: Sequence[Span]) -> Spans:
    spans: Spans = []
    for index, cell in enumerate(cells):
        spans += [("  ", ""), cell] if index else [cell]
    return spans


def wrapped(spans: Spans, room: int, indent: int = 0) -> list[Spans]:
    """Return spans as lines of at most ``room`` characters; all but the first begin with spaces."""
    text = "".join(one for one, _ in spans)
    lines = textwrap.wrap(text, room, subsequent_indent=" " * indent, break_on_hyphens=False, drop_whitespace=True)
    if len(lines) <= 1 and len(text) <= room:
        return [spans]
    # Styles of what is not the last span belong to a heading at the start of the first line.
    head = "".join(one for one, _ in spans[:-1])
    style = spans[-1][1]
    return [
        [*spans[:-1], (line[len(head) :], style)] if not index and line.startswith(head) else [(line, style)]
        for index, line in enumerate(lines)
    ]


def budget_lines(budget: BudgetVerdict) -> list[str]:
    """Return the verdict on the budget as lines of text; the costliest layers are named when it fails."""
    used = f"{budget.parameters:,} of {budget.budget:,} parameters"
    if budget.passes:
        return [f"budget: {used}: passes, {budget.left:,} left"]
    lines = [f"budget: {used}: fails, at least {1 - budget.left:,} too many; the layers that cost most:"]
    lines += [
        f"  {cost.name} ({cost.token}): {cost.parameters:,} parameters, {cost.share:.0%}" for cost in budget.costliest
    ]
    return lines


def _budget(budget: BudgetVerdict | None, room: int) -> Iterable[Spans]:
    if budget is None:
        return
    style = "green" if budget.passes else "red"
    first, *others = budget_lines(budget)
    full = min(20, round(20 * budget.parameters / budget.budget))
    if budget.passes and full == 20:
        full = 19
    head: Spans = [(f"{'budget':<12}", "bold"), ("█" * full, style), ("░" * (20 - full), "dim")]
    yield from wrapped([*head, (" " + first.removeprefix("budget: "), style)], room, 12)
    for other in others:
        yield from wrapped([(" " * 10 + other, "")], room, 14)


def _legend(
    summary: Summary, plan: Outline, columns: Sequence[_Column], reasons: words.Reasons, left_out: Sequence[str]
) -> Iterable[str]:
    """Return what the table's signs mean: only those that it has."""
    shown = {column.name for column in columns}
    lines = plan.lines
    meanings = []
    if any(line.window for line in lines) and "window" in shown:
        letters = {word[0] for line in lines for word in words.window(line.window, line.groups).split()[1:]}
        names = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}
        meanings.append("window: kernel" + "".join(f", {key} {name}" for key, name in names.items() if key in letters))
    if "field" in shown:
        where = "pixels" if len(summary.image) == 2 else "positions"
        jump = " and the distance between neighbours" if "jump" in shown else ""
        meanings.append(f"field{', jump' if jump else ''}: the receptive field{jump}, in {where} of the input")
    if "kept" in shown:
        meanings.append("kept: memory that training keeps")
    if meanings:
        yield "; ".join(meanings)
    if any(line.open for line in lines):
        yield "▾ sums the lines below it"
    yield from words.signs(lines, reasons)
    if left_out:
        yield f"no room for: {', '.join(left_out)}"
    if plan.folded:
        yield f"▸ folded: {len(summary.rows):,} rows on {len(plan.lines)} lines; --depth all shows every row"


def _failure(summary: Summary, room: int) -> Iterable[Spans]:
    failure = summary.failure
    if failure is None:
        return
    yield []
    yield from wrapped([(f"✗ stopped at {failure.layer} ({failure.kind})", "bold red")], room, 2)
    for name, text in (("got", failure.got), ("needs", failure.needs), ("repair", failure.repair)):
        if text:
            yield from wrapped([(f"  {name:<8}", "bold"), (text, "green" if name == "repair" else "")], room, 10)


def _findings(findings: Sequence[Finding], room: int) -> Iterable[Spans]:
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    for name, alike in kinds.items():
        yield []
        for finding in alike[:_SHOWN]:
            yield from wrapped([(f"! {name}", "bold yellow"), (f", {finding.layer}", "")], room, 2)
            yield from wrapped([("  ", ""), (finding.evidence, "")], room, 2)
            yield from wrapped([("  → ", ""), (finding.repair, "green")], room, 4)
        if len(alike) > _SHOWN:
            others = ", ".join(finding.layer for finding in alike[_SHOWN:])
            yield from wrapped([(f"  and {len(alike) - _SHOWN} more: {others}", "dim")], room, 4)
