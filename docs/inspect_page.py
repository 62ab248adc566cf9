"""Runs every command and every piece of Python that docs/inspect.md shows, and puts what they print below them.

    python docs/inspect_page.py

A test runs the same and finds what is out of date.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from stepladder.files import write_text

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "inspect.md"
_SHOWN = re.compile(r"```(sh|python)\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
COLUMNS = 112
"""Width of the terminal that the page shows."""


def refreshed(page: str) -> str:
    """Return the page with the output of everything that it runs."""
    names: dict[str, object] = {}

    def shown(found: re.Match[str]) -> str:
        language, code, _ = found.groups()
        output = _commands(code) if language == "sh" else _python(code, names)
        return f"```{language}\n{code}```\n\n```text\n{output}```"

    with contextlib.chdir(ROOT):
        sys.path.insert(0, str(ROOT / "docs"))
        try:
            return _SHOWN.sub(shown, page)
        finally:
            sys.path.remove(str(ROOT / "docs"))


def _commands(lines: str) -> str:
    printed = []
    for line in lines.splitlines():
        command = shlex.split(line, comments=True)
        if command[:1] != ["stepladder"]:
            raise ValueError(f"the page shows a command that is not ours: {line}")
        done = subprocess.run(
            [sys.executable, "-m", "stepladder", *command[1:]],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": str(COLUMNS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        printed.append(done.stdout)
        if done.returncode:
            printed.append(f"(exit code {done.returncode})\n")
    return "".join(printed)


def _python(code: str, names: dict[str, object]) -> str:
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(code, "docs/inspect.md", "exec"), names)
    return stream.getvalue()


if __name__ == "__main__":
    write_text(PAGE, refreshed(PAGE.read_text(encoding="utf-8")))
