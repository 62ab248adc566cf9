"""How near the range test comes to the best learning rate of a grid; writes results/range-test.jsonl and .md.

    python benchmarks/range_test.py            # train what has no row yet, then render
    python benchmarks/range_test.py --render   # render the page from the rows that are there

Rows on the full MNIST are measured where STEPLADDER_DATA names its folder. Everything is judged on images held out of
the training set; the test set is not looked at. About 25 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from math import log10
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from stepladder import data, environment
from stepladder.errors import TrainingError
from stepladder.files import write_text
from stepladder.range_test import range_test
from stepladder.spec import Experiment
from stepladder.train import train

RESULTS = Path(__file__).resolve().parent.parent / "results"
ROWS, PAGE = RESULTS / "range-test.jsonl", RESULTS / "range-test.md"
NETS = {
    "the guide's": "8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1",
    "without batch-norm": "[ReLU] 8C3b 16C3b MP2 8C1b 12C3b 16C3b GAP 10C1b",
    "dense": "[ReLU] 8C3b MP2 16C3b MP2 32Fb 10Fb",
    "dense, batch-norm": "[BN ReLU D0.05] 8C3 MP2 16C3 MP2 10F",
}
SGD = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
GRIDS = {"sgd": SGD, "adam": tuple(rate / 30 for rate in SGD), "muon": SGD}
SCHEDULES = ("constant", "one-cycle")
SAMPLE: dict[str, Any] = {"epochs": 4, "batch_size": 32}
FULL: dict[str, Any] = {"epochs": 1, "batch_size": 128}
DATA: dict[str, tuple[dict[str, Any], int, tuple[str, ...], tuple[int, ...]]] = {
    "mnist-sample": (SAMPLE, 1000, tuple(NETS), (0, 1)),
    "mnist": (FULL, 10_000, tuple(NETS)[:2], (0,)),
}
"""Recipe, held-out images, nets and seeds of the grid."""
SETTINGS = {
    "mnist-sample": "MNIST sample: 4 epochs, batch 32, 3,000 images, 1,000 held out, two seeds a rate.",
    "mnist": "Full MNIST: 1 epoch, batch 128, 10,000 held out, one seed a rate.",
}
TESTS = (0, 1, 2)
"""Seeds of the range tests."""
NEAR = 3.0


def main() -> None:
    """Measure what is missing if asked to, then render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true")
    if not parser.parse_args().render:
        measure()
    head, *rows = (json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines())
    write_text(PAGE, page(head, rows))


def wanted() -> Iterator[dict[str, Any]]:
    """Yield the rows that there are to be, without what was measured."""
    for name, (_, _, nets, seeds) in DATA.items():
        for net in nets:
            for optimiser, grid in GRIDS.items():
                for schedule in SCHEDULES:
                    case = {"data": name, "net": net, "optimiser": optimiser, "schedule": schedule}
                    yield from (case | {"what": "range test", "seed": seed} for seed in TESTS)
                    yield from (case | {"what": "run", "rate": rate, "seed": seed} for rate in grid for seed in seeds)


def measure() -> None:
    """Train every run that has no row yet; each row is written when it is measured."""
    torch.set_num_threads(1)
    head = {"command": "python benchmarks/range_test.py", "environment": environment.describe(1, "cpu", "compiled")}
    lines = ROWS.read_text(encoding="utf-8").splitlines() if ROWS.exists() else [json.dumps(head)]
    done = [json.loads(line) for line in lines[1:]]
    known = {key(row) for row in done}
    for row in wanted():
        if key(row) in known or (row["data"] == "mnist" and not os.environ.get("STEPLADDER_DATA")):
            continue
        lines.append(json.dumps(row | measured(row)))
        write_text(ROWS, "\n".join(lines) + "\n")


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells a row from others."""
    return tuple(row.get(name) for name in ("data", "net", "optimiser", "schedule", "what", "rate", "seed"))


_LOADED: dict[str, data.Dataset] = {}


def measured(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a range test suggests, or what a run reaches on the held-out images."""
    if row["data"] not in _LOADED:
        _LOADED[row["data"]] = data.load(row["data"])
    dataset = _LOADED[row["data"]]
    given, held_out, _, _ = DATA[row["data"]]
    recipe = given | {"optimiser": row["optimiser"], "schedule": {"kind": row["schedule"]}}
    if "rate" in row:
        recipe |= {"learning_rate": row["rate"], "matrix_rate": row["rate"] / 5}
    values = {"net": NETS[row["net"]], "protocol": "holdout", "holdout_size": held_out, "data": row["data"]}
    experiment = Experiment.read(values | {"seed": row["seed"], "recipe": recipe}, "the experiment")
    if row["what"] == "range test":
        found = range_test(experiment, dataset)
        return {"suggested": found.suggested, "highest": found.highest, "learns": found.learns}
    try:
        accuracy = list(train(experiment, dataset))[-1][0].evaluation_accuracy
    except TrainingError:
        accuracy = 0.0  # the loss was no number any more
    return {"accuracy": accuracy}


