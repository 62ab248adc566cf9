"""The table for the terminal: as wide as there is room for, with totals, budget and findings below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stepladder.inspection.summary import BudgetVerdict, Finding, Summary
from stepladder.inspection.tables import words
from stepladder.inspection.tables.columns import Column, Spans, fit, joined, painted, plain, room_for, wrapped
from stepladder.inspection.tables.outline import Line, Outline, outline

_SHOWN = 3
"""Findings of one kind that are written out; the others are named."""


def render(
    summary: Summary,
    budget: BudgetVerdict | None,
    depth: int | None = None,
    width: int | None = None,
    *,
    colour: bool = False,
) -> str:
    """Return the table, ending in a newline, no wider than ``width`` (default: the terminal's, or 120; at least 40).

    With less room the layers' names are shortened in the middle, then columns are left out, in this order: the memory
    kept, the bars, (now the kinds are shortened too) the shares, the jump, the kinds (in a one-line net its words,
    before the shares), the windows, the MACs, the field, the output. Numbers are never shortened.
    """
    room = room_for(width)
    lines = list(_lines(summary, budget, outline(summary, depth), room))
    return painted(lines, room) if colour else plain(lines)


def _lines(summary: Summary, budget: BudgetVerdict | None, plan: Outline, room: int) -> Iterable[Spans]:
    yield from wrapped([(summary.net, "bold")], room)
    yield from wrapped([(f"for {words.inputs(summary)}", "dim")], room)
    yield []
    reasons = words.Reasons([line.field for line in plan.lines])
    columns, left_out = fit(_columns(summary, plan, reasons), room)
    rule: Spans = [("─" * (sum(column.width for column in columns) + 2 * len(columns) - 2), "dim")]
    # A thousand lines have ten thousand cells: their columns are as wide as they are once and for all.
    pads = [column.pad() for column in columns]
    yield joined([(pad(column.name), "bold") for column, pad in zip(columns, pads, strict=True)])
    yield rule
    stop: list[Spans] = []
    if summary.failure is not None:
        text = f"✗ {summary.failure.layer} ({summary.failure.kind}): stopped here"
        stop = [[(words.shortened(text, room), "bold red")]]
    reached = plan.reached
    for index, line in enumerate(plan.lines):
        yield from stop if index == reached else []
        cells = zip(columns, pads, strict=True)
        yield joined([(pad(column.cells[index]), _style(line, column)) for column, pad in cells])
    yield from stop if reached == len(plan.lines) else []
    yield rule
    yield joined([(pad(column.cells[-1]), "bold") for column, pad in zip(columns, pads, strict=True)])
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


def _columns(summary: Summary, plan: Outline, reasons: words.Reasons) -> list[Column]:
    lines, totals = plan.lines, summary.totals
    write = words.counter(totals.macs)
    has_blocks = any(line.block for line in lines)
    one_line = bool(summary.rows) and all(row.token for row in summary.rows)

    def column(
        name: str, cell: Callable[[Line], str], total: str = "", *, right: bool = False, drop: int = 0
    ) -> Column:
        return Column(name, [*map(cell, lines), total], right, drop)

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


def _style(line: Line, column: Column) -> str:
    if line.unused:
        return "dim red"
    if line.open:
        return "bold" if column.name == "layer" else "dim"
    return {"": "cyan", "share": "cyan"}.get(column.name, "bold" if line.block and column.name == "layer" else "")


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
    summary: Summary, plan: Outline, columns: Sequence[Column], reasons: words.Reasons, left_out: Sequence[str]
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
