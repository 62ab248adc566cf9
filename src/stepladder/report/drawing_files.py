"""Drawings of a climb of questions as files of their own, which its Markdown page links to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from stepladder.report.gauges import svg
from stepladder.report.parts import assets
from stepladder.report.scale import COLOURS, SIGNS, Scale, spoken

Facts = dict[str, Any]

_LONGEST_NAME = 20


def effects_drawing(rows: Sequence[Facts], scale: Scale) -> Markup:
    """Return all candidates with their effects, the order theirs, as one drawing for a page that has no table of them.

    Args:
        rows: as ``stepladder.story.effects`` gives them.
        scale: for their differences.
    """
    width, line, names, numbers = 960.0, 25.0, 330.0, 210.0
    drawn = width - names - numbers
    height = line * (len(rows) + 1) + 8
    parts = [_nested(str(scale.axis()), names, 4, drawn, 18)]
    for index, row in enumerate(rows):
        top = line * (index + 1)
        weight = ' font-weight="700"' if row["taken"] else ""
        name = f'{escape(row["name"])} <tspan class="in">{escape(row["title"])}</tspan>'
        sign = f'<tspan fill="{COLOURS[row["verdict"]]}" font-weight="700">{SIGNS[row["verdict"]]}</tspan>'
        parts.append(f'<text class="who" x="{names - 14}" y="{top + 17}" text-anchor="end"{weight}>{name}</text>')
        parts.append(_nested(str(scale.interval(row, taken=row["taken"])), names, top, drawn, line))
        parts.append(f'<text x="{width - numbers + 12}" y="{top + 17}">{sign} {spoken(row)}</text>')
    return svg(width, height, "".join(parts), "What each candidate gained, with its interval", "effects-drawing")


def inputs_drawing(sheet: Facts) -> Markup:
    """Return the inputs of each class, a class a row, as one drawing for a page that has no list of them.

    Args:
        sheet: as ``stepladder.class_sheet.class_sheet`` gives it.
    """
    width, line, names = 560.0, 46.0, 190.0
    parts = []
    for index, row in enumerate(sheet["classes"]):
        top = line * index + 4
        name = row["name"] if len(row["name"]) <= _LONGEST_NAME else row["name"][: _LONGEST_NAME - 1] + "…"
        parts.append(
            f'<text class="who" x="{names - 14}" y="{top + 24}" text-anchor="end">{escape(name)} '
            f'<tspan class="in">{row["count"]:,}</tspan></text>'
        )
        if row["strip"]:
            place = f'x="{names}" y="{top}" width="{width - names}" height="{line - 8}"'
            parts.append(
                f'<image {place} href="{escape(row["strip"])}" preserveAspectRatio="xMinYMid meet" '
                'style="image-rendering: pixelated"/>'
            )
    height = line * len(sheet["classes"]) + 4
    return svg(
        width, height, "".join(parts), "Training images of each class, as the net is given them", "effects-drawing"
    )


def as_file(drawing: Markup) -> bytes:
    """Return a drawing as an SVG file of its own: with the light colours of the page and on its paper."""
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    assert size is not None
    colours = re.search(r":root \{(.*?)\n\}", assets()["page.css"], re.DOTALL)
    assert colours is not None
    style = f":root {{{colours[1]}}}\nsvg {{ font-family: var(--sans); }}\n{assets()['drawings.css']}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[1]}" height="{size[2]}" '
    body = str(drawing).replace("<svg ", head, 1)
    return body.replace(">", f'><style>{style}</style><rect width="100%" height="100%" fill="#fff"/>', 1).encode()


def _nested(drawing: str, x: float, y: float, width: float, height: float) -> str:
    return re.sub(r' height="16"', "", drawing, count=1).replace(
        "<svg ", f'<svg x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" ', 1
    )
