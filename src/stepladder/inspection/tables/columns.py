"""Columns that fit a terminal, and lines of text with styles: what tables and comparisons are written with."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stepladder.inspection.tables import words

Span = tuple[str, str]
"""Text and its style, in rich's words; empty for none."""
Spans = list[Span]

WIDTH = 120
"""Columns where there is no terminal to ask."""
_SHORT, _SHORTEST = 28, 10
"""Characters that a layer's name keeps while there are columns to leave out, and in any case."""
_SHORTEST_KIND, _LUXURIES = 12, 2
"""Characters that a kind keeps, and the last place in the order that is left out before a kind is shortened."""


@dataclass
class Column:
    """A column, and how its cells look; ``drop`` is the place in the order in which columns are left out, 0: never."""

    name: str
    cells: list[str]
    right: bool = False
    drop: int = 0

    @property
    def width(self) -> int:
        """The characters of its widest cell or its name."""
        return max(map(len, (self.name, *self.cells)))

    def pad(self) -> Callable[[str], str]:
        """Return what brings a cell to the column's width."""
        width = self.width
        return (lambda text: text.rjust(width)) if self.right else (lambda text: text.ljust(width))


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


def fit(every: Sequence[Column], room: int) -> tuple[list[Column], list[str]]:
    """Return the columns that fit, and the names of those left out; those of one place in the order go together."""
    shown = set(range(len(every)))
    left_out: list[set[int]] = []
    while (over := _width([every[index] for index in shown]) - room) > 0:
        places = [every[index].drop for index in shown if every[index].drop]
        # Names give way first, down to a length at which they can be told apart, and kinds before what counts more.
        limits = {"layer": _SHORT if places else _SHORTEST}
        if places and min(places) > _LUXURIES:
            limits["kind"] = _SHORTEST_KIND
        long = [every[i] for i in sorted(shown) if every[i].width > limits.get(every[i].name, every[i].width)]
        if long:
            for column in long:
                shorten(column, max(limits[column.name], column.width - -(-over // len(long))))
        elif places:
            left_out.append({index for index in shown if every[index].drop == min(places)})
            shown -= left_out[-1]
        else:
            break
    # A wide column that had to go may have made room for narrow ones that went before.
    for columns in left_out[-2::-1]:
        if _width([every[index] for index in shown | columns]) <= room:
            shown |= columns
            left_out.remove(columns)
    names = dict.fromkeys(every[index].name or "bars" for columns in left_out for index in sorted(columns))
    return [every[index] for index in sorted(shown)], list(names)


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + 2 * (len(columns) - 1)


def shorten(column: Column, width: int) -> None:
    """Shorten a column's names to a width."""
    kept = []
    for cell in column.cells:
        # The indentation says which block it lies in; the name after it is what can be shortened.
        name = cell.lstrip(" ▾▸")
        indent = cell[: len(cell) - len(name)]
        kept.append(indent[: max(0, width - 4)] + words.shortened(name, width - min(len(indent), max(0, width - 4))))
    column.cells = kept
    if column.width > width:
        column.name = words.shortened(column.name, width)


def joined(cells: Sequence[Span]) -> Spans:
    """Return cells with the space between columns."""
    spans: Spans = []
    for index, cell in enumerate(cells):
        spans += [("  ", ""), cell] if index else [cell]
    return spans


def wrapped(spans: Spans, room: int, indent: int = 0) -> list[Spans]:
    """Return spans as lines of at most ``room`` characters; all but the first begin with spaces."""
    spans = [(" ".join(one.splitlines()), style) for one, style in spans]
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
