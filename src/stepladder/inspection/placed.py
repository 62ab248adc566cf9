"""How the dimensions of a tensor are made of atoms, and what reshaping, slicing and joining do to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, prod

from stepladder.inspection.sight import Sight
from stepladder.inspection.terms import Affine, Atom, Loose

Dims = tuple[tuple[Atom, ...], ...]
Axis = tuple[int, int]
"""The number of an input and the number of one of its dimensions, the batch's left out."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor's dimensions, each a row-major product of atoms, and what its values see of each axis of each input.

    An axis that is not there has no influence on the tensor.
    """

    dims: Dims
    sights: Mapping[Axis, Sight]

    @classmethod
    def constant(cls, shape: Sequence[int]) -> Placed:
        """Return a tensor that depends on no input."""
        return cls(tuple((Atom(size),) if size != 1 else () for size in shape), {})

    def with_dims(self, dims: Dims, change: Callable[[Sight], Sight] | None = None) -> Placed:
        """Return other dimensions with every sight changed."""
        if change is None:
            return Placed(dims, self.sights)
        return Placed(dims, {axis: change(sight) for axis, sight in self.sights.items()})

    def mixed(self, dimensions: Iterable[int], keep: bool = True) -> Placed:
        """Return what values see that take all values along some dimensions.

        Args:
            dimensions: which, from 0.
            keep: whether they stay, with as many values that all see the same; otherwise they are taken out.
        """
        chosen = {dimension % max(1, len(self.dims)) for dimension in dimensions}
        atoms = [atom for dimension in chosen for atom in self.dims[dimension]] if self.dims else []
        dims = self.dims if keep else tuple(dim for index, dim in enumerate(self.dims) if index not in chosen)
        return self.with_dims(dims, lambda sight: sight.mixed(atoms))

    def reduced(self, dimensions: Iterable[int], keep: bool) -> Placed:
        """Return what is left when some dimensions are summed up: gone, or of size 1."""
        chosen = {dimension % max(1, len(self.dims)) for dimension in dimensions}
        mixed = self.mixed(chosen)
        if keep:
            return Placed(tuple(() if index in chosen else dim for index, dim in enumerate(self.dims)), mixed.sights)
        return Placed(tuple(dim for index, dim in enumerate(self.dims) if index not in chosen), mixed.sights)

    def permuted(self, order: Sequence[int]) -> Placed:
        """Return the dimensions in another order."""
        return Placed(tuple(self.dims[index] for index in order), self.sights)

    def reshaped(self, shape: Sequence[int]) -> Placed:
        """Return the same values in another shape, row by row."""
        placed = self
        waiting = [atom for dim in self.dims for atom in dim]
        dims: list[tuple[Atom, ...]] = []
        for size in shape:
            taken: list[Atom] = []
            left = size
            while left > 1:
                if not waiting:
                    return self.scrambled(shape)
                atom = waiting.pop(0)
                if atom.size <= 1:
                    placed = placed.picked_atom(atom, 0)
                    continue
                if left % atom.size == 0:
                    taken.append(atom)
                    left //= atom.size
                    continue
                if atom.size % left:
                    return self.scrambled(shape)
                outer, inner = Atom(left), Atom(atom.size // left)
                placed = placed.split(atom, outer, inner)
                taken.append(outer)
                waiting.insert(0, inner)
                left = 1
            dims.append(tuple(taken))
        for atom in waiting:
            if atom.size > 1:
                return self.scrambled(shape)
            placed = placed.picked_atom(atom, 0)
        return Placed(tuple(dims), placed.sights)

    def scrambled(self, shape: Sequence[int]) -> Placed:
        """Return the same values in an order that the atoms cannot say."""
        new = Placed.constant(shape).dims
        old = [atom for dim in self.dims for atom in dim]
        there = [atom for dim in new for atom in dim]
        return self.with_dims(new, lambda sight: sight.shuffled(old, there))

    def split(self, atom: Atom, outer: Atom, inner: Atom) -> Placed:
        """Return the tensor with one atom made of two."""
        dims = tuple(
            tuple(part for one in dim for part in ((outer, inner) if one is atom else (one,))) for dim in self.dims
        )
        return self.with_dims(dims, lambda sight: sight.split(atom, outer, inner))

    def picked_atom(self, atom: Atom, index: int) -> Placed:
        """Return the values at one index of an atom, which is taken out of its dimension."""
        dims = tuple(tuple(one for one in dim if one is not atom) for dim in self.dims)
        return self.with_dims(dims, lambda sight: sight.picked(atom, index) if sight.depends_on(atom) else sight)

    def selected(self, dimension: int, index: int) -> Placed:
        """Return the values at one index of a dimension, which goes."""
        atoms = self.dims[dimension]
        size = prod(atom.size for atom in atoms)
        index %= max(1, size)
        placed = self
        for atom in reversed(atoms):
            index, digit = divmod(index, atom.size)
            placed = placed.picked_atom(atom, digit)
        return Placed((*placed.dims[:dimension], *placed.dims[dimension + 1 :]), placed.sights)

    def sliced(self, dimension: int, start: int, step: int, size: int) -> Placed:
        """Return ``size`` values of a dimension: those at start, start + step, … A negative start pads."""
        atoms = self.dims[dimension]
        whole = prod(atom.size for atom in atoms)
        if start == 0 and step == 1 and size == whole:
            return self
        new = Atom(size)
        if len(atoms) == 1:
            return self.resampled(dimension, new, [[start]], step)
        if not any(sight.depends_on(atom) for sight in self.sights.values() for atom in atoms):
            return Placed(self._replaced(dimension, (new,) if size != 1 else ()), self.sights)
        return self.unknown(self._replaced(dimension, (new,)), "part of a map whose places were mixed")

    def resampled(self, dimension: int, new: Atom, taps: Sequence[Sequence[int]], step: int) -> Placed:
        """Return the tensor with a dimension each value of which takes several of the old: see ``Affine.resampled``."""
        atoms = self.dims[dimension]
        dims = self._replaced(dimension, (new,))
        if not atoms:
            return Placed(dims, self.sights)
        if len(atoms) == 1:
            return self.with_dims(dims, lambda sight: sight.resampled(atoms[0], new, taps, step))
        if not any(sight.depends_on(atom) for sight in self.sights.values() for atom in atoms):
            return Placed(dims, self.sights)
        return self.unknown(dims, "a window over merged dimensions")

    def unknown(self, dims: Dims, why: str) -> Placed:
        """Return a tensor of which nothing is known but which axes it may depend on."""
        return Placed(
            dims, {axis: Sight((), None, sight.aligned, sight.unknown or why) for axis, sight in self.sights.items()}
        )

    def replaced(self, dimension: int, *atoms: Atom) -> Placed:
        """Return the tensor with other atoms in a dimension, along which nothing changes what values see."""
        return Placed(self._replaced(dimension, atoms), self.sights)

    def _replaced(self, dimension: int, atoms: tuple[Atom, ...]) -> Dims:
        return (*self.dims[:dimension], atoms, *self.dims[dimension + 1 :])


def shape_of(dims: Dims) -> tuple[int, ...]:
    """Return the sizes of dimensions."""
    return tuple(prod(atom.size for atom in dim) for dim in dims)


def together(tensors: Sequence[Placed]) -> Placed:
    """Return what values see that are made of one value of each tensor; dimensions are matched from the last on."""
    result = tensors[0]
    for other in tensors[1:]:
        result = _pair(result, other)
    return result


def _pair(one: Placed, two: Placed) -> Placed:
    if one.dims == two.dims:
        return Placed(one.dims, _united(one.sights, two.sights))
    if len(one.dims) < len(two.dims):
        one, two = two, one
    missing = len(one.dims) - len(two.dims)
    dims: list[tuple[Atom, ...]] = list(one.dims[:missing])
    for index in range(len(two.dims)):
        left, right = one.dims[missing + index], two.dims[index]
        if left == right:
            dims.append(left)
            continue
        one, two, left, right = _matched(one, two, left, right)
        if not right or (left and shape_of((right,)) == (1,)):
            for atom in right:
                two = two.picked_atom(atom, 0)
            dims.append(left)
        elif not left or shape_of((left,)) == (1,) != shape_of((right,)):
            for atom in left:
                one = one.picked_atom(atom, 0)
            dims.append(right)
        else:
            names = dict(zip(right, left, strict=True))
            two = two.with_dims(two.dims, lambda sight, names=names: sight.renamed(names))  # type: ignore[misc]
            two = Placed(tuple(tuple(names.get(atom, atom) for atom in dim) for dim in two.dims), two.sights)
            dims.append(left)
    return Placed(tuple(dims), _united(one.sights, two.sights))


def _matched(
    one: Placed, two: Placed, left: tuple[Atom, ...], right: tuple[Atom, ...]
) -> tuple[Placed, Placed, tuple[Atom, ...], tuple[Atom, ...]]:
    """Split the atoms of two dimensions of one size until they have the same sizes."""
    if not left or not right or shape_of((left,)) != shape_of((right,)):
        return one, two, left, right
    lefts, rights = [atom for atom in left if atom.size > 1], [atom for atom in right if atom.size > 1]
    for atom in left:
        one = one.picked_atom(atom, 0) if atom.size == 1 and len(left) > 1 else one
    for atom in right:
        two = two.picked_atom(atom, 0) if atom.size == 1 and len(right) > 1 else two
    lefts, rights = lefts or list(left[:1]), rights or list(right[:1])
    index = 0
    while index < min(len(lefts), len(rights)):
        a, b = lefts[index], rights[index]
        if a.size != b.size:
            if a.size > b.size and a.size % b.size == 0:
                outer, inner = Atom(b.size), Atom(a.size // b.size)
                one = one.split(a, outer, inner)
                lefts[index : index + 1] = [outer, inner]
            elif b.size > a.size and b.size % a.size == 0:
                outer, inner = Atom(a.size), Atom(b.size // a.size)
                two = two.split(b, outer, inner)
                rights[index : index + 1] = [outer, inner]
            else:
                new_left, new_right = Atom(shape_of((left,))[0]), Atom(shape_of((right,))[0])
                one = _merged(one, lefts, new_left)
                two = _merged(two, rights, new_right)
                return one, two, (new_left,), (new_right,)
        index += 1
    return one, two, tuple(lefts), tuple(rights)


def _merged(placed: Placed, atoms: Sequence[Atom], new: Atom) -> Placed:
    gone = set(atoms)
    dims = tuple((new,) if gone & set(dim) else dim for dim in placed.dims)
    return placed.with_dims(dims, lambda sight: sight.shuffled(gone, [new]))


def _united(one: Mapping[Axis, Sight], two: Mapping[Axis, Sight]) -> Mapping[Axis, Sight]:
    if not two or one is two:
        return one
    if not one:
        return two
    sights = dict(one)
    for axis, sight in two.items():
        known = sights.get(axis)
        sights[axis] = sight if known is None else known.union(sight)
    return sights


def concatenated(tensors: Sequence[Placed], dimension: int) -> Placed:
    """Return tensors put one after another along a dimension."""
    size = sum(shape_of((tensor.dims[dimension],))[0] for tensor in tensors)
    new = Atom(size)
    # Along axes whose places run along the dimension, the tensors are shifted against each other: all that can be said
    # is what they see together, and how much each value does at most.
    moving = {
        axis
        for tensor in tensors
        for axis, sight in tensor.sights.items()
        if any(sight.depends_on(atom) for atom in tensor.dims[dimension])
    }
    parts = []
    for tensor in tensors:
        gone = tensor.dims[dimension]
        sights = {
            axis: sight.shuffled(gone, [new]) if axis in moving else sight for axis, sight in tensor.sights.items()
        }
        parts.append(Placed(tensor._replaced(dimension, ()), sights))
    joined = together(parts)
    sights = {
        axis: _stacked(sight, parts, axis, new) if axis in moving else sight for axis, sight in joined.sights.items()
    }
    return Placed(joined._replaced(dimension, (new,)), sights)


def _stacked(joined: Sight, parts: Sequence[Placed], axis: Axis, new: Atom) -> Sight:
    """Return the sight of a map put together of parts: each value sees what its own part saw, not the union."""
    sights = [part.sights[axis] for part in parts if axis in part.sights]
    if joined.unknown or any(sight.unknown for sight in sights):
        return joined
    hulls = [sight.hull() for sight in sights]
    sizes = [sight.size() for sight in sights]
    atoms = {new}
    for term in joined.terms:
        atoms |= set(term.jumps) if isinstance(term, Affine) else set(term.atoms)
    widest = None if any(size is None for size in sizes) else max(size for size in sizes if size is not None)
    low, high = min(low for low, _ in hulls), max(high for _, high in hulls)
    term = Loose(low, high, frozenset(atoms), widest) if low != inf else joined.terms[0]
    return Sight((term,), joined.grid, joined.aligned)
