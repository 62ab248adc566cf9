"""Train what ``stepladder design`` proposes, beside the guide's net; write results/design.jsonl and results/design.md.

    python benchmarks/design.py            # train what has no row yet, then render
    python benchmarks/design.py --again    # train everything again, then render
    python benchmarks/design.py --render   # render the page from the rows that are there

Every run trains on 3,000 images of the MNIST sample and is judged on 1,000 held out of its training set. The sample's
test set is not looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from stepladder import data, environment
from stepladder.facts import recipe_text
from stepladder.files import write_text
from stepladder.ladder import GUIDE_NET
from stepladder.notation import Net
from stepladder.proposals.propose import LARGEST_COUNT, design
from stepladder.spec import Augmentation, Experiment, OneCycle, Recipe
from stepladder.train import train

RESULTS = Path(__file__).resolve().parent.parent / "results"
ROWS, PAGE = RESULTS / "design.jsonl", RESULTS / "design.md"
DOCS = RESULTS.parent / "docs" / "design.md"
SHAPE, CLASSES, BUDGETS = (1, 28, 28), 10, (2000, 8000, 30_000)
SEEDS = (0, 1, 2)
HOLDOUT = 1000
REFERENCE = "the guide's net"
RECIPE = Recipe(
    epochs=8,
    batch_size=32,
    learning_rate=0.1,
    schedule=OneCycle(),
    augmentation=Augmentation(rotation=10, shift=1.5, scale=0.1, shear=5),
)
"""One recipe for all, found on the holdout with the guide's net, which it favours if any."""


def main() -> None:
    """Measure what is missing if asked to, then render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    if not asked.render:
        measure(again=asked.again)
    head, *rows = (json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines())
    write_text(PAGE, page(head, rows))
    sys.path.insert(0, str(DOCS.parent))
    from inspect_page import refreshed

    write_text(DOCS, refreshed(inserted(DOCS.read_text(encoding="utf-8"), page(head, rows))))


def inserted(shown: str, results: str) -> str:
    """Return a page with the table of the results in its place."""
    first, last = "<!-- design -->\n", "<!-- end of design -->"
    table = results.partition(first)[2].partition(last)[0]
    before, _, rest = shown.partition(first)
    return before + first + table + last + rest.partition(last)[2]


def contestants() -> list[tuple[int, str, str]]:
    """Return budget, kind and net of everything that is trained; the guide's net has a budget of 8,000."""
    proposed = [
        (budget, one.kind, one.net) for budget in BUDGETS for one in design(SHAPE, CLASSES, budget, count=LARGEST_COUNT)
    ]
    return [(8000, REFERENCE, GUIDE_NET), *proposed]


def measure(*, again: bool) -> None:
    """Write a head, which says where and how, and a row a run; seeds are the outer loop, so that nets alternate."""
    head = {
        "command": "python benchmarks/design.py",
        "environment": environment.describe(1, "cpu", "compiled"),
        "recipe": RECIPE.model_dump(mode="json"),
    }
    rows: list[dict[str, Any]] = []
    if ROWS.exists() and not again:
        before, *rows = (json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines())
        known = {(budget, kind, str(Net.parse(net))) for budget, kind, net in contestants()}
        rows = [row for row in rows if (row["budget"], row["kind"], row["net"]) in known]
        rows = rows if before["recipe"] == head["recipe"] else []
    done = {(row["budget"], row["kind"], row["seed"]) for row in rows}
    dataset = data.load("mnist-sample")
    for seed in SEEDS:
        for budget, kind, net in contestants():
            if (budget, kind, seed) in done:
                continue
            row = {"budget": budget, "kind": kind, **trained(net, seed, dataset)}
            rows.append(row)
            print(kind, budget, seed, f"{row['accuracies'][-1]:.2f}", flush=True)
            write_text(ROWS, "".join(json.dumps(one) + "\n" for one in [head, *rows]))


