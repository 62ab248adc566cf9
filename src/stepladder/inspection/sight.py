"""What the values of a tensor see of one axis of an input: the union of one or several terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import inf, prod

from stepladder.inspection.terms import Affine, Atom, Bound, Loose, Term

_MOST_TERMS = 6
_MOST_CORNERS = 4096


@dataclass(frozen=True, slots=True)
class Sight:
    """What a tensor's values see of one axis of an input: the union of terms.

    Args:
        terms: never empty, unless it is unknown.
        grid: the jump of the map, which stays when the map is pooled into one value; None if branches differ.
        aligned: whether all that met had their centres in the same places.
        unknown: why nothing is known; empty otherwise.
    """

    terms: tuple[Term, ...]
    grid: Fraction | None = Fraction(1)
    aligned: bool = True
    unknown: str = ""

    def over(self, change: Callable[[Term], Term | None], why: str, scale: Fraction = Fraction(1)) -> Sight:
        """Return the sight with every term changed, and unknown where a change gives None."""
        if self.unknown:
            return self
        terms = []
        for term in self.terms:
            changed = change(term)
            if changed is None:
                return replace(self, terms=(), grid=None, unknown=why)
            terms.append(changed)
        grid = None if self.grid is None else self.grid * scale
        if len(terms) == len(self.terms) == 1:
            return Sight((terms[0],), grid, self.aligned)
        return replace(self, terms=_simplified(terms), grid=grid)

    def mixed(self, atoms: Iterable[Atom]) -> Sight:
        """Return what is seen by values that take all values along these atoms."""
        chosen = [atom for atom in atoms if self.depends_on(atom)]
        if not chosen:
            return self

        def change(term: Term) -> Term:
            if isinstance(term, Loose):
                left = term.atoms.difference(chosen)
                if not left:
                    return Affine((term.low,), (term.high,), {})
                return Loose(term.low, term.high, left, term.widest if left == term.atoms else None)
            for atom in chosen:
                term = term.mixed(atom)
            return term

        return self.over(change, "")

    def picked(self, atom: Atom, index: int) -> Sight:
        """Return what is seen by the values at one index of an atom."""

        def change(term: Term) -> Term | None:
            if isinstance(term, Loose):
                return None if atom in term.atoms else term
            return term.taken(atom, (index,)) if atom in term.jumps else term

        return self.over(change, "part of a map whose places were mixed")

    def resampled(self, atom: Atom, new: Atom, taps: Sequence[Sequence[int]], step: int) -> Sight:
        """Return what is seen along a new atom that takes several values of the old one: see ``Affine.resampled``."""
        trivial = len(taps) == 1 and step == 1 and len(taps[0]) == 1 and taps[0][0] == 0
        if trivial and new.size == atom.size:
            return self.renamed({atom: new})
        single = all(len(tap) == 1 for tap in taps)
        alone = new.size == 1 and step >= atom.size  # one value in place of a whole map: the map's jump stays

        def change(term: Term) -> Term | None:
            if isinstance(term, Loose):
                if atom not in term.atoms:
                    return term
                # A subset of shuffled places may see less than all of them.
                return None if single else Loose(term.low, term.high, term.atoms - {atom} | {new}, None)
            return term.resampled(atom, new, taps, step)

        scale = Fraction(1) if alone or not self.depends_on(atom) else Fraction(step, len(taps))
        return self.over(change, "a pattern that is too long", scale)

    def renamed(self, names: Mapping[Atom, Atom]) -> Sight:
        """Return the sight with other atoms in the places of some."""

        def change(term: Term) -> Term:
            if isinstance(term, Loose):
                return Loose(term.low, term.high, frozenset(names.get(one, one) for one in term.atoms), term.widest)
            return term.renamed(names)

        return self.over(change, "") if any(self.depends_on(atom) for atom in names) else self

    def split(self, atom: Atom, outer: Atom, inner: Atom) -> Sight:
        """Return the sight after an index was split in two."""

        def change(term: Term) -> Term | None:
            if isinstance(term, Loose):
                return replace(term, atoms=term.atoms - {atom} | {outer, inner}) if atom in term.atoms else term
            return term.split(atom, outer, inner) or Loose(
                *term.hull(), frozenset({*term.jumps, outer, inner}) - {atom}, term.widest
            )

        return self.over(change, "") if self.depends_on(atom) else self

    def slid(self, atom: Atom, outer: Atom, stride: int, inner: Atom, dilation: int) -> Sight:
        """Return the sight of overlapping pieces: old index = outer × stride + inner × dilation."""

        def change(term: Term) -> Term | None:
            if isinstance(term, Loose):
                return None if atom in term.atoms else term
            if atom not in term.jumps:
                return term
            if atom is term.phased:
                return None
            jumps = {other: by for other, by in term.jumps.items() if other is not atom}
            jump = term.jumps[atom]
            return replace(term, jumps={**jumps, outer: jump * stride, inner: jump * dilation})

        if not self.depends_on(atom):
            return self
        return self.over(change, "pieces of a map whose places were mixed", Fraction(stride))

    def shuffled(self, old: Iterable[Atom], new: Iterable[Atom]) -> Sight:
        """Return what is seen when the values along some atoms are all kept, but put elsewhere, along new ones."""
        gone = frozenset(old)
        there = frozenset(new)

        def change(term: Term) -> Term:
            atoms = term.atoms if isinstance(term, Loose) else frozenset(term.jumps)
            if not atoms & gone:
                return term
            return Loose(*term.hull(), atoms - gone | there, term.widest)

        return self.over(change, "")

    def union(self, other: Sight) -> Sight:
        """Return what is seen by values made of one value of each of two tensors with the same atoms."""
        if self is other:
            return self
        if self.unknown or other.unknown:
            return self if self.unknown else other
        grid = self.grid if self.grid == other.grid else None
        aligned = self.aligned and other.aligned and self._centred_like(other)
        return Sight(_simplified([*self.terms, *other.terms]), grid, aligned)

    def depends_on(self, atom: Atom) -> bool:
        """Return whether the place along an atom decides what a value sees."""
        return any(atom in (term.atoms if isinstance(term, Loose) else term.jumps) for term in self.terms)

    def hull(self) -> tuple[Bound, Bound]:
        """Return the first and the last pixel that any value sees; none if it is unknown."""
        hulls = [term.hull() for term in self.terms]
        return min((low for low, _ in hulls), default=inf), max((high for _, high in hulls), default=-inf)

    def size(self) -> int | None:
        """Return how many pixels a value sees at most, from the first to the last; None if it is unknown."""
        if not self.terms:
            return None
        if len(self.terms) == 1:
            return self.terms[0].widest
        affine = [term for term in self.terms if isinstance(term, Affine)]
        for fixed in (term for term in affine if not term.jumps):
            if all(_inside(term, fixed) for term in self.terms):
                return fixed.widest
        if len(affine) < len(self.terms):
            return None
        # Both ends of the union are made of sums of the indices, so the widest lies at a corner, for some phases.
        corners: dict[Atom, set[int]] = {}
        for term in affine:
            for atom in term.jumps:
                period = len(term.low) if atom is term.phased else 1
                ends = {*range(min(period, atom.size)), *range(max(0, atom.size - period), atom.size)}
                corners.setdefault(atom, set()).update(ends)
        if prod(map(len, corners.values())) > _MOST_CORNERS:
            return None
        widest: Bound = 0
        for corner in product(*corners.values()):
            seen = self.interval(dict(zip(corners, corner, strict=True)))
            assert seen is not None
            widest = max(widest, seen[1] - seen[0] + 1)
        return int(widest)

    def start(self) -> float | None:
        """Return the centre of what the first value sees, 0.5 for the first pixel's; None if it is unknown."""
        if not self.terms or not all(isinstance(term, Affine) for term in self.terms):
            return None
        low = min(term.low[0] for term in self.terms if isinstance(term, Affine))
        high = max(term.high[0] for term in self.terms if isinstance(term, Affine))
        return None if low > high else (low + high + 1) / 2

    def jump(self, dims: Iterable[Sequence[Atom]], others: Sequence[Sight] = ()) -> Fraction | None:
        """Return how far what is seen moves from one value to the next, on average; None if it is unknown.

        Args:
            dims: the atoms of the tensor's dimensions; that which moves farthest counts.
            others: sights of other axes: steps along them are none along this one, also where a dimension holds both.
        """
        moves = set()
        for term in self.terms:
            if isinstance(term, Loose):
                return self.grid
            along = [(dim, [atom for atom in dim if atom in term.jumps]) for dim in dims]
            farthest = max(
                ((abs(term.jumps[moving[0]]) * moving[0].size, dim, moving[0]) for dim, moving in along if moving),
                key=lambda found: found[0],
                default=None,
            )
            if farthest is not None:
                _, dim, atom = farthest
                inner = prod(
                    one.size
                    for one in dim[list(dim).index(atom) + 1 :]
                    if not any(other.depends_on(one) for other in others)
                )
                turn = len(term.low) if atom is term.phased else 1
                moves.add(Fraction(term.jumps[atom], inner * turn))
        if len(moves) > 1:
            return None
        return moves.pop() if moves else self.grid

    def interval(self, indices: Mapping[Atom, int]) -> tuple[Bound, Bound] | None:
        """Return the first and the last pixel that the value at these indices sees; None if that is unknown."""
        if not self.terms:
            return None
        ends = []
        for term in self.terms:
            if isinstance(term, Loose):
                return None
            for atom in term.jumps:
                term = term.taken(atom, (indices.get(atom, 0),))
            ends.append((term.low[0], term.high[0]))
        return min(low for low, _ in ends), max(high for _, high in ends)

    def _centred_like(self, other: Sight) -> bool:
        for one in self.terms:
            for two in other.terms:
                if not (isinstance(one, Affine) and isinstance(two, Affine)) or not one.jumps or not two.jumps:
                    continue
                if one.jumps != two.jumps or len(one.low) != len(two.low):
                    continue
                sums = zip(
                    map(sum, zip(one.low, one.high, strict=True)),
                    map(sum, zip(two.low, two.high, strict=True)),
                    strict=True,
                )
                if any(left != right for left, right in sums):
                    return False
        return True


def _simplified(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Return fewer terms with the same union: those that move alike become one, those inside a fixed one go."""
    found: list[Term] = []
    for term in terms:
        for index, other in enumerate(found):
            joined = term if term is other else None
            if isinstance(term, Affine) and isinstance(other, Affine):
                joined = term.joined(other)
            if joined is not None:
                found[index] = joined
                break
        else:
            found.append(term)
    # What sees the whole anyway need not be known any better.
    fixed = [term for term in found if isinstance(term, Affine) and not term.jumps]
    if fixed and len(found) > 1:
        found = [term for term in found if not (isinstance(term, Loose) and _inside(term, fixed[0]))]
    loose = [term for term in found if isinstance(term, Loose)]
    if len(found) > _MOST_TERMS or len(loose) > 1:
        hulls = [term.hull() for term in found]
        atoms = frozenset(atom for term in found for atom in (term.atoms if isinstance(term, Loose) else term.jumps))
        found = [Loose(min(low for low, _ in hulls), max(high for _, high in hulls), atoms, None)]
    return tuple(found)


def _inside(term: Term, fixed: Affine) -> bool:
    (low, high), (first, last) = term.hull(), fixed.hull()
    return first <= low and high <= last
