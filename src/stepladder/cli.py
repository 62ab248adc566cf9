"""The command line: its commands, a file each in ``stepladder.commands``, put together, and what every mistake ends in.

Heavy imports stay inside the commands' functions, so that --help is fast.
"""

from __future__ import annotations

import sys

import typer

from stepladder.commands.advise import advise
from stepladder.commands.ascend import ladder_app
from stepladder.commands.climb import climb
from stepladder.commands.compare import compare
from stepladder.commands.data import data
from stepladder.commands.design import design
from stepladder.commands.draw import draw
from stepladder.commands.inspect import inspect
from stepladder.commands.predict import predict
from stepladder.commands.preflight import preflight
from stepladder.commands.rates import rates
from stepladder.commands.report import report
from stepladder.commands.train import train
from stepladder.errors import StepladderError

app = typer.Typer(
    help="Climb, one measured step at a time, to a small convolutional network that meets an accuracy target under a "
    "parameter budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
# In the order of --help.
for command in (climb, preflight, rates, train, design, inspect, data, draw, report, compare, advise, predict):
    app.command()(command)
app.add_typer(ladder_app, name="ladder")


def main() -> None:
    """Run the command line; every mistake a user can make ends in one message and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        # Tables hold characters that an old code page lacks; a replacement beats a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app()
    except StepladderError as error:
        print(f"stepladder: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of a pipe left, such as head: not an error, but nothing more can be printed either.
        sys.stderr.close()
        sys.exit(141)
