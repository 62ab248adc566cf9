"""Write what our climbs measured into docs/techniques.md, and its pictures; ``--check`` only compares the page.

The figures are those of results/ladders.jsonl and results/fast-recipe.jsonl; benchmarks/ladders.py and
benchmarks/fast_recipe.py measure them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepladder.compare import by_seed
from stepladder.durations import clock
from stepladder.evaluate import deviation, mean, percent
from stepladder.files import write_text
from stepladder.spec import Augmentation

PAGE = Path(__file__).with_name("techniques.md")
RESULTS = PAGE.parent.parent / "results"
_BLOCK = re.compile(r"(<!-- measured: ([a-z-]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_AGAIN = "-again"
_ORDER = ("full-mnist", "full-mnist-bfloat16", "full-mnist-sample", "full-digits", "full-scenes")

Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """The rows of all climbs: those of the climbs themselves, and those of their candidates."""

    climbs: tuple[Row, ...]
    candidates: tuple[Row, ...]

    @classmethod
    def read(cls) -> Measured:
        """Return the rows of results/ladders.jsonl."""
        return cls.of(_lines("ladders.jsonl"))

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Measured:
        """Return rows as benchmarks/ladders.py writes them, the climbs in the order of the page."""
        climbs = [row | {"title": _title(row)} for row in rows if row["kind"] == "climb"]
        places = {name: place for place, name in enumerate(_ORDER)}
        climbs.sort(key=lambda row: (places.get(row["climb"], len(places)), row["climb"]))
        return cls(tuple(climbs), tuple(latest([row for row in rows if row["kind"] == "candidate"])))

    def stood(self, climb: str, step: str) -> Row | None:
        """Return what a step's candidates were compared with; None if the climb has no such step."""
        found = (row for row in self.candidates if row["climb"] == climb and row["step"] == step and row["stood"])
        return next(found, None)


def _title(climb: Row) -> str:
    """Return what the page calls a climb: its data, and the precision where that is not the usual one."""
    return str(climb["title"]) + ("" if climb["precision"] == "float32" else f", {climb['precision']}")


def latest(rows: Sequence[Row]) -> list[Row]:
    """Return candidates' rows, those of a question that was asked again in place of what it said of them before."""
    again = {_asked(row) for row in rows if _is_again(row)}
    kept = [row for row in rows if _is_again(row) or _asked(row) not in again]
    # In the place of the question as it was asked first.
    first = {(row["climb"], row["step"]): (place, row["step_title"]) for place, row in reversed(list(enumerate(rows)))}
    places = {step: place for step, (place, _) in first.items()}
    named = [row | {"step": row["step"].removesuffix(_AGAIN)} for row in kept]
    named = [row | {"step_title": first[row["climb"], row["step"]][1]} for row in named]
    return sorted(named, key=lambda row: (places[row["climb"], row["step"]], not row["stood"]))


def _asked(row: Row) -> tuple[str, str, str]:
    """Return climb, step and candidate; joined ones are one candidate, whatever they were joined from."""
    return row["climb"], row["step"].removesuffix(_AGAIN), "+" if " + " in row["candidate"] else row["candidate"]


def _is_again(row: Row) -> bool:
    return bool(row["step"].endswith(_AGAIN))


Chooses = Callable[[Row], bool]


def is_of(step: str) -> Chooses:
    """Return what chooses the rows of one step."""
    return lambda row: bool(row["step"] == step)


def changes_only(*fields: str) -> Chooses:
    """Return what chooses the candidates of the recipe's steps that change these fields, and no others but the rate."""
    return lambda row: bool(
        row["technique"] == "recipe"
        and not row["stood"]
        and fields[0] in row["changes"]
        and set(row["changes"]) <= {*fields, "learning_rate"}
    )


def varies_only(*kinds: str) -> Chooses:
    """Return what chooses the candidates that vary images in one of these ways alone."""
    return lambda row: row["step"] == "augmentation" and not row["stood"] and kinds_of(row) in [{one} for one in kinds]


def kinds_of(row: Row) -> set[str]:
    """Return the kinds of augmentation that a candidate turns on."""
    return set(Augmentation(**row["changes"].get("augmentation", {})).limits())


def joins(step: str) -> Chooses:
    """Return what chooses the candidate that several of a step were joined to."""
    return lambda row: bool(row["step"] == step and not row["stood"] and " + " in row["candidate"])


SECTIONS: dict[str, Chooses] = {
    "batch-normalisation": is_of("batch-normalisation"),
    "global-average-pooling": is_of("global-average-pooling"),
    "capacity": is_of("capacity"),
    "pooling-position": is_of("pooling-position"),
    "dropout": is_of("dropout"),
    "rotation": varies_only("rotation"),
    "shift": varies_only("shift"),
    "scale": varies_only("scale"),
    "shear": varies_only("shear"),
    "flips": varies_only("horizontal_flip", "vertical_flip"),
    "together": joins("augmentation"),
    "learning-rate": is_of("learning-rate"),
    "schedule": is_of("schedule"),
    "optimiser": changes_only("optimiser", "weight_decay"),
    "weight-decay": changes_only("weight_decay"),
    "label-smoothing": changes_only("label_smoothing"),
    "averaging": changes_only("averaging"),
    "regularisation-together": joins("regularisation"),
}
"""What each section shows of the climbs."""

