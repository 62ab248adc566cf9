"""Candidates that seem to gain, joined to one more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stepladder.errors import SpecError
from stepladder.evaluate import mean
from stepladder.spec import Recipe
from stepladder.trials import Named, Trial, Tried

_RATES = {("learning_rate",), ("matrix_rate",)}


def joined_candidate(tried: Sequence[Tried]) -> Named | None:
    """Return the candidates that seem to gain as one; None if there are fewer than two.

    Of those that exclude each other, such as two limits of one kind of augmentation, the more accurate one is joined.

    Args:
        tried: what stands, then the candidates of its step.
    """
    stands = tried[0]
    if stands.failure:
        return None
    gaining = [
        one
        for one in tried[1:]
        if not one.failure
        and len(one.runs) == len(stands.runs)
        and one.trial.net == stands.trial.net
        and mean(one.accuracies) > mean(stands.accuracies)
    ]
    before = stands.trial.recipe.model_dump(mode="json")
    values, names, taken = before, set(), set[tuple[str, ...]]()
    for one in sorted(gaining, key=lambda one: -mean(one.accuracies)):
        changes = _leaves(one.changes, before)
        # The best one's learning rate is the joined one's.
        wanted = {path: value for path, value in changes.items() if path not in taken or path not in _RATES}
        if taken & wanted.keys():
            continue
        joined = _with_leaves(values, wanted)
        try:
            Recipe.read(joined, "the candidates joined")
        except SpecError:
            continue  # such as two kinds of averages
        values, taken = joined, taken | wanted.keys()
        names.add(one.name)
    if len(names) < 2:
        return None
    name = " + ".join(one.name for one in gaining if one.name in names)
    return name, Trial(stands.trial.net, Recipe.read(values, "the candidates joined"))


def _leaves(changes: Mapping[str, Any], before: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return what differs by its path: one field of a recipe or, of fields without a kind, one of theirs."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in changes.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict) and "kind" not in value:
            found |= {(name, key): one for key, one in value.items() if old.get(key) != one}
        else:
            found[(name,)] = value
    return found


def _with_leaves(values: Mapping[str, Any], leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    found = dict(values)
    for (name, *inner), value in leaves.items():
        found[name] = {**found[name], inner[0]: value} if inner else value
    return found
