"""A comparison of two nets for the terminal, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stepladder.inspection.diff import Comparison, Pair, Total
from stepladder.inspection.summary import Field, Row
from stepladder.inspection.tables import words
from stepladder.inspection.tables.columns import Column, Spans, fit, joined, painted, plain, room_for, wrapped

ROOM = 60
"""Lines up to which every pair has one of its own."""
_CONTEXT = 2
"""Pairs beside a change that are shown though they are alike."""
_RUN = 6
"""Pairs of one sign in a row that are shown before the others share a line."""


@dataclass(frozen=True)
class Run:
    """Pairs that share a line."""

    pairs: tuple[Pair, ...]

    @property
    def sign(self) -> str:
        """The sign that they share; those that only follow from changes before count as changed."""
        return self.pairs[0].sign

    def text(self) -> str:
        """Return how many they are, which, and what they sum to."""
        first, last = (pair.left or pair.right for pair in (self.pairs[0], self.pairs[-1]))
        assert first is not None
        assert last is not None
        many = f"{len(self.pairs)} rows"
        what = {
            "=": f"{many} alike",
            "~": f"{many} whose maps, MACs or fields follow from changes before",
            "−": f"{many} only on the left",
            "+": f"{many} only on the right",
        }[self.sign]
        spent = sum((pair.right.parameters if pair.right else 0) for pair in self.pairs) if self.sign == "+" else 0
        spent += sum((pair.left.parameters if pair.left else 0) for pair in self.pairs) if self.sign == "−" else 0
        return f"… {what}: {first.name} to {last.name}" + (f", {spent:,} parameters" if spent else "")


def condensed(pairs: Sequence[Pair], room: int = ROOM) -> list[Pair | Run]:
    """Return the pairs, with long runs of one sign on one line where there are more than ``room`` of them."""
    if len(pairs) <= room:
        return list(pairs)
    shown: list[Pair | Run] = []
    index = 0
    while index < len(pairs):
        end = index + 1
        while end < len(pairs) and _group(pairs[end]) == _group(pairs[index]):
            end += 1
        run = pairs[index:end]
        before, after = (_CONTEXT, _CONTEXT) if run[0].sign == "=" else (_RUN - 1, 1)
        before, after = (before if index or run[0].sign != "=" else 0), (after if end < len(pairs) else 0)
        if _group(run[0]) != ("~", False) and len(run) > before + after + 2:
            shown += [*run[:before], Run(tuple(run[before : len(run) - after])), *run[len(run) - after :]]
        else:
            shown += run
        index = end
    return shown


def _group(pair: Pair) -> tuple[str, bool]:
    return pair.sign, pair.follows


def render(comparison: Comparison, width: int | None = None, *, colour: bool = False) -> str:
    """Return the comparison, ending in a newline, no wider than ``width`` (default: the terminal's, or 120).

    With less room names are shortened, then columns are left out: the MACs, the windows (where one differs,
    the outputs before them), the outputs, the fields, the differences.
    """
    room = room_for(width)
    lines = list(_lines(comparison, room))
    return painted(lines, room) if colour else plain(lines)


_STYLES = {"=": "dim", "~": "yellow", "−": "red", "+": "green"}


def _lines(comparison: Comparison, room: int) -> Iterable[Spans]:
    for name, one in (("left", comparison.left), ("right", comparison.right)):
        yield from wrapped([(f"{name:<7}", "bold"), (f"{one.net} for {words.inputs(one)}", "")], room, 7)
    yield []
    shown = condensed(comparison.pairs)
    pairs = [item for item in shown if isinstance(item, Pair)]
    columns, left_out = fit(_columns(pairs), room)
    pads = [column.pad() for column in columns]
    rule: Spans = [("─" * (sum(column.width for column in columns) + 2 * len(columns) - 2), "dim")]
    yield _heads(columns)
    yield joined([(pad(column.name), "bold") for column, pad in zip(columns, pads, strict=True)])
    yield rule
    index = 0
    for item in shown:
        style = _STYLES[item.sign]
        if isinstance(item, Run):
            yield [(words.shortened(f"{item.sign.replace('=', ' ')}  {item.text()}", room), style)]
            continue
        cells = zip(columns, pads, strict=True)
        yield joined([(pad(column.cells[index]), style) for column, pad in cells])
        index += 1
    yield rule
    yield []
    yield from totals(comparison, room)
    yield []
    signs = ("= alike", "~ changed", "− only left", "+ only right")
    counts = [f"{sign}: {comparison.count(sign[0])}" for sign in signs]  # type: ignore[arg-type]
    yield from wrapped([(", ".join(counts).replace("= alike", "alike"), "dim")], room)
    if left_out:
        yield from wrapped([(f"no room for: {', '.join(left_out)}", "dim")], room, 2)


def _columns(pairs: Sequence[Pair]) -> list[Column]:
    rewindowed = any("window" in pair.changes for pair in pairs)

    def side(of: Callable[[Pair], Row | None]) -> list[Column]:
        rows = [of(pair) for pair in pairs]

        def cells(cell: Callable[[Row], str]) -> list[str]:
            return [cell(row) if row else "" for row in rows]

        return [
            Column("window", cells(lambda row: words.window(row.window, row.groups)), drop=3 if rewindowed else 2),
            Column(
                "output", cells(lambda row: words.shapes(row.output_shapes) or row.note), drop=2 if rewindowed else 3
            ),
            Column("parameters", cells(lambda row: f"{row.parameters:,}" if row.parameters else ""), right=True),
            Column("MACs", cells(lambda row: words.size(row.macs) if row.macs else ""), right=True, drop=1),
            Column("field", cells(lambda row: field(row.field)), right=True, drop=4),
        ]

    left, right = side(lambda pair: pair.left), side(lambda pair: pair.right)
    more = [signed(_parameters(pair.right) - _parameters(pair.left)) for pair in pairs]
    table = [Column("", [pair.sign.replace("=", " ") for pair in pairs]), Column("layer", list(map(named, pairs)))]
    for half in (left, right):
        table += [Column(_RULE, [_RULE] * len(pairs))]
        # Both halves have the columns that either needs.
        table += [one for one, *both in zip(half, left, right, strict=True) if any(any(each.cells) for each in both)]
    return [*table, Column(_RULE, [_RULE] * len(pairs)), Column("difference", more, right=True, drop=5)]


_RULE = "│"


def _heads(columns: Sequence[Column]) -> Spans:
    """Return the line above the header: which half is which net."""
    bars = [index for index, column in enumerate(columns) if column.name == _RULE]
    starts = [sum(column.width + 2 for column in columns[: index + 1]) for index in bars[:2]]
    return [(" " * starts[0] + "left".ljust(starts[1] - starts[0]) + "right", "bold")]


def named(pair: Pair) -> str:
    """Return a pair's name, or both where they differ: ``8C3 → 12C3``."""
    names = [row.token or row.name for row in (pair.left, pair.right) if row is not None]
    if pair.left and pair.right and "kind" in pair.changes and not pair.left.token:
        names = [f"{row.name} ({row.kind})" for row in (pair.left, pair.right)]
    return " → ".join(dict.fromkeys(names))


def _parameters(row: Row | None) -> int:
    return row.parameters if row else 0


def field(value: Field | None) -> str:
    """Return a receptive field's size; empty where there are no maps."""
    return words.numbers(value.size) if value else ""


def signed(number: int, write: Callable[[int], str] = "{:,}".format) -> str:
    """Return a number with its sign; empty for none."""
    return ("+" if number > 0 else "−") + write(abs(number)) if number else ""


def ratio(total: Total) -> str:
    """Return how many times the left net's the right net's is; empty where they are equal or that has none."""
    if total.ratio is None or not total.difference:
        return ""
    return f"{total.ratio:.2f}×" if 0.095 <= total.ratio < 100 else f"{total.ratio:.3g}×"


def cells(total: Total) -> list[str]:
    """Return a total's name, both values, their signed difference and their ratio."""
    write = words.memory if total.bytes else "{:,}".format
    return [total.name, write(total.left), write(total.right), signed(total.difference, write), ratio(total)]


def final_fields(comparison: Comparison) -> list[str]:
    """Return the row of totals that tells what the outputs see; nothing in nets without maps."""
    left, right = map(field, comparison.fields)
    return ["final receptive field", left, right, "" if left == right else "changed", ""] if left or right else []


def totals(comparison: Comparison, room: int) -> Iterable[Spans]:
    """Yield the sums of both nets as a table."""
    rows = [*map(cells, comparison.totals), final_fields(comparison)]
    rows = [row for row in rows if row]
    names = ("", "left", "right", "difference", "ratio")
    columns = [
        Column(name, [row[index] for row in rows], right=index > 0, drop=(0, 0, 0, 2, 1)[index])
        for index, name in enumerate(names)
    ]
    columns, _ = fit(columns, room)
    pads = [column.pad() for column in columns]
    yield joined([(pad(column.name), "bold") for column, pad in zip(columns, pads, strict=True)])
    for index in range(len(rows)):
        yield joined(
            [
                (pad(column.cells[index]), "bold" if column.name in ("", "difference") else "")
                for column, pad in zip(columns, pads, strict=True)
            ]
        )
