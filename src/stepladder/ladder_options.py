"""What a step of a ladder tells its technique, checked before anything is trained: names, numbers, recipes' fields."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from stepladder.spec import Augmentation, Recipe, Spec
from stepladder.techniques import BUILT_IN, Technique, technique

_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Capacity(Spec):
    shares: tuple[Annotated[_Number, Field(gt=0, le=1)], ...] = ()


class _Dropout(Spec):
    shares: tuple[Annotated[_Number, Field(ge=0, lt=1)], ...] = ()


class _LearningRate(Spec):
    factors: tuple[Annotated[_Number, Field(gt=0)], ...] = ()


_OF_NUMBERS: dict[str, type[Spec]] = {"capacity": _Capacity, "dropout": _Dropout, "learning-rate": _LearningRate}
_OF_FIELDS: dict[str, tuple[str, type[Spec]]] = {"augmentation": ("kinds", Augmentation), "recipe": ("changes", Recipe)}
"""Techniques whose option names candidates, and under each name its fields: the option, and what has such fields."""
OWN_EPOCHS = (
    "a candidate cannot have epochs of its own: all of a step are trained equally long; --epochs are those of the "
    "goal, a step's own epochs its share of them"
)


def mistakes(name: str, options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of a technique, each with its candidate where it is one's.

    Of techniques of other packages only the names of options are known. Fields are looked at one by one: whether they
    go together is seen on what stands.

    Raises:
        SpecError: if there is no such technique, or it cannot be loaded.
    """
    found = wrong_names(technique(name), options)
    if found or name not in BUILT_IN:
        return found
    if name in _OF_NUMBERS:
        return _OF_NUMBERS[name].mistakes(dict(options))
    option, fields = _OF_FIELDS.get(name, ("", Spec))
    return list(_of_candidates(option, options[option], fields)) if option in options else []


def wrong_names(tried: Technique, options: Mapping[str, Any]) -> list[str]:
    """Return which options a technique does not take, with the nearest that it does, and which it lacks."""
    try:
        _, *taken = inspect.signature(tried).parameters.values()
    except (TypeError, ValueError):  # made in a way that says nothing of what it takes, or that takes nothing
        return []
    if any(one.kind is one.VAR_KEYWORD for one in taken):
        return []
    named = [one for one in taken if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    known = [one.name for one in named]
    found = [_no_option(name, known) for name in options if name not in known]
    lacking = [one.name for one in named if one.default is one.empty and one.name not in options]
    return found + [f"the option '{name}' is missing" for name in lacking]


def _no_option(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    if nearest:
        return f"'{name}' is not an option; did you mean '{nearest[0]}'?"
    return f"'{name}' is not an option; known here: {', '.join(known) or 'none'}"


def _of_candidates(option: str, candidates: Any, fields: type[Spec]) -> Iterator[str]:
    if not isinstance(candidates, Mapping) or not candidates:
        yield f"{option} has to name candidates, and under each name its fields (given: {candidates!r})"
        return
    for name, values in candidates.items():
        place = f"candidate '{name}'"
        if not isinstance(values, Mapping) or not values:
            yield f"{place} has to have fields (given: {values!r})"
            continue
        yield from (f"{place}: {one}" for one in fields.mistakes(dict(values)))
        if fields is Recipe and "epochs" in values:
            yield f"{place}: {OWN_EPOCHS} (given: {values['epochs']!r})"
