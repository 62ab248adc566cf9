"""Skeletons: nets without widths. Where a net pools and how deep it is follow from the input's size alone.

The budget has no say here, so that a larger one widens the same skeleton and can never give fewer parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, floor, log2, prod
from typing import Literal

from stepladder.layers import Pair
from stepladder.proposals.walk import Walk

SMALLEST_MAP, LARGEST_MAP = 4, 8
"""Rows and columns that the last map should have: fewer hold little to average, more are costly and see little."""
_UNPADDED_UP_TO = 64
"""Pixels up to which convolutions may go without padding: in larger images the sizes would no longer halve well."""
_PADDED = 0.5
"""Doublings that padding counts as in images that can do without: on the holdout such nets were behind."""
_FIRST_WIDTH, _LAST_WIDTH = 4, 8
"""The least channels of the first and the last convolution that still make a sensible net."""
_GROWTH = 1.6
"""How much wider the maps get each time that they are halved; 2.5 from end to end with one pooling, as in the guide."""
_BLOCK_GROWTH = 1.25
"""How much wider each block of the guide's ends than the one before it: from 16 channels to 20."""


_ODD = 0.2
"""Doublings of the receptive field that an odd size at a pooling counts as."""


@dataclass(frozen=True)
class Slot:
    """A layer whose width is open, or a layer without any.

    Args:
        role: what it does in the skeleton.
        word: the layer in the notation without its channels, such as ``C3p1``; whole where there are none: ``MP2``.
        weights: weights for each pair of an input and an output channel; 0 for a layer without weights.
        ratio: width relative to the first convolution's that it should have.
        least: the least sensible width.
    """

    role: Literal["convolution", "transition", "pool", "average", "hidden", "logits"]
    word: str
    weights: int = 0
    ratio: float = 0.0
    least: int = 0


@dataclass(frozen=True)
class Family:
    """A way to build skeletons.

    Args:
        name: a short name for it.
        difference: how its nets differ from the others', in a few words.
        first: numbers of 3×3 convolutions that may stand before the first pooling.
        later: numbers that may stand between two poolings and after the last.
        prefer: what decides between skeletons that fit alike.
        strided: whether convolutions with a stride stand in for pooling.
        transitions: whether 1×1 convolutions narrow the maps after each pooling, and mix them after the last.
        dense: whether a linear layer weighs each position of the last maps.
    """

    name: str
    difference: str
    first: range
    later: range
    prefer: Literal["field", "cheap", "deep", "shallow"] = "field"
    strided: bool = False
    transitions: bool = False
    dense: bool = False


FAMILIES = (
    Family("guide", "with 1×1 transitions, as in the guide", range(2, 3), range(1, 4), transitions=True),
    Family(
        "strided", "strided instead of pooled: what shrinks the maps is learned", range(2, 3), range(1, 4), strided=True
    ),
    Family("deep", "narrow and deep: more layers, each with fewer channels", range(2, 4), range(1, 5), "deep"),
    Family("late", "late pooling: more MACs, finer maps", range(3, 5), range(1, 4)),
    Family("early", "early pooling: cheap", range(1, 2), range(1, 4)),
    Family("shallow", "wide and shallow: few layers, each with many channels", range(1, 2), range(1, 2), "shallow"),
    Family("dense", "a dense head, to compare with", range(1, 3), range(1, 3), "cheap", dense=True),
)


@dataclass(frozen=True)
class Skeleton:
    """A net without widths for one input.

    Args:
        family: the family that it is of.
        slots: its layers in order; the last gives the logits.
        counts: 3×3 convolutions before the first pooling, between poolings and after the last.
        maps: rows and columns of the maps from the image on, before each pooling and before the head.
        field: what one value before the head sees, in pixels along each axis.
        odd: sizes that were odd where they were halved, so that padding had to keep their edge.
    """

    family: Family
    slots: tuple[Slot, ...]
    counts: tuple[int, ...]
    maps: tuple[Pair, ...]
    field: Pair
    odd: tuple[Pair, ...]

    @property
    def poolings(self) -> int:
        """Return how many times the maps are shrunk."""
        return len(self.counts) - 1

    def net(self, widths: Sequence[int]) -> str:
        """Return the net in one line; one width for each slot that has weights, in order."""
        left = iter(widths)
        return " ".join(f"{next(left)}{slot.word}" if slot.weights else slot.word for slot in self.slots)


def skeletons(family: Family, image: Pair, objects: Pair, classes: int) -> list[Skeleton]:
    """Return the family's skeletons for images of this size, the best first.

    First come those whose last map is 4 to 8 wide, then those that the family prefers: by default those whose receptive
    field before the head is nearest to the size of what is to be recognised, on a scale of doublings.
    """
    found = []
    for plan in _plans(family, image):
        walk = _walk(family, image, plan.halvings, plan.counts, plan.padded)
        if walk is not None:
            found.append((_rank(family, plan, walk, objects), plan, walk))
    found.sort(key=lambda triple: triple[0])
    return [_skeleton(family, plan, walk, classes) for _, plan, walk in found]


@dataclass(frozen=True)
class _Plan:
    halvings: Pair
    counts: tuple[int, ...]
    padded: bool


def _plans(family: Family, image: Pair) -> Iterator[_Plan]:
    paddings = (False, True) if max(image) <= _UNPADDED_UP_TO else (True,)
    for halvings in _halvings(image):
        for counts in _counts(family, max(halvings)):
            for padded in paddings:
                yield _Plan(halvings, counts, padded)


