"""Two nets side by side: which of their layers answer each other, and what differs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from stepladder.displayed import Displayed
from stepladder.inspection.summary import Field, Row, Summary
from stepladder.inspection.tables import words

STYLES = ("text", "json", "markdown", "html")
Difference = Literal["kind", "output", "window", "parameters", "MACs", "field"]
Sign = Literal["=", "~", "−", "+"]
"""Alike, changed, only in the left net, only in the right net."""

_LARGE = 4_000_000
"""Pairs of rows from which on the best way to match them takes too long."""


@dataclass(frozen=True)
class Pair:
    """A row of each net that answer each other, or a row that only one has; ``changes`` is what differs."""

    left: Row | None
    right: Row | None
    changes: tuple[Difference, ...] = ()

    @property
    def sign(self) -> Sign:
        """``=`` alike, ``~`` changed, ``−`` only on the left, ``+`` only on the right."""
        if self.right is None:
            return "−"
        if self.left is None:
            return "+"
        return "~" if self.changes else "="

    @property
    def follows(self) -> bool:
        """Whether all that differs follows from layers before: sizes of maps, MACs, what the values see."""
        return self.sign == "~" and not {"kind", "window", "parameters"} & set(self.changes)


@dataclass(frozen=True)
class Total:
    """A sum of each net."""

    name: str
    left: int
    right: int
    bytes: bool = False

    @property
    def difference(self) -> int:
        """Return what the right net has more."""
        return self.right - self.left

    @property
    def ratio(self) -> float | None:
        """Return the right net's over the left net's; None where that has none."""
        return self.right / self.left if self.left else None


@dataclass(frozen=True)
class Comparison(Displayed):
    """Two summaries, their rows in pairs in the order of both nets, sums, and what the outputs see.

    Args:
        left: the first net.
        right: the second net.
        pairs: every row of either net once.
        totals: parameters, trainable ones, buffers, MACs and memory; what neither has is left out.
        fields: the final receptive fields; None where they are unknown altogether.
    """

    left: Summary
    right: Summary
    pairs: tuple[Pair, ...]
    totals: tuple[Total, ...]
    fields: tuple[Field | None, Field | None]

    @property
    def same(self) -> bool:
        """Whether no row differs."""
        return all(pair.sign == "=" for pair in self.pairs)

    def count(self, sign: Sign) -> int:
        """Return how many pairs have a sign."""
        return sum(pair.sign == sign for pair in self.pairs)

    def __str__(self) -> str:
        """Return the comparison as ``stepladder inspect --diff`` prints it."""
        return render(self, "text").rstrip("\n")


def compare(left: Summary, right: Summary) -> Comparison:
    """Return two nets side by side.

    Rows are matched in their order so that as many as possible answer each other: the same place in the net and the
    same kind count most, then the name within the block, then windows and parameters; layers that do the same work in
    another kind (ReLU, SiLU) may answer each other too.
    """
    matched = dict(_matched(left.rows, right.rows))
    pairs: list[Pair] = []
    position = 0
    for index, row in enumerate(left.rows):
        if index not in matched:
            pairs.append(Pair(row, None))
            continue
        pairs += [Pair(None, other) for other in right.rows[position : matched[index]]]
        other = right.rows[matched[index]]
        pairs.append(Pair(row, other, _changes(row, other)))
        position = matched[index] + 1
    pairs += [Pair(None, other) for other in right.rows[position:]]
    mine, yours = left.totals, right.totals
    totals = (
        Total("parameters", mine.parameters, yours.parameters),
        Total("trainable", mine.trainable, yours.trainable),
        Total("buffers", mine.buffers, yours.buffers),
        Total("MACs", mine.macs, yours.macs),
        Total("memory for inference", mine.inference_bytes, yours.inference_bytes, True),
        Total("memory for training", mine.training_bytes, yours.training_bytes, True),
    )
    frozen = mine.parameters != mine.trainable or yours.parameters != yours.trainable
    kept = tuple(one for one in totals if (one.left or one.right) and (frozen or one.name != "trainable"))
    return Comparison(left, right, tuple(pairs), kept, (words.final_field(left), words.final_field(right)))


def render(comparison: Comparison, style: str, *, width: int | None = None, colour: bool = False) -> str:
    """Return the comparison as ``text``, ``json``, ``markdown`` or ``html``, ending in a newline.

    Args:
        comparison: the facts.
        style: one of ``STYLES``.
        width: columns of the text; None asks the terminal.
        colour: whether the text has a terminal's colours.

    Raises:
        KeyError: if the style is none of ``STYLES``.
    """
    from stepladder.inspection import diff_forms, diff_text

    if style == "text":
        return diff_text.render(comparison, width, colour=colour)
    return {"json": diff_forms.json, "markdown": diff_forms.markdown, "html": diff_forms.html}[style](comparison)


def _changes(left: Row, right: Row) -> tuple[Difference, ...]:
    own: list[tuple[Difference, bool]] = [
        ("kind", left.label != right.label if not left.token else left.kind != right.kind),
        ("output", left.output_shapes != right.output_shapes),
        ("window", left.groups != right.groups or (left.window != right.window and not _are_whole(left, right))),
        ("parameters", (left.parameters, left.shared) != (right.parameters, right.shared)),
        ("MACs", left.macs != right.macs),
        ("field", left.field != right.field),
    ]
    return tuple(name for name, differs in own if differs)


def _are_whole(*rows: Row) -> bool:
    """Whether the rows pool whole maps: then their windows differ only because the maps do."""
    return all(row.role == "pool" and row.window and row.window.kernel == row.input_shape[1:] for row in rows)


def _place(row: Row) -> str:
    """Return the row's name within its block; nothing in a one-line net, whose names count layers."""
    return "" if row.token else row.name.rpartition(".")[2]


