"""What the values of a tensor see of one axis of an input, exactly, for every position of the tensor.

A tensor's dimensions are made of atoms: indices that run from 0. Along one axis of the input, a value sees the pixels
from ``low`` to ``high``, and both are sums of the value's indices times constants (``Affine``). After transposed
convolutions and enlargements neighbouring values see different numbers of pixels, in a pattern that repeats: then low
and high are one pair a phase. Where branches differ in how they move over the input, a value sees the union of several
such intervals. Where positions are shuffled (``Loose``) only the whole is known, and how much the values see at most.

The formulas follow Araujo, Norris, Sim: Computing receptive fields of convolutional neural networks, Distill 2019; they
are the special case of one phase and one interval. Positions in the padding are continued by the same sums, so that
fields may reach beyond the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd, inf, lcm

_MOST_PHASES = 4096

Bound = int | float
"""A pixel, or for what sees nothing an infinity that loses in every union: low inf, high -inf."""


class Atom:
    """An index of a tensor, from 0 up to but without its size. Two atoms are the same only if they are one object."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


@dataclass(frozen=True, slots=True)
class Affine:
    """Intervals that move evenly: index ``i`` of an atom shifts them by ``i`` times its jump.

    Args:
        low: first pixel seen at index 0, for each phase.
        high: last pixel seen at index 0, for each phase.
        jumps: pixels that one step of each atom moves by; for the phased atom, what a whole turn of phases moves by.
        phased: the atom whose index, modulo the number of phases, picks the phase; None if there is one phase.
    """

    low: tuple[Bound, ...]
    high: tuple[Bound, ...]
    jumps: Mapping[Atom, int]
    phased: Atom | None = None

    def at(self, atom: Atom, index: int) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
        """Return low and high of all phases, or of the one phase, at an index of an atom."""
        jump = self.jumps.get(atom, 0)
        if atom is self.phased:
            turn, phase = divmod(index, len(self.low))
            return (self.low[phase] + turn * jump,), (self.high[phase] + turn * jump,)
        shift = index * jump
        return tuple(low + shift for low in self.low), tuple(high + shift for high in self.high)

    def taken(self, atom: Atom, indices: Iterable[int]) -> Affine:
        """Return what is seen by a value that takes the values at these indices of an atom together."""
        found = [self.at(atom, index) for index in indices]
        return Affine(
            tuple(map(min, zip(*(low for low, _ in found), strict=True))),
            tuple(map(max, zip(*(high for _, high in found), strict=True))),
            {other: jump for other, jump in self.jumps.items() if other is not atom},
            None if atom is self.phased else self.phased,
        )

    def mixed(self, atom: Atom) -> Affine:
        """Return what is seen by a value that takes all values along an atom."""
        if atom not in self.jumps:
            return self
        if atom is self.phased:
            period = len(self.low)
            ends = {*range(min(period, atom.size)), *range(max(0, atom.size - period), atom.size)}
            return self.taken(atom, sorted(ends))
        return self.taken(atom, (0, atom.size - 1))

    def hull(self) -> tuple[Bound, Bound]:
        """Return the first and the last pixel that any value sees."""
        term = self
        for atom in self.jumps:
            term = term.mixed(atom)
        return min(term.low), max(term.high)

    def resampled(self, atom: Atom, new: Atom, taps: Sequence[Sequence[int]], step: int) -> Affine | None:
        """Return what is seen along a new atom, each value of which takes several along the old one.

        Args:
            atom: the old index.
            new: the index that stands in its place.
            taps: for each of the first outputs which inputs it takes; after so many outputs the pattern repeats.
            step: by how many inputs it moves when it repeats.

        Returns:
            The term; None if its pattern would be too long.
        """
        if atom not in self.jumps:
            return self
        if self.phased is not None and atom is not self.phased:
            # The phases belong to another atom: every one of them moves alike.
            if len(taps) > 1:
                return None
            moved = self.taken(atom, _ends(taps[0])) if taps[0] else self
            return replace(moved, jumps={**moved.jumps, new: self.jumps[atom] * step}, phased=self.phased)
        period, jump = len(self.low), self.jumps[atom]
        phases = len(taps) * (period // gcd(period, step))
        if phases > _MOST_PHASES:
            return None
        low: list[Bound] = []
        high: list[Bound] = []
        for output in range(phases):
            turn, phase = divmod(output, len(taps))
            inputs = taps[phase] if period > 1 else _ends(taps[phase])
            seen = [divmod(tap + turn * step, period) for tap in inputs]
            low.append(min((self.low[one] + turns * jump for turns, one in seen), default=inf))
            high.append(max((self.high[one] + turns * jump for turns, one in seen), default=-inf))
        moves = jump * (phases // len(taps)) * step // period
        low, high, moves = _shortest(low, high, moves)
        jumps = {other: by for other, by in self.jumps.items() if other is not atom}
        return Affine(tuple(low), tuple(high), {**jumps, new: moves}, new if len(low) > 1 else None)

    def split(self, atom: Atom, outer: Atom, inner: Atom) -> Affine | None:
        """Return the term after an index was split in two: old = outer × size of inner + inner; None if it cannot."""
        if atom not in self.jumps:
            return self
        jump = self.jumps[atom]
        jumps = {other: by for other, by in self.jumps.items() if other is not atom}
        if atom is not self.phased:
            return replace(self, jumps={**jumps, outer: jump * inner.size, inner: jump})
        period = len(self.low)
        if inner.size % period:
            return None
        return replace(self, jumps={**jumps, outer: jump * (inner.size // period), inner: jump}, phased=inner)

    def renamed(self, names: Mapping[Atom, Atom]) -> Affine:
        """Return the term with other atoms in the places of some."""
        if not any(atom in names for atom in self.jumps):
            return self
        jumps = {names.get(atom, atom): jump for atom, jump in self.jumps.items()}
        return replace(self, jumps=jumps, phased=names.get(self.phased, self.phased) if self.phased else None)

    def joined(self, other: Affine) -> Affine | None:
        """Return one term for the union of two that move alike; None if they do not."""
        if self.jumps == other.jumps and len(self.low) == len(other.low):
            return Affine(
                tuple(map(min, self.low, other.low)), tuple(map(max, self.high, other.high)), self.jumps, self.phased
            )
        one, two = self._stretched(other), other._stretched(self)
        if one is None or two is None or one.jumps != two.jumps:
            return None
        low, high = list(map(min, one.low, two.low)), list(map(max, one.high, two.high))
        if one.phased is None:
            return Affine(tuple(low), tuple(high), one.jumps, None)
        low, high, moves = _shortest(low, high, one.jumps[one.phased])
        return Affine(tuple(low), tuple(high), {**one.jumps, one.phased: moves}, one.phased if len(low) > 1 else None)

    def _stretched(self, other: Affine) -> Affine | None:
        """Return the term with as many phases as this and the other one have in common."""
        phased = self.phased or other.phased
        if phased is None or self.jumps.keys() != other.jumps.keys() or (other.phased or phased) is not phased:
            return None if phased else self
        period = len(self.low)
        phases = lcm(period, len(other.low))
        if phases > _MOST_PHASES:
            return None
        jump = self.jumps[phased]
        turns = [divmod(index, period) for index in range(phases)]
        return Affine(
            tuple(self.low[phase] + turn * jump for turn, phase in turns),
            tuple(self.high[phase] + turn * jump for turn, phase in turns),
            {**self.jumps, phased: jump * (phases // period)},
            phased,
        )

    @property
    def widest(self) -> int:
        """Return how many pixels a value sees at most; 0 if none sees anything."""
        return int(max(0, *(high - low + 1 for low, high in zip(self.low, self.high, strict=True))))


@dataclass(frozen=True, slots=True)
class Loose:
    """Values whose place is unknown: together they see from ``low`` to ``high``, each at most ``widest``, if known."""

    low: Bound
    high: Bound
    atoms: frozenset[Atom]
    widest: int | None

    def hull(self) -> tuple[Bound, Bound]:
        """Return the first and the last pixel that any value sees."""
        return self.low, self.high


Term = Affine | Loose


def _ends(taps: Sequence[int]) -> Sequence[int]:
    """Return the first and the last: where values move evenly, what lies between sees nothing more."""
    return (taps[0], taps[-1]) if len(taps) > 2 else taps


def _shortest(low: list[Bound], high: list[Bound], moves: int) -> tuple[list[Bound], list[Bound], int]:
    """Return the shortest pattern of phases that repeats into the given one."""
    phases = len(low)
    for period in range(1, phases):
        if phases % period or moves * period % phases:
            continue
        step = moves * period // phases
        if all(
            low[index] == low[index - period] + step and high[index] == high[index - period] + step
            for index in range(period, phases)
        ):
            return low[:period], high[:period], step
    return low, high, moves
