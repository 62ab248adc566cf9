"""The faulty and the healthy experiments of benchmarks/advice.py, each with what an adviser should say to it.

What counts as naming a fault was written down before the rules' thresholds were chosen, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NET = "8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1"
RECIPE: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 64,
    "learning_rate": 0.1,
    "schedule": {"kind": "one-cycle"},
}


@dataclass(frozen=True)
class Fault:
    """One faulty experiment.

    Args:
        name: of the fault.
        accepted: techniques that name it.
        reason: why those.
        net: in one line.
        recipe: fields that differ from ``RECIPE``.
        labels: share of the labels that is shuffled.
    """

    name: str
    accepted: tuple[str, ...]
    reason: str
    net: str = NET
    recipe: dict[str, Any] = field(default_factory=dict)
    labels: float = 0.0


FAULTS: tuple[Fault, ...] = (
    Fault(
        "learning rate 100× too high",
        ("learning rate",),
        "the rate is what is wrong; the advice has to lower it",
        recipe={"learning_rate": 10.0},
    ),
    Fault(
        "learning rate 100× too low",
        ("learning rate",),
        "the rate is what is wrong; the advice has to raise it. More epochs would hide it at a hundred times the cost",
        recipe={"learning_rate": 0.001},
    ),
    Fault(
        "no normalisation",
        ("input normalisation",),
        "pixels go in from 0 to 255. A lower learning rate or batch normalisation would only soften it",
        net="[ReLU] 8C3 16C3 MP2 16C3 20C3 MP2 10F",
        recipe={"inputs": "raw", "learning_rate": 0.05},
    ),
    Fault(
        "a tenth of the labels shuffled",
        ("labels",),
        "nothing about the net or the recipe is wrong",
        labels=0.1,
    ),
    Fault(
        "all labels shuffled",
        ("labels",),
        "there is nothing to learn; every other advice is beside the point",
        labels=1.0,
    ),
    Fault(
        "net far too narrow",
        ("capacity",),
        "two or three channels cannot tell ten digits apart; wider layers are the only repair",
        net="2C3 2C3 MP2 3C3 3C3 GAP 10C1",
    ),
    Fault(
        "field far too small",
        ("receptive field",),
        "a value before the average sees 5×5 of a digit's 20×20 pixels; more channels would not let it see more",
        net="16C3 32C3 GAP 10C1",
    ),
    Fault(
        "dropout 0.5 everywhere",
        ("dropout",),
        "half of all values are dropped after each layer; less dropout is the repair",
        net=f"[BN ReLU D0.5] {NET}",
    ),
    Fault(
        "vertical flips",
        ("augmentation",),
        "upside down a 2 is a 5 and a 6 is nearly a 9; the flips have to go",
        recipe={"augmentation": {"vertical_flip": 0.5}},
    ),
    Fault(
        "180° rotations",
        ("augmentation",),
        "turned by 180° a 6 is a 9; the limit has to come down",
        recipe={"augmentation": {"rotation": 180}},
    ),
    Fault(
        "softmax before cross-entropy",
        ("softmax",),
        "cross-entropy takes logits; the softmax has to go",
        net=f"{NET} SM",
    ),
    Fault(
        "five times too few epochs",
        ("epochs",),
        "the recipe is sound with ten epochs and gets two",
        recipe={"epochs": 2},
    ),
    Fault(
        "dense head that overfits",
        ("global average pooling",),
        "nearly all parameters are in a linear layer over flattened maps. Dropout or augmentation would treat the "
        "overfitting and leave the head",
        net="[ReLU] 8C3 MP2 256Fb 10F",
        recipe={"epochs": 15},
    ),
    Fault(
        "deep net without batch normalisation",
        ("batch normalisation",),
        "ten plain layers pass hardly any signal on; normalisation is the repair that keeps the depth",
        net="[ReLU] 8C3p1 8C3p1 8C3p1 MP2 12C3p1 12C3p1 12C3p1 MP2 16C3p1 16C3p1 16C3p1 16C3p1 GAP 10C1",
    ),
    Fault(
        "batch as large as the data set",
        ("batch size",),
        "one step an epoch; a smaller batch gives more steps at the same cost",
        recipe={"batch_size": 3000},
    ),
    Fault(
        "schedule that ends at half",
        ("learning-rate schedule",),
        "from half of the epochs on the rate is a thousandth of its peak: nothing is learned any more",
        recipe={"epochs": 4, "learning_rate": 0.05, "schedule": {"kind": "multi-step", "at": [2], "factor": 0.001}},
    ),
)


@dataclass(frozen=True)
class Healthy:
    """One sound experiment, which should give no alarm."""

    name: str
    net: str
    recipe: dict[str, Any] = field(default_factory=dict)
    data: str = "mnist-sample"


_MILD = {"rotation": 7, "shift": 1, "scale": 0.05}
_DIGITS = {"epochs": 20, "batch_size": 32, "learning_rate": 0.1}

HEALTHY: tuple[Healthy, ...] = (
    Healthy("the guide's net, one-cycle", NET),
    Healthy("the guide's net, mild augmentation", NET, {"epochs": 12, "augmentation": _MILD}),
    Healthy("the guide's net, dropout 0.05", f"[BN ReLU D0.05] {NET}"),
    Healthy("the fast net, cosine", "8C5 MP2 16C3 16C3 14C3 14C3 GAP 10F", {"schedule": {"kind": "cosine"}}),
    Healthy(
        "the fast net, Adam",
        "8C5 MP2 16C3 16C3 14C3 14C3 GAP 10F",
        {"optimiser": "adam", "learning_rate": 0.01},
    ),
    Healthy("a strided net, SiLU", "[BN SiLU] 9C3 11C3s2p1 13C3 17C3 21C3 GAP 10C1", {"augmentation": _MILD}),
    Healthy("a deep net", "8C3 8C3 12C3 MP2 12C3 16C3 20C3 GAP 10C1", {"label_smoothing": 0.05}),
    Healthy(
        "the guide's net, StepLR, weight decay",
        NET,
        {"epochs": 12, "learning_rate": 0.05, "weight_decay": 5e-4, "schedule": {"kind": "step", "every": 5}},
    ),
    Healthy("digits, a small net", "16C3p1 16C3 MP2 24C3 GAP 10C1", _DIGITS, "digits"),
    Healthy(
        "digits, shifts, averaged weights",
        "16C3p1 24C3 24C3 GAP 10C1",
        _DIGITS | {"tail_averaging": 0.2, "augmentation": {"shift": 0.5, "rotation": 5}},
        "digits",
    ),
)
