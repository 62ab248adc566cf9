"""The reference guide's two tables, cell for cell."""

from __future__ import annotations

from stepladder.inspection.summary import BudgetVerdict, Summary
from stepladder.inspection.tables.text import budget_lines
from stepladder.inspection.tables.words import maps, numbers, pair


def render(summary: Summary, budget: BudgetVerdict | None = None) -> str:
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
        *_fields(summary),
    ]
    lines += budget_lines(budget) if budget else []
    return "\n".join(lines) + "\n"


_HEADER = (
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
_OPERATIONS = {"Conv2d": "CONVLUTION", "MaxPool2d": "MaxPool", "AvgPool2d": "AvgPool", "Linear": "LINEAR"}


def _fields(summary: Summary) -> list[str]:
    lines = ["| " + " | ".join(_HEADER) + " |", "|" + " :-------: |" * len(_HEADER)]
    for row in summary.rows:
        operation = "GAP" if row.token == "GAP" else _OPERATIONS.get(row.kind)
        if operation is None or row.field is None or row.field_in is None or not row.input_shape:
            continue
        window = row.window
        cells = [
            f"**{operation}**",
            maps(row.input_shape, row.field_in),
            maps(row.output_shape, row.field),
            str(row.input_shape[0]),
            str(row.output_shape[0]),
            pair(window.padding) if window else "",
            pair(window.kernel) if window else "",
            pair(window.stride) if window else "",
            numbers(row.field_in.jump),
            numbers(row.field.jump),
            numbers(row.field_in.size),
            numbers(row.field.size),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
