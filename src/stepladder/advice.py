"""Advice on a run: facts are measured, rules look at them, and what they say is ranked by what it should gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stepladder.rules import RULES, Advice, Rule

if TYPE_CHECKING:
    from stepladder.data import Dataset
    from stepladder.diagnosis import Facts

__all__ = ["Advice", "advise", "advise_run"]

_URGENCY = ("first", "alarm", "idea")


def advise(facts: Facts, rules: Sequence[Rule] = RULES) -> list[Advice]:
    """Return what the rules say, the most urgent first, then what should gain most; at most one piece a technique.

    First comes what has to be done before anything can be judged, then alarms, then ideas. It depends on the facts
    alone; the order of the rules does not matter.

    >>> advise(facts)[0].technique  # doctest: +SKIP
    'learning rate'
    """
    said = [one for rule in rules for one in rule(facts) if one.change != facts.experiment]
    said.sort(key=lambda one: (_URGENCY.index(one.kind), -one.expected, one.technique, one.title))
    best: dict[str, Advice] = {}
    for one in said:
        best.setdefault(one.technique, one)
    return list(best.values())


def advise_run(folder: Path, dataset: Dataset, budget: int | None = None) -> list[Advice]:
    """Return the ranked advice on the run in a folder.

    ``change`` is the experiment to try, ``effect`` what it should gain, (low, high) in points. With a budget
    changed nets are narrowed until they have fewer parameters.

    Raises:
        RunError: if the folder holds no run, a damaged one, one that was stopped and can go on, or one of other images.
    """
    from stepladder.diagnosis import diagnose

    return advise(replace(diagnose(folder, dataset), budget=budget))
