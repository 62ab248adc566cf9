"""The command line as a user meets it: the climb from start to report, and one clear message for every mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest

from conftest import GUIDE_NET, write_mnist
from stepladder import facts as facts_module


def stepladder(*arguments: object, cwd: Path | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "stepladder", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, cwd=cwd, timeout=timeout
    )


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("data"), train=300, test=100)


@pytest.fixture(scope="module")
def climbed(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A climb of two seeds with the comparison of schedules: its folder and what was printed."""
    folder = tmp_path_factory.mktemp("climbs")
    options = ("--epochs", 2, "--seeds", 2, "--compare-schedules", "--data-dir", data_folder, "--folder", folder)
    done = stepladder("climb", *options, timeout=280)
    assert done.returncode == 0, done.stderr
    return folder / "classic-mnist", done.stdout


class _Page(HTMLParser):
    """Collects what a page would fetch, and its headings."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.pictures_without_text = 0
        self.identities: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.identities |= {values.get("id") or ""}
        if tag in ("img", "script", "link", "iframe"):
            address = values.get("src") or values.get("href")
            self.fetched += [address] if address else []  # an inline script has none
        if tag == "img" and "alt" not in values:  # empty beside words that say it
            self.pictures_without_text += 1


def test_a_climb_prints_logs_in_the_guides_form_and_its_steps(climbed: tuple[Path, str]) -> None:
    _, printed = climbed
    assert "10 runs of 2 epochs on MNIST, 2 at a time" in printed or "10 runs of 2 epochs on MNIST, 1 at" in printed
    assert printed.count("Test set: Average loss: ") == 20
    assert re.search(r"Train: Loss=[\d.]+ Batch_id=2 Accuracy=[\d.]+: 100%\|█+\| 3/3 \[", printed)
    assert "left in all" in printed
    assert "1. The basic skeleton: 5,328 parameters" in printed
    assert "3. With a learning-rate schedule: 7,496 parameters" in printed
    assert "The goal is not met" in printed


def test_the_skeleton_is_of_the_guides_size(climbed: tuple[Path, str]) -> None:
    steps = facts_module.read(climbed[0])["steps"]
    assert 5250 <= steps[0]["parameters"] <= 5349
    assert [step["parameters"] for step in steps[1:]] == [7496, 7496]
    assert steps[0]["recipe"]["schedule"]["kind"] == "constant"
    assert steps[0]["recipe"]["augmentation"]["rotation"] == 0
    assert steps[1]["recipe"]["augmentation"]["rotation"] > 0
    assert steps[2]["recipe"]["schedule"]["kind"] == "one-cycle"
    assert [step["key"] for step in facts_module.read(climbed[0])["alternatives"]] == ["plateau", "step"]


def test_the_report_is_one_file_that_fetches_nothing(climbed: tuple[Path, str]) -> None:
    text = (climbed[0] / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.fetched
    assert all(address.startswith("data:") for address in page.fetched)
    assert page.pictures_without_text == 0
    assert {
        "answer",
        "climb",
        "curves",
        "living",
        "architecture",
        "field",
        "errors",
        "place",
        "reproduce",
    } <= page.identities
    assert len(text) < 3_000_000
    for part in ("7,496", "taken for", "ReduceLROnPlateau", "Batch_id=", "--compare-schedules", "mean ± standard"):
        assert part in text


def test_the_markdown_links_pictures_that_are_there(climbed: tuple[Path, str]) -> None:
    folder = climbed[0]
    text = (folder / "report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) >= 5
    assert all((folder / picture).stat().st_size > 1000 for picture in pictures)
    assert "| **CONVLUTION** | 28 | 26 | 1 | 8 |" in text
    assert "Total params: 7,496" in text


def test_the_report_is_rendered_again_from_the_facts_alone(climbed: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = climbed
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(folder / "facts.json", copy)
    done = stepladder("report", copy)
    assert done.returncode == 0, done.stderr
    for name in ("report.html", "report.md"):
        assert (copy / name).read_bytes() == (folder / name).read_bytes()


def test_the_same_climb_again_trains_nothing(climbed: tuple[Path, str], data_folder: Path) -> None:
    folder, _ = climbed
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/result.json")}
    assert len(before) == 10
    options = ("--epochs", 2, "--seeds", 2, "--data-dir", data_folder, "--folder", folder.parent)
    done = stepladder("climb", *options)
    assert done.returncode == 0, done.stderr
    assert "Test set:" not in done.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_options_in_the_same_folder_are_refused(climbed: tuple[Path, str], data_folder: Path) -> None:
    folder, _ = climbed
    done = stepladder("climb", "--epochs", 3, "--data-dir", data_folder, "--folder", folder.parent)
    assert done.returncode == 2
    assert "this run folder holds another experiment" in done.stderr
    assert "recipe.epochs is 2 there, 3 now" in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_are_compared_side_by_side(climbed: tuple[Path, str]) -> None:
    runs = [climbed[0] / "runs" / name for name in ("1-skeleton-seed0", "2-augmentation-seed0", "3-one-cycle-seed0")]
    done = stepladder("compare", *runs)
    assert done.returncode == 0, done.stderr
    assert "5,328" in done.stdout
    assert "worst of last 5" in done.stdout
    rows = json.loads(stepladder("compare", *runs, "--format", "json").stdout)["runs"]
    assert rows[0]["difference"] is None
    assert rows[1]["difference"]["paired_by"] == "image"
    assert stepladder("compare", *runs, "--format", "markdown").stdout.startswith("| ")


def test_the_sample_labels_every_output(tmp_path: Path) -> None:
    done = stepladder("climb", "--epochs", 1, "--folder", tmp_path)
    assert done.returncode == 0, done.stderr
    label = "MNIST sample (5,000 images)"
    assert f"using the {label}" in done.stdout
    folder = tmp_path / "classic-mnist-sample"
    for text in (
        done.stdout,
        (folder / "report.html").read_text(encoding="utf-8"),
        (folder / "report.md").read_text(encoding="utf-8"),
        (folder / "facts.json").read_text(encoding="utf-8"),
    ):
        assert label in text
        assert "not comparable with published" in text
        assert "no listed result" not in text
    alone = [folder / "pictures" / f"{name}.svg" for name in ("augmentation", "confusion", "curves", "errors")]
    for path in [*alone, *folder.glob("runs/*/log.txt")]:
        assert label in path.read_text(encoding="utf-8"), path


def _start_climb(data_folder: Path, folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a long climb; return it and the rows of its first run as soon as there are any."""
    options = ["--epochs", "300", "--data-dir", str(data_folder), "--folder", str(folder), "--workers", "1"]
    command = [sys.executable, "-m", "stepladder", "climb", *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for rows in folder.glob("*/runs/*/epochs.jsonl"):
            return process, rows
        time.sleep(0.05)
    process.kill()
    raise AssertionError("no epoch was finished in two minutes")


def test_a_climb_that_is_interrupted_says_how_to_go_on(data_folder: Path, tmp_path: Path) -> None:
    process, rows = _start_climb(data_folder, tmp_path)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    finished = rows.read_bytes()
    assert 1 <= len(finished.splitlines()) < 300
    run = stepladder("train", "8C3 GAP 10C1", "--run", rows.parent, "--data-dir", data_folder)
    assert run.returncode == 2, "another experiment may not go on here"
    assert rows.read_bytes() == finished


def test_a_dying_worker_is_told(data_folder: Path, tmp_path: Path) -> None:
    """A worker that the system kills (out of memory, say) ends the climb with one message."""
    process, _ = _start_climb(data_folder, tmp_path)
    for child in psutil.Process(process.pid).children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "a worker process ended without a word" in errors


def test_train_takes_settings_and_a_file(data_folder: Path, tmp_path: Path) -> None:
    settings = ("--set", "epochs=1", "--set", "schedule.kind=one-cycle", "--set", "augmentation.rotation=5")
    done = stepladder("train", "8C3 GAP 10C1", "--run", tmp_path / "a", "--data-dir", data_folder, *settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Test set: Average loss") == 1
    again = stepladder("train", tmp_path / "a" / "experiment.toml", "--run", tmp_path / "b", "--data-dir", data_folder)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "a" / "epochs.jsonl").read_bytes() == (tmp_path / "b" / "epochs.jsonl").read_bytes()
    table = stepladder("inspect", tmp_path / "a", "--format", "json")
    assert json.loads(table.stdout)["totals"]["parameters"] == 72 + 16 + 80


def test_inspect_exits_with_1_when_the_budget_fails() -> None:
    assert stepladder("inspect", GUIDE_NET, "--budget", 8000).returncode == 0
    done = stepladder("inspect", GUIDE_NET, "--input", "1x28x28", "--budget", 7000)
    assert done.returncode == 1
    assert "the layers that cost most" in done.stdout
    assert "Conv2d-21 (20C3)" in done.stdout


MISTAKES = [
    (["inspect", "8C3 XX 10C1"], "did you mean"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--set", "schedule=one-cycle"], "write schedule.kind = 'one-cycle'"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--set", "schedule.kind=cosin"], "write schedule.kind = 'cosine'"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--set", "schedule.kind=42"], "is one of constant, step"),
    (["climb", "--precision", "float16"], "known: auto, float32, bfloat16"),
    (["inspect", "8C3 GAP 10C1", "--input", "28"], "three whole numbers"),
    (["inspect", "8C3 GAP 10C1", "--format", "jsn"], "did you mean 'json'"),
    (["inspect", "8C40 GAP 10C1"], "layer 1"),
    (["inspect", "missing.toml"], "cannot be read"),
    (["inspect", ""], "there is no layer"),
    (["draw", "", "--kind", "field", "-o", "field.svg"], "there is no layer"),
    (["climb", "--ladder", "clasic"], "did you mean 'classic'"),
    (["climb", "--data", "mnits"], "did you mean 'mnist'"),
    (["climb", "--epochs", "0"], "epochs"),
    (["climb", "--name", "../x"], "no name for a folder"),
    (["climb", "--data-dir", "nowhere"], "the data folder is not there"),
    (["climb", "--protocol", "tests"], "protocol"),
    (["report", "nowhere"], "no facts to report"),
    (["compare", "nowhere"], "this is no run folder"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--set", "epoch=3"], "did you mean 'epochs'"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--set", "epochs"], "write field=value"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--device", "tpu"], "this device cannot be used"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--device", "meta"], "this device cannot be used"),
    (["train", "8C3 GAP 9C1", "--run", "r", "--set", "epochs=1"], "9 outputs for 10 classes"),
    (["train", "8C3 GAP 10C1", "--run", "r", "--set", "learning_rate=1e30", "--set", "epochs=1"], "the loss became"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: " ".join(value)[:60])
