"""Proposals as text, JSON and Markdown; all from the same facts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from stepladder.inspection.tables.words import memory, size, sizes
from stepladder.proposals.propose import RULE, Proposal

STYLES = ("text", "json", "markdown")
HEADER = ("no.", "kind", "net", "parameters", "of budget", "field", "last map", "MACs", "training")
_WIDTH = 112


def render(proposals: Sequence[Proposal], style: str) -> str:
    """Return the proposals in one of the styles, with a line's end."""
    return {"text": _text, "json": _json, "markdown": _markdown}[style](proposals)


def cells(proposals: Sequence[Proposal]) -> list[list[str]]:
    """Return a row of the table for each proposal: the columns of ``HEADER``."""
    return [
        [
            str(number),
            one.kind,
            one.net,
            f"{one.parameters:,}",
            f"{one.share:.1%}",
            sizes(one.field),
            sizes(last_map(one)),
            size(one.summary.totals.macs),
            memory(one.summary.totals.training_bytes),
        ]
        for number, one in enumerate(proposals, start=1)
    ]


def last_map(proposal: Proposal) -> tuple[int, ...]:
    """Return rows and columns of the last maps before the head."""
    return next(
        row.input_shape[1:]
        for row in proposal.summary.rows
        if row.role == "flatten" or (row.kind == "AvgPool2d" and row.token == "GAP")
    )


def first_because(proposals: Sequence[Proposal]) -> str:
    """Return which proposal comes first, and why."""
    return f"{proposals[0].kind} comes first by the rule: {RULE}."


def facts(proposals: Sequence[Proposal]) -> dict[str, Any]:
    """Return everything about the proposals as plain values."""
    first = proposals[0].summary
    return {
        "input_shape": list(first.input_shape),
        "budget": proposals[0].budget,
        "rule": RULE,
        "proposals": [
            {
                "kind": one.kind,
                "difference": one.difference,
                "net": one.net,
                "parameters": one.parameters,
                "share": round(one.share, 4),
                "room": round(one.room, 4),
                "last_map": list(last_map(one)),
                "field_before_head": list(one.field),
                "macs": one.summary.totals.macs,
                "training_bytes": one.summary.totals.training_bytes,
                "inference_bytes": one.summary.totals.inference_bytes,
                "findings": [finding.kind for finding in one.summary.findings],
                "reasons": list(one.reasons),
            }
            for one in proposals
        ],
    }


def _text(proposals: Sequence[Proposal]) -> str:
    blocks = []
    for number, one in enumerate(proposals, start=1):
        lines = [f"{number}. {one.net}", f"   {one.kind}: {one.difference}"]
        for reason in one.reasons:
            lines += wrap(reason, _WIDTH, initial_indent="   - ", subsequent_indent="     ")
        blocks.append("\n".join(lines))
    blocks.append("\n".join(wrap(first_because(proposals), _WIDTH)))
    return "\n\n".join(blocks) + "\n"


def _json(proposals: Sequence[Proposal]) -> str:
    return json.dumps(facts(proposals), indent=2, ensure_ascii=False) + "\n"


def _markdown(proposals: Sequence[Proposal]) -> str:
    rule = [":--" if name in ("kind", "net") else "--:" for name in HEADER]
    rows = [[*row[:2], f"`{row[2]}`", *row[3:]] for row in cells(proposals)]
    lines = [f"| {' | '.join(row)} |" for row in (HEADER, rule, *rows)]
    for number, one in enumerate(proposals, start=1):
        lines += ["", f"**{number}. {one.kind}**: {one.difference}", "", *(f"- {reason}" for reason in one.reasons)]
    return "\n".join([*lines, "", first_because(proposals)]) + "\n"
