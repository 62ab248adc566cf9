"""A step's two looks at its candidates: who is given up, at which levels, who is trained on. Why: docs/decisions.md."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.decide import LEVEL, WORTHWHILE, Candidate, Choice, is_hopeless, saves

LEVEL_OF_A_LOOK = LEVEL / 2
_FREE = 4
"""Candidates that the two may be chosen from without a price."""
LOOKED_AT_AGAIN = 2
"""Candidates of a step that may get more seeds."""


def first_to_stand(measured: Sequence[tuple[float, int, int]]) -> int:
    """Return the number of the candidate that the others are measured against where nothing stands yet.

    That is the most accurate one, unless a cheaper one (no more parameters and multiply-accumulates) seems to lose less
    than half of what is worthwhile: then the cheapest of those, and of equally cheap ones the most accurate. So small a
    difference decides nothing, and a net of half the cost leaves time for twice the epochs.

    >>> first_to_stand([(98.60, 7785, 454_500), (98.56, 7541, 216_764), (98.35, 7100, 150_000)])
    1

    Args:
        measured: the accuracy on the holdout in percent, parameters and multiply-accumulates of each.
    """
    best, parameters, macs = max(measured, key=lambda one: one[0])
    near = [
        number
        for number, one in enumerate(measured)
        if one[0] > best - WORTHWHILE / 2 and one[1] <= parameters and one[2] <= macs
    ]
    return min(near, key=lambda number: (*measured[number][:0:-1], -measured[number][0]))


def is_given_up(stands: Candidate, candidate: Candidate) -> bool:
    """Return whether a candidate is trained no more, from one run of it and one of what stands.

    Raises:
        RunError: if the runs do not have the same seed and images.
    """
    simpler = saves(candidate.parameters, stands.parameters)
    return is_hopeless(stands.runs, candidate.runs, simpler="candidate" if simpler else "baseline")


def second_level(many: int) -> float:
    """Return the chance of an error at the second look, after a first one at so many candidates, without a joined one.

    Which are looked at again is read off the first look. The more there were to choose from, the likelier it is that
    luck chose; how often useless ones are kept was simulated (docs/decisions.md: a whole step of a climb).
    """
    return LEVEL_OF_A_LOOK * min(1.0, _FREE / max(many, 1))


def worth_more_seeds(stands: Candidate, candidates: Sequence[Candidate], choice: Choice) -> list[Candidate]:
    """Return the undecided candidates that get a second look: those that seem to gain most, if the first kept none."""
    if choice.taken != stands.name:
        return []
    worth = [
        one
        for one in candidates
        if len(one.runs) == len(stands.runs)
        and choice.decisions[one.name].verdict == "undecided"
        # One that is to save parameters may lose a little.
        and choice.decisions[one.name].points > choice.decisions[one.name].needed / 2
    ]
    worth.sort(key=lambda one: -choice.decisions[one.name].points)
    return worth[:LOOKED_AT_AGAIN]
