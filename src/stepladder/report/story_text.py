"""Words of the report of a climb of questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stepladder import story
from stepladder.evaluate import mean

Facts = dict[str, Any]


def heading(facts: Facts) -> str:
    """Return the answer in one line."""
    if facts["final"]:
        return f"{story.accuracy(facts['final'])} with {facts['final']['parameters']:,} parameters"
    row = story.taken(facts["steps"][-1])
    return f"{story.accuracy(row)} on held-out images so far, with {row['parameters']:,} parameters"


def lead(facts: Facts) -> str:
    """Return how the climb went, in two sentences."""
    steps = facts["steps"]
    first, last = story.taken(steps[0]), story.taken(steps[-1])
    changes = [step for step in steps[1:] if story.changed(step)]
    differ = len({step["epochs"] for step in (steps[0], steps[-1])}) > 1
    text = (
        f"It began with a bare net, the skeleton “{first['name']}”, at {mean(first['accuracies']):.2f}% on "
        f"{facts['holdout_size']:,} held-out images{_after(steps[0]) if differ else ''}"
    )
    if not changes:
        return f"{text}; no step since has changed it."
    decided = [step for step in changes if story.taken(step)["decision"]]
    count = (
        f"{len(changes)} of {len(steps) - 1} questions changed it" if len(changes) > 1 else "one question changed it"
    )
    now = f"{mean(last['accuracies']):.2f}%{_after(steps[-1]) if differ else ''}"
    text = f"{text}; {count}, to {now}."
    if not decided:
        return text  # what stood could not be trained, so that nothing was measured against it
    best = max((story.taken(step) for step in decided), key=lambda row: float(row["decision"]["points"]))
    return f"{text} The largest gain came from {best['name']}: {best['decision']['points']:+.2f} points."


def _after(step: Facts) -> str:
    return f" after {step['epochs']} epochs"


def sentence(text: str) -> str:
    """Return words with a capital letter and a full stop."""
    text = str(text).strip()
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "!", "?")) else ".")


def brief_clock(seconds: float) -> str:
    """Return a duration for a narrow column: 45 s, 3:20 min, 2:05 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{whole // 60}:{whole % 60:02} min" if whole < 3600 else f"{minutes // 60}:{minutes % 60:02} h"


def parameter_change(step: Facts) -> str:
    """Return how many parameters a step added or saved."""
    difference = story.taken(step)["parameters"] - story.stood(step)["parameters"]
    return f"{difference:+,} parameters".replace("-", "−") if difference else "no parameter more or less"


def difference_text(row: Facts, step: Facts) -> str:
    """Return what a candidate is: its net where that differs from what stood, and the recipe's fields that do."""
    before = story.stood(step)
    parts = [row["net"]] if row["net"] != before["net"] or step["key"] == "skeleton" else []
    if changes := changes_text(row["changes"], brief=True):
        parts.append(changes)
    return "; ".join(parts)


def changes_text(changes: Mapping[str, Any], *, brief: bool = False) -> str:
    """Return changed fields of a recipe in words, such as ``schedule one-cycle, momentum 0.95``.

    Args:
        changes: the fields with their values.
        brief: leave out the learning rate, which has a column of its own, and settings of what is named by its kind.
    """
    return ", ".join(_fields(changes, brief))


def _fields(changes: Mapping[str, Any], brief: bool) -> Iterator[str]:
    for name, value in changes.items():
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            # Settings that are nought are none.
            settings = [
                f"{part.replace('_', ' ')} {_number(one)}"
                for part, one in value.items()
                if part != "kind" and one not in (0, None, False, "")
            ]
            if "kind" not in value:
                yield f"{words}: {', '.join(settings) or 'none'}"
            elif brief or not settings:
                yield f"{words} {value['kind']}"
            else:
                yield f"{words} {value['kind']} ({', '.join(settings)})"
        elif not (brief and name == "learning_rate"):
            yield f"{words} {_number(value)}"


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else str(value)
