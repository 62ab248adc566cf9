"""What a GPU runs: losses stay on the device, nothing waits inside an epoch, and the numbers are the processor's own.

All of it is forced on the processor; the last test asks a GPU itself, where there is one.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stepladder.data import Dataset
from stepladder.dropout import StreamDropout
from stepladder.errors import TrainingError
from stepladder.loop import Loop, Progress
from stepladder.repeatable import prefer_repeatable
from stepladder.spec import Experiment
from stepladder.train import build_module, prepare

NET = "[BN ReLU D0.1] 6C3 MP2 8C3 GAP 10C1"
WAITING = {
    "aten::_local_scalar_dense",  # item(), int(), float(), bool()
    "aten::nonzero",  # and indexing with a mask
    "aten::masked_select",
    "aten::lift_fresh",  # a tensor made from Python's numbers, which then travels
}


def loop_of(
    dataset: Dataset, *, deferred: bool, net: str = NET, device: str = "cpu", **recipe: object
) -> tuple[Loop, Any]:
    """Return a plain loop and what it evaluates."""
    values = {"batch_size": 32, "augmentation": {"rotation": 7, "shift": 1}, "learning_rate": 0.05, **recipe}
    experiment = Experiment.read({"net": net, "recipe": values}, "the experiment")
    materials = prepare(experiment, dataset, torch.device(device))
    module = build_module(experiment, materials.input_shape)
    loop = Loop(
        module, experiment.recipe, materials.training, materials.normalisation, 0, torch.device(device), "plain"
    )
    loop.deferred = deferred
    return loop, materials.evaluated


class Waits(TorchDispatchMode):
    """Lists the operations for which the host would wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().partition(".")[0]
        if name in WAITING:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", [{}, {"optimiser": "adamw", "averaging": 0.9}, {"precision": "bfloat16"}])
def test_deferred_numbers_are_the_same_numbers(recipe: dict[str, object], tiny: Dataset) -> None:
    passes = []
    for deferred in (False, True):
        loop, evaluated = loop_of(tiny, deferred=deferred, **recipe)
        passes.append([(loop.train_epoch(epoch, []), loop.evaluate(evaluated).logits) for epoch in range(2)])
    for (at_once, logits), (later, other) in zip(*passes, strict=True):
        assert at_once == later
        assert torch.equal(logits, other)


@pytest.mark.parametrize("recipe", [{}, {"averaging": 0.9, "label_smoothing": 0.1}])
def test_nothing_waits_for_the_device_inside_an_epoch(
    recipe: dict[str, object], tiny: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, later = (loop_of(tiny, deferred=deferred, **recipe)[0] for deferred in (False, True))
    # As on a GPU; on a processor NumPy draws the masks.
    monkeypatch.setattr(
        StreamDropout, "_draw_on_cpu", lambda self, _, like: self._draw_on_device(torch.Generator(), like)
    )
    later.train_epoch(0, [])  # means and deviations are sent once
    with Waits() as waits:
        later.train_epoch(1, [])
    # The order of the whole epoch when it begins and its right answers when it ends; losses come as one list.
    assert waits.found == ["aten::lift_fresh", "aten::_local_scalar_dense"]
    with Waits() as waits:
        at_once.train_epoch(0, [])
    assert len(waits.found) >= 2 * at_once.steps, "the test sees what it is there to see"


def test_progress_is_reported_when_it_is_known(tiny: Dataset) -> None:
    for deferred, calls in ((False, 10), (True, 1)):
        loop, _ = loop_of(tiny, deferred=deferred)
        seen: list[Progress] = []
        found = loop.train_epoch(0, [], seen.append)
        assert len(seen) == calls
        assert (seen[-1].step, seen[-1].steps, seen[-1].accuracy) == (10, 10, found.correct / found.count)


def test_a_loss_that_is_no_number_names_the_same_step_and_takes_the_epoch_back(tiny: Dataset) -> None:
    errors = []
    for deferred in (False, True):
        loop, _ = loop_of(tiny, deferred=deferred, net="[ReLU] 8C3 GAP 10C1", learning_rate=1e30, averaging=0.5)
        before = loop.module.state_dict(), loop.state()
        before = [{name: value.clone() for name, value in state.items()} for state in before]
        with pytest.raises(TrainingError, match="the step was not taken") as caught:
            loop.train_epoch(0, [])
        errors.append(str(caught.value))
        if deferred:
            for state, kept in zip((loop.module.state_dict(), loop.state()), before, strict=True):
                assert all(torch.equal(value, kept[name]) for name, value in state.items())
    assert errors[0] == errors[1]


def test_normalisation_made_in_an_evaluation_serves_training(tiny: Dataset) -> None:
    loop, evaluated = loop_of(tiny, deferred=True)
    # Numbers that no other test has used, so that they are first asked for inside inference mode.
    object.__setattr__(loop.normalisation, "mean", (0.123456,))
    loop.evaluate(evaluated)
    inputs = torch.zeros(1, 1, 2, 2, requires_grad=True)
    loop.normalisation.apply(inputs).sum().backward()
    assert inputs.grad is not None
    assert math.isclose(inputs.grad[0, 0, 0, 0].item(), 1 / loop.normalisation.deviation[0], rel_tol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_a_gpu_is_never_waited_for_inside_an_epoch(optimiser: str, tiny: Dataset) -> None:
    loop, _ = loop_of(tiny, deferred=False, device="cuda", optimiser=optimiser)
    assert Loop(loop.module, loop.recipe, loop.training, loop.normalisation, 0, torch.device("cuda")).deferred, (
        "a GPU defers by itself"
    )
    loop.deferred = True
    loop.train_epoch(0, [])

    class Strict(nullcontext[None]):
        def __enter__(self) -> None:
            torch.cuda.set_sync_debug_mode("error")

        def __exit__(self, *_: object) -> None:
            torch.cuda.set_sync_debug_mode("default")

    def stage(name: str) -> AbstractContextManager[None]:
        # The order is sent once, when the epoch begins; its stage is "data", like the gathering of labels.
        return nullcontext() if name == "data" else Strict()

    loop.stage = stage
    loop.train_epoch(1, [])


def test_a_gpus_library_is_asked_for_sums_in_a_fixed_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    prefer_repeatable(torch.device("cpu"))
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)
    prefer_repeatable(torch.device("cuda"))
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
