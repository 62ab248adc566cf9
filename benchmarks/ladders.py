"""Climb the full ladder on small data sets; write what its steps found to results/ladders.jsonl.

    python benchmarks/ladders.py                 # climb what is not finished, then write the rows of all climbs
    python benchmarks/ladders.py --extract       # climb nothing, write the rows of the climbs that are there
    python benchmarks/ladders.py --extract PATH  # a climb's folder of your own instead

The climb on the full MNIST takes an hour on two cores and is not among them: its command stands in its row, and its
rows are written from climbs/full-mnist. Rows of climbs whose folder is not there stay as they are.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepladder.evaluate import mean
from stepladder.files import write_text
from stepladder.remarks import remark
from stepladder.runs import open_finished

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "results" / "ladders.jsonl"
CLIMBS = Path("climbs")
"""Below the repository, which commands are started in, so that their command lines hold no machine's paths."""
SCENES = CLIMBS / "scenes"

Row = dict[str, Any]


@dataclass(frozen=True)
class Climb:
    """One climb: the name of its folder, and the words of its command line."""

    name: str
    words: str

    @property
    def command(self) -> list[str]:
        """Return the command line's arguments."""
        return ["climb", "--ladder", "full", *shlex.split(self.words), "--workers", "1", "--name", self.name]


SMALL = (
    Climb("full-scenes", f"--data {SCENES.as_posix()} --target 97 --budget 8000 --epochs 15"),
    Climb("full-digits", "--data digits --target 98.5 --budget 4000 --epochs 20"),
    Climb("full-mnist-sample", "--data mnist-sample --target 97.5 --budget 8000 --epochs 5"),
)


def main() -> None:
    """Climb if asked to, then write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extract", action="store_true", help="climb nothing")
    parser.add_argument("folders", nargs="*", type=Path, help="climbs to write rows of; default: all below climbs/")
    asked = parser.parse_args()
    if not asked.extract:
        for one in SMALL:
            climb(one)
    folders = asked.folders or sorted(path.parent for path in (ROOT / CLIMBS).glob("*/decisions.json"))
    before = read(ROWS) if ROWS.exists() else []
    rows = merged(before, [row for folder in folders for row in extracted(folder)])
    write_text(ROWS, "".join(json.dumps(row) + "\n" for row in rows))


def climb(one: Climb) -> None:
    """Climb as a user would, on one core; a climb that is finished trains nothing again."""
    if SCENES.as_posix() in one.words and not (ROOT / SCENES).exists():
        scenes(ROOT / SCENES)
    print(shlex.join(["stepladder", *one.command]), flush=True)
    subprocess.run([Path(sys.executable).with_name("stepladder"), *one.command], cwd=ROOT, check=True)


def scenes(folder: Path) -> None:
    """Write the folder of colour images that the tests have: patches of three photographs."""
    sys.path.insert(0, str(ROOT / "tests"))
    from own_images import scene_folder

    scene_folder(folder)


def read(path: Path) -> list[Row]:
    """Return the rows of a file: for each climb one with "kind" "climb", then one a candidate."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def merged(before: Sequence[Row], found: Sequence[Row]) -> list[Row]:
    """Return the rows found, and those of earlier climbs of other names, ordered by the climb's name."""
    names = {row["climb"] for row in found}
    kept = [row for row in before if row["climb"] not in names]
    return sorted([*kept, *found], key=lambda row: str(row["climb"]))  # which keeps the order within a climb


def extracted(folder: Path) -> list[Row]:
    """Return the rows of a climb's folder: the climb, then each step's candidates, the one that stood first."""
    facts = json.loads((folder / "decisions.json").read_text(encoding="utf-8"))
    runs = folder / "runs"
    name = folder.resolve().name
    whole = {
        "kind": "climb",
        "climb": name,
        **{key: facts[key] for key in ("command", "data", "title", "ladder", "goal", "seeds", "precision", "seconds")},
        "plan": facts["plan"],
        "net": facts["net"],
        "recipe": facts["recipe"],
        "final": facts.get("final"),
        "environment": environment(runs),
        "input_shape": list(open_finished(runs / facts["steps"][0]["candidates"][0]["runs"][0]).input_shape),
    }
    return [whole, *(row for step in facts["steps"] for row in _candidates(name, facts, step, runs))]


def environment(runs: Path) -> Row:
    """Return where a climb's runs were made, from the first of them."""
    found: Row = json.loads(min(runs.glob("*/environment.json")).read_text(encoding="utf-8"))
    return found


def _candidates(name: str, facts: Row, step: Row, runs: Path) -> list[Row]:
    able = next((one for one in step["candidates"] if one["runs"]), None)
    held = open_finished(runs / able["runs"][0]).rows[-1].evaluation_count if able is not None else None
    rows = []
    for place, one in enumerate(step["candidates"]):
        decision = one["decision"] or {}
        rows.append(
            {
                "kind": "candidate",
                "climb": name,
                "data": facts["data"],
                "title": facts["title"],
                "step": step["key"],
                "step_title": step["title"],
                "technique": step["technique"],
                "candidate": one["name"],
                "stood": place == 0,
                "taken": one["name"] == step["taken"],
                **{key: one[key] for key in ("net", "changes", "learning_rate", "parameters", "macs", "failure")},
                "accuracies": one["accuracies"],
                "accuracy": mean(one["accuracies"]) if one["accuracies"] else None,
                **{key: decision.get(key) for key in ("verdict", "points", "low", "high", "level", "needed")},
                "remark": remark([open_finished(runs / name) for name in one["runs"]]),
                "seeds": len(one["accuracies"]),
                "epochs": step["epochs"],
                "holdout_size": held,
                "seconds": one["seconds"],
            }
        )
    return rows


if __name__ == "__main__":
    main()
