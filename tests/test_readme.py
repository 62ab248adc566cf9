"""The README: every command that it shows works, and its results are those of results/."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stepladder import data

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown_commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("stepladder ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that a reader works in: it holds a photograph of a digit, and nothing else yet."""
    folder = tmp_path_factory.mktemp("readme")
    digit = 255 - data.load("mnist-sample").test.images[0, 0]
    paper = Image.new("L", (600, 400), 255)
    paper.paste(Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC), (150, 60))
    paper.save(folder / "photo.png")
    return folder


def test_there_are_commands_to_run() -> None:
    names = {command[0] for command in shown_commands()}
    assert names == {
        *("climb", "train", "inspect", "design", "data", "report", "compare", "predict", "draw"),
        *("preflight", "rates", "advise"),
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", shown_commands(), ids=lambda command: shlex.join(command)[:70])
def test_every_command_shown_works(command: list[str], folder: Path) -> None:
    """In their order and in one folder, as a reader would type them, on the sample."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "stepladder", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout


def test_the_results_are_those_of_the_results_page() -> None:
    shown = re.search(r"<!-- results -->\n(.*?)<!-- end of results -->", README, re.DOTALL)
    assert shown
    table = shown[1].strip()
    assert table.count("\n") >= 4
    assert table in (ROOT / "results" / "classic.md").read_text(encoding="utf-8")


def test_the_figures_of_speed_are_those_of_their_page() -> None:
    shown = re.search(r"<!-- speed -->\n(.*?)<!-- end of speed -->", README, re.DOTALL)
    assert shown
    table = shown[1].strip()
    assert table.count("\n") >= 4
    assert table in (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")


def test_it_is_short_and_links_files_that_are_there() -> None:
    assert README.count("\n") < 250
    links = re.findall(r"\]\(([^)#]+)\)|(?:src|srcset)=\"([^\"]+)\"", README)
    links = [one or other for one, other in links]
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link
