"""The facts of a climb: everything that its report shows, computed once and kept as plain values.

The report is rendered from these alone: neither the data nor the runs need to be there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy

from stepladder import exhibits
from stepladder.analysis import analyse, held_epochs, worst_of_last
from stepladder.climb import ClimbOptions, Rung
from stepladder.compare import Difference, by_image, by_seed
from stepladder.data import Dataset
from stepladder.errors import RunError
from stepladder.evaluate import deviation, mean, wilson
from stepladder.files import write_json
from stepladder.ladder import Goal
from stepladder.notation import Net
from stepladder.precision import Choice
from stepladder.published import PUBLISHED, place
from stepladder.runs import FinishedRun, open_finished
from stepladder.schedule import RateTable
from stepladder.spec import Recipe

FORMAT = 2
FACTS = "facts.json"

Facts = dict[str, Any]


def gather(
    options: ClimbOptions, rungs: Sequence[Rung], dataset: Dataset, *, wall_seconds: float, precision: Choice
) -> Facts:
    """Return the facts of a finished climb.

    Args:
        options: what was asked for.
        rungs: the plan, every job of which is finished.
        dataset: for the pictures of misclassified images.
        wall_seconds: how long this command took; runs that were there before cost nothing.
        precision: what the runs were trained in, and why.

    Raises:
        RunError: if a run is not finished or damaged.
    """
    goal = options.resolve().goal
    measured = [(rung, [open_finished(job.folder) for job in rung.jobs]) for rung in rungs]
    climbed = [(rung, runs) for rung, runs in measured if not rung.is_alternative]
    comparable = not dataset.is_sample
    steps = []
    for number, (rung, runs) in enumerate(climbed, start=1):
        before = climbed[number - 2] if number > 1 else None
        effect = _difference(before[1], runs) if before else None
        against = before[0].step.title if before else ""
        steps.append(_step(number, rung, runs, goal, dataset, effect, against, comparable))
    top_rung, top_runs = climbed[-1]
    alternatives = [
        _step(number, rung, runs, goal, dataset, _difference(top_runs, runs), top_rung.step.title, comparable)
        for number, (rung, runs) in enumerate(measured, start=1)
        if rung.is_alternative
    ]
    final = steps[-1]
    return {
        "format": FORMAT,
        "ladder": options.ladder,
        "command": options.command,
        "options": asdict(options),
        "data": data_facts(dataset, top_runs[0]),
        "goal": asdict(goal),
        "environment": top_runs[0].environment,
        "precision": asdict(precision),
        "wall_seconds": wall_seconds,
        "training_seconds": sum(run["seconds"] for step in [*steps, *alternatives] for run in step["runs"]),
        "steps": steps,
        "alternatives": alternatives,
        "verdict": verdict(final, goal, comparable, dataset.title),
        "best": exhibits.best(top_rung.step, top_runs[0], dataset, goal.budget),
        **placing(dataset, top_runs[0], final["evaluation"]["mean"], len(final["runs"])),
    }


def data_facts(dataset: Dataset, run: FinishedRun) -> Facts:
    """Return what a report says of a data set, and of the images that a run of it was trained and evaluated on."""
    row = run.rows[0]
    return {
        "name": dataset.name,
        "title": dataset.title,
        "is_sample": dataset.is_sample,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint,
        "train_count": row.train_count,
        "evaluation_count": row.evaluation_count,
        "split": row.split,
        "classes": list(dataset.classes),
        "input_shape": list(dataset.input_shape),
        "is_handwriting": dataset.is_handwriting,
        "notes": list(dataset.notes),
    }


def placing(dataset: Dataset, run: FinishedRun, accuracy: float, seeds: int) -> Facts:
    """Return the published results that runs can be compared with, and a sentence on where they stand among them.

    Args:
        dataset: what the runs learned.
        run: one of them.
        accuracy: their mean, in percent.
        seeds: how many they are.
    """
    is_mnist = dataset.name == "mnist" and not dataset.is_sample
    if dataset.is_sample:
        text = f"Numbers of the {dataset.title} are not comparable with published ones."
    elif not is_mnist:
        text = f"The published results that are listed here are on MNIST, and these numbers are on {dataset.title}."
    elif run.experiment.protocol != "reference":
        text = "Holdout numbers are not comparable with published ones, which are on the test set."
    else:
        text = place(int(run.result["parameters"]), accuracy, seeds)
    return {"published": [asdict(one) for one in PUBLISHED] if is_mnist else [], "place": text}


def save(facts: Facts, folder: Path) -> Path:
    """Write the facts into the climb's folder and return the file's path."""
    path = folder / FACTS
    write_json(path, facts)
    return path


def read(folder: Path) -> Facts:
    """Return the facts of a climb's folder.

    Raises:
        RunError: if there are none, or they are damaged or of a later format.
    """
    path = folder / FACTS
    if not path.is_file():
        raise RunError(
            "there are no facts to report here",
            given=str(folder),
            repair=f"name the folder of a finished climb, one that holds {FACTS}",
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        number = int(facts["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            "the facts are damaged", given=f"{path} ({error})", repair="start the climb's command again"
        ) from None
    if number > FORMAT:
        raise RunError(
            f"these facts have format {number}; this version reads up to {FORMAT}",
            given=str(path),
            repair="use a newer stepladder",
        )
    return _upgraded(dict(facts))


def _upgraded(facts: Facts) -> Facts:
    """Return facts of an earlier format with what it had not: format 1 had no exhibits but the mistakes."""
    nothing: Facts = {"doubtful": None, "examples": [], "augmentation": None, "living": None}
    return facts | {"best": nothing | facts["best"]}


def verdict(final: Facts, goal: Goal, comparable: bool, title: str) -> Facts:
    """Return whether the last step met the goal, check by check.

    Args:
        final: the facts of the last step.
        goal: what was to be reached.
        comparable: whether the target speaks of this data set; on the sample the accuracy is not judged.
        title: of the data set.
    """
    runs = final["runs"]
    worst = min(run["worst_of_last"] for run in runs)
    holding = sum(run["held_epochs"] >= goal.held for run in runs)
    seeds = f"{holding} of {len(runs)} seeds" if len(runs) > 1 else "one seed"
    checks = [
        {
            "name": "parameters",
            "needed": f"under {goal.budget:,}",
            "found": f"{final['parameters']:,}",
            "passes": final["parameters"] < goal.budget,
        },
        {
            "name": f"accuracy in each of the last {goal.held} epochs",
            "needed": f"at least {goal.target:g}%",
            "found": f"lowest {worst:.2f}%" + (f", held by {seeds}" if len(runs) > 1 else ""),
            "passes": (holding == len(runs)) if comparable else None,
        },
        {
            "name": "epochs",
            "needed": f"within {goal.epochs}",
            "found": str(len(runs[0]["rows"])),
            "passes": len(runs[0]["rows"]) <= goal.epochs,
        },
    ]
    outcomes = [check["passes"] for check in checks]
    passes = False if False in outcomes else None if None in outcomes else True
    texts = {
        True: f"The goal is met: {goal.target:g}% with fewer than {goal.budget:,} parameters, held through the last "
        f"{goal.held} epochs.",
        False: "The goal is not met: "
        + "; ".join(
            f"{check['name']}: {check['found']}, needed {check['needed']}"
            for check in checks
            if check["passes"] is False
        )
        + ".",
        None: f"The accuracy is not judged: the target of {goal.target:g}% is for the full data set, and these are "
        f"numbers of the {title}.",
    }
    return {"passes": passes, "checks": checks, "text": texts[passes]}


def _step(
    number: int,
    rung: Rung,
    runs: Sequence[FinishedRun],
    goal: Goal,
    dataset: Dataset,
    effect: Difference | None,
    against: str,
    comparable: bool,
) -> Facts:
    step = rung.step
    parameters = Net.parse(step.net).parameters(dataset.input_shape)
    remarks = analyse(
        [run.rows for run in runs], parameters, goal, effect=effect, against=against, comparable=comparable
    )
    finals = [run.rows[-1].evaluation_accuracy for run in runs]
    trains = [run.rows[-1].train_accuracy for run in runs]
    last = runs[0].rows[-1]
    interval = wilson(round(mean(finals) / 100 * last.evaluation_count), last.evaluation_count)
    return {
        "number": number,
        "key": step.key,
        "title": step.title,
        "technique": step.technique,
        "purpose": step.purpose,
        "net": str(Net.parse(step.net)),
        "recipe": step.recipe.model_dump(mode="json"),
        "recipe_text": recipe_text(step.recipe),
        "parameters": parameters,
        "train": {"mean": mean(trains), "deviation": deviation(trains)},
        "evaluation": {
            "mean": mean(finals),
            "deviation": deviation(finals),
            "low": interval.low,
            "high": interval.high,
        },
        "test_once": _test_once(runs),
        "worst_of_last": min(worst_of_last(run.rows, goal.held) for run in runs),
        "seconds": mean([run.seconds for run in runs]),
        "effect": asdict(effect) | {"against": against, "is_clear": effect.is_clear} if effect else None,
        "analysis": [asdict(remark) for remark in remarks],
        "learning_rates": learning_rates(step.recipe, runs[0]),
        "runs": [
            {
                "seed": run.experiment.seed,
                "folder": f"runs/{run.folder.name}",
                "rows": [asdict(row) for row in run.rows],
                "train_accuracy": run.rows[-1].train_accuracy,
                "evaluation_accuracy": run.rows[-1].evaluation_accuracy,
                "worst_of_last": worst_of_last(run.rows, goal.held),
                "held_epochs": held_epochs(run.rows, goal.target),
                "seconds": run.seconds,
                "weights_digest": run.result["weights_digest"],
            }
            for run in runs
        ],
    }


def recipe_text(recipe: Recipe) -> str:
    """Return a recipe in one line for people."""
    parts = [f"{recipe.epochs} epochs", f"batch {recipe.batch_size}"]
    name = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "muon": "Muon and SGD"}[recipe.optimiser]
    if recipe.optimiser in ("sgd", "muon") and recipe.momentum:
        name += f" with {'Nesterov ' if recipe.nesterov else ''}momentum {recipe.momentum:g}"
    parts += [name, f"learning rate {recipe.learning_rate:g}"]
    if recipe.optimiser == "muon":
        parts.append(f"{recipe.matrix_rate:g} for Muon")
    if recipe.bias_rate != 1:
        parts.append(f"{recipe.bias_rate:g} times that for batch-norm biases")
    parts.append(f"schedule {recipe.schedule.kind}")
    if recipe.weight_decay:
        parts.append(f"weight decay {recipe.weight_decay:g}")
    if recipe.label_smoothing:
        parts.append(f"label smoothing {recipe.label_smoothing:g}")
    if recipe.averaging:
        parts.append(f"moving average of the weights {recipe.averaging:g}")
    if recipe.tail_averaging:
        parts.append(f"average of the weights over the last {recipe.tail_averaging:.0%}")
    if recipe.lookahead:
        parts.append(f"Lookahead every {recipe.lookahead} steps")
    if recipe.initialisation != "random":
        parts.append(f"{recipe.initialisation} initialisation")
    if recipe.first_layer != "random":
        parts.append(f"first layer {recipe.first_layer.replace('-', ', ')}")
    if recipe.norm_momentum != 0.1:
        parts.append(f"batch-norm momentum {recipe.norm_momentum:g}")
    if recipe.inputs != "standardised":
        parts.append({"scaled": "inputs from 0 to 1", "raw": "inputs from 0 to 255"}[recipe.inputs])
    parts += [f"augmentation: {recipe.augmentation}", recipe.precision]
    return ", ".join(parts)


def _test_once(runs: Sequence[FinishedRun]) -> Facts | None:
    """Return the test accuracy of runs under the holdout protocol; under the reference protocol the rows have it."""
    tests = [run.result["test"] for run in runs if "test" in run.result]
    if not tests:
        return None
    accuracies = [100 * test["correct"] / test["count"] for test in tests]
    return {"mean": mean(accuracies), "deviation": deviation(accuracies)}


def _difference(first: Sequence[FinishedRun], second: Sequence[FinishedRun]) -> Difference:
    if len(first) > 1:
        return by_seed(
            [run.rows[-1].evaluation_accuracy for run in first],
            [run.rows[-1].evaluation_accuracy for run in second],
        )
    return by_image(_right(first[0]), _right(second[0]))


def _right(run: FinishedRun) -> numpy.ndarray:
    logits, labels = run.predictions()
    return numpy.asarray(logits.argmax(1) == labels)


def learning_rates(recipe: Recipe, run: FinishedRun) -> list[float]:
    """Return the learning rate of every step of the run, thinned to at most 40 values an epoch."""
    steps = run.rows[0].steps
    table = RateTable(recipe, steps)
    watched = [row.train_loss if run.experiment.protocol == "reference" else row.evaluation_loss for row in run.rows]
    rates: list[float] = []
    for epoch in range(len(run.rows)):
        every = table.epoch(epoch, watched)
        chosen = numpy.linspace(0, steps - 1, min(40, steps)).round().astype(int)
        rates += [every[index] for index in chosen]
    return rates
