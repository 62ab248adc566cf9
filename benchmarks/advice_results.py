"""Renders results/advice.md, and the table in docs/advice.md, from the rows of benchmarks/advice.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from advice_faults import FAULTS, HEALTHY
from stepladder.evaluate import deviation, percent
from stepladder.files import write_text

RESULTS = Path(__file__).resolve().parent.parent / "results"
PAGE = RESULTS / "advice.md"
DOCS = RESULTS.parent / "docs"
START, END = "<!-- advice -->\n", "<!-- end of advice -->"
GOALS = {"named": 90, "improved": 80, "quiet": 90}
"""In percent: first advice names the fault; following it improves the holdout; sound runs without an alarm."""
Row = dict[str, Any]


def render(path: Path) -> None:
    """Write the page, and its first tables into the documentation."""
    head, *rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    write_text(PAGE, page(head, rows))
    sys.path.insert(0, str(DOCS))
    import advice_page

    advice_page.main()


def scores(rows: list[Row]) -> dict[str, tuple[int, int]]:
    """Return for each goal how often it was met, and of how many."""
    accepted = {one.name: one.accepted for one in FAULTS}
    faulty = [row for row in rows if row["name"] in accepted]
    sound = [row for row in rows if row["name"] not in accepted]
    return {
        "named": (sum(row["first"] in accepted[row["name"]] for row in faulty), len(faulty)),
        "improved": (sum(improved(row) for row in faulty), len(faulty)),
        "quiet": (sum(not alarms(row) for row in sound), len(sound)),
    }


def improved(row: Row) -> bool:
    """Return whether the holdout is better after the first advice was followed; a run that failed counts as nothing."""
    return row["after"] is not None and row["after"] > (row["before"] or 0.0)


def alarms(row: Row) -> list[str]:
    """Return the techniques of the alarms that a row's run was given."""
    return [technique for kind, technique, *_ in row["said"] if kind == "alarm"]


def page(head: Row, rows: list[Row]) -> str:
    """Return the page in Markdown."""
    seeds = sorted({row["seed"] for row in rows})
    names = sorted({row["data"] for row in rows if row["name"] in {one.name for one in FAULTS}})
    machine = head["environment"]
    return "\n".join(
        [
            "# Advice put to the test",
            "",
            "Rendered by `python benchmarks/advice.py --render` from [advice.jsonl](advice.jsonl); without `--render` "
            "the command measures what is missing, with `--again` everything.",
            "",
            f"Faulty experiments on {', '.join(names)}, a quarter of the training images held out, seeds "
            f"{', '.join(map(str, seeds))}; every threshold was chosen on seeds from 100 up. What names a fault was "
            "fixed in `benchmarks/advice_faults.py`, with reasons, before thresholds were chosen. The test set was not "
            f"looked at. {machine['processor']}, torch {machine['torch']}.",
            "",
            START.rstrip("\n"),
            _goals(rows),
            "",
            _faults(rows),
            "",
            "Accuracy on the holdout at the last epoch, mean ± standard deviation over seeds; where labels were "
            "shuffled, against the true labels. *Promised* is the range that the first advice gives, *came* what "
            "following it brought, in points, both as means. For the labels, to follow means to leave out the images "
            "that the advice names, and, where all are wrong, to join them to their images again, which only the "
            "benchmark can do.",
            END,
            "",
            "## Sound runs",
            "",
            _sound(rows),
            "",
            "## Every faulty run",
            "",
            _every(rows),
            "",
            "## What counts as naming a fault",
            "",
            *(f"- **{one.name}**: {' or '.join(one.accepted)}: {one.reason}." for one in FAULTS),
            "",
        ]
    )


def _goals(rows: list[Row]) -> str:
    found = scores(rows)
    told = {
        "named": "first advice names the fault",
        "improved": "following it improves the holdout",
        "quiet": "a sound run gets no alarm",
    }
    lines = ["| Measure | Goal | Reached | |", "| :-- | --: | --: | :-- |"]
    for key, words in told.items():
        met, of = found[key]
        share = 100 * met / of if of else 0.0
        lines.append(
            f"| {words} | {GOALS[key]}% | {share:.0f}% ({met} of {of}) | {'met' if share >= GOALS[key] else 'missed'} |"
        )
    return "\n".join(lines)


def _faults(rows: list[Row]) -> str:
    lines = [
        "| Fault | First advice | Names it | Before | After | Promised | Came |",
        "| :-- | :-- | --: | --: | --: | --: | --: |",
    ]
    for fault in FAULTS:
        mine = [row for row in rows if row["name"] == fault.name]
        if not mine:
            continue
        firsts = list(dict.fromkeys(str(row["first"] or "none") for row in mine))
        named = sum(row["first"] in fault.accepted for row in mine)
        promised = [row["said"][0][3] for row in mine if row["said"]]
        low, high = (mean(one[end] for one in promised) if promised else 0.0 for end in (0, 1))
        came = [row["after"] - (row["before"] or 0.0) for row in mine if row["after"] is not None]
        lines.append(
            f"| {fault.name} | {', '.join(firsts)} | {named} of {len(mine)} | {_accuracy(mine, 'before')} | "
            f"{_accuracy(mine, 'after')} | {low:.1f} to {high:.1f} | {mean(came) if came else 0:+.1f} |"
        )
    return "\n".join(lines)


def _accuracy(rows: list[Row], key: str) -> str:
    values = [row[key] for row in rows if row[key] is not None]
    failed = len(rows) - len(values)
    text = percent(mean(values), deviation(values)) if values else ""
    return text + (f"{', ' if text else ''}{failed} failed" if failed else "")


def _sound(rows: list[Row]) -> str:
    lines = ["| Run | Data | Holdout | Alarms | Ideas |", "| :-- | :-- | --: | :-- | :-- |"]
    for one in HEALTHY:
        mine = [row for row in rows if row["name"] == one.name]
        if not mine:
            continue
        told = sorted({technique for row in mine for technique in alarms(row)})
        ideas = sorted({technique for row in mine for kind, technique, *_ in row["said"] if kind == "idea"})
        lines.append(
            f"| {one.name} | {one.data} | {_accuracy(mine, 'before')} | {', '.join(told) or 'none'} | "
            f"{', '.join(ideas) or 'none'} |"
        )
    return "\n".join(lines)


def _every(rows: list[Row]) -> str:
    lines = ["| Fault | Seed | First advice | Done | Before | After |", "| :-- | --: | :-- | :-- | --: | --: |"]
    for fault in FAULTS:
        for row in rows:
            if row["name"] != fault.name:
                continue
            title = row["said"][0][2] if row["said"] else "none"
            lines.append(
                f"| {row['name']} | {row['seed']} | {title} | `{row['advised']}` | {_accuracy([row], 'before')} | "
                f"{_accuracy([row], 'after')} |"
            )
    return "\n".join(lines)
