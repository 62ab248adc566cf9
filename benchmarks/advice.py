"""Put advice to the test: faulty experiments on real data, the advice they get, and what following it brings.

    python benchmarks/advice.py            # measure what has no row yet, then render
    python benchmarks/advice.py --again    # measure everything again, or what --only and --seeds name
    python benchmarks/advice.py --render   # render results/advice.md and docs/advice.md from the rows that are there

Every experiment trains on the MNIST sample (or --data mnist, or digits for two sound ones) and is judged on images
held out of its training set; the test set is not looked at. Thresholds were chosen on seeds from 100 up; reported are
seeds 0, 1 and 2. One process a core, one thread each; about half an hour on two slow cores. It can be stopped and goes
on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy
import torch

from advice_faults import FAULTS, HEALTHY, RECIPE, Fault, Healthy
from advice_results import render
from stepladder import data, environment
from stepladder.advice import Advice, advise
from stepladder.diagnosis import Facts, diagnose
from stepladder.errors import TrainingError
from stepladder.files import write_text
from stepladder.runs import open_finished
from stepladder.spec import Experiment
from stepladder.train import train
from stepladder.workers import usable_cores

ROWS = Path(__file__).resolve().parent.parent / "results" / "advice.jsonl"
SEEDS = (0, 1, 2)
_SHUFFLE_SEED = 7
Row = dict[str, Any]


def main() -> None:
    """Measure what is missing if asked to, then render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--data", default="mnist-sample", help="what the faulty experiments are trained on")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--only", default="", help="names that hold this text")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes at once")
    asked = parser.parse_args()
    if not asked.render:
        measure(asked.data, asked.seeds, asked.only, asked.rows, asked.workers, again=asked.again)
    if asked.rows == ROWS:
        render(ROWS)


def measure(name: str, seeds: list[int], only: str, path: Path, workers: int, *, again: bool) -> None:
    """Write a head, which says where and how, and a row for each experiment and seed."""
    head = {"command": "python benchmarks/advice.py", "environment": environment.describe(1, "cpu", "compiled")}
    rows: list[Row] = []
    if path.exists():
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    found = {(row["name"], row["data"], row["seed"]): row for row in rows}
    subjects = [(one, name) for one in FAULTS] + [(one, one.data) for one in HEALTHY]
    order = [(subject, data_name, seed) for seed in sorted({*SEEDS, *seeds}) for subject, data_name in subjects]
    asked = [one for one in order if only in one[0].name and one[2] in seeds]
    wanted = [one for one in asked if again or _key(*one) not in found]
    # Rows stand in this order whichever process ends first.
    places = {_key(*one): place for place, one in enumerate(order)}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for future in as_completed(pool.submit(measured, *one) for one in wanted):
            row = future.result()
            found[row["name"], row["data"], row["seed"]] = row
            print(json.dumps({key: row[key] for key in ("name", "seed", "first", "before", "after")}), flush=True)
            rows = [found[key] for key in sorted(found, key=lambda key: places.get(key, len(places)))]
            write_text(path, "".join(json.dumps(one) + "\n" for one in [head, *rows]))


def _key(subject: Fault | Healthy, data_name: str, seed: int) -> tuple[str, str, int]:
    return subject.name, data_name, seed


