"""The real runs that benchmarks/decisions.py fits its simulated ones to: which holdout images each run got wrong.

    python benchmarks/decision_runs.py [--seeds 10] [--workers 1] [--keep FOLDER]

Needs the full MNIST (STEPLADDER_DATA). Every recipe is trained under the holdout protocol with the same seeds, so that
runs can be paired by seed and image. Rows: results/decision-runs.jsonl. About 15 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy

from stepladder import environment
from stepladder.experiments import FAST_NET
from stepladder.files import write_text
from stepladder.ladder import GUIDE_NET
from stepladder.runs import open_finished
from stepladder.spec import Experiment
from stepladder.workers import Finished, Job, execute

RUNS = Path(__file__).parents[1] / "results" / "decision-runs.jsonl"

_CYCLED = {"epochs": 2, "learning_rate": 0.3, "schedule": {"kind": "one-cycle"}, "precision": "bfloat16"}
_MILD = {"rotation": 7, "shift": 1, "scale": 0.05}
RECIPES: dict[str, dict[str, Any]] = {
    # Few epochs each: what is wanted is how runs of one recipe differ, not the best recipe.
    "one-cycle": {"net": FAST_NET, "recipe": _CYCLED},
    "augmented": {"net": FAST_NET, "recipe": _CYCLED | {"augmentation": _MILD}},
    "constant rate": {
        "net": GUIDE_NET,
        "recipe": {"epochs": 3, "learning_rate": 0.05, "precision": "bfloat16"},
    },
    "narrow": {"net": "8C3 MP2 12C3 MP2 16C3 GAP 10F", "recipe": _CYCLED},
    "sample, one-cycle": {
        "net": FAST_NET,
        "data": "mnist-sample",
        "recipe": _CYCLED | {"epochs": 8, "learning_rate": 0.1},
    },
    "sample, augmented": {
        "net": FAST_NET,
        "data": "mnist-sample",
        "recipe": _CYCLED | {"epochs": 8, "learning_rate": 0.1, "augmentation": _MILD},
    },
}


def experiment(name: str, seed: int) -> Experiment:
    """Return what is trained for one recipe and seed."""
    values = {"data": "mnist", "protocol": "holdout", "holdout_size": 10_000, "seed": seed} | RECIPES[name]
    if values["data"] == "mnist-sample":
        values["holdout_size"] = 1_000
    return Experiment.read(values, name)


def measure(seeds: int, workers: int, folder: Path) -> list[dict[str, Any]]:
    """Train every recipe with every seed and return a row a run: the indices of the holdout images it got wrong."""
    jobs = [
        Job(f"{name}, seed {seed}", experiment(name, seed), folder / f"{name.replace(', ', '-')}-seed{seed}")
        for seed in range(seeds)
        for name in RECIPES
    ]
    for event in execute(jobs, workers=workers):
        if isinstance(event, Finished):
            print(open_finished(event.job.folder), flush=True)
    rows = []
    for name in RECIPES:
        for job in jobs:
            if job.label.rpartition(", seed")[0] == name:
                logits, labels = open_finished(job.folder).predictions()
                wrong = numpy.flatnonzero(logits.argmax(1) != labels)
                rows.append(
                    {"recipe": name, "seed": job.experiment.seed, "count": len(labels), "wrong": wrong.tolist()}
                )
    return rows


def main() -> None:
    """Measure and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--keep", type=Path, help="where the run folders are kept; default: nowhere")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = measure(options.seeds, options.workers, options.keep or Path(temporary))
    head = {
        "command": f"python benchmarks/decision_runs.py --seeds {options.seeds}",
        "environment": environment.describe(1, "cpu", "engine"),
        "recipes": {name: experiment(name, 0).model_dump(mode="json", exclude={"seed"}) for name in RECIPES},
    }
    write_text(RUNS, "".join(json.dumps(row) + "\n" for row in [head, *rows]))


if __name__ == "__main__":
    main()