def page(head: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return the page of the rows: a line for each net, optimiser and schedule, and in how many it came near."""
    known = {key(row): row for row in rows}
    cases: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in wanted():
        cases.setdefault((row["data"], row["net"], row["optimiser"], row["schedule"]), []).append(row)
    # A case of which rows are missing says nothing yet.
    cases = {
        case: [known[key(row)] for row in some]
        for case, some in cases.items()
        if all(key(row) in known for row in some)
    }
    table, distances, lost, learned = [], [], [], []
    for (name, net, optimiser, schedule), found in cases.items():
        runs: dict[float, list[float]] = {}
        for row in found:
            if row["what"] == "run":
                runs.setdefault(row["rate"], []).append(row["accuracy"])
        accuracies = {rate: mean(values) for rate, values in runs.items()}
        best = max(accuracies, key=lambda rate: accuracies[rate])
        suggested = [row["suggested"] for row in found if row["what"] == "range test"]
        nearest = [min(accuracies, key=lambda rate: abs(log10(rate / one))) for one in suggested]
        loss = [accuracies[best] - accuracies[rate] for rate in nearest]
        distances += [max(one / best, best / one) for one in suggested]
        lost += loss
        learned += [row["learns"] for row in found if row["what"] == "range test"]
        table.append(
            f"| {name} | {net} | {optimiser} | {schedule} | {best:.2g} | {accuracies[best]:.1f} | "
            f"{', '.join(f'{one:g}' for one in suggested)} | {mean(loss):.1f} |"
        )
    place = head["environment"]
    return "\n".join(
        [
            "# How near the range test comes",
            "",
            "Rendered by `python benchmarks/range_test.py --render` from [range-test.jsonl](range-test.jsonl); without "
            "`--render` the command measures what has no row.",
            "",
            f"Best learning rate of a grid of {len(SGD)} rates, each about three times the one before, by accuracy on "
            "held-out images at the last epoch, against what `stepladder rates` suggests with three seeds. "
            + " ".join(text for name, text in SETTINGS.items() if any(case[0] == name for case in cases))
            + " With Muon the matrices' rate is a fifth. The last column is what the rate of the grid that is nearest "
            "to the suggestion falls short of the best, in points.",
            "",
            _summary("All tests", distances, lost),
            "",
            _summary(
                "Those in which the loss fell (`learns`)",
                [one for one, does in zip(distances, learned, strict=True) if does],
                [one for one, does in zip(lost, learned, strict=True) if does],
            ),
            "",
            "The rule was chosen on these rows, so other nets and data may do worse.",
            "",
            "| data | net | optimiser | schedule | best rate | accuracy | suggested | short by |",
            "| :-- | :-- | :-- | :-- | --: | --: | --: | --: |",
            *table,
            "",
            f"{place['processor']}, one thread, stepladder {place['stepladder']}, torch {place['torch']}.",
            "",
        ]
    )


def _summary(which: str, distances: list[float], lost: list[float]) -> str:
    near = sum(distance <= NEAR for distance in distances)
    return (
        f"{which}: within a factor of {NEAR:g} of the best rate in {near} of {len(distances)}; the median distance is "
        f"a factor of {median(distances):.1f}. What it costs: {median(lost):.1f} points in the median, "
        f"{mean(lost):.1f} in the mean, {max(lost):.1f} at worst."
    )


if __name__ == "__main__":
    main()
