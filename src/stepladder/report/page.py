"""Facts to the one HTML page: what the templates and scripts need, and nothing that the facts do not say."""

from __future__ import annotations

import base64
import io
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

import numpy
from markupsafe import Markup
from PIL import Image

from stepladder.evaluate import mean
from stepladder.pictures.architecture import architecture
from stepladder.pictures.blocks import KINDS
from stepladder.pictures.style import INK, inline_svg, mix
from stepladder.progress import clock
from stepladder.report import gauges
from stepladder.text import accuracy

Facts = dict[str, Any]

SERIES = 6
"""How many colours of series the style sheet has."""

_BLOCK_KINDS = ("Conv2d", "Linear", "MaxPool2d", "AvgPool2d")


def render_page(facts: Facts) -> str:
    """Return the report as one HTML page that needs no other file and no network."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("stepladder.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shape = tuple(facts["data"]["input_shape"])
    environment.filters |= {
        "accuracy": accuracy,
        "block": _block,
        "cells": _layer_cells,
        "clock": clock,
        "effect": lambda effect, limit: gauges.effect(effect, limit),
        "png": lambda image: png(image["pixels"], shape, is_ink=_is_ink(facts)),
        "series": lambda step: series(step["number"]),
        "thousands": lambda number: f"{number:,}",
    }
    return environment.get_template("page.html.j2").render(**facts, **_view(facts))


def series(number: int) -> int:
    """Return which of the style sheet's colours a step has, from 1; the same in every drawing."""
    return (number - 1) % SERIES + 1


def png(pixels: str, shape: tuple[int, ...], *, is_ink: bool = True) -> str:
    """Return an image's bytes in base64 as the address of a PNG; for one channel dark on light where it is ink."""
    array = numpy.frombuffer(base64.b64decode(pixels), dtype=numpy.uint8).reshape(shape)
    grey = 255 - array[0] if is_ink else array[0]
    image = Image.fromarray(grey) if shape[0] != 3 else Image.fromarray(array.transpose(1, 2, 0))
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _is_ink(facts: Facts) -> bool:
    """Return whether images are bright strokes on black; climbs of earlier versions are all of such."""
    data = facts["data"]
    return bool(data["input_shape"][0] == 1 and data.get("is_handwriting", True))


def field_rows(rows: list[Facts]) -> list[Facts]:
    """Return the layers that change the receptive field, with what goes in and comes out, as in the guide's table."""
    found = []
    jump, field = [1, 1], [1, 1]
    for row in rows:
        if row["kernel"] is None or row["receptive_field"] is None:
            continue
        window = [row["kernel"], row["stride"], row["padding"]]
        sizes = [row["input_shape"][-2:], row["output_shape"][-2:]]
        pairs = [*window, *sizes, jump, row["jump"], field, row["receptive_field"]]
        jump, field = row["jump"], row["receptive_field"]
        found.append(
            {
                "name": row["name"],
                "token": row["token"],
                "cells": [pair(values) for values in pairs],
                "size": row["receptive_field"],
                "jump": row["jump"],
                "start": row["start"],
                "maps": row["output_shape"][-2:],
            }
        )
    return found


def pair(values: list[int] | None) -> str:
    """Return 3 for 3 and 3, 3×5 for 3 and 5, and nothing for None."""
    if values is None:
        return ""
    return str(values[0]) if values[0] == values[1] else f"{values[0]}×{values[1]}"


def _view(facts: Facts) -> Facts:
    best, final = facts["best"], facts["steps"][-1]
    rows = best["inspect"]["rows"]
    effects = [step["effect"] for step in facts["steps"] if step["effect"]]
    wrong = [count for label, row in enumerate(best["confusion"]) for at, count in enumerate(row) if at != label]
    found = best["doubtful"]["found"] if best["doubtful"] else []
    return {
        "assets": _assets(),
        "architecture": _themed(inline_svg(architecture(best["inspect"], bare=True), "answer-")),
        "architecture_again": _themed(inline_svg(architecture(best["inspect"]), "drawing-")),
        "doubtful_indices": {one["index"] for one in found},
        "effect_limit": max((abs(effect[end]) for effect in effects for end in ("low", "high")), default=1.0),
        "field_rows": field_rows(rows),
        "gauges": gauges.answer(final, facts["goal"], facts["verdict"]["passes"] is not None),
        "image_class": "digit" if _is_ink(facts) else "photo",
        "is_ink": _is_ink(facts),
        "most_confused": max([*wrong, 1]),
        "most_macs": max(max(row["macs"] for row in rows), 1),
        "most_parameters": max(max(row["parameters"] for row in rows), 1),
        "payload": Markup(_script_json(_payload(facts))),
        "smoothed": _smoothed(facts["steps"]),
        "per_class": gauges.per_class(best["classes"], facts["data"]["classes"]),
    }


