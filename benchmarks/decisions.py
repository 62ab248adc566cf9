"""How often the rule of docs/decisions.md errs: simulated steps, and real runs drawn again and again.

    python benchmarks/decisions.py [--steps 10000] [--render]

Reads the real runs of results/decision-runs.jsonl (benchmarks/decision_runs.py trains them), fits worlds to them
(benchmarks/decision_worlds.py) and judges simulated steps by the rule's own code. Rows: results/decisions.jsonl; pages:
results/decisions.md and the tables of docs/decisions.md. Some six minutes on an idle core.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
from scipy.special import ndtr, stdtr

from decision_pages import write_pages
from decision_runs import RUNS
from decision_steps import climbed, holm, not_hopeless
from decision_worlds import Batch, World, fit, moments, simulate
from stepladder import environment
from stepladder.files import write_text
from stepladder.noise import noise

ROWS = Path(__file__).parents[1] / "results" / "decisions.jsonl"
SEEDS = (1, 2, 3, 5, 10)
COUNTS = (1_000, 10_000)
EFFECTS = (0.1, 0.2, 0.3, 0.5)
MARGIN = 0.2
LEVEL = 0.05
_LOOKS = (3, 5, 10)
_BOOTSTRAPPED = 600
"""Steps that the bootstrap judges: it is slow."""

# Four useless candidates, one for each effect, one that is worse by the margin, two that are far worse, and four more
# useless ones, the last of which stands for joined ones: all against one baseline.
_TRUE = (0.0, 0.0, 0.0, 0.0, *EFFECTS, -MARGIN, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0)
_USELESS, _WORSE = 4, 4 + len(EFFECTS)
_FAR_WORSE = (_WORSE + 1, _WORSE + 2)
_SEVEN = [0, 1, 2, 3, *range(_WORSE + 3, len(_TRUE) - 1)]
_JOINED = len(_TRUE) - 1


def real_runs() -> dict[str, numpy.ndarray]:
    """Return what the runs of each recipe got wrong, bool of shape (seeds, images)."""
    found: dict[str, list[numpy.ndarray]] = defaultdict(list)
    for line in RUNS.read_text(encoding="utf-8").splitlines()[1:]:
        row = json.loads(line)
        wrong = numpy.zeros(row["count"], dtype=bool)
        wrong[row["wrong"]] = True
        found[row["recipe"]].append(wrong)
    return {name: numpy.stack(runs) for name, runs in found.items()}


def worlds(runs: dict[str, numpy.ndarray]) -> list[World]:
    """Return the worlds that steps are simulated in."""
    return [
        fit("steady", runs["one-cycle"], runs["augmented"]),
        fit("other tastes", runs["one-cycle"], runs["narrow"]),
        fit("unsteady", runs["constant rate"], runs["constant rate"], skewed=True),
        fit("sample", runs["sample, one-cycle"], runs["sample, augmented"]),
    ]


def judge(batches: Iterator[Batch], count: int) -> Iterator[tuple[dict[str, Any], numpy.ndarray]]:
    """Yield what is counted and, a batch at a time, whether it happened in each step."""
    for batch in batches:
        at_looks = []
        running = not_hopeless(batch, list(range(len(_TRUE))), count)
        for seeds in SEEDS:
            found = noise(batch.answers[..., :seeds, :], batch.wrong(seeds), count)
            chances, half = found.chance(), found.half(LEVEL)
            key = {"seeds": seeds}
            yield key | {"what": "kept", "effect": 0.0, "candidates": 1}, chances[:, 0] < LEVEL
            yield key | {"what": "kept", "effect": 0.0, "candidates": 4}, holm(chances[:, :4])[0].any(-1)
            six = [0, 1, 2, 3, *_FAR_WORSE]
            passed, _ = holm(chances[:, six], running=running[:, six])
            yield key | {"what": "useless kept, losers stopped"}, passed.any(-1)
            high = found.difference + half
            yield key | {"what": "dropped", "effect": 0.0}, (chances[:, 0] >= LEVEL) & (high[:, 0] < MARGIN / 100)
            for number, effect in enumerate(EFFECTS, start=_USELESS):
                passed, _ = holm(chances[:, [number, 0, 1, 2]])
                yield key | {"what": "kept", "effect": effect, "candidates": 1}, chances[:, number] < LEVEL
                yield key | {"what": "kept", "effect": effect, "candidates": 4}, passed[:, 0]
                yield key | {"what": "useless beside it kept", "effect": effect}, passed[:, 1:].any(-1)
                beside = [number, 0, *_FAR_WORSE]
                passed, _ = holm(chances[:, beside], running=running[:, beside])
                yield key | {"what": "kept, losers stopped", "effect": effect}, passed[:, 0]
                passed, _ = holm(chances[:, beside])
                yield key | {"what": "kept, losers trained on", "effect": effect}, passed[:, 0]
            for number in (0, _USELESS + EFFECTS.index(0.2)):
                covered = abs(found.difference - _TRUE[number] / 100)[:, number] < half[:, number]
                yield key | {"what": "covered", "effect": _TRUE[number]}, covered
            not_worse = found.chance(-MARGIN / 100) < LEVEL
            yield key | {"what": "saving kept", "effect": 0.0}, not_worse[:, 0]
            yield key | {"what": "saving kept", "effect": -MARGIN}, not_worse[:, _WORSE]
            if seeds in _LOOKS:
                at_looks.append(chances[:, 0])
        yield from judge_climbs(batch, count)
        yield {"what": "stopped after one seed", "effect": -1.0}, ~running[:, _FAR_WORSE[0]]
        yield {"what": "stopped after one seed", "effect": 0.0}, ~running[:, 0]
        yield {"what": "stopped after one seed", "effect": 0.2}, ~running[:, _USELESS + EFFECTS.index(0.2)]
        for looks, level in ((1, LEVEL), (len(_LOOKS), LEVEL / len(_LOOKS))):
            key = {"what": "kept at some look", "looks": len(_LOOKS), "level over": looks}
            yield key, (numpy.stack(at_looks) < level).any(0)


def judge_climbs(batch: Batch, count: int) -> Iterator[tuple[dict[str, Any], numpy.ndarray]]:
    """Yield how the two looks of a climb end, at 2 seeds and then 4, at 3 and then 6."""
    for seeds in (2, 3):
        key: dict[str, Any] = {"seeds": seeds}
        for useless in ([0], [0, 1, 2, 3], _SEVEN):
            what = key | {"what": "useless kept by a climb", "candidates": len(useless)}
            yield what, climbed(batch, useless, seeds, count).any(-1)
            if len(useless) > 1:
                yield what | {"joined": True}, climbed(batch, useless, seeds, count, _JOINED).any(-1)
        for number, effect in enumerate(EFFECTS, start=_USELESS):
            for beside in ([], [0, 1, 2]):
                what = key | {"what": "kept by a climb", "effect": effect, "candidates": 1 + len(beside)}
                yield what, climbed(batch, [number, *beside], seeds, count)[:, 0]


def rivals(answers: numpy.ndarray, count: int, flips: dict[int, numpy.ndarray]) -> dict[str, numpy.ndarray]:
    """Return whether each other rule keeps the candidate, for answers of shape (steps, seeds, images)."""
    seeds = answers.shape[1]
    by_seed = answers.sum(-1) / count
    difference, spread = by_seed.mean(-1), numpy.maximum(by_seed.std(-1, ddof=1), 1e-12)
    student = stdtr(seeds - 1, -difference / (spread / seeds**0.5)) < LEVEL
    column = (answers.mean(1, dtype=numpy.float64) ** 2).sum(-1) - count * difference**2
    images = ndtr(-difference / numpy.sqrt(numpy.maximum(column, 1.0)) * count) < LEVEL
    # Signs of the seeds' differences are as likely either way: the share of flips that give as much.
    flipped = (by_seed @ flips[seeds].T / seeds) >= difference[:, None] - 1e-12
    return {
        "Student's t over seeds": student,
        "images only": images,
        "permutation of seeds": flipped.mean(-1) <= LEVEL,
    }


def bootstrap(answers: numpy.ndarray, count: int, numbers: numpy.random.Generator, draws: int = 300) -> numpy.ndarray:
    """Return whether the 5% point of means over seeds and images drawn with replacement is above nought, by step.

    The pigeonhole bootstrap (Owen, Annals of Applied Statistics 1, 2007), images by Poisson weights.
    """
    kept = numpy.zeros(len(answers), dtype=bool)
    for step, one in enumerate(answers):
        there = one[:, one.any(0)].astype(numpy.float32)
        weights = numbers.poisson(1.0, (draws, there.shape[1])).astype(numpy.float32)
        drawn = numbers.multinomial(len(one), [1 / len(one)] * len(one), draws)
        means = ((weights @ there.T) * drawn).sum(-1) / (len(one) * count)
        kept[step] = numpy.quantile(means, LEVEL) > 0
    return kept


def compare_rules(world: World, count: int, steps: int, numbers: numpy.random.Generator) -> list[dict[str, Any]]:
    """Return how often each rule keeps a useless candidate and one worth 0.2 points."""
    flips = {s: 1 - 2 * ((numpy.arange(2**s)[:, None] >> numpy.arange(s)) & 1) for s in SEEDS}
    kept: dict[tuple[str, int, float], list[numpy.ndarray]] = defaultdict(list)
    done = 0
    for batch in simulate(world, effects=(0.0, 0.002), seeds=max(SEEDS), count=count, steps=steps, numbers=numbers):
        for seeds in (2, 3, 10):
            chances = noise(batch.answers[..., :seeds, :], batch.wrong(seeds), count).chance()
            for number, effect in enumerate((0.0, 0.2)):
                answers = batch.answers[:, number, :seeds]
                outcomes = rivals(answers, count, flips) | {"the rule": chances[:, number] < LEVEL}
                if done < _BOOTSTRAPPED:
                    outcomes["bootstrap of seeds and images"] = bootstrap(answers, count, numbers)
                for name, outcome in outcomes.items():
                    kept[name, seeds, effect].append(outcome)
        done += len(batch.answers)
    return [
        {"rule": name, "world": world.name, "images": count, "seeds": seeds, "effect": effect}
        | _rate(numpy.concatenate(outcomes))
        for (name, seeds, effect), outcomes in kept.items()
    ]


def redraw(runs: dict[str, numpy.ndarray], draws: int, numbers: numpy.random.Generator) -> list[dict[str, Any]]:
    """Return how often real runs are told apart: those of one recipe (useless), and those of two."""
    rows = []
    pairs = [(name, name) for name in runs] + [("narrow", "one-cycle"), ("one-cycle", "augmented")]
    for first, second in pairs:
        before, after = runs[first], runs[second]
        count = before.shape[1]
        differing = (before | after).any(0)
        for seeds in (1, 2, 3, 5):
            order = numbers.permuted(numpy.tile(numpy.arange(len(before)), (draws, 1)), axis=1)
            # Of one recipe, other runs on either side; of two, runs with the same seeds.
            ours, theirs = order[:, :seeds], order[:, seeds : 2 * seeds] if first == second else order[:, :seeds]
            one, other = before[:, differing][ours], after[:, differing][theirs]
            answers = one.astype(numpy.int8) - other.astype(numpy.int8)
            wrong = numpy.stack([one.sum((1, 2)), other.sum((1, 2))], -1)
            chances = noise(answers, wrong, count).chance()
            effect = 100 * float(before.mean() - after.mean())
            row = {"baseline": first, "candidate": second, "images": count, "seeds": seeds, "effect": effect}
            rows.append(row | _rate(chances < LEVEL))
    return rows


def _rate(outcomes: numpy.ndarray) -> dict[str, Any]:
    return {"times": int(outcomes.sum()), "of": len(outcomes)}


def measure(steps: int) -> list[dict[str, Any]]:
    """Return a row for everything that was counted, and for what the real runs and the fitted worlds are."""
    runs = real_runs()
    rows: list[dict[str, Any]] = []
    for name, wrong in runs.items():
        found = moments(wrong)
        rows.append({"kind": "real", "recipe": name, "runs": len(wrong), "images": wrong.shape[1]} | vars(found))
    for number, world in enumerate(worlds(runs)):
        rows.append({"kind": "world"} | vars(world))
        for count in COUNTS:
            numbers = numpy.random.default_rng([number, count])
            effects = tuple(effect / 100 for effect in _TRUE)
            batches = simulate(world, effects=effects, seeds=max(SEEDS), count=count, steps=steps, numbers=numbers)
            outcomes: dict[str, list[numpy.ndarray]] = defaultdict(list)
            for key, happened in judge(batches, count):
                outcomes[json.dumps(key)].append(happened)
            for key, happened in outcomes.items():
                place = {"kind": "rate", "world": world.name, "images": count}
                rows.append(place | json.loads(key) | _rate(numpy.concatenate(happened)))
            print(world.name, count, flush=True)
        if world.name != "sample":
            numbers = numpy.random.default_rng([number, 1])
            rows += [{"kind": "rule"} | row for row in compare_rules(world, 10_000, steps, numbers)]
    rows += [{"kind": "redrawn"} | row for row in redraw(runs, steps, numpy.random.default_rng(99))]
    return rows


def main() -> None:
    """Measure, or read the rows, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000, help="simulated steps of each kind")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the pages from the rows")
    options = parser.parse_args()
    if not options.render:
        head = {
            "command": f"python benchmarks/decisions.py --steps {options.steps}",
            "environment": environment.describe(1, "cpu", "none"),
        }
        write_text(ROWS, "".join(json.dumps(row) + "\n" for row in [head, *measure(options.steps)]))
    write_pages([json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()])


if __name__ == "__main__":
    main()
