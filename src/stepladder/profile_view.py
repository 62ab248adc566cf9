"""Where an epoch's time goes, stage by stage and layer by layer, as a small table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from stepladder.loop import Loop
    from stepladder.runs import EpochRow, EpochTime

_STAGES = ("data", "augmentation", "forward", "backward", "optimiser", "averaging")
"""Of training, in their order."""
_LEAST_SHARE = 5e-4
"""Of an epoch: what would be shown as 0.0% is counted with the rest."""


@dataclass(frozen=True)
class Timings:
    """Seconds of one or more epochs.

    Args:
        stages: seconds by name; "forward/Conv2d" is a part of "forward". "evaluation" and "checkpoint" come after
            training, every other stage is a part of it.
        training: seconds of training in all; what no stage accounts for is shown too.
        steps: of training.
        images: trained on.
        evaluated: images.
    """

    stages: Mapping[str, float]
    training: float
    steps: int
    images: int
    evaluated: int

    def __add__(self, other: Timings) -> Timings:
        """Return the seconds of both."""
        names = [*self.stages, *(name for name in other.stages if name not in self.stages)]
        return Timings(
            {name: self.stages.get(name, 0.0) + other.stages.get(name, 0.0) for name in names},
            self.training + other.training,
            self.steps + other.steps,
            self.images + other.images,
            self.evaluated + other.evaluated,
        )


@dataclass(frozen=True)
class ProfileRow:
    """One line of the table.

    Args:
        name: of the stage, the layers or the total.
        level: 0 for totals, 1 for their stages, 2 for parts of a stage.
        milliseconds: a step; those after training are spread over the epoch's training steps.
        share: of the epoch, from 0 to 1.
        rate: images a second if nothing else took time; None where no images pass.
    """

    name: str
    level: int
    milliseconds: float
    share: float
    rate: float | None


def profile(timings: Timings) -> list[ProfileRow]:
    """Return the rows: stages in their order, their parts by time, totals after what they sum up.

    Rows of one level add up to the total that follows them, and parts to their stage.
    """
    stages = dict(timings.stages)
    after = {name: stages.pop(name) for name in ("evaluation", "checkpoint") if name in stages}
    whole = timings.training + sum(after.values())

    def row(name: str, level: int, seconds: float, images: int | None) -> ProfileRow:
        rate = images / seconds if images and seconds > 0 else None
        share = seconds / whole if whole else 0.0
        return ProfileRow(name, level, 1000 * seconds / timings.steps, share, rate)

    tops = [name for name in stages if "/" not in name]
    tops.sort(key=lambda name: _STAGES.index(name) if name in _STAGES else len(_STAGES))
    rows, left = [], timings.training
    for name in tops:
        if stages[name] < _LEAST_SHARE * whole:
            continue
        left -= stages[name]
        rows.append(row(name, 1, stages[name], timings.images))
        rows += [row(part, 2, value, timings.images) for part, value in _parts(stages, name, _LEAST_SHARE * whole)]
    rows.append(row("the rest", 1, max(left, 0.0), timings.images))
    rows.append(row("training", 0, timings.training, timings.images))
    counts = {"evaluation": timings.evaluated, "checkpoint": None}
    rows += [row(name, 0, seconds, counts[name]) for name, seconds in after.items()]
    rows.append(row("epoch", 0, whole, timings.images))
    return rows


def table(timings: Timings, heading: str) -> str:
    """Return the profile for a terminal: aligned, with milliseconds a step, shares and images a second."""
    lines = [("stage", "ms a step", "share", "images/s")]
    for row in profile(timings):
        rate = "" if row.rate is None else f"{row.rate:,.0f}"
        lines.append(("  " * row.level + row.name, f"{row.milliseconds:.3f}", f"{row.share:.1%}", rate))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    texts = []
    for name, *numbers in lines:
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        texts.append("  ".join([name.ljust(widths[0]), *cells]).rstrip())
    return "\n".join([heading, "", *texts])


class Profiler:
    """Listens to a loop's stages and layers; the run's results stay the same bits.

    Layers are timed by hooks where torch computes them; compiled code counts for itself. On a GPU every stage waits for
    the device, so an epoch takes longer than it does unobserved.
    """

    def __init__(self) -> None:
        self._epochs: list[Timings] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._loop: Loop | None = None
        self._stage: str | None = None
        self._layer, self._began = "", 0.0

    def attach(self, loop: Loop) -> None:
        """Listen to a loop from now on."""
        self._loop = loop
        loop.stage = self.stage
        for module in loop.module.modules():
            if not list(module.children()):
                module.register_forward_pre_hook(self._layer_begins)
                module.register_forward_hook(partial(self._layer_ends, type(module).__name__))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time inside this context to a stage."""
        if name == "evaluation":
            self._ask_passes()
        self._stage, self._layer = name, "loss"
        began = self._began = self._now()
        try:
            yield
        finally:
            now = self._now()
            if name == "backward" and f"forward/{self._layer}" in self._seconds:
                self._seconds[f"backward/{self._layer}"] += now - self._began
            self._seconds[name] += now - began
            self._stage = None
        if name == "evaluation" and self._loop is not None:
            self._loop.passes.timings()  # of the evaluation, which has no parts here

    def finish_epoch(self, row: EpochRow, time: EpochTime) -> None:
        """Keep what was heard since the epoch before."""
        self._epochs.append(Timings(self._seconds, time.train, row.steps, row.train_count, row.evaluation_count))
        self._seconds = defaultdict(float)

    def report(self) -> str:
        """Return the table over the epochs that were trained, without the first if there are more: it warms up."""
        if not self._epochs or self._loop is None:
            return "nothing was trained, so there is no profile: the run was finished already"
        counted = self._epochs[1:] or self._epochs
        whole = counted[0]
        for timings in counted[1:]:
            whole += timings
        epochs = "1 epoch" if len(counted) == 1 else f"{len(counted)} epochs"
        first = ", the first left out" if len(self._epochs) > 1 else ""
        heading = f"where the time goes: {epochs} of {counted[0].steps} steps{first}; {self._loop.engine} engine"
        return table(whole, heading)

    def _now(self) -> float:
        if self._loop is not None and self._loop.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._loop.device)
        return perf_counter()

    def _layer_begins(self, module: nn.Module, inputs: Any) -> None:
        self._began = self._now()

    def _layer_ends(self, kind: str, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if self._stage != "forward":
            return
        self._seconds[f"forward/{kind}"] += self._now() - self._began
        if output.requires_grad:
            # Its gradient is known when the layers after it are done and its own backward pass begins.
            output.register_hook(partial(self._backward_reaches, kind))  # type: ignore[no-untyped-call]

    def _backward_reaches(self, kind: str, gradient: torch.Tensor) -> None:
        now = self._now()
        self._seconds[f"backward/{self._layer}"] += now - self._began
        self._layer, self._began = kind, now

    def _ask_passes(self) -> None:
        """Share the time of both passes among the blocks of compiled code, as it counted them."""
        if self._loop is None:
            return
        shares = self._loop.passes.timings()
        weighted = [name for name, _ in self._loop.module.named_children() if name.startswith(("conv", "linear"))]
        for stage in ("forward", "backward"):
            mine = {name: share for name, share in shares.items() if name.startswith(stage)}
            for name, share in mine.items():
                block = int(name.removeprefix(stage))
                part = f"{weighted[block - 1]} and what follows"
                self._seconds[f"{stage}/{part}"] += self._seconds[stage] * share / sum(mine.values())


def _parts(stages: Mapping[str, float], stage: str, least: float) -> list[tuple[str, float]]:
    """Return the parts of a stage that count, the longest first, and what is left of it."""
    parts = [(name.removeprefix(f"{stage}/"), value) for name, value in stages.items() if name.startswith(f"{stage}/")]
    parts = sorted((part for part in parts if part[1] >= least), key=lambda part: -part[1])
    left = stages[stage] - sum(value for _, value in parts)
    return [*parts, ("the rest", left)] if parts and left >= least else parts
