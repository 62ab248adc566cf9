"""The facts of a climb of questions: plain values, written after every step, from which its report is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepladder.answers import Answer
from stepladder.errors import RunError
from stepladder.evaluate import mean
from stepladder.files import write_json
from stepladder.ladder import Goal
from stepladder.questions import Question
from stepladder.runs import FinishedRun
from stepladder.trials import Effort, Tried

if TYPE_CHECKING:
    from stepladder.ascent import Climber
    from stepladder.effort import Level, Plan

FORMAT = 1
DECISIONS = "decisions.json"

Facts = dict[str, Any]


@dataclass(frozen=True)
class Rung:
    """A question with its answer.

    Args:
        question: what was asked.
        answer: what trying gave.
        level: what the plan gave it.
        effort: seeds and epochs of its runs.
        seconds: what its new runs took, summed.
        range_test: rates and losses of a learning-rate range test, where one was made.
        advice: what advice led to the step, where one did.
    """

    question: Question
    answer: Answer
    level: Level
    effort: Effort
    seconds: float
    range_test: Facts | None = None
    advice: Facts | None = None


def gather(climber: Climber) -> Facts:
    """Return everything that is known of a climb; "final" is missing while it is under way."""
    options, plan = climber.options, climber.plan
    facts: Facts = {
        "format": FORMAT,
        "identity": climber.identity,
        "ladder": options.ladder.name,
        "title": climber.dataset.title,
        "data": climber.dataset.name,
        "command": options.command,
        "goal": asdict(options.goal),
        "seeds": options.seeds,
        "holdout_size": options.holdout_size,
        "precision": options.precision,
        "plan": _plan(plan),
        "preflight": climber.preflight,
        "steps": [_step(rung) for rung in climber.rungs],
        "seconds": plan.elapsed,
        "known": climber.known(),
    }
    if climber.rungs:
        last = climber.rungs[-1].answer.trial
        facts |= {"net": last.net, "recipe": last.recipe.model_dump(mode="json")}
    if climber.under_way is not None:
        key, level = climber.under_way
        facts["under_way"] = {"key": key, "level": [level.seeds, level.share]}
    if climber.final is not None:
        facts["final"] = climber.final
    if climber.why_it_ended:
        facts["why_it_ended"] = climber.why_it_ended
    return facts


def final(runs: Sequence[FinishedRun], seeds: int, goal: Goal, parameters: int, macs: int) -> Facts:
    """Return what the runs on all training images, one a seed that could be trained, say on the test set.

    ``held`` is whether the mean over the seeds is at the target in each of the goal's last epochs.
    """
    trained = {run.experiment.seed for run in runs}
    curve = [mean([row.evaluation_accuracy for row in rows]) for rows in zip(*(run.rows for run in runs), strict=True)]
    return {
        "accuracies": [run.rows[-1].evaluation_accuracy for run in runs],
        "failed_seeds": [seed for seed in range(seeds) if seed not in trained],
        "curve": curve,
        "held": min(curve[-goal.held :]) >= goal.target,
        "parameters": parameters,
        "macs": macs,
        "runs": [run.folder.name for run in runs],
        "seconds": sum(run.seconds for run in runs),
    }


def write(folder: Path, facts: Facts) -> None:
    """Write the facts into a climb's folder."""
    write_json(folder / DECISIONS, facts)


def read(folder: Path) -> Facts:
    """Return the facts of a climb.

    Raises:
        RunError: if the folder holds none, damaged ones, or those of a later version.
    """
    path = folder / DECISIONS
    try:
        facts: Facts = json.loads(path.read_text(encoding="utf-8"))
        is_known = facts["format"] == FORMAT
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            "this is no climb of a ladder that asks questions",
            given=f"{path} ({error})",
            repair="name the folder of one, or start its command again",
        ) from None
    if not is_known:
        raise RunError(
            "this climb is of another version of stepladder", given=str(path), repair="use a newer stepladder"
        )
    return facts


