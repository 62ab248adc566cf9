"""A survey of a data set as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

Facts = dict[str, Any]

_MOST_SIZES, _MOST_UNREADABLE = 5, 10


def render(facts: Facts, style: str) -> str:
    """Return the facts of a survey in one of ``STYLES``, ending in a newline."""
    return _STYLES[style](facts)


def _as_json(facts: Facts) -> str:
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _as_text(facts: Facts) -> str:
    header, *body = _table(facts)
    widths = [max(len(row[column]) for row in (header, *body)) for column in range(len(header))]
    lines = [facts["title"], ""]
    lines += [f"{what + ':':<13}{text}" for what, text in _about(facts)]
    lines += [""]
    for row in (header, *body):
        cells = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    for heading, points in _points(facts):
        lines += ["", f"{heading}:", *(f"  - {point}" for point in points)]
    return "\n".join([*lines, "", _verdict(facts)]) + "\n"


def _as_markdown(facts: Facts) -> str:
    header, *body = _table(facts)
    lines = [f"# {_escaped(facts['title'])}", ""]
    lines += [f"- {what}: {_escaped(text)}" for what, text in _about(facts)]
    lines += ["", _row(header), _row([":--", *["--:"] * (len(header) - 1)]), *(_row(row) for row in body)]
    for heading, points in _points(facts):
        lines += ["", f"**{heading}**", "", *(f"- {_escaped(point)}" for point in points)]
    return "\n".join([*lines, "", _verdict(facts)]) + "\n"


_STYLES: dict[str, Callable[[Facts], str]] = {"text": _as_text, "json": _as_json, "markdown": _as_markdown}
STYLES = tuple(_STYLES)


def _about(facts: Facts) -> list[tuple[str, str]]:
    channels, rows, columns = facts["shape"]
    sizes = [f"{one['rows']}×{one['columns']} ({one['count']:,})" for one in facts["sizes"][:_MOST_SIZES]]
    if len(facts["sizes"]) > _MOST_SIZES:
        sizes.append(f"{len(facts['sizes']) - _MOST_SIZES:,} more")
    about = [
        ("form", facts["form"]),
        ("images", f"{facts['images']:,} in {len(facts['classes']):,} classes"),
        ("to train on", f"{channels}×{rows}×{columns}, {'in colour' if channels == 3 else 'grey'}"),
        ("sizes", ", ".join(sizes)),
        ("pixels", ", ".join(f"{mode} ({count:,})" for mode, count in facts["modes"].items())),
    ]
    if "train" in facts["splits"]:
        split = facts["splits"]["train"]
        pairs = zip(split["mean"], split["deviation"], strict=True)
        about.append(("brightness", ", ".join(f"{mean:.4f} ± {deviation:.4f}" for mean, deviation in pairs)))
    return about


def _table(facts: Facts) -> list[list[str]]:
    splits = list(facts["splits"])
    table = [["class", *splits]]
    table += [[one["name"], *(f"{one[split]:,}" for split in splits)] for one in facts["classes"]]
    return [*table, ["all", *(f"{facts['splits'][split]['count']:,}" for split in splits)]]


def _points(facts: Facts) -> list[tuple[str, list[str]]]:
    repeated = [
        f"{one['duplicates']:,} of {one['count']:,} {split} images repeat another of them: "
        + "; ".join(" = ".join(group[:3]) for group in one["duplicate_examples"][:3])
        for split, one in facts["splits"].items()
        if one["duplicates"]
    ]
    unreadable = [f"{one['name']}: {one['reason']}" for one in facts["unreadable"][:_MOST_UNREADABLE]]
    if len(facts["unreadable"]) > _MOST_UNREADABLE:
        unreadable.append(f"{len(facts['unreadable']) - _MOST_UNREADABLE:,} more")
    problems = [f"{one['what']} ({one['given']}); to repair: {one['repair']}" for one in facts["problems"]]
    groups = [
        ("problems", problems),
        ("warnings", facts["warnings"]),
        ("duplicates", repeated),
        ("unreadable", unreadable),
        ("remarks", facts["remarks"]),
    ]
    return [(heading, points) for heading, points in groups if points]


def _verdict(facts: Facts) -> str:
    if facts["problems"]:
        return "No net can be trained on this as it is."
    count = len(facts["warnings"])
    return "A net can be trained on this" + (f"; mind the {count} warning{'s' if count > 1 else ''}." if count else ".")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
