"""Summaries as text, JSON, CSV, Markdown, or the reference guide's two tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from stepladder.inspection.summary import BudgetVerdict, Row, Summary

FORMAT = 1
STYLES = ("text", "json", "csv", "markdown", "guide")

_COLUMNS = (
    "layer",
    "output shape",
    "parameters",
    "MACs",
    "kernel",
    "stride",
    "padding",
    "n_in",
    "n_out",
    "j_in",
    "j_out",
    "r_in",
    "r_out",
)


def render(summary: Summary, style: str, budget: BudgetVerdict | None = None) -> str:
    """Return the summary in one of the styles, ending in a newline.

    Raises:
        KeyError: if the style is none of ``STYLES``.
    """
    return _RENDERERS[style](summary, budget)


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


def as_json(summary: Summary, budget: BudgetVerdict | None = None) -> dict[str, Any]:
    """Return the summary as plain values; lists of sizes go over the axes of the image, rows before columns."""
    totals = summary.totals
    facts: dict[str, Any] = {
        "format": FORMAT,
        "net": summary.net,
        "input": list(summary.input_shape),
        "inputs": [{"name": one.name, "shape": list(one.shape), "dtype": one.dtype} for one in summary.inputs],
        "image": list(summary.image),
        "rows": [_json_row(row) for row in summary.rows],
        "blocks": [
            {
                "name": block.name,
                "kind": block.kind,
                "depth": block.depth,
                "rows": [block.first, block.last],
                "input_shapes": [list(shape) for shape in block.input_shapes],
                "output_shapes": [list(shape) for shape in block.output_shapes],
            }
            for block in summary.blocks
        ],
        "outputs": list(summary.outputs),
        "totals": {
            "parameters": totals.parameters,
            "trainable": totals.trainable,
            "macs": totals.macs,
            "buffers": totals.buffers,
            "inference_bytes": totals.inference_bytes,
            "training_bytes": totals.training_bytes,
        },
        "findings": [
            {"kind": one.kind, "layer": one.layer, "evidence": one.evidence, "repair": one.repair}
            for one in summary.findings
        ],
        "notes": list(summary.notes),
    }
    if summary.failure is not None:
        failure = summary.failure
        facts["failure"] = {
            "layer": failure.layer,
            "kind": failure.kind,
            "got": failure.got,
            "needs": failure.needs,
            "repair": failure.repair,
        }
    if budget is not None:
        facts["budget"] = {
            "budget": budget.budget,
            "parameters": budget.parameters,
            "passes": budget.passes,
            "left": budget.left,
            "costliest": [
                {"name": one.name, "token": one.token, "parameters": one.parameters, "share": one.share}
                for one in budget.costliest
            ],
        }
    return facts


def _json_row(row: Row) -> dict[str, Any]:
    window = row.window
    field = row.field
    return {
        "name": row.name,
        "kind": row.kind,
        "role": row.role,
        "token": row.token,
        "depth": row.depth,
        "input_shape": list(row.input_shape),
        "output_shape": list(row.output_shape),
        "input_shapes": [list(shape) for shape in row.input_shapes],
        "output_shapes": [list(shape) for shape in row.output_shapes],
        "parameters": row.parameters,
        "trainable": row.trainable,
        "shared": row.shared,
        "buffers": row.buffers,
        "macs": row.macs,
        "kernel": list(window.kernel) if window else None,
        "stride": list(window.stride) if window else None,
        "padding": list(window.padding) if window else None,
        "dilation": list(window.dilation) if window else None,
        "groups": row.groups,
        "receptive_field": list(field.size) if field else None,
        "jump": [None if jump is None else _plain(jump) for jump in field.jump] if field else None,
        "start": list(field.start) if field else None,
        "aligned": field.aligned if field else None,
        "unknown": field.unknown if field else "",
        "inputs": list(row.inputs),
        "output_bytes": row.output_bytes,
        "kept_bytes": row.kept_bytes,
        "note": row.note,
    }


def _plain(number: int | Fraction) -> int | float:
    return int(number) if number == int(number) else float(number)


def _cells(row: Row) -> list[str]:
    window = row.window
    return [
        row.name,
        "×".join(map(str, row.output_shape)),
        f"{row.parameters:,}",
        f"{row.macs:,}",
        _pair(window.kernel) if window else "",
        _pair(window.stride) if window else "",
        _pair(window.padding) if window else "",
        _size(row.input_shape),
        _size(row.output_shape),
        _pair(row.field_in.jump) if row.field_in else "",
        _pair(row.field.jump) if row.field else "",
        _pair(row.field_in.size) if row.field_in else "",
        _pair(row.field.size) if row.field else "",
    ]


def _text(summary: Summary, budget: BudgetVerdict | None) -> str:
    totals = summary.totals
    rows = [_cells(row) for row in summary.rows]
    total = ["total", "", f"{totals.parameters:,}", f"{totals.macs:,}"] + [""] * 9
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, total, strict=True)]
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [summary.net, "", _line(_COLUMNS, widths), rule, *(_line(row, widths) for row in rows), rule]
    lines += [
        _line(total, widths),
        "",
        f"{totals.trainable:,} trainable parameters; {totals.macs:,} MACs (multiply-accumulates of convolutions and "
        "linear layers, one image)",
        "n: rows and columns of the maps; j: jump, r: receptive field, both in input pixels",
    ]
    lines += [f"note: {one.layer}: {one.evidence}; {one.repair}" for one in summary.findings]
    lines += budget_lines(budget) if budget else []
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.ljust(width) if index < 2 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def _json(summary: Summary, budget: BudgetVerdict | None) -> str:
    return json.dumps(as_json(summary, budget), indent=2, ensure_ascii=False) + "\n"


def _csv(summary: Summary, budget: BudgetVerdict | None) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in summary.rows:
        # Numbers without thousands separators: a program reads this.
        cells = _cells(row)
        cells[2:4] = [str(row.parameters), str(row.macs)]
        writer.writerow(cells)
    return stream.getvalue()


def _markdown(summary: Summary, budget: BudgetVerdict | None) -> str:
    alignment = [":--", ":--"] + ["--:"] * (len(_COLUMNS) - 2)
    total = ["**total**", "", f"**{summary.totals.parameters:,}**", f"**{summary.totals.macs:,}**"] + [""] * 9
    rows = [_COLUMNS, alignment, *(_cells(row) for row in summary.rows), total]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if budget is not None:
        lines += ["", *budget_lines(budget)]
    return "\n".join(lines) + "\n"


def _guide(summary: Summary, budget: BudgetVerdict | None) -> str:
    """Return the guide's layer summary and its table of receptive fields, cell for cell."""
    dashes, equals = "-" * 64, "=" * 64
    lines = [dashes, f"{'Layer (type)':>20}  {'Output Shape':>25} {'Param #':>15}", equals]
    for row in summary.rows:
        shape = str([-1, *row.output_shape])
        lines.append(f"{row.name:>20}  {shape:>25} {row.parameters:>15,}")
    totals = summary.totals
    lines += [
        equals,
        f"Total params: {totals.parameters:,}",
        f"Trainable params: {totals.trainable:,}",
        f"Non-trainable params: {totals.parameters - totals.trainable:,}",
        dashes,
        "",
        *_guide_fields(summary),
    ]
    lines += budget_lines(budget) if budget else []
    return "\n".join(lines) + "\n"


