"""How far to the side the upright lines of a layered drawing stand: where they are pulled, in the order they are in."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

_MOVES = 40
_STILL, _LITTLE = 0.01, 3.0


def settled(
    left: list[dict[int, float]], right: list[dict[int, float]], pulls: list[list[tuple[int, float]]]
) -> list[float]:
    """Return the spines' axes: each as near to where it is pulled as those beside it let it.

    Args:
        left: for each spine those to its left, and how far apart they are at least.
        right: likewise to its right.
        pulls: for each spine others, and how far to the right of them it wants to be.
    """
    x, order = _packed(left, right)

    def move(spines: Sequence[int], by: float) -> float:
        """Move spines together, as far as those beside them let them; return how far."""
        inside = set(spines)
        for one in spines:
            for other, apart in left[one].items():
                if other not in inside:
                    by = max(by, x[other] + apart - x[one])
        for one in spines:
            for other, apart in right[one].items():
                if other not in inside:
                    by = min(by, x[other] - apart - x[one])
        for one in spines:
            x[one] += by
        return abs(by)

    def pulled(spines: Sequence[int]) -> float:
        """Return how far others would have spines move, on average."""
        inside = set(spines)
        ways = [x[other] + shift - x[one] for one in spines for other, shift in pulls[one] if other not in inside]
        return sum(ways) / len(ways) if ways else 0.0

    for number in range(_MOVES):
        moved = 0.0
        for one in order if number % 2 else reversed(order):
            moved = max(moved, move((one,), pulled((one,))))
        # Where two want to the same place each keeps the other from it: they go together.
        for group in _touching(x, order, right):
            moved = max(moved, move(group, pulled(group)))
        if moved < _STILL:
            break
    # What is straight but for a little is made straight.
    for one in order:
        aside = min((x[other] + shift - x[one] for other, shift in pulls[one]), key=abs, default=inf)
        if abs(aside) < _LITTLE:
            move((one,), aside)
    return x


def _touching(x: list[float], order: list[int], right: list[dict[int, float]]) -> list[list[int]]:
    """Return the groups of several spines that have no room between them."""
    group = list(range(len(x)))

    def root(one: int) -> int:
        while group[one] != one:
            group[one] = group[group[one]]
            one = group[one]
        return one

    for one in order:
        for other, apart in right[one].items():
            if x[other] - x[one] - apart < _STILL:
                group[root(other)] = root(one)
    members: dict[int, list[int]] = {}
    for one in order:
        members.setdefault(root(one), []).append(one)
    return [some for some in members.values() if len(some) > 1]


def _packed(left: list[dict[int, float]], right: list[dict[int, float]]) -> tuple[list[float], list[int]]:
    """Return the spines' axes as far to the left as they go, and the spines from left to right."""
    waiting = [len(one) for one in left]
    ready = [spine for spine, count in enumerate(waiting) if not count]
    x = [0.0] * len(left)
    order = []
    for spine in ready:  # grows
        order.append(spine)
        for other, apart in right[spine].items():
            x[other] = max(x[other], x[spine] + apart)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return x, order
