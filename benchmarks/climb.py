"""Minutes that the classic climb with three seeds takes on the full MNIST, from the command to its report.

    python benchmarks/climb.py [--seeds 3]

Fifteen epochs of three steps for each seed, one process a core, nothing trained before. Rows:
results/speed/climb.jsonl.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from contest import command_line, need_full_mnist, write_rows
from stepladder import facts

NAME = "climb"


def climb(seeds: int, folder: Path) -> dict:
    """Climb in the folder and return the seconds and each step's mean accuracy."""
    command = [sys.executable, "-m", "stepladder", "climb", "--seeds", str(seeds), "--name", NAME]
    began = perf_counter()
    subprocess.run([*command, "--folder", str(folder)], check=True)
    seconds = perf_counter() - began
    found = facts.read(folder / NAME)
    means = {step["key"]: step["evaluation"]["mean"] for step in found["steps"]}
    return {"round": 0, "seeds": seeds, "seconds": seconds, "accuracies": means}


def main() -> None:
    """Measure and write the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    need_full_mnist()
    with tempfile.TemporaryDirectory() as folder:
        row = climb(arguments.seeds, Path(folder))
    path = write_rows(NAME, command_line(), [row], seeds=list(range(arguments.seeds)))
    print(f"{row['seconds'] / 60:.1f} minutes\nwritten: {path}")


if __name__ == "__main__":
    main()
