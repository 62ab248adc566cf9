"""Train an experiment and die at a given moment; run as a process of its own by test_resume.py.

    python kill_driver.py DATA_FOLDER RUN_FOLDER MOMENT

MOMENT is ``never``, ``step:N`` (after the Nth training step of this process), or ``write:N:BYTES`` (in the middle of
the Nth write: BYTES of the temporary file are on the disk, the rest is not), ``rename:N`` (just before the Nth rename).
"""

from __future__ import annotations

import os
import signal
import sys
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


def main() -> None:
    """Train, and die if the moment comes."""
    data_folder, run_folder, moment = sys.argv[1:4]
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
    dataset = data.load(data_dir=Path(data_folder))
    for _ in train(EXPERIMENT, dataset, Path(run_folder), threads=1, device="cpu", report=report):
        pass


if __name__ == "__main__":
    main()
