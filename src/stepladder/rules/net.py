"""Rules about the net: what passes through it, how wide it is, how far it sees, where its parameters are."""

from __future__ import annotations

from collections.abc import Iterable

from stepladder import edits
from stepladder.diagnosis.structure import net_facts
from stepladder.diagnosis.values import Facts
from stepladder.inspection.oneline import describe
from stepladder.notation import Net
from stepladder.rules.base import Advice, Rule, accuracy, advice, fits_badly, is_at_chance, room, shares, with_net
from stepladder.rules.signal import fades, grows, passed_on

NARROW = 4
"""Channels below which a layer can hardly tell ten classes apart: the logarithm of their number to base 2, rounded up;
more where there are more classes."""
_WIDE_ENOUGH = 8
_WORTH = 1.1
"""Times as many parameters that widening has to come to."""
SEES_TOO_LITTLE = 0.5
"""Share of an object that a value has to see before maps are averaged: parts of that size can still tell most apart."""
SEES_MOST, SEES_ENOUGH = 0.7, 0.9
"""Shares from which more is no idea any more, and up to which more is proposed."""
_HEAVY_ENOUGH, HEAVY = 0.3, 0.7
"""Share of the parameters in a dense head from which an average in its place is an idea, and from which the head counts
as where the net learns by heart."""
GAP = 2.0
"""Points between training and holdout that a heavy head needs to be blamed: sound nets on a few thousand images show up
to 1.6."""


def softmax(facts: Facts) -> Iterable[Advice]:
    """Speaks when the net ends in a softmax, which cross-entropy applies once more.

    Proposes the net without it.
    """
    if not facts.net.ends_in_softmax:
        return
    count = len(facts.classes)
    from math import e, log

    floor = log(e + count - 1) - 1
    loss = f"; the training loss ends at {facts.epochs[-1].train_loss:.3f}" if facts.epochs else ""
    yield advice(
        facts,
        "softmax",
        with_net(facts, edits.without_softmax(_net(facts))),
        title="Take out the softmax at the end",
        evidence=f"Cross-entropy takes logits and gets probabilities, so that the loss cannot fall below {floor:.3f} "
        f"for {count} classes{loss}; the net reaches {accuracy(facts)}.",
        where="the last layer",
        why="Gradients shrink where the net is wrong and sure, which is where they are needed most.",
        effect=shares(facts, 0.05, 0.95),
        cost="none",
        kind="alarm",
    )


def normalisation(facts: Facts) -> Iterable[Advice]:
    """Speaks when a net without batch normalisation passes no signal on, or, as an idea, when it has none at all.

    Proposes batch normalisation after every layer with weights but the last.
    """
    if facts.net.norms or facts.net.depth < 3:
        return
    change = with_net(facts, edits.with_norms(_net(facts)))
    added = _parameters(facts, change.net) - facts.net.parameters
    kept = passed_on(facts.first)
    lost = fades(facts.first) or grows(facts.first)
    yield advice(
        facts,
        "batch normalisation",
        change,
        title="Put batch normalisation after every convolution",
        evidence=f"Over {facts.net.depth} layers without a norm the spread of the values changes "
        f"{1 if kept is None else kept:.2g}-fold at the first weights; the net reaches {accuracy(facts)}.",
        where="after every convolution and linear layer but the last",
        why="All images look alike at the end, and no gradient comes back."
        if lost
        else "Each layer gets inputs of mean 0 and deviation 1, so that larger steps are safe.",
        effect=shares(facts, 0.5, 0.99) if lost and fits_badly(facts) else shares(facts, 0.05, 0.4),
        cost=f"{added:,} parameters",
        kind="alarm" if lost and fits_badly(facts) else "idea",
    )


def activation(facts: Facts) -> Iterable[Advice]:
    """Speaks when several layers follow each other with nothing nonlinear between them.

    Proposes a ReLU after every layer with weights but the last.
    """
    if facts.net.activations or facts.net.depth < 2:
        return
    yield advice(
        facts,
        "activation",
        with_net(facts, edits.with_activations(_net(facts))),
        title="Put a ReLU after every layer",
        evidence=f"None of {facts.net.depth} layers is followed by an activation; the net reaches {accuracy(facts)}.",
        where="after every convolution and linear layer but the last",
        why="Linear layers in a row are one linear layer.",
        effect=shares(facts, 0.2, 0.8),
        cost="none",
        kind="alarm",
    )


