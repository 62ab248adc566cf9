"""``stepladder inspect``: one net, or two side by side, as a table, a file or a picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.commands.subjects import check_known, kind_of, net_text
from stepladder.errors import InspectionError, SpecError

if TYPE_CHECKING:
    from torch import nn

    from stepladder.inspection.summary import BudgetVerdict, Summary
    from stepladder.layers import Shape

_MNIST = (1, 28, 28)


def inspect(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="What to describe, by the first that fits: a folder is a run's; a colon after a dotted name or a .py "
            "file is Python code, package.module:callable or nets/mine.py:Net(10, width=0.5), with literals as "
            "arguments, and that code is run; what ends in .toml or is a file is an experiment, as is an experiment's "
            "name; all else is a one-line net.",
        ),
    ],
    input: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]SHAPE[:DTYPE]",
            help="What it takes, without the batch: 3x224x224, 128:int64, ids=128:int64, scalar. Repeat it for several "
            "inputs. Default: a run's own, 1x28x28 for other one-line nets.",
        ),
    ] = None,
    no_batch: Annotated[
        bool, typer.Option("--no-batch", help="The shapes are whole: put no batch of one in front of them.")
    ] = False,
    object: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES", help="Pixels that what it looks for takes, such as 20x20. Default: the whole image."
        ),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Trainable parameters to stay below; exit code 1 if it fails.")
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(metavar="N|all", help="Levels of modules to show; deeper ones are summed. Default: what fits."),
    ] = None,
    format: Annotated[str, typer.Option(help="text, json, csv, markdown, latex, html or guide.")] = "text",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write the table to.")] = None,
    diff: Annotated[
        str | None, typer.Option(metavar="OTHER", help="Show what changes from TARGET to this one, side by side.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the graph; the name ends in .svg, .png or .pdf.")
    ] = None,
) -> None:
    """Describe a net, or any torch.nn.Module: shapes, parameters, MACs and receptive field of every layer.

    The exit code is 1 if the budget fails, and 2 if a layer does not fit: then the table ends there.
    """
    from stepladder.inspection import tables
    from stepladder.inspection.summary import budget_verdict

    styles = tables.STYLES if diff is None else _comparison_styles()
    check_known("format" if diff is None else "format of comparisons", format, styles)
    levels = _levels(depth)
    if picture is not None:
        _check_picture(picture, diff)
    colour = _is_coloured(output)
    asked = _Asked(tuple(input or ()), no_batch, _objects(object))
    try:
        summary = _describe(target, asked)
        other = _describe(diff, asked) if diff is not None else None
    except InspectionError as error:
        _write(tables.render(error.summary, format, depth=levels, colour=colour), output)
        raise
    if other is not None:
        _compare(summary, other, format, output, budget)
        return
    verdict = budget_verdict(summary, budget) if budget is not None else None
    _write(tables.render(summary, format, verdict, depth=levels, colour=colour), output)
    if picture is not None:
        from stepladder.pictures import graph

        graph.save(tables.as_json(summary), picture, levels)
        print(picture, file=sys.stderr)
    _judge(verdict, told=format != "csv" and output is None)


@dataclass(frozen=True)
class _Asked:
    """What a net is asked about: its inputs, whether their shapes are whole, and the size of what it looks for."""

    inputs: tuple[str, ...]
    no_batch: bool
    objects: Shape | None


def _describe(target: str, asked: _Asked) -> Summary:
    kind = kind_of(target)
    if kind == "code":
        return _describe_code(target, asked)
    from stepladder.inspection.oneline import describe
    from stepladder.notation import Net, parse_input_shape

    if len(asked.inputs) > 1 or asked.no_batch:
        raise SpecError(
            "a one-line net takes one image, without the batch",
            given="--no-batch" if asked.no_batch else " ".join(f"--input {text}" for text in asked.inputs),
            repair="leave out --no-batch" if asked.no_batch else "give --input once, such as --input 1x28x28",
        )
    shape = _MNIST
    if asked.inputs:
        shape = parse_input_shape(asked.inputs[0])
    elif kind == "run":
        shape = _shape_of(target)
    return describe(Net.parse(net_text(target)), shape, asked.objects)


def _describe_code(target: str, asked: _Asked) -> Summary:
    from stepladder.inspection.inputs import parse_inputs
    from stepladder.inspection.references import parse_reference

    parse_reference(target)  # mistakes in it are told first
    inputs = parse_inputs(asked.inputs)
    from stepladder.inspection.loading import loaded
    from stepladder.inspection.module import inspect as inspect_module

    with loaded(target) as subject:
        if not inputs:
            raise _no_inputs(target, subject)
        # What the user called it says more than the class that it is an instance of, such as Sequential.
        name = target.rpartition(":")[2] if ":" not in target.partition("(")[2] else target
        try:
            summary = inspect_module(subject, inputs, batch=None if asked.no_batch else 1, objects=asked.objects)
        except InspectionError as error:
            raise InspectionError(replace(error.summary, net=name)) from None
        return replace(summary, net=name)


def _no_inputs(target: str, subject: nn.Module | Callable[[], nn.Module]) -> SpecError:
    from torch import nn

    from stepladder.inspection.failures import forward_of
    from stepladder.inspection.unfilled import unfilled

    with unfilled():
        module = subject if isinstance(subject, nn.Module) else subject()
    return SpecError(
        f"a module does not say of what shape its inputs are: {forward_of(module)}",
        given=target,
        repair="give --input 3x224x224, once for each input; --input 128:int64 for whole numbers",
    )


def _shape_of(folder: str) -> tuple[int, int, int]:
    """Return the shape of a run's images; MNIST's until it is finished, since before nothing there tells it."""
    from stepladder.runs import open_finished

    path = Path(folder)
    return open_finished(path).input_shape if (path / "result.json").is_file() else _MNIST


def _check_picture(picture: Path, diff: str | None) -> None:
    """Tell what is wrong with the picture's name before anything is inspected."""
    if diff is not None:
        raise SpecError("there is no picture of a comparison", given="--diff with --picture", repair="leave out one")
    from stepladder.pictures.draw import suffix_of

    suffix_of(picture)


