"""Training images a second of the guide's net, ours against the reference way, Lightning and Keras 3 on JAX.

    python benchmarks/throughput.py [--rounds 5] [--images 12800] [--only NAME ...]

All train the guide's net with its dropout of 5% and rotation of 7 degrees, batch 128, SGD with momentum. Ours trains
whole epochs of 60,000 images; a turn of the slower ones is a part of an epoch, drawn anew. Products of large matrices
take turns with them: what the machine can do at most. Rows: results/speed/throughput.jsonl. About seven minutes on two
cores.
"""

from __future__ import annotations

import argparse

import frameworks
import limit
import ours
import reference_way
from contest import Contestant, command_line, hold, need_full_mnist, rates, ratios, spread, write_rows
from stepladder.workers import usable_cores

REFERENCE = ("the reference way, 0 loader workers", "the reference way, 2 loader workers")
LIGHTNING = "Lightning"
KERAS = "Keras 3 on JAX"
PLAIN = "stepladder, plain torch engine"
ONE = {
    "float32": "stepladder, one run on all cores, float32",
    "bfloat16": "stepladder, one run on all cores, bfloat16",
}
SEVERAL = {
    "float32": "stepladder, one run a core, float32",
    "bfloat16": "stepladder, one run a core, bfloat16",
}
NAME = "throughput"


def contestants(images: int, name: str = "mnist") -> list[Contestant]:
    """Return who takes part; the slower ones train so many images a turn."""
    cores = usable_cores()
    return [
        *(
            Contestant(label, reference_way.laps, {"workers": workers, "images": images, "name": name})
            for workers, label in zip((0, 2), REFERENCE, strict=True)
        ),
        Contestant(LIGHTNING, frameworks.lightning_laps, {"images": images, "name": name}),
        # A quarter, in whole batches: its turns are long, and nothing in it depends on their length.
        Contestant(KERAS, frameworks.keras_laps, {"images": max(1, images // 512) * 128, "name": name}),
        Contestant(PLAIN, ours.plain_run, {"threads": cores, "images": 2 * images, "name": name}),
        *(
            Contestant(label, ours.one_run, {"threads": cores, "precision": precision, "name": name})
            for precision, label in ONE.items()
        ),
        *(
            Contestant(label, ours.several_runs, {"precision": precision, "name": name})
            for precision, label in SEVERAL.items()
        ),
        *limit.contestants(),
    ]


def better_reference(rows: list[dict]) -> str:
    """Return the faster of the reference way's two, by the median over the rounds."""
    there = [name for name in REFERENCE if rates(rows, name)]
    return max(there, key=lambda name: spread(rates(rows, name)).median)


def fastest(rows: list[dict], names: dict[str, str]) -> str | None:
    """Return which of these precisions was the fastest, by the median over the rounds; None if none took part."""
    there = [name for name in names.values() if rates(rows, name)]
    return max(there, key=lambda name: spread(rates(rows, name)).median, default=None)


def main() -> None:
    """Measure, write the rows, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=12_800, help="images a turn of the slower contestants")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="contestants whose name holds one of these words")
    arguments = parser.parse_args()
    need_full_mnist()
    chosen = contestants(arguments.images)
    if arguments.only:
        chosen = [one for one in chosen if any(word in one.name for word in (REFERENCE[0], *arguments.only))]
    rows, absent = hold(chosen, arguments.rounds)
    path = write_rows(NAME, command_line(), rows, seeds=list(range(usable_cores())), absent=absent)
    baseline = better_reference(rows)
    print(f"\ntimes the rate of {baseline}, median (lowest–highest) of {arguments.rounds} rounds:")
    for one in chosen:
        if one.name not in absent and one.laps is not limit.laps:
            rate = spread(rates(rows, one.name))
            print(f"  {one.name}: {spread(ratios(rows, one.name, baseline)):.2f}; {rate:,.0f} images a second")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
