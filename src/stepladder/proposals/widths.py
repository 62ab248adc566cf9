"""Widths: a skeleton's ladder of ever wider nets, from which the budget picks a rung."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stepladder.inspection.findings import WIDENING
from stepladder.proposals.skeletons import Skeleton, Slot

MULTIPLES = (4, 2, 1)
"""Multiples that widths may be of, the best first: round widths keep the hardware's lanes full and read well."""
ENOUGH = 0.95
"""Share of the budget from which on a rounder multiple is preferred to a fuller budget."""
_WIDEST = 2048
_FINE = 32
"""Channels from which on steps double with each doubling of the width: finer ones would change nothing."""


@dataclass(frozen=True)
class Widths:
    """Channels for each slot with weights, the logits among them; the parameters, and the multiple that they are of."""

    channels: tuple[int, ...]
    parameters: int
    multiple: int


def fit(skeleton: Skeleton, channels: int, classes: int, budget: int) -> Widths | None:
    """Return the widths that fill the budget best; None if even the narrowest net does not stay below it.

    For each multiple the widest net below the budget is found on a ladder that does not depend on the budget. The
    roundest multiple that uses 95% of the budget is taken; where none does, the one with the most parameters. A larger
    budget never gives fewer parameters: a rounder multiple takes over only with a net that the smaller budget did not
    allow, and a finer one only where it uses 95% of the larger budget.
    """
    best: list[Widths] = []
    for multiple in MULTIPLES:
        highest = None
        for rung in rungs(skeleton, channels, classes, multiple):
            if rung.parameters >= budget:
                break
            highest = rung
        if highest is not None:
            if highest.parameters >= ENOUGH * budget:
                return highest
            best.append(highest)
    return max(best, key=lambda one: one.parameters, default=None)


def least(skeleton: Skeleton, channels: int, classes: int) -> Widths:
    """Return the narrowest sensible widths."""
    return min((next(rungs(skeleton, channels, classes, one)) for one in MULTIPLES), key=lambda one: one.parameters)


def rungs(skeleton: Skeleton, channels: int, classes: int, multiple: int) -> Iterator[Widths]:
    """Yield ever wider nets: each widens the one layer that is furthest behind its share by one step.

    Among equals the later layer is widened. No convolution gets wider than the next of its block, so that widths grow
    from early to late, and none gets four times as wide as what it takes.

    Args:
        skeleton: where the layers are and how wide they should be relative to each other.
        channels: of the image.
        classes: channels of the logits.
        multiple: what all widths but the logits' are multiples of.
    """
    slots = [slot for slot in skeleton.slots if slot.weights]
    widths = [-(-slot.least // multiple) * multiple for slot in slots[:-1]] + [classes]
    bounds = _bounds(skeleton)
    parameters = _parameters(slots, channels, widths)
    order = list(range(len(widths) - 1))
    while True:
        yield Widths(tuple(widths), parameters, multiple)
        order.sort(key=lambda index: (widths[index] / slots[index].ratio, -index))
        for index in order:
            step = multiple << (widths[index] // _FINE).bit_length()
            wider = widths[index] + step
            if wider <= _WIDEST and _may_be(wider, index, widths, slots, bounds):
                break
        else:
            return
        before = widths[index - 1] if index else channels
        parameters += step * (before * slots[index].weights + widths[index + 1] * slots[index + 1].weights + 2)
        widths[index] = wider


def _bounds(skeleton: Skeleton) -> list[int | None]:
    """Return for each layer with weights the one that it may not be wider than; None where it is free."""
    roles = [slot.role for slot in skeleton.slots if slot.weights]
    found: list[int | None] = []
    for index, role in enumerate(roles):
        if role == "convolution" and roles[index + 1] == "convolution":
            found.append(index + 1)
        elif role in ("transition", "hidden"):
            found.append(index - 1)
        else:
            found.append(None)
    return found


def _may_be(wider: int, index: int, widths: Sequence[int], slots: Sequence[Slot], bounds: Sequence[int | None]) -> bool:
    bound = bounds[index]
    if bound is not None and wider > widths[bound]:
        return False
    # What inspect calls a channel jump.
    return slots[index].role != "convolution" or index == 0 or wider < WIDENING * widths[index - 1]


def _parameters(slots: Sequence[Slot], channels: int, widths: Sequence[int]) -> int:
    """Return the weights, and two of batch normalisation for each channel but the logits'."""
    total, before = 0, channels
    for slot, width in zip(slots, widths, strict=True):
        total += slot.weights * before * width
        before = width
    return total + 2 * sum(widths[:-1])
