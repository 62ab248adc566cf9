"""What advice promised in a climb that follows it, and what came: kept, open or broken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Facts = dict[str, Any]

OUTCOMES = ("kept", "open", "broken")
_ADVICE: Facts = {"title": "", "where": "", "why": "", "verdict": "undecided"}


def promises(facts: Mapping[str, Any]) -> list[Facts]:
    """Return what was advised, promised and came, a row a step that followed advice, with its "number" and "outcome".

    "outcome" is one of three:

    - "kept": the step kept what was advised, and its interval reaches what was promised at least.
    - "broken": the step dropped it, it could not be trained, or its interval lies wholly below what was promised.
    - "open": neither. The step left it undecided, and what was promised is as possible as nothing; or nothing could be
      measured, because what stood could not be trained.
    """
    return [
        _ADVICE | step["advice"] | {"number": number, "outcome": _outcome(step)}
        for number, step in enumerate(facts["steps"], start=1)
        if step.get("advice")
    ]


def _outcome(step: Mapping[str, Any]) -> str:
    advice = _ADVICE | step["advice"]
    if advice["came"] is None:
        return "broken" if any(row.get("failure") for row in step["candidates"][1:]) else "open"
    _, _, high = advice["came"]
    if advice["verdict"] == "drop" or high < advice["promised"][0]:
        return "broken"
    return "kept" if advice["verdict"] == "keep" else "open"


def score(facts: Mapping[str, Any]) -> str:
    """Return how many promises were kept, are open and were broken: ``kept 1, open 2, broken 0``; empty if none."""
    found = [row["outcome"] for row in promises(facts)]
    return ", ".join(f"{name} {found.count(name)}" for name in OUTCOMES) if found else ""


def in_words(row: Mapping[str, Any]) -> str:
    """Return in one line what a piece of advice promised, what came, and what that makes of the promise."""
    low, high = row["promised"]
    came = "nothing could be measured"
    if row["came"] is not None:
        points, least, most = row["came"]
        came = f"{points:+.2f} ({least:+.2f} to {most:+.2f}) came"
    return f"promised {low:+.2f} to {high:+.2f} points, {came}: {row['outcome']}"
