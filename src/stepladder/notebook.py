"""Nets, runs, comparisons, ladders and climbs as HTML for notebooks: the only writer of that HTML.

Everything is escaped, nothing is fetched, and no colour is fixed: lines and bars take the text's colour, so that dark
and light notebooks both serve. Where a viewer strips styles and drawings, the tables still say everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from html import escape
from math import log2

from stepladder.compare import Difference
from stepladder.durations import clock
from stepladder.evaluate import wilson
from stepladder.inspection import diff_forms
from stepladder.inspection.diff import Comparison as NetComparison
from stepladder.inspection.summary import Summary
from stepladder.inspection.tables import html as tables
from stepladder.inspection.tables import text, words
from stepladder.inspection.tables.outline import outline
from stepladder.ladder import Ladder, Step
from stepladder.layers import Layer
from stepladder.notation import Net
from stepladder.notebook_parts import LAYERS, QUIET, box, code, heading, quiet, table
from stepladder.proposals import forms
from stepladder.proposals.propose import Proposal, Proposals
from stepladder.results import Climb, Comparison
from stepladder.runs import EpochRow, FinishedRun
from stepladder.text import Facts, accuracy, comparison_note

_CHIP = "border:1px solid currentColor;border-radius:.35em;padding:.15em .5em;font-weight:600;background:transparent"
_ROWS, _WIDTH = 2000, 130
"""Rows up to which a folded table has the whole one beside it as text, and the text's columns."""
_PLAIN = "background:transparent;color:inherit;font-size:.85em;line-height:1.3"
_FINDINGS = 12
"""Findings that are written out."""
_SPARK_WIDTH, _SPARK_HEIGHT = 280, 72


@singledispatch
def html(value: object) -> str:
    """Return the value as an HTML fragment.

    Raises:
        TypeError: for a value of a kind that has no HTML.
    """
    raise TypeError(f"{type(value).__name__} has no HTML")


@html.register
def _net(net: Net) -> str:
    kinds: dict[str, list[Layer]] = {}
    for layer in net.layers:
        kinds.setdefault(layer.teaching, []).append(layer)
    rows = [
        [alike[0].kind, code(_words(alike)), str(len(alike)), escape(teaching)] for teaching, alike in kinds.items()
    ]
    chips = " → ".join(_chip(layer, chain) for layer, chain in net.groups())
    return box(
        f"<p>{code(str(net))}</p>",
        f'<p style="line-height:2.6">{chips}</p>',
        table("What its layers do", ["kind", "words", "layers", "what it does"], rows, numbers=[2]),
    )


@html.register
def _summary(summary: Summary) -> str:
    plan = outline(summary)
    caption = f"{code(summary.net)}<br>for inputs of {escape(words.inputs(summary))}"
    every = ""
    if plan.folded and len(summary.rows) <= _ROWS:
        whole = escape(text.render(summary, None, depth=summary.depth + len(summary.blocks), width=_WIDTH))
        every = (
            f'<details><summary>all {len(summary.rows):,} rows</summary><pre style="{_PLAIN}">{whole}</pre></details>'
        )
    failure = summary.failure
    stopped = (
        f"<p><strong>Stopped at {escape(failure.layer)} ({escape(failure.kind)}).</strong> Got: {escape(failure.got)}. "
        f"Needs: {escape(failure.needs)}. {escape(failure.repair)}.</p>"
        if failure
        else ""
    )
    notes = [
        *(f"{name}: {text}" for name, text in words.facts(summary)),
        *tables.legend(summary, plan.lines),
        *(f"{one.layer}: {one.evidence}; {one.repair}." for one in summary.findings[:_FINDINGS]),
        *([f"{len(summary.findings) - _FINDINGS} findings more."] if len(summary.findings) > _FINDINGS else []),
        *summary.notes,
    ]
    layers = tables.table(summary, plan.lines, LAYERS, heading(caption))
    return box(layers, stopped, every, *map(quiet, notes), width="80em")


