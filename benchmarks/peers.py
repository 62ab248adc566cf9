"""What other tools that inspect nets say, question by question, into results/peers.jsonl and docs/inspect.md.

    python benchmarks/peers.py [--render] [--rfa FOLDER]

Every tool that is installed is asked; of the others the answers of before are kept. rfa_toolbox is for Python below
3.11 and imports a name that Python 3.10 removed. To ask it all the same, without a change to what is installed:

    python -m pip install --ignore-requires-python --no-deps --target FOLDER rfa_toolbox==1.7.0 attrs graphviz
    python benchmarks/peers.py --rfa FOLDER
"""

from __future__ import annotations

import argparse
import collections
import collections.abc
import json
import platform
import sys
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from peer_questions import QUESTIONS
from peer_tools import TOOLS, Answer, Tool
from readme import put_between
from stepladder.files import write_text

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "results" / "peers.jsonl"
PAGE = ROOT / "docs" / "inspect.md"
MARK = "peers"

Row = dict[str, Any]


def ask(tool: Tool) -> list[Row]:
    """Return a row a question: the tool's answer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the nets are small: several threads would wait for one another
    try:
        answers = [question.ask(tool) for question in QUESTIONS]
    finally:
        torch.set_num_threads(threads)
    rows = []
    for question, answer in zip(QUESTIONS, answers, strict=True):
        rows.append(
            {
                "tool": tool.name,
                "version": tool.version,
                "python": platform.python_version(),
                "torch": torch.__version__.partition("+")[0],
                "group": question.group,
                "question": question.text,
                "verdict": answer.verdict,
                "said": answer.said,
            }
        )
    return rows


def read() -> list[Row]:
    """Return the rows that are stored, without the first line; none if there is no file."""
    if not ROWS.exists():
        return []
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()[1:]]


def write(rows: list[Row], command: str) -> None:
    """Store the rows under a first line that says where they come from."""
    head = {"command": command, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    write_text(ROWS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [head, *rows]))


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown: a line a question, a column a tool."""
    answers = {(row["question"], row["tool"]): Answer(row["verdict"], row["said"]) for row in rows}
    versions = {row["tool"]: row["version"] for row in rows}
    tools = [tool.name for tool in TOOLS if tool.name in versions]
    heads = [name if name == "stepladder" else f"{name} {_short(versions[name])}" for name in tools]
    lines = [["Asked: the right answer", *heads], [":--"] * (len(tools) + 1)]
    for group, questions in groupby(QUESTIONS, lambda question: question.group):
        lines.append([f"**{group}**", *[""] * len(tools)])
        for question in questions:
            lines.append([question.text, *(_cell(answers.get((question.text, name))) for name in tools)])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    if "rfa_toolbox" in versions:
        python = next(row["python"] for row in rows if row["tool"] == "rfa_toolbox")
        text += (
            "\nrfa_toolbox does not install on Python 3.11 or newer. Its column rests on its code, run on Python "
            f"{python} with the name put back that it imports and Python 3.10 removed: "
            "`python benchmarks/peers.py --rfa FOLDER`.\n"
        )
    return text


def _short(version: str) -> str:
    """Return the numbers of a version without the date that some packages add."""
    return version.replace("-", ".post").partition(".post")[0]


def _cell(answer: Answer | None) -> str:
    if answer is None:
        return "–"
    return f"**{answer}**" if answer.verdict == "wrong" else str(answer)


def main() -> None:
    """Ask, store, and put the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true", help="the table alone, from the rows that are there")
    parser.add_argument("--rfa", metavar="FOLDER", help="a folder that rfa_toolbox was installed into")
    arguments = parser.parse_args()
    sys.path.append(str(ROOT / "tests"))  # the zoo is there
    if arguments.rfa:
        sys.path.append(arguments.rfa)
        collections.Sequence = collections.abc.Sequence  # type: ignore[attr-defined]
    rows = read()
    if not arguments.render:
        for tool in TOOLS:
            if tool.version is None:
                print(f"{tool.name}: not installed, its answers of before are kept")
                continue
            rows = [row for row in rows if row["tool"] != tool.name] + ask(tool)
        order = [tool.name for tool in TOOLS]
        # Where that folder is, is nobody's business.
        command = "python benchmarks/peers.py" + (" --rfa FOLDER" if arguments.rfa else "")
        write(sorted(rows, key=lambda row: order.index(row["tool"])), command)
    put_between(MARK, table(rows), PAGE)
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