def trained(net: str, seed: int, dataset: data.Dataset) -> dict[str, Any]:
    """Return the row of one run."""
    experiment = Experiment.read(
        {
            "net": net,
            "recipe": RECIPE.model_dump(),
            "data": dataset.name,
            "seed": seed,
            "protocol": "holdout",
            "holdout_size": HOLDOUT,
        },
        "design",
    )
    epochs = [epoch for epoch, _ in train(experiment, dataset, threads=1, device="cpu")]
    return {
        "net": experiment.net,
        "parameters": Net.parse(net).parameters(SHAPE),
        "seed": seed,
        "accuracies": [one.evaluation_accuracy for one in epochs],
        "train_accuracy": epochs[-1].train_accuracy,
    }


def page(head: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as Markdown, a table with the kinds side by side and the whole one."""
    environment = head["environment"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    lines = [
        "# How well proposed nets learn",
        "",
        "Rendered by `python benchmarks/design.py --render` from [design.jsonl](design.jsonl); with `--again` the "
        "command proposes and trains everything again.",
        "",
        f"MNIST sample, 3,000 images to train on, accuracy on 1,000 held out of the training set at the last of "
        f"{RECIPE.epochs} epochs, mean ± standard deviation over {len(SEEDS)} seeds; the test set was not looked at. "
        f"Recipe of every run: {recipe_text(Recipe.read(head['recipe'], 'recipe'))}.",
        "",
        "<!-- design -->",
        "| kind | " + " | ".join(f"budget {budget:,}" for budget in BUDGETS) + " | mean of the budgets |",
        "| :-- |" + " --: |" * (len(BUDGETS) + 1),
    ]
    for kind in kinds:
        cells = [_cell(_of(rows, kind, budget)) for budget in BUDGETS]
        every = [mean(_of(rows, kind, budget)) for budget in BUDGETS if _of(rows, kind, budget)]
        whole = f"{mean(every):.2f}%" if len(every) == len(BUDGETS) else "–"
        lines.append(f"| {kind} | {' | '.join(cells)} | {whole} |")
    lines += [
        "<!-- end of design -->",
        "",
        "Differences from the guide's net, paired by seed, for the budget of 8,000; mean and each seed:",
        "",
        "| kind | mean | each seed |",
        "| :-- | --: | :-- |",
    ]
    guide = _of(rows, REFERENCE, 8000)
    for kind in kinds[1:]:
        own = _of(rows, kind, 8000)
        if own:
            apart = [one - other for one, other in zip(own, guide, strict=True)]
            lines.append(f"| {kind} | {mean(apart):+.2f} | {', '.join(f'{one:+.2f}' for one in apart)} |")
    lines += [
        "",
        "| budget | kind | net | parameters | MACs | training | holdout | each seed |",
        "| --: | :-- | :-- | --: | --: | --: | --: | :-- |",
    ]
    for budget in BUDGETS:
        for kind in kinds:
            own = [row for row in rows if row["kind"] == kind and row["budget"] == budget]
            if not own:
                continue
            last = [row["accuracies"][-1] for row in own]
            macs = sum(layer.macs(shape) for layer, shape in _layers(own[0]["net"]))
            lines.append(
                f"| {budget:,} | {kind} | `{own[0]['net']}` | {own[0]['parameters']:,} | {macs:,} | "
                f"{mean(row['train_accuracy'] for row in own):.2f}% | {_cell(last)} | "
                f"{', '.join(f'{one:.1f}' for one in last)} |"
            )
    lines += [
        "",
        "With 1,000 images the sampling error of one accuracy is about 0.4 points at 98.5%. All nets see the same "
        "images, so that differences err by less, but three seeds do not tell kinds apart within a few tenths.",
        "",
        f"Machine: {environment['processor']}, {environment['cores']} cores; torch {environment['torch']}, NumPy "
        f"{environment['numpy']}, Python {environment['python']}.",
    ]
    return "\n".join(lines) + "\n"


def _of(rows: Sequence[dict[str, Any]], kind: str, budget: int) -> list[float]:
    return [row["accuracies"][-1] for row in rows if row["kind"] == kind and row["budget"] == budget]


def _cell(accuracies: Sequence[float]) -> str:
    spread = f" ± {stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{mean(accuracies):.2f}{spread}%" if accuracies else "–"


def _layers(text: str) -> Any:
    net = Net.parse(text)
    return zip(net.layers, net.shapes(SHAPE), strict=False)


if __name__ == "__main__":
    main()
