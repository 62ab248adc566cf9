"""The error tree.

Every error that a user can cause says three things: what happened, what was given, and what to do next.
The command line prints them without a traceback and exits with code 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from stepladder.inspection.summary import Summary


class StepladderError(Exception):
    """A mistake that the user can repair.

    Args:
        what: what happened, as one sentence without a full stop.
        given: what was given, quoted as the user wrote it; empty when nothing was.
        repair: what to do next, as one sentence without a full stop.
    """

    exit_code = 2

    def __init__(self, what: str, *, given: str = "", repair: str = "") -> None:
        self.what = what
        self.given = given
        self.repair = repair
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what]
        if self.given:
            parts.append(f"given: {self.given}")
        if self.repair:
            parts.append(f"to repair: {self.repair}")
        return "\n  ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes to the parent; keyword arguments need help to do so.
        return _rebuild, (type(self), self.what, self.given, self.repair)


class SpecError(StepladderError):
    """A net, recipe or experiment that says something impossible; carries every mistake at once."""

    @classmethod
    def of(cls, subject: str, mistakes: Sequence[str], *, given: str = "", repair: str = "") -> Self:
        """Return one error that lists all mistakes under their subject."""
        count = len(mistakes)
        head = f"{subject}: {count} mistake{'s' if count > 1 else ''}"
        return cls("\n  - ".join([head, *mistakes]), given=given, repair=repair)


class NotationError(SpecError):
    """A one-line net that cannot be read."""


class ShapeError(SpecError):
    """A net whose layers do not fit its input; names the layer and the repair."""


class InspectionError(ShapeError):
    """A net that cannot go on at one of its layers.

    Args:
        summary: the layers up to the failing one, and the failure: ``summary.failure`` is not None.
    """

    def __init__(self, summary: Summary) -> None:
        failure = summary.failure
        assert failure is not None
        self.summary = summary
        where = f"{failure.layer} ({failure.kind})" if failure.kind not in ("", failure.layer) else failure.layer
        wrong = "does not fit" if failure.shape else "cannot go on"
        what = f"{where} {wrong}: it needs {failure.needs}" if failure.needs else f"{where} {wrong}"
        super().__init__(what, given=failure.got, repair=failure.repair)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.summary,)


class DataError(StepladderError):
    """Data that is missing, damaged or not what it claims to be."""


class RunError(StepladderError):
    """A run folder that cannot be used: in use, of another experiment, or of a later format."""


class TrainingError(StepladderError):
    """Training that cannot go on, such as a loss that is no longer a number."""


def _rebuild(kind: type[StepladderError], what: str, given: str, repair: str) -> StepladderError:
    return kind(what, given=given, repair=repair)