def _matched(left: Sequence[Row], right: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield pairs of indices that rise on both sides."""
    first, ends = 0, (len(left), len(right))
    while first < min(ends) and _alike(left[first], right[first]):
        yield first, first
        first += 1
    tail = 0
    while tail < min(ends) - first and _alike(left[-1 - tail], right[-1 - tail]):
        tail += 1
    middle = left[first : ends[0] - tail], right[first : ends[1] - tail]
    match = _best if len(middle[0]) * len(middle[1]) <= _LARGE else _long
    yield from ((first + one, first + other) for one, other in match(*middle))
    yield from ((ends[0] - 1 - back, ends[1] - 1 - back) for back in reversed(range(tail)))


def _alike(left: Row, right: Row) -> bool:
    named = bool(left.token) or left.name == right.name
    return named and _design(left) == _design(right) and _place(left) == _place(right)


def _design(row: Row) -> tuple[object, ...]:
    return row.kind, row.role, row.token, row.window, row.groups, row.parameters, row.output_shape[:1]


def _best(left: Sequence[Row], right: Sequence[Row]) -> list[tuple[int, int]]:
    """Return the matching with the highest sum of scores (Needleman and Wunsch 1970, with no price for gaps)."""
    ours = [_keys(row) for row in left]
    theirs = [_keys(row) for row in right]
    # best[i][j] is the highest sum over the rows from i and j on.
    best = [[0] * (len(right) + 1)]
    for mine in reversed(ours):
        below = best[-1]
        line = [0] * (len(right) + 1)
        for index in range(len(right) - 1, -1, -1):
            score = _score(mine, theirs[index])
            line[index] = max(below[index], line[index + 1], below[index + 1] + score if score else 0)
        best.append(line)
    best.reverse()
    pairs = []
    i = j = 0
    while i < len(left) and j < len(right):
        score = _score(ours[i], theirs[j])
        if score and best[i][j] == best[i + 1][j + 1] + score:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _keys(row: Row) -> tuple[int, int, int, int, int]:
    name = "" if row.token else row.name
    return hash(row.kind), hash(row.role), hash(_place(row)), hash(name), hash(_design(row))


def _score(mine: tuple[int, int, int, int, int], yours: tuple[int, int, int, int, int]) -> int:
    if mine[0] == yours[0]:
        return 4 + 2 * (mine[2] == yours[2]) + 2 * (mine[3] == yours[3]) + (mine[4] == yours[4])
    return 1 + (mine[3] == yours[3]) if mine[1] == yours[1] and mine[1] != _OTHER else 0


_OTHER = hash("other")


def _long(left: Sequence[Row], right: Sequence[Row]) -> list[tuple[int, int]]:
    """Return a matching that is found fast: the longest stretches of the same kinds at the same places."""
    ours = [(row.kind, row.role, _place(row)) for row in left]
    theirs = [(row.kind, row.role, _place(row)) for row in right]
    blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
