"""``stepladder inspect`` as a user meets it: what a target can be, what comes out, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepladder.cli import app
from stepladder.commands.subjects import kind_of
from stepladder.errors import StepladderError

NETS = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class Net(nn.Module):
    def __init__(self, classes=10, width=8):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3)
        self.block = Block(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        print("forward")
        return self.head(self.block(self.stem(x)).mean((2, 3)))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, ids, *, scale):
        return self.head(self.words(ids).mean(1) * scale)


class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(100, 10)

    def forward(self, x):
        return self.head(self.stem(x))
"""
PARAMETERS = 3 * 8 * 9 + 8 + 2 * (8 * 8 * 9 + 8) + 8 * 10 + 10


class Done:
    """What a command printed and its exit code."""

    def __init__(self, *arguments: object) -> None:
        result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
        # main() turns these into one message and exit code 2.
        error = result.exception if isinstance(result.exception, StepladderError) else None
        if result.exception is not None and error is None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code = error.exit_code if error else result.exit_code
        self.out = result.stdout
        self.message = str(error) if error else result.stderr

    @property
    def facts(self) -> dict[str, object]:
        facts: dict[str, object] = json.loads(self.out)
        return facts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module file and an experiment, in which we are."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "mine.toml").write_text('net = "8C3 MP2 GAP 10C1"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("8C3 MP2 GAP 10C1", "net"),
        ("GAP", "net"),
        ("fast", "experiment"),
        ("mine.toml", "experiment file"),
        ("missing.toml", "experiment file"),
        ("nets:Net", "code"),
        ("nets.py:Net(10)", "code"),
        ("nets.py", "code"),
        ("torch.nn.Linear", "code"),
        ("run", "run"),
        ("", "net"),
        ("8C3 " * 2000, "net"),
    ],
)
def test_what_a_text_names_is_told_by_its_form(text: str, kind: str, folder: Path) -> None:
    (folder / "run").mkdir()
    assert kind_of(text) == kind


@pytest.mark.parametrize("target", ["nets:Net", "nets.py:Net", "nets.py:Net(10, width=8)", "./nets.py:Net(classes=10)"])
def test_a_module_is_described(target: str, folder: Path) -> None:
    done = Done(target, "--input", "3x32x32", "--format", "json")
    assert done.code == 0, done.message
    assert done.facts["totals"]["parameters"] == PARAMETERS
    assert sum(row["parameters"] for row in done.facts["rows"]) == PARAMETERS
    assert done.facts["net"] == target.rpartition(":")[2]
    assert "forward" in done.message, "what code prints is no part of the table"


def test_other_subjects_are_described(folder: Path) -> None:
    assert Done("mine.toml", "--format", "json").facts["totals"]["parameters"] == 72 + 16 + 80
    assert Done("fast", "--format", "json").facts["totals"]["parameters"] == 7712
    assert Done("8C3 10C1", "--input", "3x9x9", "--format", "json").facts["input"] == [3, 9, 9]


def test_several_inputs_with_names_and_types(folder: Path) -> None:
    done = Done("nets.py:Words", "--input", "12:int64", "--input", "scale=1", "--format", "json")
    assert done.code == 0, done.message
    inputs = done.facts["inputs"]
    assert [(one["shape"], one["dtype"]) for one in inputs] == [([12], "int64"), ([1], "float32")]
    whole = Done("nets.py:Words", "--no-batch", "--input", "2x12:int64", "--input", "scale=2x1", "--format", "json")
    assert whole.facts["inputs"][0]["shape"] == [2, 12]


def test_modules_fold(folder: Path) -> None:
    folded = Done("nets.py:Net", "--input", "3x32x32", "--depth", 1).out
    every = Done("nets.py:Net", "--input", "3x32x32", "--depth", "all").out
    assert "second" in every
    assert "second" not in folded
    assert f"{PARAMETERS:,}" in folded


@pytest.mark.parametrize("style", ["text", "json", "csv", "markdown", "latex", "html"])
def test_a_table_is_written_to_a_file(style: str, folder: Path) -> None:
    arguments = ("nets.py:Net", "--input", "3x32x32", "--format", style)
    done = Done(*arguments, "--output", "table.out")
    assert done.code == 0
    assert done.out == "table.out\n"
    assert (folder / "table.out").read_text(encoding="utf-8") == Done(*arguments).out
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_csv_of_a_module_adds_up(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(Done("nets.py:Net", "--input", "3x32x32", "--format", "csv").out)))
    assert sum(int(row["parameters"]) for row in rows) == PARAMETERS


def test_the_budget_is_the_exit_code(folder: Path) -> None:
    target = ("nets.py:Net", "--input", "3x32x32")
    assert Done(*target, "--budget", PARAMETERS + 1).code == 0
    failed = Done(*target, "--budget", PARAMETERS)
    assert failed.code == 1
    assert "budget" in failed.out
    assert "budget" in Done(*target, "--budget", 100, "--format", "csv").message
    assert "budget" in Done(*target, "--budget", 100, "--output", "table.txt").message