FAST: dict[str, tuple[tuple[str, str], ...]] = {
    "optimiser": (("7", "SGD at"), ("7", "AdamW")),
    "label-smoothing": (("7", "no label smoothing"), ("6", "label smoothing 0.05"), ("2", "label smoothing")),
    "averaging": (("7", "exponential"), ("7", "even average"), ("7", "Lookahead")),
    "initialisation": (("6", "first layer whitening"), ("5", "first layer whitening, frozen"), ("7", "Dirac")),
    "one-cycle": (("6", "warm-up"),),
}
"""What each section shows of the search for the recipe of ``stepladder train fast``: group and beginning of a row."""


def updated(page: str, measured: Measured | None = None) -> str:
    """Return the page with every block of figures as the results give it.

    Raises:
        KeyError: if the page has a block that there are no figures for.
    """
    rows = measured or Measured.read()

    def block(found: re.Match[str]) -> str:
        return found[1] + "\n".join(lines_of(found[2], rows)) + "\n" + found[3]

    return _BLOCK.sub(block, page)


def lines_of(name: str, measured: Measured) -> list[str]:
    """Return a block of the page by its name, as lines."""
    if name == "climbs":
        return climbs_table(measured)
    if name == "machines":
        return machines(measured)
    if name == "skeleton":
        return skeletons(measured)
    if name == "pooling-pictures":
        return pooling_pictures(measured)
    if name.startswith("fast-"):
        return fast_table(FAST[name.removeprefix("fast-")])
    return table(measured, SECTIONS[name])


def climbs_table(measured: Measured) -> list[str]:
    """Return the climbs: data, goal, what was reached, and what it took."""
    lines = [
        "| Data | Goal | Held-out images | Reached on the test set | Parameters | Net | Time | Command |",
        "| :-- | :-- | --: | --: | --: | :-- | --: | :-- |",
    ]
    for one in measured.climbs:
        final, goal = one["final"], one["goal"]
        reached = reached_text(final["accuracies"], goal["target"]) if final else "not finished"
        size = f"{final['parameters']:,}" if final else "–"
        held = next(row["holdout_size"] for row in measured.candidates if row["climb"] == one["climb"])
        lines.append(
            f"| {one['title']} | {goal['target']:g}% with fewer than {goal['budget']:,} parameters in {goal['epochs']} "
            f"epochs | {held:,} | {reached} | {size} | `{one['net']}` | {clock(one['seconds'])} | `{one['command']}` |"
        )
    return lines


def reached_text(accuracies: list[float], target: float) -> str:
    """Return a climb's accuracy on the test set, each seed's, and whether the goal is met."""
    below = sum(one < target for one in accuracies)
    met = "met" if mean(accuracies) >= target else "**not met**"
    if below and met == "met":
        met += f" in the mean, {below} of {len(accuracies)} seeds below"
    seeds = ", ".join(f"{one:.2f}" for one in accuracies)
    return f"{percent(mean(accuracies), deviation(accuracies))} ({seeds}): {met}"


def machines(measured: Measured) -> list[str]:
    """Return where the climbs were made."""
    places = {
        f"{one['processor']}, {one['cores']} cores; torch {one['torch']}, NumPy {one['numpy']}, Python "
        f"{one['python']}, stepladder {one['stepladder']}"
        for one in (climb["environment"] for climb in measured.climbs)
    }
    return [f"Measured on: {'; '.join(sorted(places))}."]


def skeletons(measured: Measured) -> list[str]:
    """Return the bare nets that each climb began with."""
    lines = [
        "| Data | Bare net | Parameters | Holdout | Against the first |",
        "| :-- | :-- | --: | --: | :-- |",
    ]
    for climb in measured.climbs:
        for row in _of(measured, climb, is_of("skeleton")):
            effect = "–" if row["stood"] else effect_text(row)
            mark = ", **taken**" if row["stood"] and row["taken"] else ""
            lines.append(
                f"| {climb['title']} | {row['candidate']}: `{row['net']}` | {row['parameters']:,} | "
                f"{accuracy_text(row)} | {effect}{mark} |"
            )
    return lines


def pooled(measured: Measured) -> tuple[Row, list[Row]]:
    """Return the first climb whose step about pooling had something to compare, and the rows of that step.

    Raises:
        StopIteration: if no climb had.
    """
    found = ((climb, _of(measured, climb, is_of("pooling-position"))) for climb in measured.climbs)
    return next((climb, rows) for climb, rows in found if len(rows) > 1)


