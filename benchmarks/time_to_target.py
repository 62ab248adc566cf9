"""Seconds to 99.4% on the test set: the experiment ``fast`` over ten seeds, against the guide's recipe.

    python benchmarks/time_to_target.py [--seeds 10]

Ours is ``stepladder train fast``, each seed in a process of its own and alone on the machine: a fixed schedule, judged
by the mean test accuracy at its last epoch, which has to be 99.40% at least. Its time is that of training and of the
evaluations after each epoch; what the whole process took stands beside it.

The other side is the guide's recipe, trained the reference way up to its first epoch at 99.4%. How many epochs that
takes comes from results/speed/reference_way.jsonl (``python benchmarks/reference_way.py``); the seconds of an epoch are
measured here, taking turns with ours on a part of an epoch and a whole evaluation. Rows:
results/speed/time_to_target.jsonl. About five minutes on two cores.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import perf_counter

import reference_way
from contest import Contestant, Lap, Row, command_line, hold, need_full_mnist, rates, read_rows, spread, write_rows
from reference_way import TARGET
from stepladder import data
from stepladder.runs import open_finished
from stepladder.spec import Experiment

FAST = "stepladder train fast"
REFERENCE = {0: "an epoch of the reference way, 0 loader workers", 2: "an epoch of the reference way, 2 loader workers"}
NAME = "time_to_target"

STAND_IN = Experiment.read(
    {
        "net": "[BN ReLU] 8C5 MP2 16C3 16C3 14C3 14C3 GAP 10C1",
        "recipe": {
            "epochs": 4,
            "learning_rate": 0.3,
            "schedule": {"kind": "one-cycle"},
            "augmentation": {"rotation": 7, "shift": 1, "scale": 0.05},
        },
    },
    "the stand-in",
)
"""Trained where this version of stepladder has no experiment of the name fast."""


def has_fast() -> bool:
    """Return whether this stepladder has named experiments."""
    return importlib.util.find_spec("stepladder.experiments") is not None


def fast_laps(*, first_seed: int = 0, settings: tuple[str, ...] = ()) -> Iterator[Lap]:
    """Yield one run a lap, with one seed after the other; the first seed runs twice, since the first lap is not kept.

    Args:
        first_seed: of the lap that warms up and of the first one kept.
        settings: fields of the recipe to change, as ``--set`` takes them.
    """
    yield fast_run(first_seed, settings)
    for seed in count(first_seed):
        yield fast_run(seed, settings)


def fast_run(seed: int, settings: tuple[str, ...] = ()) -> Lap:
    """Train once in a new process and return its training and evaluation as a lap of one run."""
    with tempfile.TemporaryDirectory() as folder:
        what, run = "fast", Path(folder) / "run"
        if not has_fast():
            path = Path(folder) / "stand-in.toml"
            path.write_text(STAND_IN.to_toml(), encoding="utf-8")
            what = str(path)
        command = [sys.executable, "-m", "stepladder", "train", what, "--seed", str(seed), "--run", str(run)]
        command += [part for setting in settings for part in ("--set", setting)]
        began = perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        process_seconds = perf_counter() - began
        if done.returncode:
            raise RuntimeError(done.stderr)
        finished = open_finished(run)
    last = finished.rows[-1]
    details = {
        "seed": seed,
        "correct": last.evaluation_correct,
        "count": last.evaluation_count,
        "epochs": len(finished.rows),
        "images": sum(row.train_count for row in finished.rows),
        "training_seconds": sum(time.train for time in finished.times),
        "evaluation_seconds": sum(time.evaluation for time in finished.times),
        "process_seconds": process_seconds,
        "parameters": finished.result["parameters"],
        "net": finished.experiment.net,
        "recipe": finished.experiment.recipe.model_dump(mode="json"),
        **{key: finished.environment.get(key) for key in ("engine", "threads")},
    }
    return Lap(1, details["training_seconds"] + details["evaluation_seconds"], details)


def epoch_laps(*, workers: int, images: int) -> Iterator[Lap]:
    """Yield the reference way's epochs, scaled up from a part of one: training on all images and one evaluation."""
    whole = len(data.load("mnist").train)
    for lap in reference_way.laps(workers=workers, images=images, evaluate=True):
        training = lap.seconds * whole / lap.amount
        details = {"images": lap.amount, "training_seconds": training}
        yield Lap(1, training + lap.details["evaluation_seconds"], lap.details | details)


def epochs_to_target(rows: list[Row]) -> dict[int, tuple[int, bool]]:
    """Return, for each seed of the reference way, how many epochs it trained and whether that reached the target."""
    found: dict[int, tuple[int, bool]] = {}
    for row in sorted(rows, key=lambda row: (row["seed"], row["epoch"])):
        found[row["seed"]] = (row["epoch"], 100 * row["test_correct"] / row["test_count"] >= TARGET)
    return found


def better_epochs(rows: list[Row]) -> list[float]:
    """Return the reference way's seconds an epoch round by round, with the better of its numbers of workers."""
    choices = [[1 / rate for rate in rates(rows, name)] for name in REFERENCE.values()]
    return min((one for one in choices if one), key=statistics.median)


def times_faster(rows: list[Row], epochs: float) -> list[float]:
    """Return the reference way's seconds for so many epochs over ours for a whole run, round by round."""
    pairs = zip(better_epochs(rows), rates(rows, FAST), strict=True)
    return [epochs * epoch * rate for epoch, rate in pairs]


def accuracies(rows: list[Row]) -> list[float]:
    """Return the test accuracy of each seed at its last epoch, in percent."""
    return [100 * row["correct"] / row["count"] for row in rows if row["contestant"] == FAST]


def main() -> None:
    """Measure, write the rows, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--images", type=int, default=12_800, help="of an epoch of the reference way")
    arguments = parser.parse_args()
    need_full_mnist()
    if not has_fast():
        print("this stepladder has no experiment 'fast'; a stand-in is trained")
    chosen = [Contestant(FAST, fast_laps)]
    for workers, name in REFERENCE.items():
        chosen.append(Contestant(name, epoch_laps, {"workers": workers, "images": arguments.images}))
    rows, _ = hold(chosen, arguments.seeds)
    path = write_rows(NAME, command_line(), rows, seeds=list(range(arguments.seeds)), is_stand_in=not has_fast())
    reached = accuracies(rows)
    print(f"\n{FAST}: {statistics.mean(reached):.3f}% over {len(reached)} seeds: {sorted(reached)}")
    print(f"  {spread([1 / rate for rate in rates(rows, FAST)]):.1f} s, training and evaluation")
    print(f"an epoch of the reference way: {spread(better_epochs(rows)):.1f} s")
    stored = read_rows(reference_way.NAME)
    if stored is None:
        print("how many epochs it needs is not known yet: python benchmarks/reference_way.py")
    else:
        epochs = statistics.median(number for number, _ in epochs_to_target(stored[1]).values())
        print(f"{spread(times_faster(rows, epochs)):.1f} times faster to the target, at {epochs:g} of its epochs")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
