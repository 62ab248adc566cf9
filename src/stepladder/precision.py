"""Which precision runs train in: measured, not assumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from stepladder.errors import RunError, SpecError

if TYPE_CHECKING:
    from stepladder.layers import Shape
    from stepladder.spec import Recipe

PRECISIONS = ("float32", "bfloat16")
AUTO = "auto"

_STEPS = 8
_ROUNDS = 3
_WORTH_IT = 1.1


@dataclass(frozen=True)
class Choice:
    """A precision and why it was chosen.

    Args:
        precision: "float32" or "bfloat16".
        reason: in words.
        rates: images a second that one core trained, by precision; empty where nothing was measured.
    """

    precision: str
    reason: str
    rates: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return precision and reason."""
        return f"{self.precision} ({self.reason})"


def choose(
    asked: str, net: str, recipe: Recipe, input_shape: Shape, folders: Iterable[Path], device: str | None
) -> Choice:
    """Return the precision to train in.

    Args:
        asked: "float32", "bfloat16" or "auto".
        net: the one-line net to measure with; of a ladder usually the largest.
        recipe: of its training.
        input_shape: channels, rows, columns.
        folders: of runs; those that were begun go on in the precision that they have.
        device: "cpu" or "cuda"; None takes a GPU where there is one.

    Raises:
        SpecError: if the precision asked for is none.
    """
    if asked in PRECISIONS:
        return Choice(asked, "asked for")
    if asked != AUTO:
        raise SpecError(
            "there is no precision of this name", given=asked, repair=f"known: {AUTO}, {', '.join(PRECISIONS)}"
        )
    kept = _kept(folders)
    if kept is not None:
        return Choice(kept, "as the runs that are there already")
    from stepladder import engine
    from stepladder.train import choose_device

    place = choose_device(device)
    reason = engine.missing(place, "bfloat16")
    if reason is not None:
        return Choice("float32", reason)
    rates = measure(net, recipe, input_shape)
    faster = rates["bfloat16"] / rates["float32"]
    chosen = "bfloat16" if faster >= _WORTH_IT else "float32"
    return Choice(chosen, f"measured: bfloat16 trains {faster:.2f} times as fast as float32 here", rates)


def measure(net: str, recipe: Recipe, input_shape: Shape, precisions: Sequence[str] = PRECISIONS) -> dict[str, float]:
    """Return how many images a second one core trains in each precision, on images of noise, taking turns."""
    import torch

    from stepladder.inputs import Images, Normalisation
    from stepladder.loop import Loop
    from stepladder.notation import Net

    numbers = torch.Generator().manual_seed(0)
    count = recipe.batch_size * _STEPS
    pixels = torch.randint(0, 256, (count, *input_shape), generator=numbers, dtype=torch.uint8)
    normalisation = Normalisation((0.5,) * input_shape[0], (0.3,) * input_shape[0])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        loops = {}
        for precision in precisions:
            module = Net.parse(net).build(input_shape)
            with torch.inference_mode():
                classes = module.eval()(torch.zeros(1, *input_shape)).flatten(1).shape[1]
            labels = torch.arange(count) % classes
            shortened = recipe.model_copy(update={"epochs": _ROUNDS + 1, "precision": precision})
            loops[precision] = Loop(module, shortened, Images(pixels, labels), normalisation, 0, torch.device("cpu"))
        seconds: dict[str, list[float]] = {precision: [] for precision in precisions}
        for turn in range(_ROUNDS + 1):
            for precision, loop in loops.items():
                began = perf_counter()
                loop.train_epoch(turn, [1.0] * turn)
                if turn:  # the first one warms up
                    seconds[precision].append(perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    return {precision: count / median(times) for precision, times in seconds.items()}


def _kept(folders: Iterable[Path]) -> str | None:
    """Return the precision of runs that were begun; None if there are none."""
    from stepladder.runs import read_experiment

    for run in folders:
        try:
            return str(read_experiment(run).recipe.precision)
        except (RunError, SpecError):
            continue
    return None
