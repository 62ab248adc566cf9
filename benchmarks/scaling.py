"""How much a second worker, or a second thread, adds.

    python benchmarks/scaling.py [--rounds 3]

One run against one run a core, each in a process with one thread, as ``climb`` executes them; and one run alone, on one
thread and on a thread a core. The scaling is the rate on all cores over the rate on one, divided by the cores. Rows:
results/speed/scaling.jsonl. About three minutes on two cores.
"""

from __future__ import annotations

import argparse

import ours
from contest import Contestant, command_line, hold, need_full_mnist, ratios, spread, write_rows
from stepladder.workers import usable_cores

ONE_WORKER, ALL_WORKERS = "one worker", "one worker a core"
ONE_THREAD, ALL_THREADS = "one run, one thread", "one run, one thread a core"
NAME = "scaling"


def contestants(name: str = "mnist") -> list[Contestant]:
    """Return the two pairs."""
    cores = usable_cores()
    return [
        Contestant(ONE_WORKER, ours.several_runs, {"workers": 1, "name": name}),
        Contestant(ALL_WORKERS, ours.several_runs, {"workers": cores, "name": name}),
        Contestant(ONE_THREAD, ours.one_run, {"threads": 1, "name": name}),
        Contestant(ALL_THREADS, ours.one_run, {"threads": cores, "name": name}),
    ]


def scaling(rows: list[dict], cores: int) -> dict[str, list[float]]:
    """Return the share of a perfect scaling that workers and threads reached, round by round."""
    pairs = {"workers": (ALL_WORKERS, ONE_WORKER), "threads": (ALL_THREADS, ONE_THREAD)}
    return {kind: [ratio / cores for ratio in ratios(rows, *pair)] for kind, pair in pairs.items()}


def main() -> None:
    """Measure, write the rows, print the scaling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    need_full_mnist()
    cores = usable_cores()
    rows, _ = hold(contestants(), arguments.rounds)
    path = write_rows(NAME, command_line(), rows, seeds=list(range(cores)))
    for kind, values in scaling(rows, cores).items():
        print(f"scaling of {kind} to {cores} cores: {spread(values):.2f}")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
