"""Ladders as files: each step a question, and the technique that says what could be tried."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from stepladder.errors import SpecError
from stepladder.files import read_text
from stepladder.ladder_options import mistakes, wrong_names
from stepladder.spec import Spec
from stepladder.techniques import Offer, Standing, Variant, technique

BUILT_IN = ("full",)
WITHOUT_FILE = ("classic", "auto")
"""Ladders that can be climbed but ask no questions of a file."""


class Question(Spec):
    """One step of a ladder."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """A short name for it: small letters, digits and dashes."""
    title: str
    """What people read."""
    question: str
    """What is asked."""
    technique: str
    """Name of a technique: built in, or an entry point of the group ``stepladder.techniques``."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the technique is told."""
    epochs: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the goal's epochs that candidates are trained for. Which net is better shows early; what schedules and
    regularisation are worth shows over the whole."""
    tune_rate: bool = False
    """Whether each candidate's learning rate is tuned first, by short runs: for steps that could shift the best one."""
    combine: bool = False
    """Whether the candidates that seem to gain are joined to one more."""

    def again(self) -> Question:
        """Return the step that asks the same once more."""
        return self.model_copy(update={"key": f"{self.key}-again", "title": f"{self.title}, asked again"})

    @field_validator("technique")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            technique(name)
        except SpecError as error:
            raise ValueError(f"{error.what} ({error.given}): {error.repair}") from None
        return name

    def variants(self, standing: Standing) -> list[Variant]:
        """Return what can be tried in place of what stands: what fits the images and stays below the budget.

        Raises:
            SpecError: if the technique does not take the step's options, fails, or gives something else.
        """
        offers = self._offers(standing)
        return [(name, one) for name, one in offers if isinstance(one, Standing) and not _why_not(one, standing)]

    def not_tried(self, standing: Standing) -> list[str]:
        """Return what the technique thinks of but cannot be tried here, each with the reason, in words.

        Raises:
            SpecError: as ``variants`` does.
        """
        offers = self._offers(standing)
        if not offers:
            return [f"the technique '{self.technique}' proposes nothing for this net"]
        return [f"{name} {why}" for name, one in offers if (why := _why_not(one, standing))]

    def _offers(self, standing: Standing) -> list[Offer]:
        tried = technique(self.technique)
        if wrong := wrong_names(tried, self.options):
            raise SpecError(
                f"the technique '{self.technique}' does not take these options",
                given=f"{self.options} ({'; '.join(wrong)})",
                repair=f"correct the options of the step '{self.key}'",
            )
        offered: Any
        try:
            offered = tried(standing, **self.options)
            if isinstance(offered, Iterable):
                offered = list(offered)
        except SpecError:
            raise
        except Exception as error:  # a technique of one's own may do anything
            raise SpecError(
                f"the technique '{self.technique}' failed",
                given=f"{type(error).__name__}: {error}; options {self.options}",
                repair=f"mend the technique or its options, or take the step '{self.key}' out of the ladder",
            ) from error
        amiss = [one for one in offered if not _is_offer(one)] if isinstance(offered, list) else [offered]
        if amiss:
            raise SpecError(
                f"the technique '{self.technique}' has to give what could be tried: pairs of a name and a Standing",
                given=f"{amiss[0]!r:.200}",
                repair="yield (name, standing.with_net(…)) or (name, standing.with_recipe(…)) for each candidate, or "
                "return a list of such pairs",
            )
        return list(offered)


class QuestionLadder(Spec):
    """A ladder that asks one question after another."""

    format: Literal[1] = 1
    """Of the file."""
    name: str
    """What it is called."""
    steps: Annotated[tuple[Question, ...], Field(min_length=1)]
    """The questions in order."""

    @field_validator("steps")
    @classmethod
    def _keys_differ(cls, steps: tuple[Question, ...]) -> tuple[Question, ...]:
        keys = [step.key for step in steps]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"two steps have one key: {', '.join(twice)}")
        return steps


def source(name: str) -> str:
    """Return the text of a ladder that comes with the package.

    Raises:
        SpecError: if there is none of this name.
    """
    if name not in BUILT_IN:
        raise SpecError(
            "there is no ladder of this name that asks questions",
            given=name,
            repair=f"known: {', '.join(BUILT_IN)}; {' and '.join(WITHOUT_FILE)} can be climbed but have no file",
        )
    return resources.files("stepladder").joinpath("ladders", f"{name}.toml").read_text(encoding="utf-8")


def about(name: str) -> str:
    """Return what a ladder of ``WITHOUT_FILE`` does, in lines that are comments wherever they are written to."""
    from stepladder.ladder import classic

    if name == "auto":
        lines = [
            "auto has no file: it follows advice in place of a fixed order.",
            "Before each step stepladder advise is asked about what stands; the first piece of its advice that was not",
            "tried on this net yet is tried, and kept or dropped, until the target is met or nothing is left to try.",
            "To climb it: stepladder climb --ladder auto",
        ]
    else:
        ladder = classic()
        lines = ["classic has no file: it trains the guide's three experiments, and asks no questions.", ""]
        for number, step in enumerate(ladder.steps, start=1):
            lines += [
                f"{number}. {step.title}: {step.net}",
                *wrap(step.purpose, 112, initial_indent="   ", subsequent_indent="   "),
            ]
        lines += ["", f"Goal: {ladder.goal}", "To climb it: stepladder climb"]
    lines.append("For a ladder of your own to change: stepladder ladder show full > mine.toml")
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def load(name: str) -> QuestionLadder:
    """Return a ladder by its name, or from a file whose name ends in .toml.

    Raises:
        SpecError: if there is no such ladder or file, or with every mistake in it.
    """
    text = source(name) if not name.endswith(".toml") else read_text(Path(name), "the ladder's file")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{name} is not TOML", given=str(error), repair="correct that line") from None
    ladder = QuestionLadder.read(values, f"the ladder {name}")
    wrong = [f"step '{step.key}': {one}" for step in ladder.steps for one in mistakes(step.technique, step.options)]
    if wrong:
        raise SpecError.of(f"the ladder {name}", wrong)
    return ladder


def told_with(reason: str, not_tried: Sequence[str], *, is_alone: bool) -> str:
    """Return the reason of a decision with what could not be tried; where nothing could, that is the reason."""
    if not not_tried:
        return reason
    left_out = "; ".join(not_tried)
    return f"nothing to try: {left_out}" if is_alone else f"{reason.rstrip('.')}. Not tried: {left_out}."


def _is_offer(one: object) -> bool:
    return isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str) and isinstance(one[1], Standing | str)


def _why_not(one: Standing | str, standing: Standing) -> str:
    """Return why something cannot be tried, in words that follow its name; nothing if it can."""
    if isinstance(one, str):
        return one
    if one == standing:
        return "is what stands already"
    parameters = one.blueprint.parameters(one.image)
    if parameters is None:
        return "does not fit the images"
    if parameters >= one.budget:
        return f"has {parameters:,} parameters, and fewer than {one.budget:,} are the budget"
    return ""
