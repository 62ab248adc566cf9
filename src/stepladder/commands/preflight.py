"""``stepladder preflight``: checks before training, and a sheet of the inputs that the net is given."""

from __future__ import annotations

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
    from stepladder.preflight import Preflight

_WIDTH = 100


def preflight(
    what: Subject,
    data: ExperimentData = None,
    size: Size = None,
    seed: Seed = None,
    protocol: Annotated[str | None, typer.Option(help="reference or holdout.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the recipe, such as --set learning_rate=0.05."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            metavar="FILE",
            help="Also draw the inputs that the net is given, with their labels; the name ends in .svg, .png or .pdf.",
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
    threads: Threads = None,
    data_dir: DataDir = None,
    device: Device = None,
) -> None:
    """Check data, net and recipe before training: labels, inputs, first loss, one batch by heart, blank images."""
    import json

    from stepladder import preflight as checks
    from stepladder.commands.subjects import check_known

    check_known("format", format, ("text", "json"))
    if picture is not None:
        from stepladder.pictures.draw import suffix_of

        suffix = suffix_of(picture)  # a mistake in it is found before anything is trained
    console = new_console(format)
    experiment, dataset = experiment_and_data(
        console, what, data=data, size=size, data_dir=data_dir, seed=seed, protocol=protocol, settings=settings
    )
    found = checks.preflight(experiment, dataset, device=device, threads=threads)
    if format == "json":
        print(json.dumps(found.as_values(), indent=2, ensure_ascii=False))
    else:
        say(console, f"{dataset.title}: {experiment.net}\n\n{render(found)}")
    if picture is not None:
        from stepladder.files import write_bytes
        from stepladder.pictures.style import labelled, save

        figure = labelled(checks.sheet(experiment, dataset), dataset.title)
        write_bytes(picture, save(figure, suffix))
        say(console, str(picture))


def render(found: Preflight) -> str:
    """Return the checks as text: a mark, what was measured and expected, what it means, and how many failed."""
    import textwrap

    width = max(len(check.name) for check in found.checks)
    indent = " " * (width + 4)
    lines = []
    for check in found.checks:
        lines += textwrap.wrap(
            check.measured,
            _WIDTH,
            initial_indent=f"{'✓' if check.passed else '✗'} {check.name:<{width}}  ",
            subsequent_indent=indent,
        )
        lines += textwrap.wrap(f"expected: {check.expected}", _WIDTH, initial_indent=indent, subsequent_indent=indent)
        mark = "" if check.passed else "→ "
        lines += textwrap.wrap(mark + check.meaning, _WIDTH, initial_indent=indent, subsequent_indent=indent)
        lines.append("")
    failed = sum(not check.passed for check in found.checks)
    return "\n".join([*lines, "ready to train" if not failed else f"{failed} of {len(found.checks)} checks failed"])