def _halvings(image: Pair) -> Iterator[Pair]:
    """Yield how often each axis may be halved."""
    options = [[times for times in range(7) if size >> times >= SMALLEST_MAP // 2] for size in image]
    longer = log2(image[0] / image[1])
    for rows, columns in product(*options):
        # An axis is halved more often than the other only as far as it is longer.
        if floor(longer) <= rows - columns <= ceil(longer):
            yield rows, columns


def _counts(family: Family, poolings: int) -> Iterator[tuple[int, ...]]:
    """Yield how many convolutions stand in each stage; after the first they do not get fewer."""
    if poolings == 0:
        # Small images need none; but then nothing is early or strided, and there is no place for a transition.
        if not (family.strided or family.transitions or 1 in family.first):
            yield from ((count,) for count in range(2, 4))
        return
    for first in family.first:
        for later in product(family.later, repeat=poolings):
            # Neighbouring stages differ by one at most, and the last is the deepest.
            if all(0 <= after - before <= 1 for before, after in pairwise(later)):
                yield (first, *later)


def _walk(family: Family, image: Pair, halvings: Pair, counts: tuple[int, ...], padded: bool) -> Walk | None:
    """Return a walk through such a net; None if it does not fit, or if its last convolution would see nothing new."""
    walk = Walk(image, maps=[image])
    poolings = len(counts) - 1
    for stage, count in enumerate(counts):
        # The shorter axis joins in at the later poolings, when both have come to about the same size.
        halved = [stage < poolings and poolings - stage <= times for times in halvings]
        strided = family.strided and any(halved)
        for _ in range(count - strided):
            walk.convolve(padded=padded)
        if strided:
            walk.convolve(padded=padded, halved=halved)
        if min(walk.size) < SMALLEST_MAP // 2:
            return None
        if any(halved) and not strided:
            walk.pool(halved)
        if any(halved) and family.transitions:
            walk.words.append(("transition", "C1"))
    if min(walk.size) < SMALLEST_MAP // 2 or all(
        seen >= whole for seen, whole in zip(walk.seen_before, image, strict=True)
    ):
        return None
    walk.maps.append(walk.size)
    return walk


def _rank(family: Family, plan: _Plan, walk: Walk, objects: Pair) -> tuple[float, ...]:
    """Return what skeletons of a family are sorted by, the best lowest; never equal for two of them."""
    outside = sum(max(0.0, log2(SMALLEST_MAP / size), log2(size / LARGEST_MAP)) for size in walk.size)
    apart = sum(abs(log2(seen / whole)) for seen, whole in zip(walk.seen, objects, strict=True))
    # Padding where a size is odd does little harm; even sizes are neater all the same.
    away = apart + _ODD * len(walk.odd) + _PADDED * plan.padded
    layers = sum(plan.counts)
    own: dict[str, tuple[float, ...]] = {
        "field": (away, walk.positions),
        "cheap": (walk.positions, away),
        # More layers, as long as the field does not outgrow what it is to see by half a doubling along each axis.
        "deep": (max(0.0, apart - 1), -layers, away),
        "shallow": (layers, away),
    }
    uneven = abs(plan.halvings[0] - plan.halvings[1])
    return (outside, uneven, *own[family.prefer], *plan.halvings, *plan.counts, plan.padded)


def _skeleton(family: Family, plan: _Plan, walk: Walk, classes: int) -> Skeleton:
    """Return the skeleton with the widths that each layer should have and the least that make sense."""
    # Fewer channels than it takes bits to number the classes could hardly tell them apart.
    last_least = max(_LAST_WIDTH, (classes - 1).bit_length())
    ratios = _block_ratios(plan.counts) if family.transitions else _even_ratios(plan.counts)
    slots, done, end = [], 0, 1.0
    for role, word in walk.words:
        if role == "convolution":
            end = ratios[done]
            done += 1
            least = last_least if done == len(ratios) else min(last_least, round(_FIRST_WIDTH * max(end, 1.0)))
            slots.append(Slot("convolution", word, 9, end, least))
        elif role == "transition":
            slots.append(Slot("transition", word, 1, end / 2, _FIRST_WIDTH))
        else:
            slots.append(Slot("pool", word))
    if family.dense:
        slots.append(Slot("logits", "F", prod(walk.size)))
    else:
        slots.append(Slot("average", "GAP"))
        if family.transitions:
            slots.append(Slot("hidden", "C1", 1, 0.8 * end, last_least))
        slots.append(Slot("logits", "C1", 1))
    return Skeleton(family, tuple(slots), plan.counts, tuple(walk.maps), walk.seen, tuple(walk.odd))


def _even_ratios(counts: Sequence[int]) -> list[float]:
    """Return widths that grow by the same factor from layer to layer."""
    layers = sum(counts)
    total = _GROWTH ** len(counts)
    return [total ** (index / max(layers - 1, 1)) for index in range(layers)]


def _block_ratios(counts: Sequence[int]) -> list[float]:
    """Return widths that grow within each block, as the guide's: 8, 16; 12, 16, 20."""
    ratios: list[float] = []
    start = 1.0
    for block, count in enumerate(counts):
        end = 2 * _BLOCK_GROWTH**block
        ratios += [end - (end - start) * (count - 1 - index) / max(count - 1, 1) for index in range(count)]
        start = 0.75 * end
    return ratios