def capacity(facts: Facts) -> Iterable[Advice]:
    """Speaks when a layer is so narrow that training images are not learned; as an idea, when all are not quite.

    Proposes twice the widths, or more until the narrowest layer has eight channels, as far as the budget goes.
    """
    narrowest = facts.net.narrowest
    if narrowest is None or facts.train is None or not fits_badly(facts, 99.5):
        return
    needed = max(NARROW, (len(facts.classes) - 1).bit_length())
    is_narrow = narrowest < needed and fits_badly(facts)
    if not is_narrow and is_at_chance(facts, facts.train.accuracy):
        return  # a wide net that learns nothing has another fault
    factor = max(2.0, _WIDE_ENOUGH / narrowest)
    change = with_net(facts, edits.widened(_net(facts), factor))
    parameters = _parameters(facts, change.net)
    if parameters < _WORTH * facts.net.parameters:
        return  # the budget leaves no room
    yield advice(
        facts,
        "capacity",
        change,
        title=f"Widen all layers, to {parameters:,} parameters",
        evidence=f"The narrowest layer has {narrowest} channels for {len(facts.classes)} classes, and "
        f"{_learned(facts)}: {accuracy(facts)}.",
        where="every layer but the last",
        why="What a layer does not let through no later one can bring back."
        if is_narrow
        else "What is missing on the training images is missing on all others too.",
        effect=shares(facts, 0.5, 0.99) if is_narrow else shares(facts, 0.05, 0.4),
        cost=f"{parameters:,} parameters in place of {facts.net.parameters:,}",
        kind="alarm" if is_narrow else "idea",
    )


def receptive_field(facts: Facts) -> Iterable[Advice]:
    """Speaks when maps are averaged whose values see only a part of what is to be recognised.

    Proposes a pooling and 3×3 convolutions before the average until a value sees nine tenths of the object.
    """
    share = _seen(facts, facts.net.field)
    if not facts.net.averages or share >= SEES_MOST:
        return
    little = share < SEES_TOO_LITTLE and fits_badly(facts, 98.0)
    grown = edits.seeing(_net(facts), facts.image, [round(SEES_ENOUGH * size) for size in facts.objects])
    if grown is None:
        return
    change = with_net(facts, grown)
    rows, columns = facts.net.field
    yield advice(
        facts,
        "receptive field",
        change,
        title="Let the net see more: pool, then more convolutions",
        evidence=f"Before its average a value sees {rows}×{columns} pixels, and what is to be recognised takes "
        f"{facts.objects[0]}×{facts.objects[1]}; {_learned(facts)}: {accuracy(facts)}.",
        where="before the global average pooling",
        why="An average of small parts does not know how they lie to each other.",
        effect=shares(facts, 0.5, 0.99) if little else shares(facts, 0.0, 0.4),
        cost=f"{_parameters(facts, change.net):,} parameters in place of {facts.net.parameters:,}",
        kind="alarm" if little else "idea",
    )


def dense_head(facts: Facts) -> Iterable[Advice]:
    """Speaks when a head over flattened maps holds the parameters and the net knows its training images by heart.

    As an idea, when such a head holds a good part of them. Silent where the averaged net would see too little of the
    object or have fewer than eight channels somewhere.

    Proposes global average pooling, behind convolutions that see what the head saw, in no more parameters.
    """
    gap = facts.gap
    averaged = edits.with_average(_net(facts), facts.image)
    if facts.net.dense_share < _HEAVY_ENOUGH or gap is None or facts.train is None or facts.holdout is None:
        return
    if averaged is None:
        return
    clear = facts.train.interval.low > facts.holdout.interval.high
    alarm = facts.net.dense_share >= HEAVY and gap >= GAP and clear
    wanted = [round(SEES_ENOUGH * size) for size in facts.objects]
    grown = edits.seeing(averaged, facts.image, wanted) or averaged
    # No more parameters than the head had: what it frees may be spent, and nothing more.
    change = with_net(facts, edits.fitted(edits.with_norms(grown), facts.image, facts.net.parameters + 1) or averaged)
    found = net_facts(Net.parse(change.net), facts.image)
    # The head's many weights made up for a body that sees little or is narrow; an average of that would be worse.
    if _seen(facts, found.field) < SEES_MOST or (found.narrowest or 0) < _WIDE_ENOUGH:
        return
    yield advice(
        facts,
        "global average pooling",
        change,
        title="Average the maps in place of the dense head",
        evidence=f"{facts.net.dense_share:.0%} of {facts.net.parameters:,} parameters weigh single places of the last "
        f"maps; the net knows {facts.train.accuracy:.1f}% of the training images and {facts.holdout.accuracy:.1f}% of "
        f"the holdout, a gap of {gap:.1f} points.",
        where="from the flattening on; convolutions before it see what the head saw",
        why="A head that weighs every place learns where things were in the training images.",
        effect=(round(min(0.2 * gap, room(facts)), 2), round(min(gap, room(facts)), 2))
        if alarm
        else shares(facts, 0.0, 0.3),
        cost=f"{_parameters(facts, change.net):,} parameters in place of {facts.net.parameters:,}",
        kind="alarm" if alarm else "idea",
    )


def _learned(facts: Facts) -> str:
    return "even the training images are not learned" if fits_badly(facts) else "not all training images are learned"


def _seen(facts: Facts, field: tuple[int, int]) -> float:
    return min(seen / size for seen, size in zip(field, facts.objects, strict=True))


def _net(facts: Facts) -> Net:
    return Net.parse(facts.experiment.net)


def _parameters(facts: Facts, net: str) -> int:
    return describe(Net.parse(net), facts.image).totals.parameters


RULES: tuple[Rule, ...] = (softmax, normalisation, activation, capacity, receptive_field, dense_head)
