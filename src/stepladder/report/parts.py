"""What the pages share: filters, scripts and styles, and the sections about one trained net."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy
from markupsafe import Markup
from PIL import Image

from stepladder.durations import clock
from stepladder.pictures.architecture import architecture
from stepladder.pictures.blocks import KINDS
from stepladder.pictures.style import INK, inline_svg, mix
from stepladder.report import gauges
from stepladder.text import accuracy

Facts = dict[str, Any]

SERIES = 6
"""How many colours of series the style sheet has."""

_BLOCK_KINDS = ("Conv2d", "Linear", "MaxPool2d", "AvgPool2d")


def fill(template: str, values: Facts, filters: dict[str, Callable[..., Any]], *, html: bool) -> str:
    """Return a template of this package filled with values.

    Args:
        template: its file name.
        values: what it speaks of; a name that is missing is an error.
        filters: besides those that all templates have.
        html: whether text is escaped for HTML; Markdown has no escaping that a browser would need.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("stepladder.report", "templates"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shared = {"accuracy": accuracy, "clock": clock, "thousands": lambda number: f"{number:,}"}
    environment.filters |= shared | filters
    return environment.get_template(template).render(**values)


def net_filters(data: Facts) -> dict[str, Callable[..., Any]]:
    """Return the filters of the sections about one net.

    Args:
        data: of the data set, with "input_shape".
    """
    shape = tuple(data["input_shape"])
    return {
        "block": block,
        "cells": _layer_cells,
        "png": lambda image: png(image["pixels"], shape, is_ink=is_ink(data)),
    }


def net_view(best: Facts, data: Facts) -> Facts:
    """Return what the sections about one net are filled with, besides the facts.

    Args:
        best: the exhibits of a run.
        data: of the data set.
    """
    rows = best["inspect"]["rows"]
    wrong = [count for label, row in enumerate(best["confusion"]) for at, count in enumerate(row) if at != label]
    found = best["doubtful"]["found"] if best["doubtful"] else []
    return {
        "architecture": _themed(inline_svg(architecture(best["inspect"], bare=True), "answer-")),
        "architecture_again": _themed(inline_svg(architecture(best["inspect"]), "drawing-")),
        "doubtful_indices": {one["index"] for one in found},
        "field_rows": field_rows(rows),
        "image_class": "digit" if is_ink(data) else "photo",
        "is_ink": is_ink(data),
        "most_confused": max([*wrong, 1]),
        "most_macs": max(max(row["macs"] for row in rows), 1),
        "most_parameters": max(max(row["parameters"] for row in rows), 1),
        "per_class": gauges.per_class(best["classes"], data["classes"]),
    }


def net_payload(best: Facts, data: Facts) -> Facts:
    """Return what the scripts of the sections about one net compute with."""
    rows = best["inspect"]["rows"]
    return {
        "split": data["split"],
        "classes": data["classes"],
        "inputShape": data["input_shape"],
        "isInk": is_ink(data),
        "field": [
            {name: row[name] for name in ("name", "token", "size", "jump", "start", "maps")} for row in field_rows(rows)
        ],
        "layers": [
            {name: row[name] for name in ("token", "output_shape", "receptive_field", "jump", "start")} for row in rows
        ],
        "living": best["living"],
    }


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


def is_ink(data: Facts) -> bool:
    """Return whether images are bright strokes on black; climbs of earlier versions are all of such."""
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


def script_json(values: Facts) -> Markup:
    """Return JSON that is safe between script tags, whatever names a data set's classes have."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@cache
def assets() -> dict[str, Markup]:
    """Return the style sheets and scripts by their file names."""
    folder = files("stepladder.report") / "assets"
    return {one.name: Markup(one.read_text(encoding="utf-8")) for one in folder.iterdir() if one.is_file()}


def block(row: Facts, rows: list[Facts]) -> int:
    """Return the index of the row that heads this row's block in the drawing of the architecture."""
    index = next(index for index, one in enumerate(rows) if one["name"] == row["name"])
    return max((at for at in range(index + 1) if rows[at]["kind"] in _BLOCK_KINDS), default=0)


def _themed(svg: str) -> Markup:
    """Return a drawing whose coloured words take the colours of the page, which has brighter ones by night."""
    for kind, (_, colour) in KINDS.items():
        svg = re.sub(f"fill: {mix(colour, 0.75, INK)}", f"fill: var(--{kind})", svg, flags=re.IGNORECASE)
    return Markup(svg)


def _layer_cells(row: Facts) -> list[str]:
    return [
        row["name"],
        "×".join(map(str, row["output_shape"])),
        f"{row['parameters']:,}",
        f"{row['macs']:,}",
        *(pair(row[name]) for name in ("kernel", "stride", "padding")),
    ]
