"""``stepladder rates``: the learning-rate range test, as a small curve with the rate that it suggests."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.commands.common import (
    DataDir,
    Device,
    ExperimentData,
    Seed,
    Size,
    Subject,
    Threads,
    experiment_and_data,
    new_console,
    say,
)

if TYPE_CHECKING:
    from stepladder.range_test import RangeTest

_WIDTH, _HEIGHT = 64, 8
_LEVELS = " ▁▂▃▄▅▆▇█"


def rates(
    what: Subject,
    data: ExperimentData = None,
    size: Size = None,
    seed: Seed = None,
    protocol: Annotated[str | None, typer.Option(help="reference or holdout.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the recipe, such as --set optimiser=adam."),
    ] = None,
    low: Annotated[
        float | None, typer.Option(help="Learning rate of the first step. Default: 0.0001; 0.00001 for Adam.")
    ] = None,
    high: Annotated[float | None, typer.Option(help="Learning rate of the last step. Default: 10; 1 for Adam.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of training. Default: 200.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also draw the curve; the file's name ends in .svg, .png or .pdf."),
    ] = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
    threads: Threads = None,
    data_dir: DataDir = None,
    device: Device = None,
) -> None:
    """Find the learning rate: train for a few steps while it rises, and see where the loss falls."""
    import json

    from stepladder.commands.subjects import check_known
    from stepladder.options import given_options
    from stepladder.range_test import range_test

    check_known("format", format, ("text", "json"))
    if output is not None:
        from stepladder.pictures.draw import suffix_of

        suffix = suffix_of(output)  # a mistake in it is found before anything is trained
    console = new_console(format)
    experiment, dataset = experiment_and_data(
        console, what, data=data, size=size, data_dir=data_dir, seed=seed, protocol=protocol, settings=settings
    )
    found = range_test(experiment, dataset, low=low, high=high, steps=steps, device=device, threads=threads)
    if format == "json":
        print(json.dumps(found.as_values(), indent=2))
    else:
        recipe = experiment.recipe
        say(
            console,
            f"{dataset.title}: {len(found.rates)} steps of {recipe.batch_size} images, {recipe.optimiser}, learning "
            f"rate from {found.rates[0]:g} to {found.rates[-1]:.2g}\n",
        )
        say(console, render(found))
        given = given_options(data=data, size=size, data_dir=data_dir, seed=seed, protocol=protocol)
        say(console, f"\nto train with it: {_train_command(what, given, settings or [], found)} FOLDER")
    if output is not None:
        from stepladder.files import write_bytes
        from stepladder.pictures.rates import range_curve
        from stepladder.pictures.style import labelled, save

        figure = labelled(range_curve(found), f"{dataset.title}, {experiment.net}")
        write_bytes(output, save(figure, suffix))
        say(console, str(output))


def render(found: RangeTest) -> str:
    """Return the curve of the smoothed losses as block characters over the rates, and what it says in words."""
    import numpy

    losses, steps = numpy.array(found.losses), numpy.log10(found.rates)
    start = losses[: max(1, len(losses) // 20)].mean()
    low, high = float(losses.min()), float(min(losses.max(), 1.25 * start))  # what diverged is cut off
    places = numpy.linspace(steps[0], steps[-1], _WIDTH)
    shares = numpy.clip((numpy.interp(places, steps, losses) - low) / max(high - low, 1e-9), 0, 1)
    # The lowest loss keeps an eighth of a line, so that its place is seen.
    eighths = 1 + (shares * (8 * _HEIGHT - 1)).round().astype(int)
    lines = []
    for line in range(_HEIGHT):
        floor = 8 * (_HEIGHT - 1 - line)
        label = f"{high:7.3g} " if line == 0 else f"{low:7.3g} " if line == _HEIGHT - 1 else " " * 8
        lines.append(label + "".join(_LEVELS[min(max(value - floor, 0), 8)] for value in eighths))
    axis, names = ["─"] * _WIDTH, [" "] * (_WIDTH + 8)
    for power in range(int(numpy.ceil(steps[0] - 1e-9)), int(numpy.floor(steps[-1] + 1e-9)) + 1):
        place = _column(power, steps[0], steps[-1])
        axis[place] = "┴"
        name = f"{10.0**power:g}"
        begin = max(0, min(place - len(name) // 2, _WIDTH - len(name)))
        if all(letter == " " for letter in names[max(begin - 1, 0) : begin + len(name) + 1]):
            names[begin : begin + len(name)] = name
    lines += ["   loss " + "".join(axis), " " * 8 + "".join(names).rstrip()]
    if not found.learns:
        return "\n".join([*lines, "", *_nothing(found)])
    mark = _column(float(numpy.log10(found.suggested)), steps[0], steps[-1])
    lines.append(" " * (8 + mark) + f"↑ {found.suggested:g}")
    lines += [
        "",
        f"suggested learning rate: {found.suggested:g}",
        f"the loss falls from {found.lowest:g} to {found.highest:g}"
        + (", and grows beyond all bounds soon after" if found.diverged else ""),
    ]
    return "\n".join(lines)


def _nothing(found: RangeTest) -> list[str]:
    return [
        "at no learning rate did the loss fall: no rate of this range is worth more than another",
        "stepladder preflight shows what else may be wrong; or take more steps, or another range",
        f"the highest rate that does no harm is {found.highest:g}; a tenth of it is a start: {found.suggested:g}",
    ]


def _column(power: float, first: float, last: float) -> int:
    return min(max(round((power - first) / max(last - first, 1e-9) * (_WIDTH - 1)), 0), _WIDTH - 1)


def _train_command(what: str, given: Sequence[str], settings: Sequence[str], found: RangeTest) -> str:
    """Return the command that trains with what was found in place of given rates, up to the folder of the run."""
    kept = [one for one in settings if one.partition("=")[0].strip() not in ("learning_rate", "matrix_rate")]
    chosen = [*kept, *(f"{name}={value:g}" for name, value in found.settings.items())]
    words = [word for one in chosen for word in ("--set", one)]
    return shlex.join(["stepladder", "train", what, *given, *words, "--run"])
