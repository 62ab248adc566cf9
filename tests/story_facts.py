"""The facts of a climb of questions, made by hand: a little of everything that a report of one has to tell."""

from __future__ import annotations

from typing import Any

Facts = dict[str, Any]

SKELETON = "5C3 MP2 10C3 10F"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
NORMALISED = "5C3/BN/ReLU MP2 10C3/BN/ReLU 10F"


def decided(verdict: str, points: float, low: float, high: float, needed: float = 0.0) -> Facts:
    settles = "about 2 more seeds" if verdict == "undecided" else None
    reason = f"{verdict}: {points:+.2f} points."
    return {
        "verdict": verdict, "points": points, "low": low, "high": high, "needed": needed, "level": 0.05, "seeds": 2,
        "reason": reason, "settles": settles,
    }  # fmt: skip


def row(name: str, accuracies: list[float], decision: Facts | None = None, **changed: Any) -> Facts:
    curve = [sum(accuracies) / len(accuracies) - 8, sum(accuracies) / len(accuracies)] if accuracies else []
    runs = [f"{name.replace(' ', '-')}-{seed}" for seed in range(len(accuracies))]
    made = {
        "name": name, "net": NORMALISED, "changes": {}, "learning_rate": 0.05, "parameters": 900, "macs": 50_000,
        "accuracies": accuracies, "curve": curve, "seconds": 4.0, "runs": runs, "failure": "", "decision": decision,
    }  # fmt: skip
    return made | changed


def step(title: str, taken: str, *candidates: Facts, **changed: Any) -> Facts:
    made = {
        "key": title.lower().replace(" ", "-"), "title": title, "question": f"What is {title.lower()} worth?",
        "technique": title, "taken": taken, "reason": f"{taken} stands", "seeds": 2, "epochs": 2, "seconds": 10.0,
        "range_test": None, "advice": None, "candidates": list(candidates),
    }  # fmt: skip
    return made | changed


def advised(promised: list[float], came: list[float] | None, verdict: str) -> Facts:
    return {
        "technique": "dropout", "title": "Dropout everywhere", "evidence": "the gap is wide", "where": "all over",
        "why": "single values decide", "promised": promised, "came": came, "verdict": verdict,
    }  # fmt: skip


def range_test() -> Facts:
    losses = [2.3, 2.2, 1.4, 0.9, 4.0, None]
    rates = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]
    return {"rates": rates, "losses": losses, "suggested": 0.03, "highest": 0.3}


def inputs() -> Facts:
    """Return a sheet of inputs: pictures of one pixel, a long name, a class without images."""
    names = ["0", "1", "a class whose name is far longer than its pictures are wide", "none"]
    rows = [{"name": name, "count": 320 * (name != "none"), "strip": PIXEL if name != "none" else ""} for name in names]
    others = {"classes": 980, "least": 330, "most": 1200}
    return {"classes": rows, "others": others, "low": -0.4272, "high": 2.8077, "shrunk": 2}


def climb(final_runs: list[str] | None = None) -> Facts:
    """Return the facts; a climb under way without the names of its final runs."""
    stands = row("what stands", [93.0, 94.0])
    steps = [
        step(
            "Skeleton", "plain", row("plain", [93.0, 94.0], net=SKELETON, parameters=880),
            row("deep", [30.0, 91.0], decided("undecided", -33.0, -190.0, 124.0), net="4C3 4C3 10F", parameters=950),
            row("broken", [], failure="cannot be trained: its loss is no number any more"),
            key="skeleton", epochs=1,
        ),
        step(
            "Batch normalisation", "batch normalisation", row("what stands", [93.0, 94.0], parameters=880),
            row("batch normalisation", [97.0, 97.5], decided("keep", 3.75, 1.2, 6.3)),
        ),
        step(
            "Dropout", "what stands", stands,
            row("dropout 0.05", [96.0], decided("drop", -1.5, -2.9, 0.1)),
            row("dropout 0.1", [96.9, 97.7], decided("undecided", 0.05, -0.4, 0.5), changes={"momentum": 0.95}),
            range_test=range_test(), advice=advised([0.6, 0.9], [0.05, -0.4, 0.5], "undecided"),
        ),
        step(
            "Pooling", "pool earlier", dict(stands),
            row("pool earlier", [97.1, 97.3], decided("keep", 0.1, -0.1, 0.3, -0.2), parameters=600),
            advice=advised([-0.1, 0.3], [0.1, -0.1, 0.3], "keep"),
        ),
    ]  # fmt: skip
    facts: Facts = {
        "format": 1, "ladder": "full", "title": "MNIST sample (5,000 images)", "data": "mnist-sample",
        "command": "stepladder climb --ladder full --data mnist-sample", "seeds": 2, "holdout_size": 800,
        "goal": {"target": 97.0, "budget": 1000, "epochs": 2, "held": 1}, "precision": "float32",
        "plan": {"limit": 600, "told": ["Left out, for there is no time: Optimiser."]},
        "preflight": {
            "checks": [
                {"name": "loss", "passed": True, "expected": "2.303", "measured": "2.31", "meaning": "no opinion yet"},
                {"name": "labels", "passed": False, "expected": "none", "measured": "one", "meaning": "look at it"},
            ],
            "range_test": range_test(),
            "inputs": inputs(),
        },
        "steps": steps, "net": NORMALISED, "recipe": {}, "seconds": 61.0,
    }  # fmt: skip
    if final_runs is not None:
        facts["final"] = {
            "accuracies": [97.2, 97.6], "curve": [90.0, 97.4], "held": True, "parameters": 600, "macs": 40_000,
            "runs": final_runs, "seconds": 5.0,
        }  # fmt: skip
    return facts