@html.register
def _nets(comparison: NetComparison) -> str:
    sums = [[*map(escape, row)] for row in diff_forms.totals(comparison)]
    pairs = diff_forms.rows(
        comparison, lambda sign: f"<strong>{sign}</strong>", lambda cell: f"<strong>{cell}</strong>"
    )
    pairs = [[*row, *[""] * (len(diff_forms.HEADER) - len(row))] for row in pairs]
    sides = (("left", comparison.left), ("right", comparison.right))
    nets = "<br>".join(f"{name}: {code(one.net)} for {escape(words.inputs(one))}" for name, one in sides)
    return box(
        f"<p>{nets}</p>",
        table("", diff_forms.TOTALS, sums, numbers=[*diff_forms.TOTAL_NUMBERS]),
        table("", diff_forms.HEADER, pairs, numbers=[*diff_forms.NUMBERS], head=1, dense=True),
        quiet(diff_forms.legend(comparison)),
        width="80em",
    )


@html.register
def _proposal(proposal: Proposal) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in proposal.reasons)
    return box(
        f"<p><strong>{escape(proposal.kind)}</strong>: {escape(proposal.difference)}<br>{code(proposal.net)}</p>",
        f"<ul>{reasons}</ul>",
    )


@html.register
def _proposals(proposals: Proposals) -> str:
    rows = [[*row[:2], code(row[2]), *row[3:]] for row in forms.cells(proposals)]
    why = "".join(_proposal(proposal) for proposal in proposals)
    return box(
        table("", forms.HEADER, rows, numbers=[0, *range(3, len(forms.HEADER))], head=1, dense=True),
        quiet(forms.first_because(proposals)),
        f"<details><summary>why these</summary>{why}</details>",
        width="80em",
    )


@html.register
def _run(run: FinishedRun) -> str:
    from stepladder.facts import recipe_text

    last = run.rows[-1]
    interval = wilson(last.evaluation_correct, last.evaluation_count)
    seconds = run.seconds
    return box(
        f"<p><strong>{escape(run.folder.name)}</strong> · {escape(run.result['data']['title'])} · seed "
        f"{run.experiment.seed}<br>{code(run.experiment.net)}</p>",
        quiet(recipe_text(run.experiment.recipe)),
        f"<p><strong>{last.evaluation_accuracy:.2f}% of {last.evaluation_count:,} {escape(last.split)} images right at "
        f"epoch {last.epoch} (95% interval {interval.low:.2f}% to {interval.high:.2f}%)</strong><br>"
        f"{last.train_accuracy:.2f}% while training on {last.train_count:,} images; {run.result['parameters']:,} "
        f"parameters; {clock(seconds)}</p>",
        _sparkline(run.rows),
        f"<details><summary>{len(run.rows)} epochs</summary>{_epochs(run.rows)}</details>",
    )


@html.register
def _difference(difference: Difference) -> str:
    basis = f"paired over {difference.pairs:,} {difference.paired_by}s"
    if difference.paired_by == "image":
        basis = f"one run each, {basis}; the luck of the seed is not in the interval"
    return box(f"<p><strong>{escape(str(difference))}</strong></p>", quiet(basis))


@html.register
def _comparison(comparison: Comparison) -> str:
    rows = [
        [
            escape(label),
            f"{run.parameters:,}",
            f"{run.train_accuracy:.2f}%",
            f"{run.evaluation_accuracy:.2f}%",
            f"{run.worst_of_last:.2f}%",
            clock(run.seconds),
            escape(str(run.difference or "the baseline")),
        ]
        for label, run in zip(comparison.labels, comparison.runs, strict=True)
    ]
    header = ["run", "parameters", "training", comparison.runs[0].split, "worst of last 5", "time", "against the first"]
    return box(
        table("Runs side by side, at their last epoch", header, rows, numbers=[1, 2, 3, 4, 5]),
        quiet(comparison_note(comparison.runs)),
    )


@html.register
def _step(step: Step) -> str:
    from stepladder.facts import recipe_text

    return box(
        f'<p><strong style="font-size:1.1em">{escape(step.title)}</strong><br>{escape(step.purpose)}</p>',
        f"<p>{code(step.net)}</p>",
        quiet(recipe_text(step.recipe)),
    )


@html.register
def _ladder(ladder: Ladder) -> str:
    rows = [
        [str(number), f"<strong>{escape(step.title)}</strong>", escape(step.technique), escape(step.purpose)]
        for number, step in enumerate(ladder.steps, start=1)
    ]
    rest = ", ".join(step.title for step in ladder.alternatives)
    return box(
        table(f"The {escape(ladder.name)} ladder", ["no.", "step", "what changes", "why, and what is expected"], rows),
        f"<p>The goal: {escape(str(ladder.goal))}.</p>",
        quiet(f"To compare with the last step: {rest}.") if rest else "",
    )


