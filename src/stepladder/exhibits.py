"""What the report shows of its best run beyond numbers: images, augmentation, mistakes, the net itself."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy

from stepladder.data import Dataset, Split, doubtful
from stepladder.evaluate import Evaluation, Mistake, evaluate
from stepladder.inspection import tables
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import budget_verdict
from stepladder.ladder import Step
from stepladder.living import living
from stepladder.notation import Net
from stepladder.runs import FinishedRun, guide_log
from stepladder.spec import Augmentation
from stepladder.trained import load

Facts = dict[str, Any]

DRAWS = 9
"""How many augmented copies of one image are shown a kind."""
_MISTAKE_BYTES = 400_000
_MOST_MISTAKES = 400
_LEAST_A_CELL = 3


def best(step: Step, run: FinishedRun, dataset: Dataset, budget: int) -> Facts:
    """Return the exhibits of a finished run.

    Raises:
        RunError: if its weights or predictions are damaged.
    """
    net = Net.parse(step.net)
    summary = describe(net, dataset.input_shape)
    logits, labels = run.predictions()
    evaluation = evaluate(logits, labels)
    images = evaluated(run, dataset).images
    return {
        "title": step.title,
        "seed": run.experiment.seed,
        "net": str(net),
        "inspect": json.loads(tables.render(summary, "json", budget_verdict(summary, budget))),
        "guide_tables": tables.render(summary, "guide"),
        "log": "\n".join(guide_log(row, time) for row, time in zip(run.rows, run.times, strict=True)),
        "confusion": [list(row) for row in evaluation.confusion],
        "classes": [asdict(one) for one in evaluation.classes],
        **_mistakes(evaluation, images),
        "doubtful": _doubtful(evaluation, dataset, run),
        "examples": _examples(images, labels),
        "augmentation": augmentation_exhibit(step.recipe.augmentation, dataset),
        "living": living(load(run)),
    }


def evaluated(run: FinishedRun, dataset: Dataset) -> Split:
    """Return the images that the run's rows were evaluated on: the test set, or the holdout."""
    if run.experiment.protocol == "reference":
        return dataset.test
    _, held = dataset.split_holdout(run.experiment.holdout_size)
    return Split(dataset.train.images[held], dataset.train.labels[held])


def augmentation_exhibit(augmentation: Augmentation, dataset: Dataset) -> Facts | None:
    """Return one training image as the augmentation varies it, each kind alone and all together; None for none."""
    if augmentation.is_none:
        return None
    rows = [
        (kind, Augmentation(**{kind: limit}), _within(kind, text))
        for kind, (limit, text) in augmentation.limits().items()
    ]
    if len(rows) > 1:
        rows.append(("together", augmentation, "all together, as in training"))
    image = dataset.train.images[0]
    return {
        "original": {"index": 0, "label": int(dataset.train.labels[0]), "pixels": pack(image)},
        "rows": [
            {"kind": kind, "text": text, "pixels": [pack(drawn) for drawn in _draws(image, one)]}
            for kind, one, text in rows
        ],
    }


def _within(kind: str, text: str) -> str:
    """Return a kind of augmentation and its limit as a title, such as ``rotation up to ±7°``."""
    return f"{kind.replace('_', ' ')} of {text}" if kind.endswith("_flip") else f"{kind} up to ±{text}"


def pack(image: numpy.ndarray) -> str:
    """Return an image's bytes in base64."""
    return base64.b64encode(image.tobytes()).decode()


def _draws(image: numpy.ndarray, augmentation: Augmentation) -> numpy.ndarray:
    import torch

    from stepladder.augment import augment

    generator = torch.Generator().manual_seed(0)
    copies = torch.tensor(image).expand(DRAWS, *image.shape).to(torch.float32)
    return numpy.asarray(augment(copies, augmentation, generator).round().clamp(0, 255).to(torch.uint8).numpy())


def _examples(images: numpy.ndarray, labels: numpy.ndarray) -> list[Facts]:
    """Return the first image of every class."""
    first = [int(numpy.flatnonzero(labels == label)[0]) for label in numpy.unique(labels)]
    return [{"index": index, "label": int(labels[index]), "pixels": pack(images[index])} for index in first]


def _mistakes(evaluation: Evaluation, images: numpy.ndarray) -> Facts:
    kept = _kept(evaluation.mistakes, min(_MOST_MISTAKES, _MISTAKE_BYTES // images[0].size))
    return {
        "mistake_count": len(evaluation.mistakes),
        "mistakes": [asdict(one) | {"pixels": pack(images[one.index])} for one in kept],
    }


def _kept(mistakes: Sequence[Mistake], most: int) -> list[Mistake]:
    """Return the most confident mistakes, and a few for every cell of the confusion matrix all the same."""
    seen: Counter[tuple[int, int]] = Counter()
    kept = []
    for rank, one in enumerate(mistakes):
        cell = (one.label, one.predicted)
        if rank < most or seen[cell] < _LEAST_A_CELL:
            kept.append(one)
            seen[cell] += 1
    return kept


def _doubtful(evaluation: Evaluation, dataset: Dataset, run: FinishedRun) -> Facts | None:
    """Return which mistakes are on images whose label people doubt; None where no such list is known."""
    if dataset.name != "mnist" or dataset.is_sample or run.experiment.protocol != "reference":
        return None
    # A data set that only bears the name has other labels at these places.
    if len(dataset.test) != 10_000 or any(dataset.test.labels[one.index] != one.label for one in doubtful.MNIST_TEST):
        return None
    wrong = {one.index for one in evaluation.mistakes}
    return {
        "known": len(doubtful.MNIST_TEST),
        "found": [asdict(one) for one in doubtful.MNIST_TEST if one.index in wrong],
        "source": doubtful.SOURCE,
        "address": doubtful.ADDRESS,
    }
