"""Facts as text for the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepladder.compare import Difference, by_image
from stepladder.durations import clock
from stepladder.errors import RunError
from stepladder.evaluate import percent
from stepladder.notation import Net
from stepladder.runs import FinishedRun, open_finished

Facts = dict[str, Any]
LAST_EPOCHS = 5


def climb_summary(facts: Facts) -> str:
    """Return the climb's steps, verdict and place as lines of text."""
    lines = [f"\n{facts['data']['title']}: {facts['ladder']} ladder\n"]
    for step in [*facts["steps"], *facts["alternatives"]]:
        held = facts["data"]["split"]
        lines.append(
            f"{step['number']}. {step['title']}: {step['parameters']:,} parameters, training "
            f"{accuracy(step['train'])}, {held} {accuracy(step['evaluation'])}, worst of the last "
            f"{facts['goal']['held']} epochs {step['worst_of_last']:.2f}%, {clock(step['seconds'])} a run"
        )
        lines += [f"   - {remark['text']}" for remark in step["analysis"]]
        if step["test_once"]:
            lines.append(f"   - The test set, looked at once, when training was done: {accuracy(step['test_once'])}.")
    lines += ["", facts["verdict"]["text"], facts["place"], ""]
    return "\n".join(lines)


def accuracy(value: Facts) -> str:
    """Return a mean in percent, with ± the standard deviation where there is one."""
    return percent(value["mean"], value["deviation"])


@dataclass(frozen=True)
class Compared:
    """One run in a comparison; ``difference`` is to the first run, None for that itself."""

    name: str
    net: str
    parameters: int
    data: str
    split: str
    epochs: int
    seed: int
    train_accuracy: float
    evaluation_accuracy: float
    best_epoch_accuracy: float
    worst_of_last: float
    seconds: float
    difference: Difference | None


def compared(folders: Sequence[Path]) -> list[Compared]:
    """Return the runs side by side.

    Raises:
        RunError: if there are no folders, one holds no finished run, or the runs were evaluated on different images.
    """
    if not folders:
        raise RunError("there are no runs to compare", repair="name at least one run folder")
    runs = [open_finished(folder) for folder in folders]
    first = runs[0]
    rows = []
    for run in runs:
        if _images(run) != _images(first):
            raise RunError(
                "these runs were evaluated on different images",
                given=f"{first.folder}: {_title(first)}; {run.folder}: {_title(run)}",
                repair="compare runs of one data set and protocol",
            )
        accuracies = [row.evaluation_accuracy for row in run.rows]
        rows.append(
            Compared(
                name=str(run.folder),
                net=str(Net.parse(run.experiment.net)),
                parameters=int(run.result["parameters"]),
                data=run.result["data"]["title"],
                split=run.rows[-1].split,
                epochs=len(run.rows),
                seed=run.experiment.seed,
                train_accuracy=run.rows[-1].train_accuracy,
                evaluation_accuracy=accuracies[-1],
                best_epoch_accuracy=max(accuracies),
                worst_of_last=min(accuracies[-LAST_EPOCHS:]),
                seconds=run.seconds,
                difference=None if run is first else by_image(_right(first), _right(run)),
            )
        )
    return rows


def comparison(folders: Sequence[Path], style: str) -> str:
    """Return the comparison of runs as text, Markdown or JSON, ending in a newline."""
    return _COMPARISONS[style](compared(folders))


def _images(run: FinishedRun) -> tuple[str, str, int]:
    data = run.result["data"]
    return data["fingerprint"], run.result["split"], data["evaluation_count"]


def _title(run: FinishedRun) -> str:
    return f"{run.result['data']['title']}, {run.result['split']}"


def _right(run: FinishedRun) -> Any:
    logits, labels = run.predictions()
    return logits.argmax(1) == labels


_HEADER = (
    "",
    "parameters",
    "training",
    "last epoch",
    "best epoch",
    "worst of last 5",
    "time",
    "against the first",
)


def _table(rows: Sequence[Compared]) -> list[tuple[str, ...]]:
    table: list[tuple[str, ...]] = [_HEADER]
    for row in rows:
        gap = row.difference
        against = (
            f"{gap.points:+.2f} ({gap.low:+.2f} to {gap.high:+.2f}) {'clear' if gap.is_clear else 'not clear'}"
            if gap
            else ""
        )
        table.append(
            (
                row.name,
                f"{row.parameters:,}",
                f"{row.train_accuracy:.2f}%",
                f"{row.evaluation_accuracy:.2f}%",
                f"{row.best_epoch_accuracy:.2f}%",
                f"{row.worst_of_last:.2f}%",
                clock(row.seconds),
                against,
            )
        )
    return table


def comparison_note(rows: Sequence[Compared]) -> str:
    """Return what the numbers of a comparison are of, and what their intervals leave out."""
    return (
        f"{rows[0].data}, {rows[0].split} images; differences in points with 95% intervals, paired by image: the luck "
        "of the seed is not in them."
    )


def as_text(rows: Sequence[Compared]) -> str:
    """Return compared runs as a table in plain text, ending in a newline."""
    table = _table(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([*lines, "", comparison_note(rows)]) + "\n"


def _as_markdown(rows: Sequence[Compared]) -> str:
    header, *body = _table(rows)
    lines = [header, (":--",) + ("--:",) * (len(header) - 1), *body]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", comparison_note(rows)]) + "\n"


def _as_json(rows: Sequence[Compared]) -> str:
    values = {"format": 1, "runs": [asdict(row) for row in rows]}
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


_COMPARISONS: dict[str, Callable[[Sequence[Compared]], str]] = {
    "text": as_text,
    "markdown": _as_markdown,
    "json": _as_json,
}
COMPARISON_STYLES = tuple(_COMPARISONS)
