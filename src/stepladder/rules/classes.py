"""Rules about which classes are taken for each other."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable

from stepladder.diagnosis.values import Facts
from stepladder.evaluate import wilson
from stepladder.rules.base import Advice, Rule, accuracy, is_at_chance

_SHARE = 0.2
_TIMES_EVEN = 3
"""Share of all mistakes, and times its share if mistakes were spread evenly over all pairs, that a pair surely has."""
_FEWEST = 5
"""Mistakes of a pair: it is the largest of many, and among three mistakes two are soon alike."""
_MOST_SHARE = 0.5
"""Of what a pair costs: hard images are among its mistakes, and those stay."""


def confused_pair(facts: Facts) -> Iterable[Advice]:
    """Speaks, as an idea, when two classes make up far more of the mistakes on the holdout than is their share.

    Proposes a look at the images of the two that are taken for each other.
    """
    classes = len(facts.classes)
    if facts.holdout is None or is_at_chance(facts, facts.holdout.accuracy):
        return  # a net that knows nothing mixes up everything
    mistakes = facts.holdout.count - facts.holdout.correct
    pairs: Counter[tuple[str, ...]] = Counter()
    for one in facts.confusions:
        pairs[tuple(sorted((one.label, one.predicted)))] += one.count
    if not pairs:
        return
    ((first, second), count), *_ = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    # wilson counts in percent.
    if count < _FEWEST or wilson(count, mistakes).low / 100 < max(_SHARE, _TIMES_EVEN * 2 / (classes * (classes - 1))):
        return
    ways = ", ".join(
        f"{one.count} of {one.of} images of {one.label} are taken for {one.predicted}"
        for one in facts.confusions
        if {one.label, one.predicted} == {first, second}
    )
    yield Advice(
        technique="confused classes",
        title=f"Look at what {first} and {second} have in common",
        evidence=f"{count} of {mistakes} mistakes on the holdout are between these two of {classes} classes: {ways}; "
        f"the net reaches {accuracy(facts)}.",
        where=f"the images and the labels of {first} and {second}",
        why="More of the same training rarely parts two classes; clear labels, more images of the two, or a larger "
        "size at which they differ do.",
        effect=(0.0, round(_MOST_SHARE * 100 * count / facts.holdout.count, 2)),
        cost="a look at the images",
        change=None,
        command=shlex.join(
            ["stepladder", "draw", facts.folder, "--kind", "errors", *facts.given, "--output", "errors.png"]
        ),
    )


RULES: tuple[Rule, ...] = (confused_pair,)
