"""What a climb found out already about what is advised: nobody wants to be sent to where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_STEPS = {
    "batch normalisation": "batch-normalisation",
    "capacity": "capacity",
    "dropout": "dropout",
    "global average pooling": "global-average-pooling",
    "learning rate": "learning-rate",
}
"""Advice, by technique, and the technique of the step that asks about it."""
_FIELDS = {
    "augmentation": ("augmentation",),
    "label smoothing": ("label_smoothing",),
    "learning-rate schedule": ("schedule",),
    "optimiser": ("optimiser",),
    "weight averaging": ("averaging", "tail_averaging"),
    "weight decay": ("weight_decay",),
}
"""Advice, by technique, and the fields of the recipe by which candidates of any step are known to try it."""


def answers(steps: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return for each technique that a climb tried, by its name in advice, what came of it, in one clause.

    Techniques of which something was taken are left out: advice then speaks of what they left.

    Args:
        steps: of a climb's facts (``decisions.json``), in their order.
    """
    found = {}
    for technique in (*_STEPS, *_FIELDS):
        tried = [
            (step, one)
            for step in steps
            for one in step["candidates"][1:]
            if one.get("decision") and _is_about(technique, step, one)
        ]
        if tried and not any(step["taken"] == one["name"] for step, one in tried):
            found[technique] = _clause(tried)
    return found


def _is_about(technique: str, step: Mapping[str, Any], candidate: Mapping[str, Any]) -> bool:
    if technique in _STEPS:
        return bool(step.get("technique") == _STEPS[technique])
    changes = candidate.get("changes", {})
    # Another optimiser brings a weight decay of its own along.
    alone = technique == "optimiser" or "optimiser" not in changes
    return alone and any(field in changes for field in _FIELDS[technique])


def _clause(tried: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str:
    step, best = max(tried, key=lambda pair: float(pair[1]["decision"]["points"]))
    decision = best["decision"]
    verdict = {"drop": "dropped", "keep": "worth keeping"}.get(decision["verdict"], decision["verdict"])
    others = f" of {len(tried)}" if len(tried) > 1 else ""
    interval = f"{decision['points']:+.2f} points, {decision['low']:+.2f} to {decision['high']:+.2f}".replace("-", "−")
    outcome = f"best{others} was {best['name']}: {interval}, {verdict}"
    return f"the step '{step['title']}' tried it, and kept nothing; {outcome}"
