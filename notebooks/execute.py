"""Execute notebooks and keep only what does not change from one execution to the next.

    python notebooks/execute.py                      the three notebooks beside this file, in place
    python notebooks/execute.py --into FOLDER 1-skeleton.ipynb

The runs that they train go to ``runs/`` beside the executed notebooks; a run that is there already is not trained
again. Environment: STEPLADDER_NOTEBOOK_EPOCHS (default 15), STEPLADDER_NOTEBOOK_DATA (default mnist),
STEPLADDER_NOTEBOOK_KERNEL (default python3, the kernel of this interpreter), and STEPLADDER_DATA as everywhere.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
KEPT = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Execute all cells with the folder as their working directory.

    Raises:
        CellExecutionError: if a cell fails.
    """
    kernel = os.environ.get("STEPLADDER_NOTEBOOK_KERNEL", "python3")
    # Long enough for any cell on any machine: a kernel that hangs is to end all the same.
    client = NotebookClient(
        notebook,
        timeout=7200,
        kernel_name=kernel,
        record_timing=False,
        # Kernels warn that they talk to this process unencrypted; they do so on this machine only.
        extra_arguments=["--log-level=ERROR"],
    )
    client.execute(cwd=str(folder))


def scrub(notebook: NotebookNode) -> None:
    """Take out the versions of this machine, empty metadata and the breaks between printed lines."""
    notebook.metadata = nbformat.from_dict(KEPT)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return the outputs with streams joined: where the kernel cut them is chance."""
    kept: list[NotebookNode] = []
    for output in outputs:
        output.pop("metadata", None) if output.output_type == "stream" else output.update(metadata={})
        before = kept[-1] if kept else None
        if before is not None and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            kept.append(output)
    return kept


def main() -> None:
    """Execute what the command line names."""
    parser = argparse.ArgumentParser(description="Execute notebooks; without names, all of this folder in place.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--into", type=Path, help="folder for the executed notebooks and their runs; default: in place")
    options = parser.parse_args()
    for path in options.notebooks or sorted(HERE.glob("*.ipynb")):
        began = perf_counter()
        folder = (options.into or path.parent).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        notebook = nbformat.read(path, as_version=4)
        try:
            execute(notebook, folder)
        except CellExecutionError as error:
            raise SystemExit(f"{path.name}: a cell failed\n{error}") from None
        scrub(notebook)
        nbformat.write(notebook, folder / path.name)
        print(f"{path.name}: executed in {perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
