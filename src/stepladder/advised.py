"""A run or a climb with its facts and the advice on it, as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepladder.advice import Advice
from stepladder.advice import advise as advise_on
from stepladder.asked_before import answers
from stepladder.displayed import Displayed
from stepladder.options import given_options

if TYPE_CHECKING:
    from stepladder.data import Dataset
    from stepladder.diagnosis.values import Facts

FORMAT = 1
_HEADINGS = {"first": "Before anything else", "alarm": "Alarm", "idea": "Idea"}


@dataclass(frozen=True)
class Advised(Displayed):
    """The facts of a run, and the advice on it in the order in which to follow it; prints as text."""

    facts: Facts
    advice: tuple[Advice, ...]

    def __str__(self) -> str:
        """Return what ``stepladder advise`` prints."""
        return as_text(self).rstrip("\n")

    @property
    def alarms(self) -> tuple[Advice, ...]:
        """Return the advice on what is wrong."""
        return tuple(one for one in self.advice if one.kind == "alarm")


@dataclass(frozen=True)
class Subject:
    """What is advised on: a run's folder, and, of a climb, which run that is and what its last step left open.

    Args:
        run: the folder.
        undecided: a sentence; empty if nothing was left open.
        seeds: runs of each candidate.
        command: the climb's.
        budget: parameters that the climb's nets stay below; None for a run.
        step: title of the climb's step that the run is of.
        epochs: of the climb's final runs; None for a run.
        answers: what the climb found out about techniques, by their names in advice.
    """

    run: Path
    undecided: str = ""
    seeds: int = 1
    command: str = ""
    budget: int | None = None
    step: str = ""
    epochs: int | None = None
    answers: Mapping[str, str] = field(default_factory=dict)


def advise_folder(
    folder: Path | str, *, data: str | None = None, data_dir: Path | None = None, budget: int | None = None
) -> Advised:
    """Return a run's facts and the advice on it; of a climb, those of the first run of what stands.

    >>> print(advise_folder("runs/mine"))  # doctest: +SKIP

    Args:
        folder: of a run or a climb.
        data: what it was trained on, by name or path; None takes what the run says.
        data_dir: folder that holds data of the catalogue.
        budget: parameters that nets of the advice stay below; None takes a climb's own, and no limit for a run.

    Raises:
        RunError: if the folder holds no run, a damaged one, one that was stopped and can go on, or one of other images.
        DataError: if the data is not to be had.
    """
    from stepladder.data import load
    from stepladder.runs import read_experiment

    subject = find_subject(Path(folder), budget)
    dataset = load(data or read_experiment(subject.run).data, data_dir=data_dir)
    return advised(subject, dataset, given_options(data=data, data_dir=data_dir))


def advised(subject: Subject, dataset: Dataset, given: tuple[str, ...] = ()) -> Advised:
    """Return the facts of what is advised on, and the advice, whose commands have the options that were given."""
    from stepladder.diagnosis import diagnose
    from stepladder.trials import with_epochs

    facts = diagnose(subject.run, dataset)
    if subject.epochs is not None:
        # What is advised on is trained for that long in the end, however few epochs this run was given.
        whole = with_epochs(facts.experiment.recipe, subject.epochs)
        facts = replace(facts, experiment=facts.experiment.model_copy(update={"recipe": whole}))
    facts = replace(
        facts,
        undecided=subject.undecided,
        seeds=subject.seeds,
        command=subject.command,
        budget=subject.budget,
        given=given,
        step=subject.step,
        planned=subject.epochs,
    )
    said = [replace(one, before=subject.answers.get(one.technique, "")) for one in advise_on(facts)]
    # What was asked before comes after what was not, where neither is urgent.
    said.sort(key=lambda one: one.kind == "idea" and bool(one.before))
    return Advised(facts, tuple(said))


def find_subject(folder: Path, budget: int | None = None) -> Subject:
    """Return what a folder asks advice on: its own run, or the first run of what stands in its climb.

    Steps may have had different numbers of epochs. Of the runs of what stands, one of the longest is taken.

    Args:
        folder: of a run or a climb.
        budget: parameters that nets of the advice stay below; None takes a climb's own.

    Raises:
        RunError: if a climb's facts are damaged, of a later format, or without a finished step.
    """
    from stepladder import ascent_facts
    from stepladder.errors import RunError
    from stepladder.predict import run_folder

    if not (folder / ascent_facts.DECISIONS).is_file():
        return Subject(run_folder(folder), budget=budget)
    facts = ascent_facts.read(folder)
    standing = _runs_of_what_stands(folder, facts["steps"])
    if not standing:
        raise RunError(
            "no step of this climb is finished", given=str(folder), repair="start its command again to go on with it"
        )
    last, _ = standing[0]
    step, run = max(standing, key=lambda one: int(one[0].get("epochs") or 0))
    decision = _left_open(last)
    return Subject(
        run=run,
        undecided=_told(last, decision),
        # Where a second look was taken, its seeds are those that the difference was judged by.
        seeds=int((decision or {}).get("seeds") or last.get("seeds") or facts["seeds"]),
        command=str(facts["command"]),
        budget=facts["goal"]["budget"] if budget is None else budget,
        step=str(step["title"]),
        epochs=int(facts["goal"]["epochs"]),
        answers=answers(facts["steps"]),
    )


def _runs_of_what_stands(folder: Path, steps: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], Path]]:
    """Return the steps since what stands was taken, the last first, each with the first of its finished runs."""
    found: list[tuple[dict[str, Any], Path]] = []
    for step in reversed(steps):
        taken = next((one for one in step["candidates"] if one["name"] == step["taken"]), step["candidates"][0])
        runs = [folder / "runs" / name for name in taken.get("runs", ())]
        if runs and (runs[0] / "result.json").is_file():
            found.append((step, runs[0]))
        if found and taken is not step["candidates"][0]:
            break
    return found


def _left_open(step: dict[str, Any]) -> dict[str, Any] | None:
    """Return the decision on the best of what a step left open, with its candidate's name.

    None where the step took something, everything was clear, or what is open is a loss if anything.
    """
    if step["taken"] != step["candidates"][0]["name"]:
        return None
    decisions = [one["decision"] | {"name": one["name"]} for one in step["candidates"] if one.get("decision")]
    open_ones = [one for one in decisions if one["verdict"] == "undecided" and one["points"] > 0]
    return max(open_ones, key=lambda one: float(one["points"]), default=None)


def _told(step: dict[str, Any], decision: dict[str, Any] | None) -> str:
    if decision is None:
        return ""
    return (
        f"the step '{step['title']}' was left open: {decision['name']} gains {decision['points']:+.2f} points, "
        f"{decision['low']:+.2f} to {decision['high']:+.2f}"
    )


def as_text(found: Advised) -> str:
    """Return facts and advice as text, ending in a newline."""
    lines = [_summary(found), *_read(found.facts), ""]
    for number, one in enumerate(found.advice, start=1):
        lines += [
            f"{number}. {_HEADINGS[one.kind]}: {one.title} ({one.technique})",
            f"   evidence: {one.evidence}",
            f"   where: {one.where}",
            f"   why now: {one.why}",
            *([f"   this climb: {one.before}"] if one.before else []),
            f"   expected: {_effect(one)}; cost: {one.cost}",
            f"   {one.command}",
            "",
        ]
    return "\n".join(lines[:-1]) + "\n"


def as_markdown(found: Advised) -> str:
    """Return facts and advice in Markdown, ending in a newline."""
    lines = [f"# Advice on {found.facts.folder}", "", _summary(found), ""]
    lines += [f"{line}\n" for line in _read(found.facts)]
    for number, one in enumerate(found.advice, start=1):
        lines += [
            f"## {number}. {_HEADINGS[one.kind]}: {one.title}",
            "",
            f"- **technique:** {one.technique}",
            f"- **evidence:** {one.evidence}",
            f"- **where:** {one.where}",
            f"- **why now:** {one.why}",
            *([f"- **this climb:** {one.before}"] if one.before else []),
            f"- **expected:** {_effect(one)}",
            f"- **cost:** {one.cost}",
            "",
            f"```sh\n{one.command}\n```",
            "",
        ]
    return "\n".join(lines[:-1]) + "\n"


def as_json(found: Advised) -> str:
    """Return facts and advice as JSON, ending in a newline."""
    values = {
        "format": FORMAT,
        "advice": [one.as_values() for one in found.advice],
        "facts": found.facts.as_values(),
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


STYLES: dict[str, Callable[[Advised], str]] = {"text": as_text, "json": as_json, "markdown": as_markdown}


def doubtful_table(facts: Facts) -> str:
    """Return the training images whose labels are doubted as CSV: number from 0, label, what is suggested, file."""
    import csv
    import io

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("image", "label", "suggested", "file"))
    writer.writerows((one.index, one.label, one.suggested, one.file) for one in facts.labels.doubtful)
    return stream.getvalue()


def _summary(found: Advised) -> str:
    facts = found.facts
    if facts.train is None:
        reached = f"failed: {facts.failure}"
    else:
        spread = facts.train.interval
        reached = f"training images {facts.train.accuracy:.2f}% ({spread.low:.2f} to {spread.high:.2f})"
        if facts.holdout is not None:
            spread = facts.holdout.interval
            reached += f", holdout {facts.holdout.accuracy:.2f}% ({spread.low:.2f} to {spread.high:.2f})"
    alarms = len(found.alarms)
    verdict = "no alarm" if not alarms else f"{alarms} alarm{'s' if alarms > 1 else ''}"
    return f"{facts.folder}, {facts.title}: {reached}, {facts.net.parameters:,} parameters; {verdict}"


def _read(facts: Facts) -> list[str]:
    """Return which run of a climb was looked at, in one line; no line of a run."""
    if facts.planned is None:
        return []
    which = f"Looked at: the run with seed {facts.experiment.seed} of what stands, from the step '{facts.step}'"
    if not facts.is_short:
        return [f"{which}, with all {facts.planned} epochs"]
    return [
        f"{which}, with {len(facts.epochs)} of the {facts.planned} epochs of the final runs: it does not tell whether "
        "those are too few, nor what would not be learned in them"
    ]


def _effect(one: Advice) -> str:
    low, high = one.effect
    return "nothing by itself" if low == high == 0 else f"{low:+.2f} to {high:+.2f} points"
