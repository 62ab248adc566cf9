"""How long it takes to describe a net: stepladder's inspection and torchinfo, in one sitting.

    python benchmarks/inspect_speed.py [--rounds 10] [--fresh 5] [--render]

ResNet-152 for one image of 3 × 224 × 224, with its weights in memory, from the net to the text of the table; torchinfo
a second time on the meta device, where it has no arithmetic to do either. Later calls: each contestant lives in a
process of its own, warmed up, and they take turns. First calls: a new process each time, taking turns; imports and the
building of the net come before. And a transformer of a billion parameters, given as a function that builds it, in a new
process: time, and the most memory of the whole process with torch. One thread each. Rows:
results/speed/inspect_speed.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from contest import (
    Contestant,
    Lap,
    NotInstalledError,
    Row,
    command_line,
    hold,
    rates,
    ratios,
    read_rows,
    spread,
    write_rows,
)
from readme import put_between

if TYPE_CHECKING:
    from stepladder.inspection.summary import Summary

NAME = "inspect_speed"
OURS, TORCHINFO, ON_META = "stepladder", "torchinfo", "torchinfo on the meta device"
CONTESTANTS = (OURS, TORCHINFO, ON_META)
BILLION = "a billion parameters"
LATER, FIRST = "later call", "first call"
PAGE = Path(__file__).resolve().parent.parent / "docs" / "inspect.md"
_IMAGE = (3, 224, 224)


def describer(who: str) -> Callable[[], str]:
    """Return what describes ResNet-152 as text; the net is built and all is imported.

    Raises:
        NotInstalledError: if torchinfo is not there.
    """
    import torch

    torch.set_num_threads(1)
    sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
    from zoo import ZOO

    if who == OURS:
        from stepladder.inspection.module import inspect

        net = ZOO["resnet152"].build()
        return lambda: str(inspect(net, _IMAGE))
    try:
        import torchinfo
    except ImportError:
        raise NotInstalledError("torchinfo is not installed") from None
    device = "meta" if who == ON_META else "cpu"
    with torch.device(device):
        net = ZOO["resnet152"].build()
    # All levels, as stepladder shows them; the default of three leaves out the layers.
    return lambda: str(torchinfo.summary(net, (1, *_IMAGE), device=device, depth=9, verbose=0))


def laps(who: str, times: int) -> Iterator[Lap]:
    """Describe the net so many times a lap, for ever.

    Args:
        who: a contestant.
        times: descriptions a lap.
    """
    describe = describer(who)
    while True:
        began = perf_counter()
        for _ in range(times):
            describe()
        yield Lap(times, perf_counter() - began)


def billion() -> Callable[[], Summary]:
    """Return what describes a transformer of 20 layers of width 2,048, of which there is only the building function."""
    from torch import nn

    from stepladder.inspection.module import inspect

    def build() -> nn.Module:
        layer = nn.TransformerEncoderLayer(2048, 16, 8192, batch_first=True)
        return nn.TransformerEncoder(layer, 20, enable_nested_tensor=False)

    return lambda: inspect(build, (128, 2048))


def once(who: str) -> None:
    """Describe a net for the first time in this process and print the seconds and the most memory as JSON."""
    describe = billion() if who == BILLION else describer(who)
    before = peak_bytes()
    began = perf_counter()
    described = describe()
    str(described)
    row = {"seconds": perf_counter() - began, "peak_bytes_before": before, "peak_bytes": peak_bytes()}
    if not isinstance(described, str):
        row["parameters"] = described.totals.parameters
    print(json.dumps(row))


def peak_bytes() -> int | None:
    """Return the most memory that this process has held so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def first_calls(names: tuple[str, ...], rounds: int, say: Callable[[str], None] = print) -> list[Row]:
    """Return a row a round and name: one description in a new process."""
    rows = []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for number in range(rounds):
        for name in names:
            command = [sys.executable, str(Path(__file__).resolve()), "--once", name]
            answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            rows.append({"round": number, "contestant": name, "call": FIRST, "amount": 1} | json.loads(answer.stdout))
            say(f"new process {number + 1} of {rounds}, {name}: {rows[-1]['seconds']:.2f} s")
    return rows


def measure(rounds: int, fresh: int) -> list[Row]:
    """Return the rows of all three parts."""
    os.environ["OMP_NUM_THREADS"] = "1"
    contestants = [Contestant(name, laps, {"who": name, "times": 2}) for name in CONTESTANTS]
    later, absent = hold(contestants, rounds)
    present = tuple(name for name in CONTESTANTS if name not in absent)
    return [row | {"call": LATER} for row in later] + first_calls(present, fresh) + first_calls((BILLION,), fresh)


def text(rows: list[Row]) -> str:
    """Return the measurements as Markdown."""
    lines = [["ResNet-152 described", "First call, s", "Later calls, s", "Time against torchinfo, first", "later"]]
    lines += [[":--", *["--:"] * 4]]
    for name in CONTESTANTS:
        cells = [name]
        parts = [[row for row in rows if row["call"] == call] for call in (FIRST, LATER)]
        if not rates(parts[0], name):
            continue
        cells += [f"{spread([1 / rate for rate in rates(part, name)]):.2f}" for part in parts]
        # The baseline's rate over one's own is one's own time over the baseline's.
        cells += ["" if name == TORCHINFO else f"{spread(ratios(part, TORCHINFO, name)):.2f}" for part in parts]
        lines.append(cells)
    big = [row for row in rows if row["contestant"] == BILLION]
    seconds, peak = spread([row["seconds"] for row in big]), spread([row["peak_bytes"] / 2**20 for row in big])
    before = spread([row["peak_bytes_before"] / 2**20 for row in big])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return (
        f"{table}\nMedians, in brackets the lowest and the highest; ratios are taken within a round. A transformer of "
        f"{big[0]['parameters']:,} parameters, given as a function that builds it, takes {seconds:.2f} s in a new "
        f"process, whose memory is {peak:.0f} MiB at its highest, {before:.0f} MiB of them before the net is looked "
        "at. One thread; measured by `python benchmarks/inspect_speed.py`.\n"
    )


def main() -> None:
    """Measure, write the rows, put the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="turns of each, for later calls")
    parser.add_argument("--fresh", type=int, default=5, help="new processes of each, for first calls")
    parser.add_argument("--render", action="store_true", help="the table alone, from the rows that are there")
    parser.add_argument("--once", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        once(arguments.once)
        return
    if not arguments.render:
        rows = measure(arguments.rounds, arguments.fresh)
        write_rows(NAME, command_line(), rows, torchinfo=metadata.version("torchinfo"))
    stored = read_rows(NAME)
    if stored is None:
        sys.exit("there are no rows yet: python benchmarks/inspect_speed.py")
    put_between("inspect speed", text(stored[1]), PAGE)
    print(text(stored[1]))


if __name__ == "__main__":
    main()
