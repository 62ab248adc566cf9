"""stepladder as a contestant, by its public ways of training, and what it is measured on."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import perf_counter

import torch

from contest import Lap
from stepladder import data
from stepladder.loop import Loop
from stepladder.spec import Experiment
from stepladder.train import build_module, prepare, train
from stepladder.workers import EpochFinished, Job, execute, usable_cores

GUIDE_NET = "[BN ReLU D0.05] 8C3 16C3 MP2 8C1/BN/ReLU 12C3 16C3 20C3 GAP 16C1 10C1"
"""The reference guide's net with its dropout."""

MOST_LAPS = 100
"""Of a contestant: every step's learning rate is laid out at the start, so endless runs would take long to begin."""


def experiment(*, epochs: int, name: str = "mnist", precision: str = "float32", seed: int = 0) -> Experiment:
    """Return what every contestant of a throughput trains: the guide's net, its rotation, batch 128, SGD."""
    return Experiment.read(
        {
            "net": GUIDE_NET,
            "data": name,
            "seed": seed,
            "recipe": {
                "epochs": epochs,
                "batch_size": 128,
                "optimiser": "sgd",
                "learning_rate": 0.01,
                "momentum": 0.9,
                "nesterov": False,
                "augmentation": {"rotation": 7},
                "precision": precision,
            },
        },
        "the benchmark",
    )


def one_run(
    *, threads: int, precision: str = "float32", images: int | None = None, name: str = "mnist"
) -> Iterator[Lap]:
    """Yield the epochs of one run as ``stepladder.train.train`` gives them, kept in a folder as usual.

    Args:
        threads: of the run.
        precision: "float32" or "bfloat16".
        images: the first so many training images are an epoch; None takes all.
        name: of the data set.
    """
    dataset = _first(data.load(name), images)
    chosen = experiment(epochs=MOST_LAPS, name=dataset.name, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        for row, seconds in train(chosen, dataset, run, threads=threads):
            environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
            details = {"loss": row.train_loss, "precision": precision}
            details |= {key: environment.get(key) for key in ("engine", "threads")}
            yield Lap(row.train_count, seconds.train, details)


def plain_run(*, threads: int, images: int | None = None, name: str = "mnist") -> Iterator[Lap]:
    """Yield the epochs of the loop that computes with torch alone: arrays in memory and batched augmentation."""
    dataset = _first(data.load(name), images)
    chosen = experiment(epochs=MOST_LAPS, name=dataset.name)
    torch.set_num_threads(threads)
    device = torch.device("cpu")
    materials = prepare(chosen, dataset, device)
    module = build_module(chosen, materials.input_shape)
    loop = Loop(module, chosen.recipe, materials.training, materials.normalisation, chosen.seed, device, engine="plain")
    for epoch in count():
        began = perf_counter()
        seen = loop.train_epoch(epoch, [])
        yield Lap(seen.count, perf_counter() - began, {"loss": seen.loss, "engine": loop.engine, "threads": threads})


def several_runs(
    *, workers: int | None = None, epochs: int = 2, precision: str = "float32", name: str = "mnist"
) -> Iterator[Lap]:
    """Yield what runs side by side do, one process and one seed each, as ``climb`` executes them.

    Every lap starts its runs anew and leaves out their first epochs, in which some are still starting. Its amount is
    the images of all runs in the epochs kept; its seconds are the mean over the runs of what these epochs took.

    Args:
        workers: how many runs at a time; None takes one a core.
        epochs: of each run, two at least.
        precision: "float32" or "bfloat16".
        name: of the data set.
    """
    workers = workers or usable_cores()
    yield Lap(0, 1)  # every lap warms up by itself
    while True:
        with tempfile.TemporaryDirectory() as folder:
            jobs = [
                Job(
                    f"seed {seed}",
                    experiment(epochs=epochs, name=name, precision=precision, seed=seed),
                    Path(folder) / f"seed{seed}",
                )
                for seed in range(workers)
            ]
            images: dict[str, int] = defaultdict(int)
            seconds: dict[str, float] = defaultdict(float)
            losses = {}
            for event in execute(jobs, workers=workers):
                if isinstance(event, EpochFinished) and event.row.epoch > 1:
                    images[event.job.label] += event.row.train_count
                    seconds[event.job.label] += event.time.train
                    losses[event.job.label] = event.row.train_loss
            engine = json.loads((jobs[0].folder / "environment.json").read_text(encoding="utf-8"))["engine"]
        details = {
            "workers": workers,
            "each": [images[label] / seconds[label] for label in images],
            "loss": statistics.mean(losses.values()),
            "precision": precision,
            "engine": engine,
        }
        yield Lap(sum(images.values()), statistics.mean(seconds.values()), details)


def _first(dataset: data.Dataset, images: int | None) -> data.Dataset:
    """Return the data set with its first training images only."""
    split = dataset.train
    return replace(dataset, train=data.Split(split.images[:images], split.labels[:images]))
