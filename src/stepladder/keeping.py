"""What is kept of a run: its rows, the state that it goes on from, and its result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from stepladder.loop import EvaluationPass, TrainingPass
from stepladder.runs import EpochRow, RunFolder, tensor_digest

if TYPE_CHECKING:
    from stepladder.data import Dataset
    from stepladder.train import Materials

_MODULE = "module."
_OPTIMISER = "optimiser."
_AVERAGE = "average."


class Trained(Protocol):
    """Something whose training can go on from its gathered state: one net, or several side by side."""

    module: nn.Module
    optimiser: torch.optim.Optimizer

    @property
    def average(self) -> dict[str, torch.Tensor] | None:
        """The average of the weights by their names; None if there is none."""


def row_of(epoch: int, steps: int, training: TrainingPass, evaluation: EvaluationPass, split: str) -> EpochRow:
    """Return the row of an epoch, whose index is from 0, as it is kept."""
    return EpochRow(
        epoch=epoch + 1,
        steps=steps,
        learning_rate=training.learning_rate,
        last_batch_loss=training.last_batch_loss,
        train_loss=training.loss,
        train_correct=training.correct,
        train_count=training.count,
        split=split,
        evaluation_loss=evaluation.loss,
        evaluation_correct=evaluation.correct,
        evaluation_count=evaluation.count,
    )


def conclude(
    folder: RunFolder,
    dataset: Dataset,
    materials: Materials,
    rows: Sequence[EpochRow],
    state: Mapping[str, torch.Tensor],
    parameters: int,
    last: EvaluationPass,
    test: EvaluationPass | None,
) -> None:
    """Write a finished run's weights, predictions and result.

    Args:
        folder: of the run.
        dataset: what it was trained on.
        materials: as ``prepare`` gave them.
        rows: of all epochs.
        state: the weights and statistics to keep.
        parameters: how many there are to train.
        last: the evaluation after the last epoch.
        test: the one look at the test set under the holdout protocol.
    """
    weights = {name: tensor.contiguous() for name, tensor in state.items()}
    predictions = {"logits": last.logits.cpu(), "labels": materials.evaluated.labels.cpu()}
    result: dict[str, Any] = {
        "parameters": parameters,
        "epochs": len(rows),
        "split": materials.split,
        "data": {
            "name": dataset.name,
            "title": dataset.title,
            "fingerprint": dataset.fingerprint,
            "input_shape": list(dataset.input_shape),
            "classes": list(dataset.classes),
            "is_handwriting": dataset.is_handwriting,
            "train_count": len(materials.training),
            "evaluation_count": len(materials.evaluated),
        },
        "normalisation": {
            "mean": list(materials.normalisation.mean),
            "deviation": list(materials.normalisation.deviation),
        },
        "train_accuracy": rows[-1].train_accuracy,
        "evaluation_accuracy": rows[-1].evaluation_accuracy,
        "weights_digest": tensor_digest(weights),
        "rows_digest": hashlib.sha256(repr(list(rows)).encode()).hexdigest(),
    }
    if test is not None:
        result["test"] = {"correct": test.correct, "count": test.count, "loss": test.loss}
    folder.finish(weights, predictions, result)


def gather(trained: Trained) -> dict[str, torch.Tensor]:
    """Return module and optimiser state as one flat dictionary of tensors."""
    tensors = {
        _MODULE + name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in trained.module.state_dict().items()
    }
    for name, tensor in (trained.average or {}).items():
        tensors[_AVERAGE + name] = tensor.cpu().contiguous().clone()
    for index, slots in trained.optimiser.state_dict()["state"].items():
        for slot, value in slots.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{_OPTIMISER}{index}.{slot}"] = value.detach().cpu().contiguous().clone()
    return tensors


def restore(trained: Trained, tensors: dict[str, torch.Tensor]) -> None:
    """Put gathered state back, so that the next epoch computes the same bits as if nothing had happened."""
    trained.module.load_state_dict(_under(_MODULE, tensors))
    for name, tensor in _under(_AVERAGE, tensors).items():
        if trained.average is not None:
            trained.average[name].copy_(tensor)
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _under(_OPTIMISER, tensors).items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = tensor
    groups = trained.optimiser.state_dict()["param_groups"]
    trained.optimiser.load_state_dict({"state": slots, "param_groups": groups})
    # Fused optimisers walk memory, so each slot has to lie in memory as its parameter does: channels last.
    for parameter, values in trained.optimiser.state.items():
        for slot, value in values.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                values[slot] = torch.empty_like(parameter).copy_(value)


def kept_state(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights and statistics that are evaluated, out of gathered state: the module's, or their average."""
    return _under(_AVERAGE, tensors) or _under(_MODULE, tensors)


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
