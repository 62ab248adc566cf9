"""Seconds until the command line has answered: ``stepladder --help``, and ``stepladder inspect`` of a one-line net.

    python benchmarks/startup.py [--rounds 10]

A Python that does nothing takes turns with them, to show what is the interpreter's. Rows: results/speed/startup.jsonl.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from contest import command_line, rates, spread, write_rows
from ours import GUIDE_NET

HELP, INSPECT, NOTHING = "stepladder --help", "stepladder inspect NET", "python -c pass"
NAME = "startup"


def commands() -> dict[str, list[str]]:
    """Return the commands by the name that rows give them."""
    script = Path(sys.executable).with_name("stepladder.exe" if os.name == "nt" else "stepladder")
    stepladder = [str(script)] if script.exists() else [sys.executable, "-m", "stepladder"]
    return {
        HELP: [*stepladder, "--help"],
        INSPECT: [*stepladder, "inspect", GUIDE_NET],
        NOTHING: [sys.executable, "-c", "pass"],
    }


def measure(rounds: int) -> list[dict]:
    """Return a row a command and round; a round before the first, which fills the system's cache, is not kept."""
    rows = []
    for number in range(-1, rounds):
        for name, command in commands().items():
            began = perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            rows.append({"round": number, "contestant": name, "amount": 1, "seconds": perf_counter() - began})
    return [row for row in rows if row["round"] >= 0]


def seconds(rows: list[dict], name: str) -> list[float]:
    """Return what the command took, round by round."""
    return [1 / rate for rate in rates(rows, name)]


def main() -> None:
    """Measure, write the rows, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    rows = measure(arguments.rounds)
    path = write_rows(NAME, command_line(), rows)
    for name in commands():
        print(f"{name}: {spread(seconds(rows, name)):.3f} s, median (lowest–highest) of {arguments.rounds}")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
