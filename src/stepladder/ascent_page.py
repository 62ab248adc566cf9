"""An ascent as Markdown and as lines for the terminal, from its facts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stepladder.evaluate import deviation, mean, percent

Facts = Mapping[str, Any]


def page(facts: Facts) -> str:
    """Return the report of a finished ascent as Markdown: the answer, then a section a question."""
    goal = facts["goal"]
    lines = [
        f"# {facts['title']}: the ladder “{facts['ladder']}”",
        "",
        verdict(facts),
        "",
        f"Net: `{facts['net']}`",
        "",
        f"Goal: {goal['target']:g}% with fewer than {goal['budget']:,} parameters in {goal['epochs']} epochs. Every "
        f"choice was made on {facts['holdout_size']:,} images held out of the training set, with {facts['seeds']} "
        f"run{'s' if facts['seeds'] > 1 else ''} of each candidate; the rule and how often it errs: docs/decisions.md.",
    ]
    for number, step in enumerate(facts["steps"], start=1):
        lines += ["", f"## {number}. {step['title']}", "", step["question"], "", *_table(step), "", _sentence(step)]
    lines += ["", f"Command: `{facts['command']}`", ""]
    return "\n".join(lines)


def verdict(facts: Facts) -> str:
    """Return the result on the test set beside the goal, in one sentence."""
    final, goal = facts["final"], facts["goal"]
    reached = mean(final["accuracies"])
    met = reached >= goal["target"] and final["parameters"] < goal["budget"]
    outcome = "met" if met else f"not met by {goal['target'] - reached:.2f} points"
    return (
        f"{accuracy(final['accuracies'])} on the test set of {facts['title']}, which was looked at once, with "
        f"{final['parameters']:,} parameters: the goal of {goal['target']:g}% is {outcome}."
    )


def accuracy(accuracies: Sequence[float]) -> str:
    """Return the mean over seeds, with its deviation if there are several."""
    return percent(mean(accuracies), deviation(accuracies))


def _table(step: Facts) -> list[str]:
    lines = [
        "| | Candidate | Parameters | Holdout | Difference | Verdict |",
        "| :-: | :-- | --: | --: | :-- | :-- |",
    ]
    for row in step["candidates"]:
        decision = row["decision"]
        difference = ""
        if decision is not None:
            difference = f"{decision['points']:+.2f} ({decision['low']:+.2f} to {decision['high']:+.2f})"
        cells = [
            "→" if row["name"] == step["taken"] else "",
            row["name"],
            f"{row['parameters']:,}",
            row["failure"] or accuracy(row["accuracies"]),
            difference,
            decision["verdict"] if decision is not None else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _sentence(step: Facts) -> str:
    reason = str(step["reason"])
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") else ".")
