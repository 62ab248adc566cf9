"""Optimisers without torch's compiler: the same steps, and a start that takes half as long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from conftest import write_mnist
from stepladder.optimisers import Muon, lean

KINDS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01, "fused": True}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "muon": (Muon, {"rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.0}),
}


def after_steps(kind: type[torch.optim.Optimizer], options: dict[str, Any], stopped: bool = False) -> torch.Tensor:
    """Return a weight after six steps, with a second group; in between its state may be read, and taken up again."""
    numbers = torch.Generator().manual_seed(0)
    weight, bias = nn.Parameter(torch.randn(4, 5, generator=numbers)), nn.Parameter(torch.zeros(4))
    groups: list[dict[str, Any]] = [{"params": [weight]}, {"params": [bias]}]
    optimiser: Any = kind(groups, **options)  # type: ignore[call-arg]
    for step in range(6):
        if stopped and step == 3:
            state = optimiser.state_dict()
            optimiser = kind(groups, **options)  # type: ignore[call-arg]
            optimiser.load_state_dict(state)
        optimiser.zero_grad(set_to_none=True)
        inputs = torch.randn(7, 5, generator=numbers)
        (inputs @ weight.T + bias).square().sum().backward()
        optimiser.step()
    return torch.cat([weight.detach().flatten(), bias.detach()])


@pytest.mark.parametrize("name", KINDS)
def test_steps_are_the_same_to_the_bit(name: str) -> None:
    kind, options = KINDS[name]
    assert torch.equal(after_steps(lean(kind), options), after_steps(kind, options))
    assert torch.equal(after_steps(lean(kind), options, stopped=True), after_steps(kind, options))


def test_a_step_leaves_no_gradients_of_its_own() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    optimiser: Any = lean(torch.optim.SGD)([weight], lr=0.1)
    weight.square().sum().backward()
    optimiser.step()
    assert weight.is_leaf
    assert torch.is_grad_enabled()


def test_training_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    """It took as long as importing torch, in each process that trains."""
    write_mnist(tmp_path, train=160, test=60)
    code = (
        "import sys; from pathlib import Path; from kill_driver import drive; "
        f"drive(Path({str(tmp_path)!r}), Path({str(tmp_path / 'run')!r}), 'never'); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=False).returncode == 0
