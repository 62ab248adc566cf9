"""The pages that show the rows of benchmarks/decisions.py: results/decisions.md, and tables of docs/decisions.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from pathlib import Path
from typing import Any

from stepladder.files import write_text

_ROOT = Path(__file__).parents[1]
PAGE = _ROOT / "results" / "decisions.md"
DOCS = _ROOT / "docs" / "decisions.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
_SEEDS = (1, 2, 3, 5, 10)
_EFFECTS = (0.1, 0.2, 0.3, 0.5)
_COUNTS = (1_000, 10_000)
_FIRST_LOOKS = (2, 3)

Rows = list[dict[str, Any]]


def write_pages(rows: Rows) -> None:
    """Write the page of all figures, and those that the documentation takes from it into their place."""
    write_text(PAGE, page(rows))
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    write_text(DOCS, before + BEGIN + figures(rows) + END + rest.partition(END)[2])


def share(row: dict[str, Any]) -> float:
    """Return how often it happened, in percent."""
    return 100 * row["times"] / row["of"]


def _only(rows: Rows, **wanted: Any) -> Rows:
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def _one(rows: Rows, **wanted: Any) -> float:
    (row,) = _only(rows, **wanted)
    return share(row)


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> list[str]:
    heads = list(head)
    marks = "| :-- |" + " --: |" * (len(heads) - 1)
    return ["| " + " | ".join(heads) + " |", marks, *("| " + " | ".join(line) + " |" for line in lines), ""]


def _by_seeds(what: str, names: Iterable[tuple[str, Callable[[int], str]]]) -> list[str]:
    heads = [what, *(f"{seeds} seed{'s' if seeds > 1 else ''}" for seeds in _SEEDS)]
    return _table(heads, ([name, *(cell(seeds) for seeds in _SEEDS)] for name, cell in names))


def _worlds(rows: Rows) -> list[str]:
    return [row["name"] for row in _only(rows, kind="world")]


def highest(rows: Rows, **wanted: Any) -> float:
    """Return the highest share, in percent, over the worlds."""
    return max(share(row) for row in _only(rows, kind="rate", **wanted))


def figures(rows: Rows) -> str:
    """Return the tables of docs/decisions.md."""
    lines = [
        "How often a useless technique is kept, in percent: the highest of the four worlds. With four candidates in a "
        "step: how often any of four useless ones is.",
        "",
        *_by_seeds(
            "Useless kept",
            [
                (
                    f"{count:,} images, {candidates} candidate{'s' if candidates > 1 else ''}",
                    lambda seeds, count=count, many=candidates: (
                        f"{highest(rows, what='kept', effect=0.0, seeds=seeds, images=count, candidates=many):.1f}"
                    ),
                )
                for count in _COUNTS
                for candidates in (1, 4)
            ],
        ),
        "How often one that is worth something is kept, in percent, alone in its step / beside three useless ones, on "
        "10,000 images:",
        "",
        *_by_seeds("Useful kept", _power(rows, 10_000)),
        *_sentences(rows),
        "A whole step of a climb: what one seed shows to be hopeless is given up, and where nothing is kept, two get "
        "as many seeds again. How often any useless one is kept (the highest of the worlds, on 1,000 and on 10,000 "
        "images), and how often one that is worth something is found, alone / beside three useless ones, on 10,000:",
        "",
        *_climbs(rows, 10_000),
        "The rules that were compared, on 10,000 images, one candidate: useless kept / one worth 0.2 points kept, in "
        "percent.",
        "",
        *_rules(rows),
    ]
    return "\n".join(lines)


def _sentences(rows: Rows) -> list[str]:
    """Return what people ask first, as a list."""
    found = {
        world: [
            f"{_one(rows, world=world, what='kept', effect=0.2, seeds=3, images=10_000, candidates=many):.0f}%"
            for many in (1, 4)
        ]
        for world in _worlds(rows)
    }
    at = {"seeds": 3, "images": 10_000}
    equal = [f"{_one(rows, world=world, what='saving kept', effect=0.0, **at):.0f}% ({world})" for world in found]
    looks = {over: highest(rows, what="kept at some look", **{"level over": over}) for over in (1, 3)}
    worst = max(share(row) for row in _only(rows, what="saving kept", effect=-0.2))
    covered = min(share(row) for row in _only(rows, what="covered"))
    given_up = {effect: _span(rows, what="stopped after one seed", effect=effect) for effect in (-1.0, 0.0, 0.2)}
    freed = ", ".join(
        f"{_one(rows, world=world, what='kept, losers stopped', effect=0.2, **at):.0f}% rather than "
        f"{_one(rows, world=world, what='kept, losers trained on', effect=0.2, **at):.0f}% ({world})"
        for world in found
    )
    worst_freed = highest(rows, what="useless kept, losers stopped")
    alone, beside = (", ".join(f"{rates[many]} ({world})" for world, rates in found.items()) for many in (0, 1))
    return [
        f"- A technique that is worth 0.2 points, at 3 seeds on 10,000 images, is found in {alone}; beside three "
        f"useless ones in {beside}.",
        f"- A smaller net that is worse by the whole margin is kept in at most {worst:.1f}%; an equally good one, at 3 "
        f"seeds on 10,000 images, in {', '.join(equal)}.",
        f"- The 90% interval holds the truth in at least {covered:.1f}% of steps, in every world.",
        f"- Who decides at 3, at 5 and at 10 seeds until something is kept, keeps a useless one in up to "
        f"{looks[1]:.1f}%; with the level divided by three, in up to {looks[3]:.1f}%.",
        f"- One seed gives up a candidate that is worse by a whole point in {given_up[-1.0]}, a useless one in "
        f"{given_up[0.0]}, one that is worth 0.2 points in {given_up[0.2]}. Beside a useless one and two that are "
        f"worse by a whole point, one that is worth 0.2 points is found, at 3 seeds on 10,000 images, in {freed}. Any "
        f"of four useless ones beside the same two is kept in at most {worst_freed:.1f}%.",
        "",
    ]


def _climbs(rows: Rows, count: int) -> list[str]:
    """Return the table of what a climb's two looks keep."""
    cases = dict.fromkeys((row["candidates"], row.get("joined")) for row in _only(rows, what="useless kept by a climb"))
    lines = []
    for many, joined in cases:
        at = {"what": "useless kept by a climb", "candidates": many, "joined": joined}
        name = f"useless kept: {many} candidate{'s' if many > 1 else ''}{', and some of them joined' if joined else ''}"
        lines.append([name, *(f"{highest(rows, seeds=seeds, **at):.1f}" for seeds in _FIRST_LOOKS)])
    for world in _worlds(rows):
        for effect in _EFFECTS:
            at = {"what": "kept by a climb", "world": world, "effect": effect, "images": count}
            cells = [
                " / ".join(f"{_one(rows, seeds=seeds, candidates=many, **at):.0f}" for many in (1, 4))
                for seeds in _FIRST_LOOKS
            ]
            lines.append([f"{world}, {effect:g} points", *cells])
    return _table(["A step of a climb", *(f"{seeds} seeds, then {2 * seeds}" for seeds in _FIRST_LOOKS)], lines)