def _comparison_styles() -> tuple[str, ...]:
    from stepladder.inspection.diff import STYLES

    return STYLES


def _compare(left: Summary, right: Summary, style: str, output: Path | None, budget: int | None) -> None:
    from stepladder.inspection import diff
    from stepladder.inspection.summary import budget_verdict

    _write(diff.render(diff.compare(left, right), style, colour=_is_coloured(output)), output)
    _judge(budget_verdict(right, budget) if budget is not None else None, told=False)


def _judge(verdict: BudgetVerdict | None, *, told: bool) -> None:
    """Say what the budget's verdict is, unless the table does, and end with exit code 1 if it fails."""
    from stepladder.inspection.tables import budget_lines

    if verdict is not None and not told:
        print("\n".join(budget_lines(verdict)), file=sys.stderr)
    if verdict is not None and not verdict.passes:
        raise typer.Exit(1)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        print(text, end="", flush=True)
        return
    from stepladder.files import write_text

    write_text(output, text)
    print(output)


def _is_coloured(output: Path | None) -> bool:
    """Return whether the text goes to a terminal that shows colours (https://no-color.org)."""
    shows = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return output is None and shows


def _levels(depth: str | None) -> int | None:
    if depth is None:
        return None
    if depth.lower() == "all":
        return sys.maxsize
    if not depth.isascii() or not depth.isdigit() or int(depth) < 1:
        raise SpecError("a depth is a whole number from 1 up, or all", given=depth, repair="write --depth 2")
    return int(depth)


def _objects(text: str | None) -> Shape | None:
    if text is None:
        return None
    from stepladder.inspection.inputs import parse_sizes

    return parse_sizes(text, "the size of what it looks for", "--object 20x20")
