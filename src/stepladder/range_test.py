"""The learning-rate range test: which learning rate to train with, from a few seconds of training.

What was seen (results/range-test.md, four nets, three optimisers, a constant and a one-cycle rate on the MNIST sample):
where the loss fell during the test, the suggested rate was within a factor of 3 of the best of a grid in 51 of 66
tests, and cost nothing in the median and 4.1 points at worst. A deep net without batch normalisation hardly learns in
so few steps at any rate; then the test says so (``learns``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

from stepladder.data import Dataset
from stepladder.errors import SpecError
from stepladder.few_steps import build_loop, limited_threads, take_steps
from stepladder.spec import Constant, Experiment, Recipe
from stepladder.train import choose_device, prepare

STEPS = 200
"""Steps of a test, where nothing else is asked for."""
LEAST_STEPS = 20
_RANGES = {"sgd": (1e-4, 10.0), "muon": (1e-4, 10.0), "adam": (1e-5, 1.0), "adamw": (1e-5, 1.0)}
_WIDTH = 0.15
"""Width of the smoothing, as the standard deviation of its bell, in powers of ten of the rate."""
_FALLEN = 0.9
"""Share of its fall that the loss has behind it at the rate that is suggested."""
_BELOW, _BELOW_AT_PEAK = 4.0, 2.0
"""How many times below the highest the suggested rate stays: one for the whole run, and one that the schedule comes
down from."""
_BEGUN = 0.1
_DIVERGED = 3.0
"""How many times its lowest the loss may become before the test ends."""
_MEMORY = 0.9
_LEAST_FALL = 0.05
"""The share that the loss has to fall by for the net to count as learning."""
_HARM = 0.02
"""The share that the loss may have risen by at a rate that does no harm."""


@dataclass(frozen=True)
class RangeTest:
    """What a range test found.

    Args:
        rates: the learning rate of each step that was taken, rising.
        raw_losses: the mean loss of each step's batch before the step.
        losses: the same, smoothed over neighbouring rates.
        suggested: the learning rate to train with, at its highest where the schedule changes it: where the loss has
            nine tenths of its fall behind it, but at most a quarter of ``highest``, or half if the schedule comes down
            from there; two digits, like the next two.
        lowest: the rate from which on the loss falls.
        highest: the rate above which the loss falls no more.
        learns: whether the loss fell by at least a twentieth. If not, no rate is known to be worth more than another:
            ``highest`` is then the highest at which the loss has not risen, and ``suggested`` a tenth of that.
        diverged: whether the loss grew so much that the test ended before its highest rate.
        settings: the fields of the recipe that train with the suggested rate; for Muon its two rates.
    """

    rates: tuple[float, ...]
    raw_losses: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float
    lowest: float
    highest: float
    learns: bool
    diverged: bool
    settings: dict[str, float]

    def as_values(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        lists = {name: list(getattr(self, name)) for name in ("rates", "raw_losses", "losses")}
        names = ("suggested", "lowest", "highest", "learns", "diverged", "settings")
        return lists | {name: getattr(self, name) for name in names}


def range_test(
    experiment: Experiment,
    dataset: Dataset,
    *,
    low: float | None = None,
    high: float | None = None,
    steps: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> RangeTest:
    """Train for a few steps while the learning rate rises evenly in its logarithm, and return where the loss fell.

    The net, the images and their order are those with which the experiment's run begins: held-out images are left out,
    and the test set is not looked at. The weights are thrown away. Equal calls give equal results on one machine, and
    no global state changes. The test ends early when the loss is no number any more, or three times its lowest.

    Args:
        experiment: what is to be trained. Its learning rate does not matter; of its schedule only whether the rate
            stays as it is or comes down.
        dataset: the data set that it names.
        low: the first learning rate. Default: 0.0001; for Adam and AdamW 0.00001.
        high: the last. Default: 10; for Adam and AdamW 1. With Muon these are ``learning_rate``, and ``matrix_rate``
            rises in proportion.
        steps: how many, at least 20. Default: 200.
        device: "cpu", "cuda" or "mps"; None takes a GPU where there is one.
        threads: torch's threads while it lasts; None leaves them alone.
        report: called after each step with how many there were, and how many there will be at most.

    Raises:
        SpecError: if the net does not fit the data, the range is empty or the steps are too few.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017.
    """
    recipe = experiment.recipe
    usual = _RANGES[recipe.optimiser]
    low, high = usual[0] if low is None else low, usual[1] if high is None else high
    count = STEPS if steps is None else steps
    _check(low, high, count)
    # Averages of weights that nothing evaluates cost time; the schedule would, at worst, not fit so few steps.
    plain: dict[str, Any] = {"averaging": 0.0, "tail_averaging": 0.0, "lookahead": 0, "schedule": Constant()}
    tested = experiment.model_copy(update={"recipe": recipe.model_copy(update=plain)})
    place = choose_device(device)
    rates = numpy.geomspace(low, high, count)
    losses: list[float] = []
    with limited_threads(threads):
        loop = build_loop(tested, prepare(tested, dataset, place), place)
        for step in take_steps(loop, rates.tolist()):
            if not numpy.isfinite(step.loss):
                break
            losses.append(step.loss)
            if report is not None:
                report(len(losses), count)
            if _has_diverged(losses):
                break
    return _judged(rates, losses, recipe)


def _check(low: float, high: float, steps: int) -> None:
    if not 0 < low < high < float("inf"):
        raise SpecError(
            "a range of learning rates goes from a low one above 0 to a higher one",
            given=f"from {low:g} to {high:g}",
            repair="give the lower one first, such as 0.0001 and 10",
        )
    if steps < LEAST_STEPS:
        raise SpecError(
            "a range test needs more steps",
            given=str(steps),
            repair=f"take at least {LEAST_STEPS}; {STEPS} are usual",
        )


def _has_diverged(losses: list[float]) -> bool:
    """Return whether the running mean of the losses is far above the lowest that it ever was."""
    weights = _MEMORY ** numpy.arange(len(losses))[::-1]
    running = numpy.cumsum(weights * losses) / numpy.cumsum(weights)
    return len(losses) > LEAST_STEPS // 2 and bool(running[-1] > _DIVERGED * running.min())


def _judged(rates: numpy.ndarray, losses: list[float], recipe: Recipe) -> RangeTest:
    taken, diverged = rates[: len(losses)], len(losses) < len(rates)
    raw = numpy.array(losses)
    smooth = _smoothed(numpy.log10(taken), raw)
    start = float(smooth[: max(1, len(rates) // 20)].mean()) if losses else 0.0
    bottom = int(smooth.argmin()) if losses else 0
    fall = start - float(smooth[bottom]) if losses else 0.0
    learns = fall > _LEAST_FALL * start

    def after(share: float) -> float:
        """Return the first rate at which the loss has this share of its fall behind it."""
        return float(taken[int(numpy.argmax(smooth[: bottom + 1] <= start - share * fall))])

    if learns:
        below = _BELOW if recipe.schedule.kind == "constant" else _BELOW_AT_PEAK
        lowest, highest = after(_BEGUN), float(taken[bottom])
        suggested = max(lowest, min(after(_FALLEN), highest / below))
    else:
        harmless = numpy.flatnonzero(smooth <= (1 + _HARM) * start)
        highest = float(taken[harmless[-1]]) if len(harmless) else float(rates[0])
        lowest, suggested = float(rates[0]), highest / 10
    suggested = _rounded(suggested)
    return RangeTest(
        rates=tuple(taken.tolist()),
        raw_losses=tuple(losses),
        losses=tuple(smooth.tolist()),
        suggested=suggested,
        lowest=_rounded(lowest),
        highest=_rounded(highest),
        learns=learns,
        diverged=diverged,
        settings=_settings(suggested, recipe),
    )


def _smoothed(places: numpy.ndarray, losses: numpy.ndarray) -> numpy.ndarray:
    """Return the losses, each the mean of its neighbours, weighted by a bell over the logarithm of the rate.

    A running mean, as is usual, lags behind by its own length, and would move what is read off it to higher rates.
    """
    weights = numpy.exp(-0.5 * ((places[:, None] - places) / _WIDTH) ** 2)
    return numpy.asarray(weights @ losses / weights.sum(1))


def _settings(rate: float, recipe: Recipe) -> dict[str, float]:
    settings = {"learning_rate": rate}
    if recipe.optimiser == "muon":
        settings["matrix_rate"] = _rounded(rate * recipe.matrix_rate / recipe.learning_rate)
    return settings


def _rounded(rate: float) -> float:
    return float(f"{rate:.2g}")