_GUIDE_HEADER = (
    "OPERATION",
    "N<sub>in</sub>",
    "N<sub>out</sub>",
    "CH<sub>in</sub>",
    "CH<sub>out</sub>",
    "Padding",
    "Kernel",
    "Stride",
    "j<sub>in</sub>",
    "j<sub>out</sub>",
    "r<sub>in</sub>",
    "r<sub>out</sub>",
)

# The reference writes CONVLUTION. This style exists to be laid beside the reference, cell for cell, so it keeps
# the spelling; every other style has its own words.
_GUIDE_OPERATIONS = {"Conv2d": "CONVLUTION", "MaxPool2d": "MaxPool", "AvgPool2d": "AvgPool", "Linear": "LINEAR"}


def _guide_fields(summary: Summary) -> list[str]:
    lines = ["| " + " | ".join(_GUIDE_HEADER) + " |", "|" + " :-------: |" * len(_GUIDE_HEADER)]
    for row in summary.rows:
        operation = "GAP" if row.token == "GAP" else _GUIDE_OPERATIONS.get(row.kind)
        if operation is None or row.field is None or row.field_in is None:
            continue
        window = row.window
        cells = [
            f"**{operation}**",
            _size(row.input_shape),
            _size(row.output_shape),
            str(row.input_shape[0]),
            str(row.output_shape[0]),
            _pair(window.padding) if window else "",
            _pair(window.kernel) if window else "",
            _pair(window.stride) if window else "",
            _pair(row.field_in.jump),
            _pair(row.field.jump),
            _pair(row.field_in.size),
            _pair(row.field.size),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _pair(values: Sequence[object]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}×{values[1]}"


def _size(shape: Sequence[int]) -> str:
    return _pair(shape[1:]) if len(shape) == 3 else "1"


_RENDERERS: dict[str, Callable[[Summary, BudgetVerdict | None], str]] = {
    "text": _text,
    "json": _json,
    "csv": _csv,
    "markdown": _markdown,
    "guide": _guide,
}
