"""Rules about what has to be there before anything can be judged: a holdout, and seeds enough."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from math import ceil

from stepladder.diagnosis.values import Facts
from stepladder.durations import read_time
from stepladder.rules.base import Advice, Rule, advice
from stepladder.spec import Experiment


def holdout(facts: Facts) -> Iterable[Advice]:
    """Speaks when the run logged the test set, which decides nothing.

    Proposes the same run with a sixth of the training images held out, 10,000 at most, or the data's own validation
    split.
    """
    if facts.experiment.protocol != "reference" or facts.failure:
        return
    # A sixth of the training images, as climbs hold out where there are not 60,000.
    size = min(10_000, max(1, facts.train_count // 6)) if facts.validation is None else facts.validation
    values = facts.experiment.model_dump(mode="json") | {"protocol": "holdout"}
    if facts.validation is None:
        values["holdout_size"] = size
        where = f"data: {size:,} of the training images"
    else:  # it is the holdout whatever size is asked for
        where = f"data: its own validation split of {size:,} images, which the run trained on"
    change = Experiment.read(values, "the advice")
    yield advice(
        facts,
        "holdout",
        change,
        title="Hold images out",
        evidence=f"The run trained on all {facts.train_count:,} training images and logged the test set, which decides "
        "nothing: only training images were looked at here, and overfitting cannot be seen on them.",
        where=where,
        why="Every choice is made on images that are neither trained on nor the test set.",
        effect=(0.0, 0.0),
        cost=f"{size:,} training images fewer",
        kind="first",
    )


def seeds(facts: Facts) -> Iterable[Advice]:
    """Speaks when a climb's last step was left open, because the noise was larger than the difference asked about.

    Proposes the climb again with two seeds more, five at least, and with as many times its time limit, if it has one.
    """
    if not facts.undecided:
        return
    more = max(facts.seeds + 2, 5)
    yield Advice(
        technique="seeds",
        title="More seeds first",
        evidence=f"{facts.undecided[0].upper()}{facts.undecided[1:].rstrip('.')}, at "
        f"{facts.seeds} {'run' if facts.seeds == 1 else 'runs'} of each.",
        where="the climb's last step",
        why="The noise is larger than the difference asked about; what is tried next would be judged no better.",
        effect=(0.0, 0.0),
        cost=f"{more / facts.seeds:.1f} times the time of the climb; finished runs are not trained again",
        change=None,
        command=_with_seeds(facts.command, more, more / facts.seeds),
        kind="first",
    )


def _with_seeds(command: str, seeds: int, times: float) -> str:
    words = shlex.split(command or "stepladder climb --ladder full")
    if "--seeds" in words[:-1]:
        words[words.index("--seeds") + 1] = str(seeds)
    else:
        words += ["--seeds", str(seeds)]
    if "--time" in words[:-1]:
        # The plan takes fewer seeds than are asked for where they do not fit into the time.
        place = words.index("--time") + 1
        words[place] = f"{ceil(times * read_time(words[place]) / 60)}m"
    return shlex.join(words)


RULES: tuple[Rule, ...] = (holdout, seeds)