def test_what_it_looks_for_changes_the_finding() -> None:
    net = ("8C3 10C3 GAP", "--format", "json")
    small = Done("8C3 10C3", "--object", "5x5", "--format", "json")
    assert "small receptive field" not in [one["kind"] for one in small.facts["findings"]]
    large = Done("8C3 10C3", "--object", "6x5", "--format", "json")
    assert "small receptive field" in [one["kind"] for one in large.facts["findings"]]
    assert Done(*net).code == 0


def test_two_nets_side_by_side(folder: Path) -> None:
    nets = ("nets.py:Net", "--diff", "nets.py:Net(width=16)", "--input", "3x32x32")
    assert "difference" in Done(*nets).out
    done = Done(*nets, "--format", "markdown")  # text leaves out what a narrow terminal has no room for
    assert done.code == 0, done.message
    assert "8×30×30" in done.out
    assert "16×30×30" in done.out
    assert Done("8C3 GAP 10C1", "--diff", "mine.toml", "--format", "json").code == 0
    assert Done("8C3 GAP 10C1", "--diff", "mine.toml", "--budget", 100).code == 1


def test_a_picture_of_the_graph_is_drawn(folder: Path) -> None:
    done = Done("nets.py:Net", "--input", "3x32x32", "--picture", "net.svg")
    assert done.code == 0, done.message
    assert "total" in done.out
    assert (folder / "net.svg").read_text(encoding="utf-8").count("row-") > 3


@pytest.mark.parametrize("output", [(), ("--output", "table.txt")])
def test_a_shape_that_fails_ends_the_table_there(output: tuple[str, ...], folder: Path) -> None:
    done = Done("nets.py:Fails", "--input", "3x32x32", *output)
    assert done.code == 2
    table = (folder / "table.txt").read_text(encoding="utf-8") if output else done.out
    assert "stem" in table
    assert "8×30×30" in table
    assert done.message.startswith("head (Linear) does not fit: it needs 100 values")
    assert "8×30×30" in done.message
    assert "in_features=7200" in done.message


def test_a_one_line_net_that_fails_shows_its_table_too() -> None:
    done = Done("8C3 40C40 GAP 10C1")
    assert done.code == 2
    assert "8×26×26" in done.out
    assert done.message.startswith("layer 4 ('40C40') does not fit")
    assert "its window spans 40×40" in done.message


def test_the_table_of_a_failing_net_is_json_too(folder: Path) -> None:
    failure = Done("nets.py:Fails", "--input", "3x32x32", "--format", "json").facts["failure"]
    assert failure["layer"] == "head"
    assert failure["repair"]


MISTAKES = [
    (["nets.py:Net"], "give --input 3x224x224"),
    (["nets.py:Words"], "forward(ids, *, scale)"),
    (["nets.py:Nett", "--input", "3x8x8"], "did you mean 'Net'"),
    (["nets.py:Net", "--input", "3x8y8"], "is no shape"),
    (["nets.py:Net", "--input", "3x8x8:flaot32", "--input", "2x"], "the inputs: 2 mistakes"),
    (["nets.py:Net", "--input", "3x8x8", "--input", "3x8x8"], "forward(x)"),
    (["nets.py:Net", "--input", "image=3x8x8"], "forward(x)"),
    (["nets.py:Words", "--input", "12:int64"], "--input scale=SHAPE"),
    (["nets.py:Words", "--input", "12", "--input", "scale=1"], "--input 12:int64"),
    (["nets.py:Net", "--input", "4x8x8"], "say in_channels=4, or give --input 3x8x8"),
    (["8C3 GAP 10C1", "--input", "1x28x28", "--input", "1x28x28"], "a one-line net takes one image"),
    (["8C3 GAP 10C1", "--no-batch"], "leave out --no-batch"),
    (["8C3 GAP 10C1", "--depth", "0"], "write --depth 2"),
    (["8C3 GAP 10C1", "--object", "big"], "write --object 20x20"),
    (["8C3 GAP 10C1", "--picture", "net.gif"], ".svg, .png, .pdf"),
    (["8C3 GAP 10C1", "--diff", "8C3", "--picture", "net.svg"], "no picture of a comparison"),
    (["8C3 GAP 10C1", "--diff", "8C3 XX"], "did you mean"),
    (["8C3 GAP 10C1", "--diff", "8C3", "--format", "guide"], "no format of comparisons of this name"),
    (["8C3 GAP 10C1", "--output", "mine.toml/table.txt"], "could not be written"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[" ".join(arguments) for arguments, _ in MISTAKES])
def test_a_mistake_is_one_message_and_exit_code_2(arguments: list[str], message: str, folder: Path) -> None:
    done = Done(*arguments)
    assert done.code == 2
    assert message in done.message


def test_no_traceback_reaches_a_user_and_no_torch_a_one_line_net(folder: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "stepladder", "inspect", "nets.py:Nett", "--input", "3"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("stepladder: there is no 'Nett' in nets.py")
    assert "Traceback" not in done.stderr
    code = "import sys; from stepladder.cli import app; sys.argv[1:] = ['inspect', '8C3 GAP 10C1']\n"
    code += "try: app()\nexcept SystemExit as end: assert not end.code\nassert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
