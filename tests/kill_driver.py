"""Train an experiment and die at a given moment; test_resume.py calls it in a process of its own.

A moment is ``never``, ``step:N`` (after the Nth training step of this process), or ``write:N:BYTES`` (in the middle of
the Nth write: BYTES of the temporary file are on the disk, the rest is not), ``rename:N`` (just before the Nth rename).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch

from stepladder import data
from stepladder.spec import Experiment
from stepladder.train import train

EXPERIMENT = Experiment.read(
    {
        "net": "[BN ReLU D0.1] 4C3 MP2 6C3 GAP 10C1",
        "recipe": {
            "epochs": 4,
            "batch_size": 32,
            "learning_rate": 0.1,
            "averaging": 0.9,
            "schedule": {"kind": "one-cycle"},
            "augmentation": {"rotation": 7, "shift": 1},
        },
        "seed": 3,
    },
    "the experiment",
)


def die() -> None:
    """Leave as kill -9 does: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def drive(data_folder: Path, run_folder: Path, moment: str) -> None:
    """Train, and die if the moment comes."""
    kind, *numbers = moment.split(":")
    countdown = int(numbers[0]) if numbers else -1

    def tick() -> bool:
        nonlocal countdown
        countdown -= 1
        return countdown == 0

    def report(_: Any) -> None:
        if kind == "step" and tick():
            die()

    fsync, replace = os.fsync, Path.replace

    def cut_fsync(descriptor: int) -> None:
        if kind == "write" and tick():
            os.ftruncate(descriptor, int(numbers[1]))
            die()
        fsync(descriptor)

    def cut_replace(self: Path, target: Path) -> Path:
        if kind == "rename" and tick():
            die()
        return replace(self, target)

    os.fsync = cut_fsync
    Path.replace = cut_replace  # type: ignore[method-assign, assignment]
    torch.set_num_threads(1)
    dataset = data.load(data_dir=data_folder)
    for _ in train(EXPERIMENT, dataset, run_folder, threads=1, device="cpu", report=report):
        pass
