"""The goals of speed with what was reached, from the rows of the benchmarks; and docs/speed.md from the same rows.

    python benchmarks/speed.py                      # print the table, render the page
    python benchmarks/speed.py --measure            # run every benchmark first: what `make speed` does
    python benchmarks/speed.py --measure startup    # run these benchmarks first

The climb takes as long as all others together and is measured where it is named: --measure climb.

A benchmark writes its rows when it is done, so that a measurement which is interrupted leaves those of the last one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import goals
from contest import RESULTS
from readme import put_table
from speed_page import page
from stepladder.files import write_text

PAGE = RESULTS.parent.parent / "docs" / "speed.md"
PARTS = {
    "startup": [],
    "memory": [],
    "reference_way": ["--seeds", "1"],  # more seeds where their rows are there already
    "throughput": [],
    "scaling": [],
    "time_to_target": [],
    "climb": [],
}
"""Benchmarks in the order in which they run, with their arguments."""
USUAL = [part for part in PARTS if part != "climb"]


def measure(parts: list[str]) -> None:
    """Run benchmarks one after the other, each in a process of its own; the first that fails ends the program."""
    for part in parts:
        print(f"— {part}", flush=True)
        command = [sys.executable, str(Path(__file__).with_name(f"{part}.py")), *PARTS[part]]
        if subprocess.run(command, check=False).returncode:
            sys.exit(f"benchmarks/{part}.py failed; what was measured before is kept")


def main() -> None:
    """Measure what is asked for, print the goals, render the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="*", choices=list(PARTS), metavar="PART", help=", ".join(PARTS))
    arguments = parser.parse_args()
    if arguments.measure is not None:
        measure(arguments.measure or USUAL)
    found = goals.read()
    write_text(PAGE, page(found))
    put_table("speed", "Measure", page(found))
    for goal in goals.goals(found):
        print(f"{goal.measure}\n    goal {goal.goal}; reached {goal.reached}: {goal.verdict}")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