@html.register
def _climb(climb: Climb) -> str:
    facts = climb.facts
    split = facts["data"]["split"]
    rows = [
        [
            str(step["number"]),
            escape(step["title"]),
            f"{step['parameters']:,}",
            escape(accuracy(step["train"])),
            escape(accuracy(step["evaluation"])),
            f"{step['worst_of_last']:.2f}%",
            clock(step["seconds"]),
        ]
        for step in [*facts["steps"], *facts["alternatives"]]
    ]
    caption = escape(f"{facts['data']['title']}: the {facts['ladder']} ladder")
    header = ["no.", "step", "parameters", "training", split, f"worst of last {facts['goal']['held']}", "time"]
    return box(
        table(caption, header, rows, numbers=[2, 3, 4, 5, 6], head=1),
        f"<p><strong>{escape(facts['verdict']['text'])}</strong></p>",
        *map(_remarks, facts["steps"]),
        quiet(facts["place"]),
    )


def _remarks(step: Facts) -> str:
    items = "".join(f"<li>{escape(remark['text'])}</li>" for remark in step["analysis"])
    return f"<details><summary>{step['number']}. {escape(step['title'])}</summary><ul>{items}</ul></details>"


def _epochs(rows: Sequence[EpochRow]) -> str:
    split = escape(rows[0].split)
    header = ["epoch", "training loss", "training", f"{split} loss", split, "learning rate"]
    body = [
        [
            str(row.epoch),
            f"{row.train_loss:.4f}",
            f"{row.train_accuracy:.2f}%",
            f"{row.evaluation_loss:.4f}",
            f"{row.evaluation_accuracy:.2f}%",
            f"{row.learning_rate:.2g}",
        ]
        for row in rows
    ]
    return table("", header, body, numbers=[1, 2, 3, 4, 5])


def _sparkline(rows: Sequence[EpochRow]) -> str:
    """Return both accuracies over the epochs as one small drawing on one scale.

    Heights are the logarithm of the share of errors: on a plain scale all but the first epochs would lie on one line.
    """
    held = [(row.evaluation_correct, row.evaluation_count) for row in rows]
    train = [(row.train_correct, row.train_count) for row in rows]
    low, high = (edge(100 * correct / count for correct, count in held + train) for edge in (min, max))
    split = escape(rows[0].split)
    name = f"{split} (solid) and training accuracy (dashed), {low:.2f}% to {high:.2f}%, on a scale of halved errors"
    # Half an image stands in for no errors at all, which have no logarithm.
    heights = [[log2(count / max(count - correct, 0.5)) for correct, count in one] for one in (held, train)]
    solid, dashed = (_points(one, min(map(min, heights)), max(map(max, heights))) for one in heights)
    x, y = solid[-1].split(",")
    return (
        f'<figure style="margin:.5em 0"><svg role="img" aria-label="{name}" width="{_SPARK_WIDTH}" '
        f'height="{_SPARK_HEIGHT}" viewBox="0 0 {_SPARK_WIDTH} {_SPARK_HEIGHT}" fill="none" stroke="currentColor">'
        f'<polyline points="{" ".join(dashed)}" stroke-dasharray="4 3" opacity=".6"/>'
        f'<polyline points="{" ".join(solid)}" stroke-width="2"/>'
        f'<circle cx="{x}" cy="{y}" r="3" fill="currentColor"/></svg>'
        f'<figcaption style="{QUIET};text-align:left">{name}</figcaption></figure>'
    )


def _points(values: Sequence[float], low: float, high: float) -> list[str]:
    across = (_SPARK_WIDTH - 8) / max(len(values) - 1, 1)
    down = (_SPARK_HEIGHT - 8) / ((high - low) or 1)
    return [f"{4 + index * across:.1f},{4 + (high - value) * down:.1f}" for index, value in enumerate(values)]


def _words(layers: Sequence[Layer]) -> str:
    return " ".join(dict.fromkeys(layer.token() for layer in layers))


def _chip(layer: Layer, chain: Sequence[Layer]) -> str:
    follows = f' <small style="opacity:.75">{escape(_words(chain))}</small>' if chain else ""
    return f'<span style="white-space:nowrap"><span style="{_CHIP}">{escape(layer.token())}</span>{follows}</span>'
