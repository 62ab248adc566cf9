"""The most memory that a climb on MNIST with two workers takes, summed over all of its processes.

    python benchmarks/memory.py [--rounds 2] [--epochs 1]

Where the system has it, the measure is the proportional set size (PSS): a page that several processes share counts once
in all. Elsewhere it is the resident set size, which counts such pages once a process. Sampled every tenth of a second.
Rows: results/speed/memory.jsonl.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache

import psutil

from contest import command_line, need_full_mnist, spread, write_rows

NAME = "memory"
WORKERS = 2
_SECONDS_BETWEEN_SAMPLES = 0.1


def peak(command: Sequence[str]) -> dict:
    """Run the command and return the largest sum of its processes' memory, in bytes, with what each had then.

    Raises:
        RuntimeError: if the command fails.
    """
    began = time.perf_counter()
    best: dict[str, int] = {}
    samples = 0
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            root = psutil.Process(process.pid)
            while process.poll() is None:
                found = sample(root)
                samples += 1
                if sum(found.values()) > sum(best.values()):
                    best = found
                time.sleep(_SECONDS_BETWEEN_SAMPLES)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            output.seek(0)
            raise RuntimeError(output.read().decode(errors="replace"))
    return {
        "peak_bytes": sum(best.values()),
        "each_bytes": sorted(best.values(), reverse=True),
        "measure": measure(),
        "samples": samples,
        "seconds": time.perf_counter() - began,
    }


@cache
def measure() -> str:
    """Return which measure this system has: "PSS" or "RSS"."""
    return "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"


def sample(root: psutil.Process) -> dict[str, int]:
    """Return the bytes of a process and of all that it has started, by process id."""
    found = {}
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return {}
    for process in family:
        try:
            held = process.memory_full_info() if measure() == "PSS" else process.memory_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        found[str(process.pid)] = held.pss if measure() == "PSS" else held.rss
    return found


def climb(folder: str, epochs: int, data: str = "mnist") -> list[str]:
    """Return the command that climbs the classic ladder with two workers."""
    command = [sys.executable, "-m", "stepladder", "climb", "--data", data, "--epochs", str(epochs)]
    return [*command, "--workers", str(WORKERS), "--name", "memory", "--folder", folder]


def main() -> None:
    """Measure, write the rows, print the peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1)
    arguments = parser.parse_args()
    need_full_mnist()
    rows = []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"round": number, "epochs": arguments.epochs} | peak(climb(folder, arguments.epochs)))
    path = write_rows(NAME, command_line(), rows, seeds=[0], workers=WORKERS)
    gib = spread([row["peak_bytes"] / 2**30 for row in rows])
    print(f"a climb with {WORKERS} workers: {gib:.2f} GiB at its peak ({measure()} over all processes)")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
