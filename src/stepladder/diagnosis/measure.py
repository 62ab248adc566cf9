"""A finished run is looked at again: its weights on training images, its layers on one batch, its labels, its rates."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn
from torch.nn import functional

from stepladder import trained
from stepladder.data import Dataset
from stepladder.diagnosis import neighbours
from stepladder.diagnosis.changed import effects
from stepladder.diagnosis.probe import batch_of, probe
from stepladder.diagnosis.structure import net_facts, object_extent
from stepladder.diagnosis.values import Confusion, Doubt, Epoch, Facts, LabelFacts, RangeFacts, Score
from stepladder.errors import RunError, TrainingError
from stepladder.initialise import prepare_module
from stepladder.inputs import Images
from stepladder.loop import steps_per_epoch
from stepladder.notation import Net
from stepladder.range_test import LEAST_STEPS, STEPS, range_test
from stepladder.runs import EpochRow, open_finished, read_experiment
from stepladder.schedule import RateTable
from stepladder.spec import Experiment
from stepladder.train import Materials, build_module, prepare, train

LOOKED_AT = 5_000
"""Training images that are looked at, at most, spread evenly over all: a share is known to 0.7 points at worst."""
_CONFIDENT = 0.9
_PAIRS = 10
_DOUBTFUL = 1_000
_PIECE = 500
_USUAL_BATCH = 256


def diagnose(folder: Path, dataset: Dataset, *, with_range_test: bool = True) -> Facts:
    """Return the facts of a run: of a finished one, or of one whose loss stopped being a number.

    Nothing in the folder changes. The holdout is what the run is judged by. Of a run that logged the test set, which
    decides nothing, only the training images are looked at.

    Args:
        folder: the run's.
        dataset: what it was trained on.
        with_range_test: whether to make a learning-rate range test, which takes about as long as an epoch.

    Raises:
        RunError: if the folder holds no run, a damaged one, one that was stopped and can go on, or one of other images.
    """
    experiment = read_experiment(folder)
    with torch.random.fork_rng(devices=[]):  # to build a net draws weights, which the run's own then replace
        ended = _ended(folder, experiment, dataset)
    materials = prepare(experiment, dataset, torch.device("cpu"))
    net = Net.parse(experiment.net)
    first = build_module(experiment, materials.input_shape)
    prepare_module(first, experiment.recipe, materials.training, materials.normalisation, experiment.seed)
    batch = batch_of(materials.training, experiment.recipe.batch_size)
    first_loss, first_states = probe(net, first, batch, materials.normalisation, experiment.recipe)
    inputs = materials.normalisation.apply(materials.normalisation.scale(batch.pixels))
    looked_at = _spread(len(materials.training))
    images = Images(materials.training.pixels[looked_at], materials.training.labels[looked_at])
    structure = net_facts(net, materials.input_shape)
    train_score = holdout = None
    outputs: torch.Tensor | None = None
    last_states = first_states
    confusions: tuple[Confusion, ...] = ()
    if ended.module is not None:
        outputs = _outputs(ended.module, images.pixels, materials)
        train_score = _score(outputs, images.labels)
        confusions = confused(outputs.argmax(1).numpy(), images.labels.numpy(), dataset.classes)
        last_states = probe(net, ended.module, batch, materials.normalisation, experiment.recipe)[1]
        if materials.split == "holdout":
            # What the run itself answered, in its own precision, is what it is judged by.
            logits, labels = ended.predictions
            holdout = _score(torch.from_numpy(logits), torch.from_numpy(labels))
            confusions = confused(logits.argmax(1), labels, dataset.classes)
    return Facts(
        folder=str(folder),
        experiment=experiment,
        title=dataset.title,
        classes=dataset.classes,
        image=materials.input_shape,
        objects=object_extent(materials.training.pixels),
        train_count=len(materials.training),
        largest=100 * float(torch.bincount(materials.training.labels).max()) / len(materials.training),
        steps=steps_per_epoch(len(materials.training), experiment.recipe.batch_size),
        epochs=_epochs(experiment, ended.rows, len(materials.training)),
        failure=ended.failure,
        train=train_score,
        holdout=holdout,
        first_loss=first_loss,
        input_mean=float(inputs.mean()),
        input_deviation=float(inputs.std()),
        net=structure,
        first=first_states,
        last=last_states,
        confusions=confusions,
        augmentation=effects(
            experiment.recipe.augmentation, images, dataset.classes, lambda pixels: _predicted(ended, pixels, materials)
        ),
        labels=_labels(images, outputs, _indices(experiment, dataset)[looked_at], dataset, structure.ends_in_softmax),
        range_test=_range_test(experiment, dataset) if with_range_test else None,
        seconds=ended.seconds,
        validation=None if dataset.validation is None else len(dataset.validation),
    )


@dataclass(frozen=True, eq=False)
class _Ended:
    """How a run ended: with weights and predictions, or with a failure."""

    rows: Sequence[EpochRow]
    module: nn.Module | None = None
    predictions: Any = None
    failure: str = ""
    seconds: float = 0.0


def _ended(folder: Path, experiment: Experiment, dataset: Dataset) -> _Ended:
    if not (folder / "result.json").is_file():
        return _failed(folder, experiment, dataset)
    run = open_finished(folder)
    run.refuse_other_images(dataset.fingerprint)
    seconds = sum(time.train for time in run.times)
    return _Ended(run.rows, trained.load(run).module, run.predictions(), seconds=seconds)


def _failed(folder: Path, experiment: Experiment, dataset: Dataset) -> _Ended:
    """Return why a run did not go on, which is seen by letting a copy of it go on for an epoch.

    Raises:
        RunError: if the copy can go on: then the run was stopped, and there is nothing to advise on yet.
    """
    rows: list[EpochRow] = []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "run"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".lock", ".*.tmp"))
        before = _lines(copy / "epochs.jsonl")
        stream = train(experiment, dataset, copy)
        try:
            for row, _ in stream:
                rows.append(row)
                if len(rows) > before:
                    break
        except TrainingError as error:
            return _Ended(rows, failure=error.what)
        finally:
            stream.close()  # type: ignore[attr-defined]
    raise RunError("this run is not finished", given=str(folder), repair="start its command again to finish it")


def _lines(path: Path) -> int:
    try:
        return len(path.read_text(encoding="utf-8").splitlines())
    except OSError:
        return 0


def _epochs(experiment: Experiment, rows: Sequence[EpochRow], train_count: int) -> tuple[Epoch, ...]:
    table = RateTable(experiment.recipe, steps_per_epoch(train_count, experiment.recipe.batch_size))
    judged = experiment.protocol != "reference"
    watched = [row.evaluation_loss if judged else row.train_loss for row in rows]
    epochs = []
    for index, row in enumerate(rows):
        rates = table.epoch(index, watched)
        epochs.append(
            Epoch(
                first_rate=rates[0],
                last_rate=rates[-1],
                train_loss=row.train_loss,
                train_accuracy=row.train_accuracy,
                holdout_loss=row.evaluation_loss if judged else None,
                holdout_accuracy=row.evaluation_accuracy if judged else None,
            )
        )
    return tuple(epochs)


def _indices(experiment: Experiment, dataset: Dataset) -> torch.Tensor:
    """Return where the run's training images are among the data set's."""
    if experiment.protocol == "reference":
        return torch.arange(len(dataset.train))
    return torch.from_numpy(dataset.split_holdout(experiment.holdout_size)[0])


def _spread(count: int) -> torch.Tensor:
    return torch.linspace(0, count - 1, min(count, LOOKED_AT)).long()


@torch.inference_mode()
def _outputs(module: nn.Module, pixels: torch.Tensor, materials: Materials) -> torch.Tensor:
    """Return what the net gives in evaluation mode, float32 of shape (N, K)."""
    module.eval()
    normalisation = materials.normalisation
    found = [
        module(normalisation.apply(normalisation.scale(piece))).flatten(1) for piece in torch.split(pixels, _PIECE)
    ]
    return torch.cat(found).float()


def _predicted(ended: _Ended, pixels: torch.Tensor, materials: Materials) -> torch.Tensor | None:
    return None if ended.module is None else _outputs(ended.module, pixels, materials).argmax(1)


def _score(outputs: torch.Tensor, labels: torch.Tensor) -> Score:
    loss = float(functional.cross_entropy(outputs, labels))
    return Score(int((outputs.argmax(1) == labels).sum()), len(labels), loss)


def confused(predicted: Any, labels: Any, classes: Sequence[str]) -> tuple[Confusion, ...]:
    """Return the pairs of classes that were taken for each other, the most frequent first.

    At most ten, and the other directions of the same pairs.
    """
    table = numpy.zeros((len(classes), len(classes)), dtype=int)
    numpy.add.at(table, (labels, predicted), 1)
    pairs = [
        (-int(table[label, other]), label, other)
        for label in range(len(classes))
        for other in range(len(classes))
        if label != other and table[label, other]
    ]
    pairs.sort()
    kept = {(label, other) for _, label, other in pairs[:_PAIRS]}
    return tuple(
        Confusion(classes[label], classes[other], -count, int(table[label].sum()))
        for count, label, other in pairs
        if (label, other) in kept or (other, label) in kept
    )


def _labels(
    images: Images,
    outputs: torch.Tensor | None,
    indices: torch.Tensor,
    dataset: Dataset,
    is_softmax: bool,
) -> LabelFacts:
    classes, origins = dataset.classes, dataset.origins
    vectors = neighbours.features(images.pixels)
    votes = neighbours.votes(vectors, images.labels, vectors, len(classes), own=True)
    outvoted = (votes.winner != images.labels) & (votes.count >= neighbours.AGREED)
    contradicted = both = agreed = torch.zeros_like(outvoted)
    surest = votes.count.float()
    if outputs is not None:
        best = (outputs if is_softmax else outputs.softmax(1)).max(1)
        contradicted = (best.indices != images.labels) & (best.values >= _CONFIDENT)
        both = outvoted & contradicted & (votes.winner == best.indices)
        same = (votes.winner == best.indices) & (votes.count >= neighbours.MAJORITY)
        agreed = same & (best.indices != images.labels)
        surest = surest + best.values
    # A net that learned wrong labels by heart contradicts none of them; then the neighbours alone are asked.
    by_heart = 4 * int(both.sum()) < int(outvoted.sum())
    named = torch.nonzero(outvoted if by_heart else agreed).flatten()
    known = 100 * float((votes.winner == images.labels).float().mean())
    if known < neighbours.TRUSTED:
        named = named[:0]
    order = named[torch.argsort(surest[named], descending=True, stable=True)][:_DOUBTFUL]
    return LabelFacts(
        count=len(images),
        neighbours=known,
        outvoted=float(outvoted.float().mean()),
        contradicted=float(contradicted.float().mean()),
        both=float(both.float().mean()),
        doubtful=tuple(
            Doubt(
                index=int(indices[one]),
                label=classes[int(images.labels[one])],
                suggested=classes[int(votes.winner[one])],
                file="" if origins is None else origins[int(indices[one])],
            )
            for one in order
        ),
    )


def _range_test(experiment: Experiment, dataset: Dataset) -> RangeFacts:
    # Large batches take fewer steps, so that it sees about as many images whatever the batch.
    steps = max(LEAST_STEPS, min(STEPS, STEPS * _USUAL_BATCH // experiment.recipe.batch_size))
    found = range_test(experiment, dataset, steps=steps, device="cpu")
    return RangeFacts(found.suggested, found.highest, found.learns)
