"""How far a signal gets through a net at its first weights."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.diagnosis.values import LayerState

FADED = 0.01
"""What is left of the spread behind the last layer, as a share of that behind the first: sound nets keep more than a
tenth, whatever their depth."""


def fades(states: Sequence[LayerState]) -> bool:
    """Return whether hardly anything of the signal gets through, so that all images look alike at the end."""
    kept = passed_on(states)
    return kept is not None and kept < FADED


def grows(states: Sequence[LayerState]) -> bool:
    """Return whether values grow more than a hundredfold on their way."""
    kept = passed_on(states)
    return kept is not None and kept > 1 / FADED


def passed_on(states: Sequence[LayerState]) -> float | None:
    """Return the spread behind the last layer with weights over that behind the first; None with fewer than two."""
    spreads = [state.spread for state in states if state.gradient is not None]
    if len(spreads) < 2 or spreads[0] <= 0:
        return None
    return spreads[-1] / spreads[0]