def _span(rows: Rows, **wanted: Any) -> str:
    """Return the lowest and the highest share over worlds and sizes of the holdout."""
    shares = [share(row) for row in _only(rows, kind="rate", **wanted)]
    return f"{min(shares):.1f} to {max(shares):.1f}%"


def _power(rows: Rows, count: int) -> list[tuple[str, Callable[[int], str]]]:
    return [
        (
            f"{world}, {effect:g} points",
            lambda seeds, world=world, effect=effect: " / ".join(
                f"{_one(rows, world=world, what='kept', effect=effect, seeds=seeds, images=count, candidates=many):.0f}"
                for many in (1, 4)
            ),
        )
        for world in _worlds(rows)
        for effect in _EFFECTS
    ]


def _rules(rows: Rows) -> list[str]:
    found = _only(rows, kind="rule")
    places = [(world, seeds) for world in dict.fromkeys(row["world"] for row in found) for seeds in (2, 3, 10)]
    return _table(
        ["Rule", *(f"{world}, {seeds} seeds" for world, seeds in places)],
        (
            [
                name,
                *(
                    f"{_one(found, rule=name, world=world, seeds=seeds, effect=0.0):.1f} / "
                    f"{_one(found, rule=name, world=world, seeds=seeds, effect=0.2):.0f}"
                    for world, seeds in places
                ),
            ]
            for name in dict.fromkeys(row["rule"] for row in found)
        ),
    )