def pooling_pictures(measured: Measured) -> list[str]:
    """Return the pictures of the nets that a climb's step about pooling compared."""
    climb, rows = pooled(measured)
    lines = ["", f"The nets that were compared on {climb['title']}:"]
    for row in rows:
        name = "stood" if row["stood"] else row["candidate"].rpartition(" ")[2]
        title = "what stood" if row["stood"] else row["candidate"]
        lines += ["", f"{title.capitalize()}, `{row['net']}`:", ""]
        lines.append(f"![{title.capitalize()}, layer by layer: {row['macs']:,} MACs](techniques-pooling-{name}.svg)")
    return lines[1:]


def table(measured: Measured, chooses: Chooses) -> list[str]:
    """Return a table with a row a candidate and a column a data set: effects in points against what stood."""
    columns = [climb for climb in measured.climbs if _of(measured, climb, chooses)]
    if not columns:
        return ["Not among the steps of these climbs."]
    cells: dict[str, dict[str, str]] = {}
    stood: dict[str, str] = {}
    for climb in columns:
        for row in _of(measured, climb, chooses):
            before = measured.stood(climb["climb"], row["step"])
            assert before is not None
            stood[climb["climb"]] = accuracy_text(before) + (", **stays**" if before["taken"] else "")
            if not row["stood"]:
                text = effect_text(row)
                if " + " in row["candidate"]:
                    text = f"{row['candidate']}: {text}"
                cells.setdefault(label(row, before), {})[climb["climb"]] = text
    names = [climb["climb"] for climb in columns]
    lines = [
        "| | " + " | ".join(climb["title"] for climb in columns) + " |",
        "| :-- |" + " :-- |" * len(columns),
        "| what stood | " + " | ".join(stood[name] for name in names) + " |",
    ]
    return lines + [
        f"| {one} | " + " | ".join(found.get(name, "–") for name in names) + " |" for one, found in cells.items()
    ]


def label(row: Row, stood: Row) -> str:
    """Return a candidate's name without what differs from climb to climb."""
    if " + " in row["candidate"]:
        return "those that seemed to gain, together"
    if row["technique"] == "learning-rate":
        if "range test" in row["candidate"]:
            return "the rate that the range test suggests"
        return "three times the rate" if row["learning_rate"] > stood["learning_rate"] else "a third of the rate"
    return str(row["candidate"])


def effect_text(row: Row) -> str:
    """Return a candidate's difference to what stood, in points, with its interval and what was decided."""
    if row["points"] is None:
        return row["failure"] or "–"
    verdict = {"drop": "dropped", "undecided": "undecided", "keep": "worth keeping"}[row["verdict"]]
    outcome = "**taken**" if row["taken"] else verdict
    runs = "; 1 seed" if row["seeds"] == 1 else ""
    # Rows of climbs before remarks were written down have none.
    remark = f"; {row['remark']}" if row.get("remark") else ""
    return f"{interval_text(row['points'], row['low'], row['high'])}, {outcome}{runs}{remark}"


def interval_text(points: float, low: float, high: float) -> str:
    """Return a difference with its interval, such as ``−0.20 (−0.31 to −0.09)``."""
    return f"{points:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")


def accuracy_text(row: Row) -> str:
    """Return a candidate's accuracy on the holdout with its deviation over the seeds."""
    return percent(mean(row["accuracies"]), deviation(row["accuracies"])) if row["accuracies"] else row["failure"]


def fast_table(chosen: Iterable[tuple[str, str]]) -> list[str]:
    """Return rows of the search for the recipe of ``train fast``, each against its group's baseline."""
    rows = _lines("fast-recipe.jsonl")[1:]
    names = {row["name"]: row for row in rows if "name" in row}
    lines = [
        "| Full MNIST, the recipe of `train fast` | Difference in points, 95% interval | Seeds |",
        "| :-- | :-- | --: |",
    ]
    for group, beginning in chosen:
        row = next(row for row in rows if row["group"].startswith(group) and row["change"].startswith(beginning))
        before = names[row["baseline"]]
        there = dict(zip(before["seeds"], before["accuracies"], strict=True))
        own = dict(zip(row["seeds"], row["accuracies"], strict=True))
        seeds = [seed for seed in own if seed in there]
        found = by_seed([there[seed] for seed in seeds], [own[seed] for seed in seeds])
        text = interval_text(found.points, found.low, found.high)
        lines.append(
            f"| {row['change']}; {row['recipe']['epochs']} epochs | {text}{', clear' if found.is_clear else ''} | "
            f"{len(seeds)} |"
        )
    return lines


def _of(measured: Measured, climb: Row, chooses: Chooses) -> list[Row]:
    return [row for row in measured.candidates if row["climb"] == climb["climb"] and chooses(row)]


def _lines(name: str) -> list[Row]:
    return [json.loads(line) for line in (RESULTS / name).read_text(encoding="utf-8").splitlines()]


def main() -> int:
    """Write the page and its pictures, or compare the page with ``--check``; return the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        return int(page != updated(page))
    write_text(PAGE, updated(page))
    from techniques_pictures import draw

    draw(Measured.read(), PAGE.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
