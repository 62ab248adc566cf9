"""Find the recipe of ``stepladder train fast`` on the holdout: results/fast-recipe.jsonl and results/fast-recipe.md.

    python benchmarks/fast_recipe.py            # measure every row again (hours on two cores), then render
    python benchmarks/fast_recipe.py --missing  # measure the rows without accuracies only, then render
    python benchmarks/fast_recipe.py --render   # render the page from the rows that are there

Every row trains on 50,000 images and is judged on 10,000 held out of the training set, at the last epoch. The test set
is not touched. A row is one change to the row that it names as its baseline, on the same seeds.
"""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from stepladder import data, environment
from stepladder.compare import by_seed
from stepladder.evaluate import deviation, mean
from stepladder.facts import recipe_text
from stepladder.files import write_text
from stepladder.inspection.oneline import describe
from stepladder.notation import Net
from stepladder.spec import Experiment, Recipe
from stepladder.train import train

RESULTS = Path(__file__).resolve().parent.parent / "results"
ROWS = RESULTS / "fast-recipe.jsonl"
TRAINED_ON = 60_000
"""Images of the final run; a holdout run has 50,000."""

Row = dict[str, Any]


def main() -> None:
    """Measure if asked to, then render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--missing", action="store_true", help="measure what has no accuracies yet")
    arguments = parser.parse_args()
    head, *rows = (json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines())
    if not arguments.render:
        dataset = data.load("mnist")
        if dataset.is_sample:
            raise SystemExit("the full MNIST is not reachable")
        for row in rows:
            if arguments.missing and len(row.get("accuracies", [])) == len(row["seeds"]):
                continue
            row["accuracies"] = [last_accuracy(row, seed, dataset) for seed in row["seeds"]]
            print(row["group"], row["change"], row["accuracies"], flush=True)
            # After every row: a long measurement can be stopped and goes on with --missing.
            head |= {"command": "python benchmarks/fast_recipe.py", "environment": described()}
            write_text(ROWS, "".join(json.dumps(line) + "\n" for line in [head, *rows]))
    write_text(RESULTS / "fast-recipe.md", page(head, rows))


def last_accuracy(row: Row, seed: int, dataset: data.Dataset) -> float:
    """Return the holdout accuracy in percent at the last epoch of a row's experiment, trained on one core."""
    experiment = Experiment.read(
        {"net": row["net"], "recipe": row["recipe"], "seed": seed, "protocol": "holdout"}, row["change"]
    )
    return [epoch.evaluation_accuracy for epoch, _ in train(experiment, dataset, threads=1, device="cpu")][-1]


def described() -> dict[str, Any]:
    """Return the machine and the versions."""
    return environment.describe(torch.get_num_threads(), "cpu", "compiled")


def work(row: Row) -> float:
    """Return the multiply-adds of a final run's forward passes, in units of 10⁹."""
    total = describe(Net.parse(row["net"]), (1, 28, 28)).totals.macs
    return float(total * TRAINED_ON * row["recipe"]["epochs"] / 1e9)


def page(head: Row, rows: list[Row]) -> str:
    """Return the rows as Markdown, group by group in the order of the search."""
    machine = head["environment"]
    names = {row["name"]: row for row in rows if "name" in row}
    lines = [
        "# How the recipe of `stepladder train fast` was chosen",
        "",
        "Rendered by `python benchmarks/fast_recipe.py --render` from [fast-recipe.jsonl](fast-recipe.jsonl); without "
        "`--render` the command measures every row again.",
        "",
        "The question: which fixed schedule and which net below 8,000 parameters reach 99.40% in the least compute? "
        "Each run trains on 50,000 images and is judged at its last epoch on 10,000 held out of the training set; the "
        "test set was not touched. A row is one change to its group's baseline, on the same seeds; the difference is "
        "paired by seed, with Student's 95% interval. With three seeds only large effects are clear: what was taken, "
        "was taken for its direction, and the recipe that came out of it was measured again on ten seeds.",
        "",
        "Work: multiply-adds of the forward passes of the final run on 60,000 images, in 10⁹; the backward passes take "
        "about twice as many again.",
    ]
    for group, members in groupby(rows, key=lambda row: str(row["group"])):
        lines += ["", f"## {group}", ""]
        found = list(members)
        baseline = names.get(found[-1].get("baseline", ""))
        if baseline is not None:
            lines += [f"Baseline ({baseline['name']}): `{baseline['net']}`; {text(baseline)}.", ""]
        lines += [
            "| What was tried | Holdout | Difference to the baseline | Seeds | Work | Kept |",
            "| :-- | --: | :-- | --: | --: | :-- |",
        ]
        lines += [line(row, names) for row in found]
    lines += [
        "",
        *head["conclusions"],
        "",
        f"Machine: {machine['processor']}, {machine['cores']} cores; torch {machine['torch']}, NumPy "
        f"{machine['numpy']}, Python {machine['python']}. {head['note']}",
    ]
    return "\n".join(lines) + "\n"


def text(row: Row) -> str:
    """Return a row's recipe in words."""
    return recipe_text(Recipe.read(row["recipe"], row["change"]))


def line(row: Row, names: dict[str, Row]) -> str:
    """Return a row of the table."""
    accuracies, spread = row["accuracies"], deviation(row["accuracies"])
    holdout = f"{mean(accuracies):.3f}" + (f" ± {spread:.3f}" if spread is not None else "")
    baseline = names.get(row.get("baseline", ""))
    difference = difference_text(row, baseline) if baseline is not None and baseline is not row else "–"
    change = row["change"] if "name" not in row else f"**{row['name']}**: {row['change']}"
    kept = "yes" if row["kept"] else "no"
    return f"| {change} | {holdout} | {difference} | {len(accuracies)} | {work(row):.0f} | {kept} |"


def difference_text(row: Row, baseline: Row) -> str:
    """Return the difference to the baseline over the seeds that both have."""
    there = dict(zip(baseline["seeds"], baseline["accuracies"], strict=True))
    pairs = [(there[seed], value) for seed, value in zip(row["seeds"], row["accuracies"], strict=True) if seed in there]
    if len(pairs) < 2:
        return "–"
    found = by_seed(*(list(side) for side in zip(*pairs, strict=True)))
    return f"{found.points:+.3f} ({found.low:+.3f} to {found.high:+.3f}){', clear' if found.is_clear else ''}"


if __name__ == "__main__":
    main()