def page(rows: Rows) -> str:
    """Return the page of all figures."""
    head, rest = rows[0], rows[1:]
    rates = _only(rest, kind="rate")
    looks = _only(rates, what="kept at some look")
    steps = max(row["of"] for row in rates)
    error = 200 * sqrt(0.05 * 0.95 / steps)
    lines = [
        "# How often the rule for keeping a step errs",
        "",
        f"Generated by `{head['command']}` from [decision-runs.jsonl](decision-runs.jsonl), the real runs; rows: "
        "[decisions.jsonl](decisions.jsonl). The rule: [docs/decisions.md](../docs/decisions.md). All rates are in "
        f"percent, of {steps:,} simulated steps each; near 5% two standard errors of the simulation are {error:.1f}.",
        "",
        "## The real runs",
        "",
        "How far the accuracies of runs of one recipe lie apart, in points: what chance image by image accounts for, "
        "what is found, and what is beyond, that also as a share of the error rate.",
        "",
        *_table(
            ["Recipe", "runs", "images", "error", "by chance", "found", "beyond", "of the error"],
            (
                [
                    row["recipe"],
                    str(row["runs"]),
                    f"{row['images']:,}",
                    f"{100 * row['error']:.2f}%",
                    f"{100 * sqrt(row['churn'] / row['images']):.3f}",
                    f"{100 * row['spread']:.3f}",
                    f"{100 * row['luck']:.3f}",
                    f"{row['luck'] / row['error']:.2f}",
                ]
                for row in _only(rest, kind="real")
            ),
        ),
        "## The worlds",
        "",
        "Weights of the fitted model, against chance as 1 (benchmarks/decision_worlds.py says what they are).",
        "",
        *_table(
            ["World", "error", "difficulty", "taste", "luck"],
            (
                [
                    row["name"] + (" (luck skewed)" if row["skewed"] else ""),
                    f"{100 * row['error']:.2f}%",
                    *(f"{row[name]:.2f}" for name in ("difficulty", "taste", "luck")),
                ]
                for row in _only(rest, kind="world")
            ),
        ),
        "## Useless techniques that are kept",
        "",
        "One candidate / any of four.",
        "",
        *_each(rates, lambda place: [_one(rates, what="kept", effect=0.0, candidates=n, **place) for n in (1, 4)], 1),
        "Any of three useless ones beside one that is worth 0.2 points:",
        "",
        *_each(rates, lambda place: [_one(rates, what="useless beside it kept", effect=0.2, **place)], 1),
        "A useless one that is dropped, because it is surely worth less than 0.2 points; the rest is undecided:",
        "",
        *_each(rates, lambda place: [_one(rates, what="dropped", effect=0.0, **place)], 0),
        "## Useful techniques that are kept",
        "",
        "Alone / beside three useless ones.",
        "",
        *(line for count in _COUNTS for line in _by_seeds(f"{count:,} images", _power(rest, count))),
        "## Coverage of the 90% interval",
        "",
        "Of a useless candidate / one worth 0.2 points.",
        "",
        *_each(rates, lambda place: [_one(rates, what="covered", effect=effect, **place) for effect in (0.0, 0.2)], 1),
        "## Steps that are to save parameters",
        "",
        "Kept though it is worse by the whole margin of 0.2 points / kept when it is equally good.",
        "",
        *_each(
            rates, lambda place: [_one(rates, what="saving kept", effect=effect, **place) for effect in (-0.2, 0.0)], 1
        ),
        "## Looking again",
        "",
        "A useless candidate that is kept at some look, where runs are added and it is decided at 3, at 5 and at 10 "
        "seeds: each time at 5%, and each time at a third of it.",
        "",
        *_table(
            ["World, images", "each at 5%", "each at 5% / 3"],
            (
                [
                    f"{world}, {count:,}",
                    *(f"{_one(looks, world=world, images=count, **{'level over': over}):.1f}" for over in (1, 3)),
                ]
                for world in _worlds(rest)
                for count in _COUNTS
            ),
        ),
        "## A whole step of a climb",
        "",
        "What one seed shows to be hopeless is given up; where nothing is kept, the two undecided ones that seem to "
        "gain most get as many seeds again; 2.5% at each look, at the second less where more than four ran. Useless "
        "kept: the highest of the worlds, on 1,000 and on 10,000 images. Useful kept: alone / beside three useless "
        "ones.",
        "",
        *(line for count in _COUNTS for line in [f"{count:,} images:", "", *_climbs(rest, count)]),
        "## Other rules",
        "",
        "Useless kept / one worth 0.2 points kept; 10,000 images, one candidate. The bootstrap judged "
        f"{_only(rest, kind='rule', rule='bootstrap of seeds and images')[0]['of']:,} steps.",
        "",
        *_rules(rest),
        "## Real runs, drawn again",
        "",
        "No model: seeds are drawn from the real runs without replacement, the images stay as they are. Of one recipe "
        "against itself (other runs on either side) every candidate is useless; the last rows pair two recipes by "
        "seed. Draws share runs and images, so these rates are rougher than they look.",
        "",
        *_redrawn(_only(rest, kind="redrawn")),
        f"{head['environment']['processor']}, Python {head['environment']['python']}, NumPy "
        f"{head['environment']['numpy']}.",
        "",
    ]
    return "\n".join(lines)


def _each(rates: Rows, values: Callable[[dict[str, Any]], list[float]], digits: int) -> list[str]:
    """Return a table with a line for each world and number of images, and a column for each number of seeds."""
    places = dict.fromkeys((row["world"], row["images"]) for row in rates)
    return _by_seeds(
        "World, images",
        [
            (
                f"{world}, {count:,}",
                lambda seeds, world=world, count=count: " / ".join(
                    f"{value:.{digits}f}" for value in values({"world": world, "images": count, "seeds": seeds})
                ),
            )
            for world, count in places
        ],
    )


def _redrawn(found: Rows) -> list[str]:
    pairs = dict.fromkeys((row["baseline"], row["candidate"], row["effect"], row["images"]) for row in found)
    return _table(
        ["Baseline → candidate", "images", "difference", "1 seed", "2 seeds", "3 seeds", "5 seeds"],
        (
            [
                f"{first} → {second}",
                f"{count:,}",
                f"{effect:+.2f}",
                *(f"{_one(found, baseline=first, candidate=second, seeds=seeds):.1f}" for seeds in (1, 2, 3, 5)),
            ]
            for first, second, effect, count in pairs
        ),
    )
