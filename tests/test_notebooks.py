"""The notebooks: they execute on the sample, and what is committed was executed on the full MNIST."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
NAMES = ("1-skeleton", "2-augmentation", "3-learning-rate")
SAMPLE = "MNIST sample (5,000 images)"


def read(path: Path) -> NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def committed(name: str) -> NotebookNode:
    return read(ROOT / "notebooks" / f"{name}.ipynb")


def code(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def texts(cell: NotebookNode) -> str:
    """Return all that a cell shows as text."""
    shown = []
    for output in cell.outputs:
        shown.append(output.get("text", ""))
        shown += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(shown)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three executed for two epochs; without a network the sample stands in for MNIST."""
    folder = tmp_path_factory.mktemp("notebooks")
    environment = os.environ | {
        "STEPLADDER_NOTEBOOK_EPOCHS": "2",
        "STEPLADDER_OFFLINE": "1",
        "STEPLADDER_CACHE": str(folder / "cache"),
        "IPYTHONDIR": str(folder / "ipython"),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("STEPLADDER_DATA", None)
    done = subprocess.run(
        [sys.executable, str(ROOT / "notebooks" / "execute.py"), "--into", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_they_execute_on_the_sample_and_say_so(name: str, executed: Path) -> None:
    cells = code(read(executed / f"{name}.ipynb"))
    assert "using the MNIST sample" in texts(cells["setup"])
    assert f"{SAMPLE}: 4,000 training and 1,000 test images" in texts(cells["setup"])
    assert SAMPLE in texts(cells["result"])
    log = texts(cells["training"])
    assert re.findall(r"^Epoch (\d+)$", log, re.MULTILINE) == ["1", "2"]
    accuracies = [int(right) for right in re.findall(r"Accuracy: (\d+)/1000 ", log)]
    assert f"{accuracies[-1] / 10:.2f}% of 1,000 test images right at epoch 2" in texts(cells["result"])
    assert "target" not in texts(cells["analysis"]), "the sample is not judged by the full set's target"
    assert "parameters: " in texts(cells["analysis"])
    pictures = [cell for key, cell in cells.items() if key.startswith("picture-")]
    assert len(pictures) >= 5
    assert all("image/png" in output.data for cell in pictures for output in cell.outputs)
    assert all(cell.outputs for cell in pictures)


def test_runs_are_shared_between_the_notebooks(executed: Path) -> None:
    runs = {path.name for path in (executed / "runs" / "mnist-sample-2-epochs").iterdir()}
    assert runs == {"skeleton", "augmentation", "one-cycle", "plateau", "step"}


def test_the_schedules_are_compared(executed: Path) -> None:
    shown = texts(code(read(executed / "3-learning-rate.ipynb"))["comparison"])
    assert all(name in shown for name in ("one-cycle", "plateau", "step"))
    assert "paired by image" in shown


@pytest.mark.parametrize("name", NAMES)
def test_committed_outputs_are_of_the_full_data(name: str) -> None:
    notebook = committed(name)
    cells = code(notebook)
    everything = "\n".join(map(texts, cells.values()))
    assert not [output for cell in cells.values() for output in cell.outputs if output.output_type == "error"]
    assert [cell.execution_count for cell in cells.values()] == list(range(1, len(cells) + 1))
    assert "MNIST: 60,000 training and 10,000 test images" in texts(cells["setup"])
    assert "sample" not in everything
    assert len(re.findall(r"^Epoch \d+$", texts(cells["training"]), re.MULTILINE)) == 15
    assert all(cell.outputs for key, cell in cells.items() if key.startswith("picture-"))


@pytest.mark.parametrize("name", NAMES)
def test_committed_files_hold_nothing_of_one_machine(name: str) -> None:
    path = ROOT / "notebooks" / f"{name}.ipynb"
    content = path.read_text(encoding="utf-8")
    assert not re.search(r"/(work|root|tmp|home|Users|usr|opt)/|[A-Z]:\\\\|site-packages", content)
    assert len(content) < 1_000_000
    notebook = committed(name)
    assert notebook.metadata.language_info == {"name": "python"}
    assert not any(cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize("name", NAMES)
def test_committed_results_are_those_of_the_results_page(name: str) -> None:
    """Equal seeds give equal runs, so each notebook's result is the first of its step's five."""
    result = texts(code(committed(name))["result"])
    shown = re.search(r"([\d.]+)% of 10,000 test images right at epoch 15", result)
    assert shown
    row = (ROOT / "results" / "classic.md").read_text(encoding="utf-8").split(f"\n| {name[0]}: ")[1].split("\n")[0]
    assert row.split(" | ")[4].split(", ")[0] == shown[1]


@pytest.mark.parametrize("name", NAMES)
def test_cells_keep_their_names(name: str, executed: Path) -> None:
    """Stable identifiers: a new execution changes outputs and nothing else."""
    before, after = committed(name), read(executed / f"{name}.ipynb")
    assert [cell.id for cell in before.cells] == [cell.id for cell in after.cells]
    assert [cell.source for cell in before.cells] == [cell.source for cell in after.cells]
    assert {"setup", "net", "training", "result", "analysis"} <= set(code(before))
