"""The facts of a classic climb to its one HTML page: what the templates and scripts need, and nothing else."""

from __future__ import annotations

from typing import Any

from stepladder.evaluate import mean
from stepladder.report import gauges
from stepladder.report.parts import assets, fill, net_filters, net_payload, net_view, script_json, series
from stepladder.text import accuracy

Facts = dict[str, Any]


def render_page(facts: Facts) -> str:
    """Return the report as one HTML page that needs no other file and no network."""
    filters = net_filters(facts["data"]) | {
        "effect": lambda effect, limit: gauges.effect(effect, limit),
        "series": lambda step: series(step["number"]),
    }
    return fill("page.html.j2", {**facts, **_view(facts)}, filters, html=True)


def _view(facts: Facts) -> Facts:
    best, final = facts["best"], facts["steps"][-1]
    effects = [step["effect"] for step in facts["steps"] if step["effect"]]
    return net_view(best, facts["data"]) | {
        "assets": assets(),
        "effect_limit": max((abs(effect[end]) for effect in effects for end in ("low", "high")), default=1.0),
        "final": final,
        "gauges": gauges.answer(final, facts["goal"], facts["verdict"]["passes"] is not None),
        "payload": script_json(_payload(facts)),
        "seeds": [run["seed"] for run in final["runs"]],
        "several": len(final["runs"]) > 1,
        "smoothed": _smoothed(facts["steps"]),
    }


def _smoothed(steps: list[Facts]) -> str:
    """Return which steps train with label smoothing where others do not; their losses are not comparable."""
    names = [f"step {step['number']}" for step in steps if step["recipe"]["label_smoothing"]]
    return ", ".join(names) if len(names) < len(steps) else ""


def _payload(facts: Facts) -> Facts:
    """Return what the page's scripts compute with."""
    compared = [facts["steps"][-1], *facts["alternatives"]] if facts["alternatives"] else []
    return net_payload(facts["best"], facts["data"]) | {
        "target": facts["goal"]["target"],
        "series": {"steps": [_curves(step) for step in facts["steps"]], "alternatives": [*map(_curves, compared)]},
        "published": facts["published"],
        "own": [
            {
                "colour": series(step["number"]),
                "mark": str(step["number"]),
                "source": f"This climb, step {step['number']}: {step['title']}",
                "parameters": step["parameters"],
                "accuracy": step["evaluation"]["mean"],
                "text": accuracy(step["evaluation"]),
                "seeds": len(step["runs"]),
            }
            for step in facts["steps"]
        ],
    }


def _curves(step: Facts) -> Facts:
    return {
        "number": step["number"],
        "title": step["title"],
        "colour": series(step["number"]),
        "rates": [float(f"{rate:.5g}") for rate in step["learning_rates"]],
        "runs": [
            {
                "seed": run["seed"],
                "trainLoss": [round(row["train_loss"], 5) for row in run["rows"]],
                "evaluationLoss": [round(row["evaluation_loss"], 5) for row in run["rows"]],
                "train": [_share(row, "train") for row in run["rows"]],
                "evaluation": [_share(row, "evaluation") for row in run["rows"]],
            }
            for run in step["runs"]
        ],
        "readings": _readings(step),
    }


def _readings(step: Facts) -> Facts:
    """Return what the curves say at each epoch, the mean of the seeds, written as the page's tables write it.

    Scripts would round once more what was rounded for drawing, and they round halves up where Python takes the even
    neighbour; so the words are made here, and the scripts only show them.
    """
    epochs = list(zip(*(run["rows"] for run in step["runs"]), strict=True))
    return {
        "trainLoss": [f"{mean([row['train_loss'] for row in rows]):.4f}" for rows in epochs],
        "evaluationLoss": [f"{mean([row['evaluation_loss'] for row in rows]):.4f}" for rows in epochs],
        "train": [f"{mean([_share(row, 'train') for row in rows]):.2f}" for rows in epochs],
        "evaluation": [f"{mean([_share(row, 'evaluation') for row in rows]):.2f}" for rows in epochs],
        "rates": [f"{rows[0]['learning_rate']:.4g}" for rows in epochs],
    }


def _share(row: Facts, part: str) -> float:
    """Return the percentage of right answers in a row's part, "train" or "evaluation"."""
    return float(100 * row[f"{part}_correct"] / row[f"{part}_count"])