def _themed(svg: str) -> Markup:
    """Return a drawing whose coloured words take the colours of the page, which has brighter ones by night."""
    for kind, (_, colour) in KINDS.items():
        svg = re.sub(f"fill: {mix(colour, 0.75, INK)}", f"fill: var(--{kind})", svg, flags=re.IGNORECASE)
    return Markup(svg)


def _smoothed(steps: list[Facts]) -> str:
    """Return which steps train with label smoothing where others do not; their losses are not comparable."""
    names = [f"step {step['number']}" for step in steps if step["recipe"]["label_smoothing"]]
    return ", ".join(names) if len(names) < len(steps) else ""


def _payload(facts: Facts) -> Facts:
    """Return what the page's scripts compute with."""
    goal, best = facts["goal"], facts["best"]
    compared = [facts["steps"][-1], *facts["alternatives"]] if facts["alternatives"] else []
    return {
        "split": facts["data"]["split"],
        "target": goal["target"],
        "classes": facts["data"]["classes"],
        "inputShape": facts["data"]["input_shape"],
        "isInk": _is_ink(facts),
        "series": {"steps": [_curves(step) for step in facts["steps"]], "alternatives": [*map(_curves, compared)]},
        "field": [
            {name: row[name] for name in ("name", "token", "size", "jump", "start", "maps")}
            for row in field_rows(best["inspect"]["rows"])
        ],
        "layers": [
            {name: row[name] for name in ("token", "output_shape", "receptive_field", "jump", "start")}
            for row in best["inspect"]["rows"]
        ],
        "living": best["living"],
        "published": facts["published"],
        "own": [
            {
                "colour": series(step["number"]),
                "number": step["number"],
                "title": step["title"],
                "parameters": step["parameters"],
                "accuracy": step["evaluation"]["mean"],
                "text": accuracy(step["evaluation"]),
                "seeds": len(step["runs"]),
            }
            for step in facts["steps"]
        ],
    }


def _curves(step: Facts) -> Facts:
    return {
        "number": step["number"],
        "title": step["title"],
        "colour": series(step["number"]),
        "rates": [float(f"{rate:.5g}") for rate in step["learning_rates"]],
        "runs": [
            {
                "seed": run["seed"],
                "trainLoss": [round(row["train_loss"], 5) for row in run["rows"]],
                "evaluationLoss": [round(row["evaluation_loss"], 5) for row in run["rows"]],
                "train": [_share(row, "train") for row in run["rows"]],
                "evaluation": [_share(row, "evaluation") for row in run["rows"]],
            }
            for run in step["runs"]
        ],
        "readings": _readings(step),
    }


def _readings(step: Facts) -> Facts:
    """Return what the curves say at each epoch, the mean of the seeds, written as the page's tables write it.

    Scripts would round once more what was rounded for drawing, and they round halves up where Python takes the even
    neighbour; so the words are made here, and the scripts only show them.
    """
    epochs = list(zip(*(run["rows"] for run in step["runs"]), strict=True))
    return {
        "trainLoss": [f"{mean([row['train_loss'] for row in rows]):.4f}" for rows in epochs],
        "evaluationLoss": [f"{mean([row['evaluation_loss'] for row in rows]):.4f}" for rows in epochs],
        "train": [f"{mean([_share(row, 'train') for row in rows]):.2f}" for rows in epochs],
        "evaluation": [f"{mean([_share(row, 'evaluation') for row in rows]):.2f}" for rows in epochs],
        "rates": [f"{rows[0]['learning_rate']:.4g}" for rows in epochs],
    }


def _share(row: Facts, part: str) -> float:
    """Return the percentage of right answers in a row's part, "train" or "evaluation"."""
    return float(100 * row[f"{part}_correct"] / row[f"{part}_count"])


def _script_json(values: Facts) -> str:
    """Return JSON that is safe between script tags, whatever names a data set's classes have."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _assets() -> dict[str, Markup]:
    folder = files("stepladder.report") / "assets"
    return {one.name: Markup(one.read_text(encoding="utf-8")) for one in folder.iterdir() if one.is_file()}


def _layer_cells(row: Facts) -> list[str]:
    return [
        row["name"],
        "×".join(map(str, row["output_shape"])),
        f"{row['parameters']:,}",
        f"{row['macs']:,}",
        *(pair(row[name]) for name in ("kernel", "stride", "padding")),
    ]


def _block(row: Facts, rows: list[Facts]) -> int:
    """Return the index of the row that heads this row's block in the drawing of the architecture."""
    index = next(index for index, one in enumerate(rows) if one["name"] == row["name"])
    return max((at for at in range(index + 1) if rows[at]["kind"] in _BLOCK_KINDS), default=0)
