"""Published MNIST results of small nets, and where a net stands among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PublishedResult:
    """One public result on the full MNIST test set.

    Args:
        parameters: trainable parameters.
        accuracy: test accuracy in percent.
        statistic: "mean" over several runs, "single" run, or "best" of several runs, epochs or ensembles.
        detail: what the number is.
        source: who published it.
        address: where.
    """

    parameters: int
    accuracy: float
    statistic: Literal["mean", "single", "best"]
    detail: str
    source: str
    address: str


def _github(name: str) -> str:
    return f"https://github.com/{name}"


PUBLISHED: tuple[PublishedResult, ...] = (
    PublishedResult(
        697,
        99.03,
        "best",
        "best of about 700 runs, best epoch picked on the test set",
        "JoshWarn/Parameter-Efficient-MNIST",
        _github("JoshWarn/Parameter-Efficient-MNIST"),
    ),
    PublishedResult(
        997,
        98.76,
        "mean",
        "± 0.10 over 223 runs; stop point tuned on the test set",
        "JoshWarn/Parameter-Efficient-MNIST",
        _github("JoshWarn/Parameter-Efficient-MNIST"),
    ),
    PublishedResult(
        1_936,
        99.10,
        "single",
        "one run, last epoch, own validation split",
        "ruslangrimov/mnist-minimal-model",
        _github("ruslangrimov/mnist-minimal-model"),
    ),
    PublishedResult(
        3_762,
        99.52,
        "single",
        "one run; the author's rerun of the same net gave 99.19",
        "adilsammar/woolly-of-cv",
        _github("adilsammar/woolly-of-cv"),
    ),
    PublishedResult(
        7_496,
        99.53,
        "single",
        "one run, best = last of 15 epochs",
        "the reference guide",
        "",
    ),
    PublishedResult(
        7_878, 99.52, "best", "one run, best epoch", "PRIYE/ERAV2_Session7", _github("PRIYE/ERAV2_Session7")
    ),
    PublishedResult(7_918, 99.52, "best", "one run, best epoch", "snehanshu-raj/ERA", _github("snehanshu-raj/ERA")),
    PublishedResult(
        9_994,
        99.60,
        "single",
        "one run, last of 15 epochs",
        "sagarigrandhi/EVA4",
        _github("sagarigrandhi/EVA4"),
    ),
    PublishedResult(
        1_514_187,
        99.83,
        "best",
        "single net of an ensemble that reaches 99.87",
        "Branching/Merging CNN + Homogeneous Vector Capsules",
        "https://arxiv.org/abs/2001.09136",
    ),
    PublishedResult(
        4_730_000,
        99.738,
        "mean",
        "± 0.031 over 10 runs, last epoch",
        "ttdoucet/mnist",
        _github("ttdoucet/mnist"),
    ),
)


def place(parameters: int, accuracy: float, seeds: int) -> str:
    """Return, in one or two sentences, where a result on the full MNIST test set stands among the published.

    Args:
        parameters: of the net.
        accuracy: test accuracy in percent, the mean where there are several seeds.
        seeds: how many runs the accuracy is from.
    """
    what = f"the mean of {seeds} seeds" if seeds > 1 else "one run"
    smaller = [one for one in PUBLISHED if one.parameters <= parameters and one.accuracy >= accuracy]
    text = f"{accuracy:.2f}% with {parameters:,} parameters ({what})"
    if smaller:
        names = ", ".join(
            f"{one.source} ({one.accuracy:g}%, {one.parameters:,} parameters: {one.detail})" for one in smaller
        )
        text += f": equalled or beaten with no more parameters by {names}."
    else:
        text += ": no listed result reaches as much with as few parameters."
    larger = [one for one in PUBLISHED if one.parameters > parameters and one.accuracy <= accuracy]
    if larger:
        nets, reach = ("nets", "reach") if len(larger) > 1 else ("net", "reaches")
        text += f" {len(larger)} listed {nets} with more parameters {reach} no more."
    return text
