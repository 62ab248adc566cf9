"""The facts of a climb of questions: read, summed up, and joined by exhibits of the final net.

``decisions.json`` says what was asked and decided; the climb itself writes it. ``exhibits.json`` holds what only data
and trained nets can show, so that the report is rendered from both files alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepladder import ascent_facts
from stepladder.errors import RunError
from stepladder.evaluate import deviation, mean, percent, wilson
from stepladder.files import write_json

if TYPE_CHECKING:
    from stepladder.data import Dataset

FORMAT = 1
EXHIBITS = "exhibits.json"

Facts = dict[str, Any]

_NEEDED = ("title", "data", "ladder", "goal", "seeds", "holdout_size", "command", "net")
_CLIMB: Facts = {
    **dict.fromkeys(("plan", "preflight", "seconds", "final", "recipe", "precision")),
    "why_it_ended": "",
}
_STEP: Facts = {"technique": "", "seeds": None, "epochs": None, "seconds": None, "advice": None, "range_test": None}
_ROW: Facts = {
    "learning_rate": None,
    "curve": [],
    "seconds": None,
    "runs": [],
    "failure": "",
    "remark": "",
    "changes": {},
}
_DECISION: Facts = {"level": None, "needed": 0.0, "seeds": None, "reason": "", "settles": None}


def is_story(folder: Path) -> bool:
    """Return whether a folder holds a climb of questions."""
    return (folder / ascent_facts.DECISIONS).is_file()


def read(folder: Path) -> Facts:
    """Return the facts of a climb of questions, finished or under way, with what earlier versions left out as None.

    "final" is None while the climb is under way, "exhibits" as long as nobody gathered those of its final runs.

    Raises:
        RunError: if there are none, or they are damaged or of a later format.
    """
    path = folder / ascent_facts.DECISIONS
    if not path.is_file():
        raise RunError(
            "there is no climb of questions to report here",
            given=str(folder),
            repair=f"name the folder of such a climb, one that holds {path.name}",
        )
    facts = ascent_facts.read(folder)
    if not facts.get("steps"):
        raise RunError("this climb has answered no question yet", given=str(path), repair="wait for its first step")
    if missing := [name for name in _NEEDED if name not in facts]:
        raise _damaged(path, f"it lacks {', '.join(missing)}")
    facts = _with_defaults(facts)
    exhibits = None
    if facts["final"] and (folder / EXHIBITS).is_file():
        found = _read_exhibits(folder / EXHIBITS)
        # Those of an earlier end of the same climb are of another net.
        exhibits = found if found["runs"] == facts["final"]["runs"] else None
    return facts | {"exhibits": exhibits}


def final_run(folder: Path) -> Path:
    """Return the folder of the final net's first run.

    Raises:
        RunError: if the climb is under way, or its facts are damaged.
    """
    final = ascent_facts.read(folder).get("final")
    if not final:
        raise RunError(
            "this climb is under way and has no final net yet",
            given=str(folder),
            repair="start its command again, or name one of the folders in its runs",
        )
    return folder / "runs" / str(final["runs"][0])


def gather(folder: Path, facts: Mapping[str, Any], dataset: Dataset) -> Path:
    """Write what the report shows of the final net, from its first run, beside the decisions; return the file's path.

    Raises:
        RunError: if that run is not finished, or damaged.
    """
    from stepladder import exhibits
    from stepladder.facts import data_facts, placing
    from stepladder.ladder import Step
    from stepladder.runs import open_finished

    final = facts["final"]
    run = open_finished(folder / "runs" / final["runs"][0])
    step = Step("final", "The final net", "", "", run.experiment.net, run.experiment.recipe)
    centre, count = mean(final["accuracies"]), run.rows[-1].evaluation_count
    interval = wilson(round(centre / 100 * count), count)
    path = folder / EXHIBITS
    found = {
        "format": FORMAT,
        "runs": final["runs"],
        "data": data_facts(dataset, run),
        "environment": run.environment,
        "interval": {"low": interval.low, "high": interval.high},
        "best": exhibits.best(step, run, dataset, facts["goal"]["budget"]),
        **placing(dataset, run, centre, len(final["runs"])),
    }
    write_json(path, found)
    return path


def checks(facts: Mapping[str, Any]) -> list[Facts]:
    """Return the goal, check by check: "name", "needed", "found" and "passes", None for what is told but not asked."""
    final, goal = facts["final"], facts["goal"]
    rows: list[Facts] = [
        {
            "name": "parameters",
            "needed": f"under {goal['budget']:,}",
            "found": f"{final['parameters']:,}",
            "passes": final["parameters"] < goal["budget"],
        },
        {
            "name": "test accuracy at the last epoch, mean over seeds",
            "needed": f"at least {goal['target']:g}%",
            "found": accuracy(final),
            "passes": mean(final["accuracies"]) >= goal["target"],
        },
    ]
    if lost := len(final.get("failed_seeds", [])):
        found = str(len(final["accuracies"]))
        needed = str(len(final["accuracies"]) + lost)
        rows.append({"name": "seeds that could be trained", "needed": needed, "found": found, "passes": False})
    if final["curve"]:
        held = min(goal["held"], len(final["curve"]))
        lowest = f"{min(final['curve'][-held:]):.2f}%"
        name = f"lowest of the last {held} epochs, mean over seeds"
        rows.append({"name": name, "needed": "", "found": lowest, "passes": None})
    return rows


def is_met(facts: Mapping[str, Any]) -> bool:
    """Return whether the final net reached the target at the last epoch, in the mean over seeds, below the budget.

    It did not where a seed could not be trained: the mean over the others says too much.
    """
    final, goal = facts["final"], facts["goal"]
    is_reached = mean(final["accuracies"]) >= goal["target"] and final["parameters"] < goal["budget"]
    return bool(is_reached and not final.get("failed_seeds", []))


def verdict(facts: Mapping[str, Any]) -> str:
    """Return the result on the test set beside the goal, in one sentence."""
    final, goal = facts["final"], facts["goal"]
    missing = goal["target"] - mean(final["accuracies"])
    # So little that it would read as nothing is said with as many digits as it takes.
    short = f"{missing:.2f}" if missing >= 0.005 else f"{missing:.1g}"
    lost, many = final.get("failed_seeds", []), len(final["accuracies"])
    if missing > 0:
        why = f"not met by {short} points"
    elif lost:
        why = f"not met: {len(lost)} of {many + len(lost)} seeds could not be trained"
    else:
        why = "reached, but not below the budget"
    looks = "once" if final.get("looks", 1) == 1 else f"{final['looks']} times, as the climb went on after it had ended"
    of_seeds = f" (in the {many} of {many + len(lost)} seeds that could be trained)" if lost else ""
    return (
        f"{accuracy(final)}{of_seeds} on the test set of {facts['title']}, which was looked at {looks}, with "
        f"{final['parameters']:,} parameters: the goal of {goal['target']:g}% with fewer than {goal['budget']:,} is "
        f"{'met' if is_met(facts) else why}."
    )


def accuracy(row: Mapping[str, Any]) -> str:
    """Return the mean over seeds in percent, with its deviation if there are several seeds."""
    return percent(mean(row["accuracies"]), deviation(row["accuracies"]))


def stood(step: Facts) -> Facts:
    """Return the candidate that stood before a step."""
    return dict(step["candidates"][0])


def taken(step: Facts) -> Facts:
    """Return the candidate that stands after a step."""
    return next(dict(row) for row in step["candidates"] if row["name"] == step["taken"])


def changed(step: Facts) -> bool:
    """Return whether a step changed what stands."""
    return bool(step["taken"] != step["candidates"][0]["name"])


def effects(facts: Facts) -> list[Facts]:
    """Return every candidate that was decided on, the largest gain first, with the number and title of its step."""
    rows = [
        row["decision"]
        | {"number": number, "title": step["title"], "name": row["name"], "taken": row["name"] == step["taken"]}
        for number, step in enumerate(facts["steps"], start=1)
        for row in step["candidates"]
        if row["decision"]
    ]
    return sorted(rows, key=lambda row: -float(row["points"]))


def path(facts: Facts) -> list[Facts]:
    """Return where the climb stood after each step that changed it, and at last its test accuracy.

    Each point has "numbers" (of the steps after which it stood there), "name", "parameters", "accuracy" in percent and
    "split".
    """
    points: list[Facts] = []
    for number, step in enumerate(facts["steps"], start=1):
        if points and not changed(step):
            points[-1]["numbers"].append(number)
            continue
        row = taken(step)
        points.append(
            {
                "numbers": [number],
                "name": row["name"] if points else step["title"],
                "parameters": row["parameters"],
                "accuracy": mean(row["accuracies"]),
                "epochs": step["epochs"],
                "split": "holdout",
            }
        )
    if facts["final"]:
        points.append(
            {
                "numbers": [],
                "name": "final net",
                "parameters": facts["final"]["parameters"],
                "accuracy": mean(facts["final"]["accuracies"]),
                "epochs": facts["goal"]["epochs"],
                "split": "test",
            }
        )
    return points


def tally(facts: Facts) -> Facts:
    """Return how many steps, candidates, verdicts of each kind and runs there were, and the seconds of training.

    A run that stood in several steps is counted once; "runs" and "training" are None where they were not recorded.
    """
    rows = list(_rows(facts))
    verdicts = [row["decision"]["verdict"] for row in rows if row["decision"]]
    final = facts["final"] or {}
    runs = {name for row in rows for name in row["runs"]} | set(final.get("runs", []))
    times = [one["seconds"] for one in (*facts["steps"], final) if one]
    return {
        "steps": len(facts["steps"]),
        "candidates": len(verdicts),
        "taken": sum(changed(step) for step in facts["steps"]),
        "keep": verdicts.count("keep"),
        "drop": verdicts.count("drop"),
        "undecided": verdicts.count("undecided"),
        "failed": sum(bool(row["failure"]) for row in rows),
        "runs": len(runs) if all(row["runs"] or row["failure"] for row in rows) else None,
        "training": sum(times) if None not in times else None,
    }


def _rows(facts: Facts) -> Iterator[Facts]:
    for step in facts["steps"]:
        yield from step["candidates"]


def _read_exhibits(path: Path) -> Facts:
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
        number = int(found["format"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from None
    if number > FORMAT:
        raise RunError(
            f"these exhibits have format {number}; this version reads up to {FORMAT}",
            given=str(path),
            repair="use a newer stepladder",
        )
    return found


def _damaged(path: Path, why: str) -> RunError:
    return RunError("the facts of the climb are damaged", given=f"{path} ({why})", repair="start its command again")


def _with_defaults(facts: Facts) -> Facts:
    """Return facts in which everything has a place, whatever version wrote them."""
    steps = [
        _STEP
        | step
        | {
            "candidates": [
                _ROW | row | {"decision": _DECISION | row["decision"] if row.get("decision") else None}
                for row in step["candidates"]
            ]
        }
        for step in facts["steps"]
    ]
    defaults: Facts = {"seconds": None, "curve": [], "held": None, "failed_seeds": [], "looks": 1}
    final = defaults | facts["final"] if facts.get("final") else None
    return _CLIMB | facts | {"steps": steps, "final": final}
