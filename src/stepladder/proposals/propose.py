"""Proposals: several nets for an input, a number of classes and a budget, ranked, each with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from stepladder.displayed import Displayed
from stepladder.errors import SpecError
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import Finding, Summary
from stepladder.layers import Pair, Shape
from stepladder.notation import Net
from stepladder.proposals.skeletons import FAMILIES, Family, Skeleton, skeletons
from stepladder.proposals.widths import Widths, fit, least

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST_COUNT = len(FAMILIES)
ROOM = 1.5
"""Times the parameters of its narrowest sensible net from which on a net is not starved."""
RULE = (
    f"nets with a finding come last, before them those with less than {ROOM:g} times the parameters of their narrowest "
    "sensible net; the others come in a fixed order, since held-out images hardly told the kinds apart: "
    + ", ".join(family.name for family in FAMILIES)
)
"""The rule of the ranking, in words."""

SEEN = 2 / 3
"""Share of the image that a value before the head should see where no size of objects is given: 18 of 28 pixels in the
guide's net."""
_SIZES, _CHANNELS, _CLASSES = (8, 224), (1, 4), (2, 1000)
_EXPLAINED = {"dense": ("heavy head",)}
"""Findings that a kind is meant to show, so that they speak for the others."""


@dataclass(frozen=True)
class Proposal(Displayed):
    """One net and why it is proposed.

    Args:
        kind: the short name of how it is built: guide, deep, late, strided, early, shallow or dense.
        difference: how it differs from the others, in a few words.
        net: the net in one line.
        budget: trainable parameters that it stays below.
        reasons: why it pools where it pools, is as wide and as deep as it is, and what it costs, a sentence each.
        field: what one value before the head sees, (rows, columns) in pixels.
        room: its parameters relative to those of the narrowest sensible net with the same layers; at least 1.
        summary: what ``describe`` says of it: parameters, MACs, memory, receptive fields; each of its findings is
            explained in the reasons.
    """

    kind: str
    difference: str
    net: str
    budget: int
    reasons: tuple[str, ...]
    field: Pair
    room: float
    summary: Summary

    @property
    def parameters(self) -> int:
        """Return the trainable parameters, fewer than the budget."""
        return self.summary.totals.trainable

    @property
    def share(self) -> float:
        """Return the share of the budget that it uses, from 0 to 1."""
        return self.parameters / self.budget

    def __str__(self) -> str:
        """Return net, difference and reasons, one a line."""
        return "\n".join([self.net, f"  {self.kind}: {self.difference}", *(f"  - {one}" for one in self.reasons)])


class Proposals(tuple[Proposal, ...], Displayed):
    """Proposals in their order, the first the one to begin with; a tuple that notebooks show as a table."""

    def __str__(self) -> str:
        """Return what ``stepladder design`` prints."""
        from stepladder.proposals.forms import render

        return render(self, "text").rstrip("\n")


def design(
    input_shape: Shape,
    classes: int,
    budget: int,
    *,
    count: int = 5,
    objects: Sequence[int] | None = None,
) -> tuple[Proposal, ...]:
    """Return up to ``count`` nets for an input, each with fewer trainable parameters than the budget, the best first.

    Where to pool and how deep to go follow from the input's size: the last maps are 4 to 8 wide where that can be, and
    what a value sees before the head is near to the size of what is to be recognised. The budget decides the widths: a
    larger one never gives a proposal of the same kind fewer parameters. The order is that of ``RULE``; nothing is drawn
    by chance.

    >>> from stepladder import design
    >>> design((1, 28, 28), 10, 8000)[0].parameters < 8000
    True

    Args:
        input_shape: (channels, rows, columns): 1 to 4 channels, 8 to 224 pixels along each axis.
        classes: 2 to 1000.
        budget: trainable parameters to stay below.
        count: how many to propose at most, 1 to 7; there are fewer where kinds do not fit or come to the same net.
        objects: (rows, columns) of what is to be recognised, in pixels, at most the image's; None: two thirds of the
            image along each axis.

    Raises:
        SpecError: if a value is out of range, with every mistake at once; or if no sensible net fits the budget, with
            the least budget that one fits.
    """
    wanted = _checked(input_shape, classes, budget, count, objects)
    channels = input_shape[0]
    found: list[Proposal] = []
    cheapest: tuple[int, str] | None = None
    for family in FAMILIES:
        skeleton = _skeleton(family, tuple(input_shape), wanted, classes)
        if skeleton is None:
            continue
        widths = fit(skeleton, channels, classes, budget)
        narrowest = least(skeleton, channels, classes)
        if widths is None:
            offer = narrowest.parameters + 1, skeleton.net(narrowest.channels)
            cheapest = offer if cheapest is None else min(cheapest, offer)
            continue
        net = skeleton.net(widths.channels)
        if all(net != other.net for other in found):
            found.append(_proposal(skeleton, widths, narrowest, input_shape, wanted, budget))
    if not found:
        assert cheapest is not None
        raise SpecError(
            "no sensible net has fewer parameters than this budget",
            given=f"a budget of {budget:,} for {_sizes(input_shape)} and {classes:,} classes",
            repair=f"allow at least {cheapest[0]:,}, which fits {cheapest[1]}",
        )
    found.sort(key=lambda one: (bool(one.summary.findings), one.room < ROOM))  # stable: the order of kinds stays
    return Proposals(found[:count])


