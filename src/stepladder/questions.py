"""Ladders as files: each step a question, and the technique that says what could be tried."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from stepladder.errors import SpecError
from stepladder.files import read_text
from stepladder.spec import Spec
from stepladder.techniques import Standing, Variant, technique

BUILT_IN = ("full",)


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
            SpecError: if the technique does not take the step's options.
        """
        try:
            offered = list(technique(self.technique)(standing, **self.options))
        except TypeError as error:
            raise SpecError(
                f"the technique '{self.technique}' does not take these options",
                given=f"{self.options} ({error})",
                repair=f"correct the options of the step '{self.key}'",
            ) from None
        except SpecError:
            raise
        except Exception as error:  # a technique of one's own may do anything
            raise SpecError(
                f"the technique '{self.technique}' failed",
                given=f"{type(error).__name__}: {error}",
                repair=f"mend the technique, or take the step '{self.key}' out of the ladder",
            ) from error
        return [(name, one) for name, one in offered if one != standing and _fits(one)]


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
            "there is no ladder of this name that asks questions", given=name, repair=f"known: {', '.join(BUILT_IN)}"
        )
    return resources.files("stepladder").joinpath("ladders", f"{name}.toml").read_text(encoding="utf-8")


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
    return QuestionLadder.read(values, f"the ladder {name}")


def _fits(standing: Standing) -> bool:
    parameters = standing.blueprint.parameters(standing.image)
    return parameters is not None and parameters < standing.budget
