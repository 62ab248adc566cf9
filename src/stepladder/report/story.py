"""The report of a climb of questions: its decisions told step by step, from the facts in its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepladder import story
from stepladder.data import sample
from stepladder.evaluate import mean
from stepladder.promises import promises, score
from stepladder.report import drawings, gauges
from stepladder.report.drawing_files import as_file, effects_drawing, inputs_drawing
from stepladder.report.parts import assets, fill, net_filters, net_payload, net_view, script_json
from stepladder.report.render import Pages, Picture, as_files, net_figures, write_pages
from stepladder.report.scale import PROMISES, SIGNS, Scale
from stepladder.report.story_text import (
    brief_clock,
    changes_text,
    difference_text,
    heading,
    lead,
    parameter_change,
    sentence,
)

if TYPE_CHECKING:
    from stepladder.data import Dataset

Facts = dict[str, Any]

_EXAMPLES = {
    "keep": {"verdict": "keep", "points": 0.9, "low": 0.25, "high": 2.0, "needed": 0.0},
    "drop": {"verdict": "drop", "points": -0.5, "low": -1.6, "high": 0.1, "needed": 0.0},
    "undecided": {"verdict": "undecided", "points": 0.25, "low": -0.6, "high": 1.2, "needed": 0.0},
}


def write_story(folder: Path, dataset: Dataset | None = None) -> Pages:
    """Render report.html and report.md with its pictures into the folder of a climb of questions.

    A climb that is still under way is told as far as it has come; it has no test accuracy and no exhibits yet.

    Args:
        folder: of the climb, with its decisions.
        dataset: to gather what only data and trained nets can show, if the climb is finished; None to show what was
            gathered before.

    Raises:
        RunError: if the folder holds no decisions or damaged ones, or the final net's run is damaged.
    """
    facts = story.read(folder)
    if dataset is not None and facts["final"]:
        story.gather(folder, facts, dataset)
        facts = story.read(folder)
    return write_pages(folder, draw(facts), render_page(facts), render_markdown(facts))


def render_page(facts: Facts) -> str:
    """Return the report as one HTML page that needs no other file and no network.

    Args:
        facts: as ``stepladder.story.read`` returns them.
    """
    exhibits = facts["exhibits"]
    filters = _filters() | (net_filters(exhibits["data"]) if exhibits else {})
    return fill("story.html.j2", _view(facts) | _net_view(facts), filters, html=True)


def render_markdown(facts: Facts) -> str:
    """Return the report as Markdown, whose pictures stand in files of their own."""
    values = _view(facts) | {"exhibits": facts["exhibits"], "pictures": draw(facts)}
    return fill("story.md.j2", values, _filters(), html=False)


def draw(facts: Facts) -> dict[str, Picture]:
    """Return the pictures of the Markdown page by name."""
    rows = story.effects(facts)
    found = {
        "path": Picture(
            "path.svg",
            "Accuracy against parameters: where the climb stood after each step that changed it",
            as_file(drawings.path(story.path(facts), facts["goal"])),
        )
    }
    if rows:
        found["effects"] = Picture(
            "effects.svg",
            "What each candidate gained, with its interval, the largest gain first",
            as_file(effects_drawing(rows, Scale.of(rows))),
        )
    if given := (facts["preflight"] or {}).get("inputs"):
        found["inputs"] = Picture(
            "inputs.svg",
            "Training images of each class as the net is given them, and how many there are",
            as_file(inputs_drawing(given)),
        )
    if facts["exhibits"]:
        found |= as_files(net_figures(facts["exhibits"]["best"], facts["exhibits"]["data"]), facts["exhibits"]["data"])
    return found


def _view(facts: Facts) -> Facts:
    rows, advised = story.effects(facts), promises(facts)
    points = story.path(facts)
    standing = facts["final"] or story.taken(facts["steps"][-1])
    before = facts["preflight"] or {}
    tests = before.get("range_test")
    tally = story.tally(facts)
    came = [dict(zip(("points", "low", "high"), row["came"], strict=True)) for row in advised if row["came"]]
    return facts | {
        "effects": rows,
        "checks": story.checks(facts) if facts["final"] else [],
        "epochs_differ": len({step["epochs"] for step in facts["steps"]}) > 1,
        "examples": _EXAMPLES,
        "gauges": {
            "parameters": gauges.parameters(standing["parameters"], facts["goal"]["budget"]),
            "accuracy": gauges.seeds(standing["accuracies"], facts["goal"]["target"]),
            "verdicts": gauges.verdicts(tally),
        },
        "heading": heading(facts),
        "input_sheet": before.get("inputs"),
        "is_met": story.is_met(facts) if facts["final"] else None,
        "is_sample": facts["data"] == sample.NAME,
        "lead": lead(facts),
        "legend": Scale(2.5),
        "path_narrow": drawings.path(points, facts["goal"], width=360, height=380),
        "path_wide": drawings.path(points, facts["goal"]),
        "promise_like": PROMISES,
        "promises": advised,
        "plan": facts["plan"] if facts["plan"] and (facts["plan"]["limit"] or facts["plan"]["told"]) else None,
        "range_test": drawings.range_test(tests) if tests else None,
        "scale": Scale.of([*rows, *came]),
        "score": score(facts),
        "signs": SIGNS,
        "standing": standing,
        "tally": tally,
        "verdict": story.verdict(facts)
        if facts["final"]
        else "The climb is under way; the test set is not opened yet.",
    }


def _net_view(facts: Facts) -> Facts:
    """Return what the page needs for the sections about the final net; nothing but scripts where there are none."""
    exhibits = facts["exhibits"]
    shared: Facts = {"assets": assets(), "version": exhibits["environment"]["stepladder"] if exhibits else ""}
    payload: Facts = {"series": {}, "living": None, "target": facts["goal"]["target"]}
    if not exhibits:
        nothing = dict.fromkeys(("architecture", "best", "data", "interval", "published"))
        return shared | nothing | {"payload": script_json(payload)}
    final, best = facts["final"], exhibits["best"]
    own = {
        "colour": 1,
        "mark": "this climb",
        "source": "This climb’s final net",
        "parameters": final["parameters"],
        "accuracy": mean(final["accuracies"]),
        "text": story.accuracy(final),
        "seeds": len(final["accuracies"]),
    }
    payload |= net_payload(best, exhibits["data"]) | {"published": exhibits["published"], "own": [own]}
    return (
        shared
        | {name: exhibits[name] for name in ("best", "data", "environment", "interval", "place", "published")}
        | net_view(best, exhibits["data"])
        | {"payload": script_json(payload), "seeds": list(range(len(final["runs"])))}
    )


def _filters() -> dict[str, Any]:
    return {
        "brief": brief_clock,
        "changed": story.changed,
        "changes": changes_text,
        "colour": drawings.colour,
        "curves": lambda step: drawings.curves(step["candidates"], step["taken"]),
        "difference_text": difference_text,
        "has_curves": lambda step: any(len(row["curve"]) > 1 for row in step["candidates"]),
        "is_dashed": drawings.is_dashed,
        "open_ones": lambda step: [row for row in step["candidates"] if row["decision"] and row["decision"]["settles"]],
        "parameter_change": parameter_change,
        "range_test": drawings.range_test,
        "row_accuracy": story.accuracy,
        "run_count": lambda step: len({name for row in step["candidates"] for name in row["runs"]}),
        "sentence": sentence,
        "shade": lambda value: f"{value:.3g}".replace("-", "−"),
        "taken": story.taken,
    }