def test_a_mistake_is_one_message_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = stepladder(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_command_and_needs_no_torch() -> None:
    done = stepladder("--help")
    assert done.returncode == 0
    for command in ("climb", "train", "inspect", "report", "compare"):
        assert command in done.stdout
    code = "import sys, stepladder.cli; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_facts_of_a_later_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text('{"format": 99}')
    done = stepladder("report", tmp_path)
    assert done.returncode == 2
    assert "format 99" in done.stderr
    (tmp_path / "facts.json").write_text('{"format": ')
    assert "damaged" in stepladder("report", tmp_path).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_live_bars(data_folder: Path, tmp_path: Path) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "stepladder", "train", "8C3 GAP 10C1", "--run", str(tmp_path / "run")]
    command += ["--set", "epochs=2", "--data-dir", str(data_folder)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60"}
    process = subprocess.Popen(command, stdout=child, stderr=child, env=environment)
    os.close(child)
    written = b""
    try:
        while chunk := os.read(parent, 4096):
            written += chunk
    except OSError:
        pass  # Linux says so when the other end is closed
    os.close(parent)
    assert process.wait(timeout=60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", written.decode())
    assert "2.0/2" in text
    assert "Test set: Average loss" not in text
    assert max(len(line) for line in re.split(r"[\r\n]+", text) if "/2 " in line) <= 60
