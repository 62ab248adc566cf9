"""``stepladder design``: nets proposed for an input, a number of classes and a budget."""

from __future__ import annotations

from typing import Annotated

import typer

from stepladder.commands.common import TableFormat
from stepladder.commands.subjects import check_known


def design(
    input: Annotated[
        str,
        typer.Option(metavar="SHAPE", help="Channels x rows x columns: 1 to 4 channels, 8x8 to 224x224 pixels."),
    ],
    classes: Annotated[int, typer.Option(help="Classes to tell apart, 2 to 1000.")],
    budget: Annotated[int, typer.Option(help="Trainable parameters to stay below.")],
    count: Annotated[int, typer.Option(help="Nets to propose at most, 1 to 7.")] = 5,
    object: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES", help="Pixels that what is to be recognised takes, such as 20x20. Default: two thirds."
        ),
    ] = None,
    format: TableFormat = "text",
) -> None:
    """Propose nets for a kind of images: where to pool, how deep, how wide, and why; always below the budget."""
    from stepladder.inspection.inputs import parse_sizes
    from stepladder.notation import parse_input_shape
    from stepladder.proposals import forms, propose

    check_known("format", format, forms.STYLES)
    objects = parse_sizes(object, "the size of what is to be recognised", "--object 20x20") if object else None
    proposals = propose.design(parse_input_shape(input), classes, budget, count=count, objects=objects)
    print(forms.render(proposals, format), end="", flush=True)
