"""What an advice is, and what rules share: how much there is to gain, and how a change is written as a command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from stepladder import edits
from stepladder.diagnosis.values import Facts
from stepladder.notation import Net
from stepladder.spec import Experiment

Kind = Literal["first", "alarm", "idea"]
"""first: to be done before anything else can be said. alarm: something is wrong. idea: sound, and may gain a little."""


@dataclass(frozen=True)
class Advice:
    """One piece of advice.

    Args:
        technique: its name, such as ``learning rate``.
        title: what to do, in a few words.
        evidence: what speaks for it: one sentence with figures of the run.
        where: the place in the net, the recipe or the data.
        why: why it comes now, one sentence.
        effect: the expected change of the accuracy in points, (low, high).
        cost: what it costs, in a few words.
        change: the changed experiment; None where the change is not one of the experiment.
        command: the command line that carries it out.
        kind: how urgent it is.
        before: what a climb found out about the technique already; empty where it did not ask.
    """

    technique: str
    title: str
    evidence: str
    where: str
    why: str
    effect: tuple[float, float]
    cost: str
    change: Experiment | None
    command: str
    kind: Kind = "idea"
    before: str = ""

    @property
    def expected(self) -> float:
        """Return the middle of the expected effect, in points."""
        return sum(self.effect) / 2

    def as_values(self) -> dict[str, Any]:
        """Return everything as values that JSON can hold."""
        change = None if self.change is None else self.change.model_dump(mode="json")
        return {
            "technique": self.technique,
            "kind": self.kind,
            "title": self.title,
            "evidence": self.evidence,
            "where": self.where,
            "why": self.why,
            "effect": list(self.effect),
            "cost": self.cost,
            "change": change,
            "command": self.command,
            "before": self.before,
        }


Rule = Callable[[Facts], Iterable[Advice]]
"""A pure function of facts; it yields nothing where it has nothing to say."""


def room(facts: Facts) -> float:
    """Return the points that are left to gain: 100 less the accuracy that the run is judged by."""
    return 100.0 if facts.judged is None else 100 - facts.judged.accuracy


def shares(facts: Facts, low: float, high: float) -> tuple[float, float]:
    """Return an effect as two shares of the points that are left to gain, rounded to hundredths."""
    return round(low * room(facts), 2), round(high * room(facts), 2)


def accuracy(facts: Facts) -> str:
    """Return the accuracies in words: ``95.9% on training images, 95.9% on the holdout``."""
    if facts.train is None:
        return "nothing learned"
    text = f"{facts.train.accuracy:.1f}% on training images"
    if facts.holdout is not None:
        text += f", {facts.holdout.accuracy:.1f}% on the holdout"
    return f"{text}, after {len(facts.epochs)} of {facts.planned} epochs" if facts.is_short else text


def fits_badly(facts: Facts, below: float = 97.0) -> bool:
    """Return whether even the training images are not learned: their accuracy is below so many percent.

    On data that people can label a sound net learns 97% of its training images and more; what keeps it from that is
    not overfitting. A run that its climb cut short says so only where it learned nothing at all: what else it did not
    learn, it may not have had the time for.
    """
    if facts.train is None:
        return True
    if facts.is_short and not is_at_chance(facts, facts.train.accuracy):
        return False
    return facts.train.accuracy < below


def off_scale(facts: Facts) -> bool:
    """Return whether the net's inputs are far from mean 0 and deviation 1: by more than five deviations.

    Pixels from 0 to 1 are within that, pixels from 0 to 255 far outside.
    """
    return max(abs(facts.input_mean), facts.input_deviation) > 5


def is_at_chance(facts: Facts, percent: float) -> bool:
    """Return whether an accuracy is at most 5% of the way from always naming the largest class to perfect."""
    return percent - facts.guess < 0.05 * (100 - facts.guess)


def with_recipe(facts: Facts, **changes: Any) -> Experiment:
    """Return the experiment with fields of the recipe changed."""
    values = facts.experiment.recipe.model_dump(mode="json") | changes
    return Experiment.read(facts.experiment.model_dump(mode="json") | {"recipe": values}, "the advice")


def with_net(facts: Facts, net: Net) -> Experiment:
    """Return the experiment with another net, narrowed to the budget where there is one; unchanged if it cannot be."""
    return _within_budget(facts, _with_net(facts.experiment, net))


def advice(facts: Facts, technique: str, change: Experiment, **rest: Any) -> Advice:
    """Return the advice for a changed experiment, with its command line.

    Where the run's own net is over the budget, what changes the recipe narrows the net too, and says so.
    """
    within = _within_budget(facts, change)
    if within.net != change.net:
        rest["where"] += f"; the net narrowed to stay below {facts.budget:,} parameters"
    return Advice(
        technique=technique, change=within, command=train_command(within, facts.folder, technique, facts.given), **rest
    )


def _with_net(experiment: Experiment, net: Net) -> Experiment:
    return Experiment.read(experiment.model_dump(mode="json") | {"net": str(net)}, "the advice")


def _within_budget(facts: Facts, change: Experiment) -> Experiment:
    """Return the experiment with its net narrowed to the budget; that of the facts, no change, if it cannot be."""
    if facts.budget is None:
        return change
    net = Net.parse(change.net)
    narrowed = edits.fitted(net, facts.image, facts.budget)
    if narrowed is None:
        return facts.experiment
    return change if narrowed == net else _with_net(change, narrowed)


def train_command(experiment: Experiment, folder: str, technique: str, given: Sequence[str] = ()) -> str:
    """Return the ``stepladder train`` command line of an experiment, in a run folder beside the one advised on.

    Args:
        experiment: what is to be trained.
        folder: of the run advised on.
        technique: what the new folder is called after.
        given: options that say where the data is, as they were given.
    """
    place = PurePath(folder)
    words = ["stepladder", "train", experiment.net, *_data(experiment, given)]
    if experiment.protocol != "reference":
        words += ["--protocol", experiment.protocol]
    if experiment.holdout_size != Experiment.model_fields["holdout_size"].default:
        words += ["--holdout-size", str(experiment.holdout_size)]
    if experiment.seed:
        words += ["--seed", str(experiment.seed)]
    for name, value in settings(experiment):
        words += ["--set", f"{name}={value}"]
    words += ["--run", str(place.with_name(f"{place.name}-{technique.replace(' ', '-')}")) if place.name else technique]
    return shlex.join(words)


def preflight_command(experiment: Experiment, given: Sequence[str] = ()) -> str:
    """Return the command line that draws the first inputs of an experiment, each with its label."""
    words = ["stepladder", "preflight", experiment.net, *_data(experiment, given)]
    if experiment.protocol != "reference":
        words += ["--protocol", experiment.protocol]
    for name, value in settings(experiment):
        words += ["--set", f"{name}={value}"]
    return shlex.join([*words, "--sheet", "inputs.png"])


def _data(experiment: Experiment, given: Sequence[str]) -> tuple[str, ...]:
    return tuple(given) if "--data" in given else ("--data", experiment.data, *given)


def settings(experiment: Experiment) -> list[tuple[str, str]]:
    """Return the fields of the recipe that differ from their defaults, as ``--set`` takes them, in order."""
    blank = Experiment.read({"net": experiment.net}, "a net").recipe
    values, defaults = experiment.recipe.model_dump(mode="json"), blank.model_dump(mode="json")
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        before = defaults.get(name)
        if not isinstance(value, dict):
            if value != before:
                found.append((name, _text(value)))
        elif value != before:
            # The kind comes first: to set it clears the other fields.
            inner = sorted(value.items(), key=lambda item: item[0] != "kind")
            standing = before if isinstance(before, dict) else {}
            if "kind" in value:
                kind = type(experiment.recipe.schedule)
                standing = kind().model_dump(mode="json", exclude={"kind"})
            found += [(f"{name}.{key}", _text(one)) for key, one in inner if one != standing.get(key)]
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def rounded(rate: float) -> float:
    """Return a learning rate to one significant digit, as people write them."""
    return float(f"{rate:.1g}")
