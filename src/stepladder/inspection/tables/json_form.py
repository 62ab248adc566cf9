"""Summaries as JSON: the contract that pictures, reports and other programs read."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from stepladder.inspection.summary import BudgetVerdict, Row, Summary

FORMAT = 1


def render(summary: Summary, budget: BudgetVerdict | None = None) -> str:
    """Return the summary as indented JSON, ending in a newline."""
    return json.dumps(as_json(summary, budget), indent=2, ensure_ascii=False) + "\n"


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