def measured(subject: Fault | Healthy, data_name: str, seed: int) -> Row:
    """Return the row of one experiment and seed; its runs are thrown away."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return tested(subject, data_name, seed, Path(folder))


def tested(subject: Fault | Healthy, data_name: str, seed: int, folder: Path) -> Row:
    """Return what one experiment was told, and what following the first advice brought."""
    began = perf_counter()
    clean = data.load(data_name)
    dataset = clean
    if isinstance(subject, Fault) and subject.labels:
        dataset = _with_labels(clean, shuffled(clean.train.labels, subject.labels), folder / "faulty.npz")
    experiment = Experiment.read(
        {
            "net": subject.net,
            "recipe": RECIPE | subject.recipe,
            "data": dataset.name,
            "protocol": "selection",
            "holdout_size": len(clean.train) // 4,
            "seed": seed,
        },
        subject.name,
    )
    # Where labels are wrong, those of the holdout are too; what counts there is the truth.
    truth = clean.train.labels[clean.split_holdout(experiment.holdout_size)[1]] if dataset is clean else None
    if truth is None:
        truth = clean.train.labels[dataset.split_holdout(experiment.holdout_size)[1]]
    before = _trained(experiment, dataset, folder / "before", truth)
    facts = diagnose(folder / "before", dataset)
    said = advise(facts)
    row: Row = {
        "name": subject.name,
        "data": data_name,
        "seed": seed,
        "before": before,
        "said": [[one.kind, one.technique, one.title, list(one.effect)] for one in said],
        "first": said[0].technique if said else None,
        "evidence": said[0].evidence if said else None,
        "after": None,
        "advised": None,
    }
    if isinstance(subject, Fault) and said:
        row["advised"], row["after"] = followed(said[0], facts, dataset, clean, folder, truth)
    return row | {"seconds": round(perf_counter() - began, 1)}


def followed(
    first: Advice, facts: Facts, dataset: data.Dataset, clean: data.Dataset, folder: Path, truth: numpy.ndarray
) -> tuple[str, float | None]:
    """Return what was done about the advice, in words, and the accuracy after it."""
    experiment = facts.experiment
    if first.change is not None:
        return _changes(experiment, first.change), _trained(first.change, dataset, folder / "after", truth)
    kept, held = dataset.split_holdout(experiment.holdout_size)
    if first.technique != "labels":
        return "nothing", None
    labels, words = dataset.train.labels.copy(), "labels joined to their images again"
    if facts.labels.doubtful:
        # The images that the advice names are left out; nobody looked at them.
        named = {one.index for one in facts.labels.doubtful}
        kept = numpy.array([index for index in kept if index not in named])
        words = f"{len(named)} doubtful images left out"
    else:
        labels = clean.train.labels.copy()
    images = dataset.train.images
    path = folder / "repaired.npz"
    numpy.savez(
        path,
        x_train=images[kept, 0],
        y_train=labels[kept],
        x_val=images[held, 0],
        y_val=labels[held],
        x_test=clean.test.images[:, 0],
        y_test=clean.test.labels,
    )
    repaired = data.load(str(path))
    change = experiment.model_copy(update={"data": repaired.name})
    return words, _trained(change, repaired, folder / "after", truth)


def shuffled(labels: numpy.ndarray, share: float) -> numpy.ndarray:
    """Return the labels with a share of them dealt out again among the same images."""
    numbers = numpy.random.default_rng(_SHUFFLE_SEED)
    found = labels.copy()
    chosen = numbers.permutation(len(labels))[: round(share * len(labels))]
    found[chosen] = found[numbers.permutation(chosen)]
    return found


def _with_labels(clean: data.Dataset, labels: numpy.ndarray, path: Path) -> data.Dataset:
    numpy.savez(
        path,
        x_train=clean.train.images[:, 0],
        y_train=labels,
        x_test=clean.test.images[:, 0],
        y_test=clean.test.labels,
    )
    return data.load(str(path))


def _trained(experiment: Experiment, dataset: data.Dataset, folder: Path, truth: numpy.ndarray) -> float | None:
    """Return the accuracy at the last epoch on the holdout with its true labels, in percent; None if it failed."""
    try:
        for _ in train(experiment, dataset, folder):
            pass
    except TrainingError:
        return None
    logits, _ = open_finished(folder).predictions()
    return round(100 * float((logits.argmax(1) == truth).mean()), 2)


def _changes(before: Experiment, after: Experiment) -> str:
    """Return what differs, in words."""
    if before.net != after.net:
        return after.net
    old, new = before.recipe.model_dump(mode="json"), after.recipe.model_dump(mode="json")
    return ", ".join(
        f"{name} = {json.dumps(value)}" for name, value in new.items() if old.get(name) != value
    ) or ", ".join(f"{name} at its default" for name in old if name not in new)


if __name__ == "__main__":
    sys.exit(main())