def _checked(input_shape: Shape, classes: int, budget: int, count: int, objects: Sequence[int] | None) -> Pair:
    """Return rows and columns of what is to be recognised."""
    if len(input_shape) != 3 or not all(_is_whole(size) for size in input_shape):
        raise SpecError(
            "a net is designed for one image: channels, rows, columns", given=str(input_shape), repair="say (1, 28, 28)"
        )
    mistakes = []
    channels, *image = input_shape
    ranges = [("channels", channels, _CHANNELS), ("rows", image[0], _SIZES), ("columns", image[1], _SIZES)]
    ranges += [("classes", classes, _CLASSES), ("proposals", count, (1, LARGEST_COUNT))]
    for what, value, (low, high) in ranges:
        if not _is_whole(value) or not low <= value <= high:
            mistakes.append(f"{what}: {value} is not from {low} to {high:,}")
    if not _is_whole(budget) or budget < 1:
        mistakes.append(f"budget: {budget} is no whole number from 1 up")
    wanted = tuple([round(SEEN * size) for size in image if _is_whole(size)] if objects is None else objects)
    if len(wanted) != 2 or not all(
        _is_whole(size) and 1 <= size <= whole for size, whole in zip(wanted, image, strict=False)
    ):
        mistakes.append(f"what is to be recognised: {_sizes(wanted)} is not two sizes within {_sizes(image)} pixels")
    if mistakes:
        large = any(_is_whole(size) and size > _SIZES[1] for size in image)
        raise SpecError.of("the design", mistakes, repair="correct this" + (", or shrink the images" if large else ""))
    return wanted[0], wanted[1]


def _is_whole(value: object) -> bool:
    return type(value) is int


@lru_cache(maxsize=64)
def _skeleton(family: Family, input_shape: Shape, wanted: Pair, classes: int) -> Skeleton | None:
    """Return the family's best skeleton in whose narrowest net inspect finds nothing that is not explained."""
    for skeleton in skeletons(family, (input_shape[1], input_shape[2]), wanted, classes):
        net = skeleton.net(least(skeleton, input_shape[0], classes).channels)
        findings = describe(Net.parse(net), input_shape).findings
        if all(one.kind in _EXPLAINED.get(family.name, ()) for one in findings):
            return skeleton
    return None


def _proposal(
    skeleton: Skeleton, widths: Widths, narrowest: Widths, input_shape: Shape, wanted: Pair, budget: int
) -> Proposal:
    net = skeleton.net(widths.channels)
    room = widths.parameters / narrowest.parameters
    summary = describe(Net.parse(net), input_shape)
    family = skeleton.family
    reasons = (
        _where(skeleton),
        _how_deep(skeleton, summary, wanted),
        _how_wide(widths, budget, room),
        _costs(summary),
        *(_explained(finding) for finding in summary.findings),
    )
    return Proposal(family.name, family.difference, net, budget, reasons, skeleton.field, room, summary)


def _where(skeleton: Skeleton) -> str:
    """Return where the net pools, and why there."""
    first, *_, last = skeleton.maps
    how = "a convolution with a stride" if skeleton.family.strided else "pooling"
    fits = "about 4 to 8 wide is enough to average over, and cheap"
    if not skeleton.poolings:
        return f"where to pool: nowhere; {_sizes(first)} comes to {_sizes(last)} by itself ({fits})"
    times = "once" if skeleton.poolings == 1 else f"{skeleton.poolings} times"
    at = ", ".join(_sizes(one) for one in skeleton.maps[1:-1])
    text = f"where to pool: {times}, by {how}, at {at}, so that the last map is {_sizes(last)} ({fits})"
    if skeleton.odd:
        odd = ", ".join(dict.fromkeys(_sizes(one) for one in skeleton.odd))
        text += f"; {odd} cannot be halved evenly: padding keeps its edge"
    return text


def _how_deep(skeleton: Skeleton, summary: Summary, wanted: Pair) -> str:
    layers = sum(skeleton.counts)
    stages = " + ".join(map(str, skeleton.counts))
    last = summary.rows[-1].field
    assert last is not None
    head = "the linear layer" if skeleton.family.dense else "GAP"
    after = [min(seen or 0, whole) for seen, whole in zip(last.size, summary.image, strict=True)]
    return (
        f"how deep: {layers} 3×3 convolutions ({stages}); before {head} a value sees {_sizes(skeleton.field)} of "
        f"{_sizes(summary.image)} pixels ({_sizes(wanted)} are wanted), after it {_sizes(after)}"
    )


def _how_wide(widths: Widths, budget: int, room: float) -> str:
    inner = widths.channels[:-1]
    multiple = f", in multiples of {widths.multiple}" if widths.multiple > 1 else ""
    return (
        f"how wide: {min(inner)} to {max(inner)} channels{multiple}: {widths.parameters:,} parameters, "
        f"{widths.parameters / budget:.1%} of the budget, "
        f"{room:.1f} times the narrowest sensible net of these layers"
    )


def _costs(summary: Summary) -> str:
    from stepladder.inspection.tables.words import memory

    totals = summary.totals
    return f"costs: {totals.macs:,} MACs and {memory(totals.training_bytes)} for training, for each image"


def _explained(finding: Finding) -> str:
    return f"{finding.kind}: {finding.evidence}; that is what it is here to show"


def _sizes(values: Sequence[object]) -> str:
    return "×".join(map(str, values))
