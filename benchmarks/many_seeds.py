"""Training images a second of many seeds at once as one net, against runs one after another on the same device.

    python benchmarks/many_seeds.py [--rounds 5] [--seeds 2 8 32] [--images 60000] [--device cuda]

All train the guide's net with its dropout of 5% and rotation of 7 degrees, batch 128, SGD with momentum; a turn is an
epoch, and images count once a seed. Runs one after another are as fast as one run, so one is measured: by the engine
that a run has on this device, and by torch's plain one. Rows: results/speed/many_seeds.jsonl.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import count
from time import perf_counter

import torch

from contest import Contestant, Lap, command_line, hold, rates, ratios, spread, write_rows
from ours import MOST_LAPS, _first, experiment
from stepladder import data
from stepladder.environment import processor_name
from stepladder.loop import Loop
from stepladder.many_loop import ManyLoop
from stepladder.train import build_module, choose_device, prepare

NAME = "many_seeds"
ONE = "one run after another"
LAYOUTS = {"channels_last": "", "contiguous_format": ", rows last in memory"}
PLAIN = "one run after another, plain torch engine"


def one(*, device: str, engine: str | None, images: int, name: str = "mnist") -> Iterator[Lap]:
    """Yield the epochs of one run's loop, by the engine named or the device's own."""
    place = choose_device(device)
    chosen = experiment(epochs=MOST_LAPS, name=name)
    materials = prepare(chosen, _first(data.load(name), images), place)
    module = build_module(chosen, materials.input_shape)
    loop = Loop(module, chosen.recipe, materials.training, materials.normalisation, chosen.seed, place, engine)
    for epoch in count():
        began = perf_counter()
        seen = loop.train_epoch(epoch, [])
        details = {"loss": seen.loss, "engine": loop.engine, "seeds": 1, "threads": torch.get_num_threads()}
        yield Lap(seen.count, perf_counter() - began, details | _memory(place))


def many(*, device: str, seeds: int, images: int, layout: str, name: str = "mnist") -> Iterator[Lap]:
    """Yield the epochs of so many seeds at once, with their maps in memory as torch names it."""
    place = choose_device(device)
    chosen = [experiment(epochs=MOST_LAPS, name=name, seed=seed) for seed in range(seeds)]
    materials = prepare(chosen[0], _first(data.load(name), images), place)
    loop = ManyLoop(chosen, materials, place, getattr(torch, layout))
    for epoch in count():
        began = perf_counter()
        passes = loop.train_epoch(epoch)
        loss = sum(one.loss for one in passes) / seeds
        details = {
            "loss": loss,
            "engine": "batched",
            "layout": layout,
            "seeds": seeds,
            "threads": torch.get_num_threads(),
        }
        yield Lap(sum(one.count for one in passes), perf_counter() - began, details | _memory(place))


def contestants(device: str, seeds: list[int], images: int, name: str = "mnist") -> list[Contestant]:
    """Return who takes part on a device."""
    shared = {"device": device, "images": images, "name": name}
    return [
        Contestant(ONE, one, shared | {"engine": None}),
        *([Contestant(PLAIN, one, shared | {"engine": "plain"})] if device == "cpu" else []),
        *(
            Contestant(f"{number} seeds at once{words}", many, shared | {"seeds": number, "layout": layout})
            for number in seeds
            for layout, words in LAYOUTS.items()
        ),
    ]


def main() -> None:
    """Measure, write the rows, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--images", type=int, default=60_000, help="training images of an epoch")
    parser.add_argument("--device", default=None, help="cpu or cuda; default: a GPU where there is one")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    chosen = contestants(str(device), arguments.seeds, arguments.images)
    rows, _ = hold(chosen, arguments.rounds)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    path = write_rows(NAME, command_line(), rows, device=where)
    print(f"\non {where}, times the rate of {ONE}, median (lowest–highest) of {arguments.rounds} rounds:")
    for contestant in chosen:
        rate = spread(rates(rows, contestant.name))
        print(f"  {contestant.name}: {spread(ratios(rows, contestant.name, ONE)):.2f}; {rate:,.0f} images a second")
    print(f"written: {path}")


def _memory(device: torch.device) -> dict[str, float]:
    """Return the most GPU memory that was in use, in GiB; nothing on a processor."""
    if device.type != "cuda":
        return {}
    return {"gpu_memory_gib": round(torch.cuda.max_memory_allocated(device) / 2**30, 2)}


if __name__ == "__main__":
    main()