def begun(folder: Path, identity: Facts) -> Facts:
    """Return what an earlier process left of the same climb that is not in its runs.

    Its seconds, the level of each step that it began, those that it answered with whether they had a second look, the
    pre-flight, the range tests by step, whether it came to its end ("ended") and how often the test set was looked at
    until then ("looks"), with which runs ("final_runs"). Under "limit" the time that it had, under "told", "left_out"
    and "back" what was told of the plan for that, under "speed", "seen" and "ready" what it rests on.
    """
    nothing: Facts = {
        "elapsed": 0.0,
        "levels": {},
        "preflight": None,
        "range_tests": {},
        "told": [],
        "left_out": [],
        "back": [],
        "speed": None,
        "seen": [],
        "ready": None,
        "answered": {},
        "limit": None,
        "ended": False,
        "looks": 0,
        "final_runs": [],
    }
    try:
        facts = read(folder)
    except RunError:
        return nothing
    wanted, found = json.loads(json.dumps(identity)), facts.get("identity", {})
    # What an earlier version did not write yet is taken to be the same.
    if any(found.get(name, value) != value for name, value in wanted.items()):
        return nothing  # another climb: its runs are used again, its plan and its clock are not
    known = facts.get("known", {})
    range_tests = {step["key"]: step["range_test"] for step in facts["steps"] if step["range_test"]}
    final = facts.get("final") or known.get("final", {})
    return {
        "elapsed": float(facts["seconds"]),
        "levels": known.get("levels", {}) | _levels(facts),
        "preflight": facts["preflight"],
        "told": facts["plan"]["told"],
        "left_out": facts["plan"]["left_out"],
        **{name: facts["plan"].get(name, nothing[name]) for name in ("back", "speed", "seen", "ready")},
        "answered": known.get("answered", {}) | {step["key"]: _had_second_look(step) for step in facts["steps"]},
        "limit": facts["plan"]["limit"],
        "range_tests": known.get("range_tests", {}) | range_tests,
        "ended": bool(final),
        "looks": final.get("looks", 1 if final else 0),
        "final_runs": final.get("runs", []),
    }


def _plan(plan: Plan) -> Facts:
    """Return what is told of the plan, and what a climb that goes on plans with."""
    return {
        "limit": plan.limit,
        "told": list(plan.told),
        "left_out": list(plan.left_out),
        "back": list(plan.back),
        "speed": None if plan.speed is None else asdict(plan.speed),
        "seen": [list(one) for one in plan.pace.seen],
        "ready": plan.ready,
    }


def _had_second_look(step: Facts) -> bool:
    return any(len(row["runs"]) > step["seeds"] for row in step["candidates"])


def _levels(facts: Facts) -> Facts:
    levels = {step["key"]: step["level"] for step in facts["steps"]}
    if "under_way" in facts:
        levels[facts["under_way"]["key"]] = facts["under_way"]["level"]
    return levels


def _step(rung: Rung) -> Facts:
    answer, question = rung.answer, rung.question
    return {
        "key": question.key,
        "title": question.title,
        "question": question.question,
        "technique": question.technique,
        "taken": answer.taken,
        "reason": answer.reason,
        "level": [rung.level.seeds, rung.level.share],
        "seeds": rung.effort.seeds,
        "epochs": rung.effort.epochs,
        "seconds": rung.seconds,
        "range_test": rung.range_test,
        "advice": _score(rung),
        "candidates": [_candidate(answer, row) for row in answer.tried],
    }


def _score(rung: Rung) -> Facts | None:
    """Return what advice promised and what came."""
    if rung.advice is None:
        return None
    decision = next(iter(rung.answer.choice.decisions.values())) if rung.answer.choice is not None else None
    if decision is None:
        return {**rung.advice, "came": None, "verdict": "cannot be trained"}
    return {
        **rung.advice,
        "came": [decision.points, decision.low, decision.high],
        "verdict": decision.verdict,
    }


def _candidate(answer: Answer, row: Tried) -> Facts:
    decision = answer.choice.decisions.get(row.name) if answer.choice is not None else None
    return {
        "name": row.name,
        "net": row.trial.net,
        "changes": row.changes,
        "learning_rate": row.trial.recipe.learning_rate,
        "parameters": row.parameters,
        "macs": row.macs,
        "accuracies": list(row.accuracies),
        "curve": list(row.curve),
        "seconds": row.seconds,
        "runs": [run.folder.name for run in row.runs],
        "failure": row.failure,
        "remark": row.remark,
        "decision": None if decision is None else asdict(decision),
    }
