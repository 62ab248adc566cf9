"""Tables that are pasted elsewhere or read by programs: CSV, Markdown, LaTeX."""

from __future__ import annotations

import csv as csv_module
import io
import re
from collections.abc import Sequence

from stepladder.inspection.summary import BudgetVerdict, Row, Summary
from stepladder.inspection.tables import words
from stepladder.inspection.tables.outline import Line, outline
from stepladder.inspection.tables.text import budget_lines
from stepladder.layers import Shape, Window

_TEACHING = (
    "layer",
    "output shape",
    "parameters",
    "MACs",
    "kernel",
    "stride",
    "padding",
    "n_in",
    "n_out",
    "j_in",
    "j_out",
    "r_in",
    "r_out",
)
_CSV = (
    *_TEACHING,
    "kind",
    "word",
    "depth",
    "input shape",
    "trainable",
    "shared",
    "buffers",
    "dilation",
    "groups",
    "start",
    "aligned",
    "output_bytes",
    "kept_bytes",
    "note",
)


def csv(summary: Summary, budget: BudgetVerdict | None = None) -> str:
    """Return a header and a line for each row; numbers without thousands separators, since a program reads this."""
    stream = io.StringIO()
    writer = csv_module.writer(stream, lineterminator="\n")
    writer.writerow(_CSV)
    for row in summary.rows:
        own = [row.name, _shape(row.output_shape), row.parameters, row.macs]
        more = [row.kind, row.token, row.depth, _shape(row.input_shape), row.trainable, row.shared, row.buffers]
        more += [words.pair(row.window.dilation) if row.window else "", row.groups if row.role in _GROUPED else ""]
        more += [words.numbers(row.field.start), row.field.aligned] if row.field else ["", ""]
        more += [row.output_bytes, row.kept_bytes, row.note]
        writer.writerow([*own, *_teaching(row), *more])
    return stream.getvalue()


_GROUPED = ("convolution", "transposed")


def _shape(shape: Shape) -> str:
    return words.sizes(shape)


def _teaching(line: Row | Line) -> list[str]:
    """Return kernel, stride and padding, and sizes, jump and field before and after."""
    before, after = (shapes[0] if shapes else () for shapes in (line.input_shapes, line.output_shapes))
    return [
        *_windows(line.window),
        words.maps(before, line.field_in),
        words.maps(after, line.field),
        words.numbers(line.field_in.jump) if line.field_in else "",
        words.numbers(line.field.jump) if line.field else "",
        words.numbers(line.field_in.size) if line.field_in else "",
        words.numbers(line.field.size) if line.field else "",
    ]


def _windows(window: Window | None) -> list[str]:
    return [words.pair(axes) for axes in (window.kernel, window.stride, window.padding)] if window else [""] * 3


def markdown(summary: Summary, budget: BudgetVerdict | None = None, depth: int | None = None) -> str:
    """Return a table in GitHub's Markdown; lines of blocks are sums, in bold where their rows follow."""
    plan = outline(summary, depth)
    totals = summary.totals
    reasons = words.Reasons([line.field for line in plan.lines])
    dilated = any(line.window and set(line.window.dilation) != {1} for line in plan.lines)
    grouped = any(line.groups != 1 for line in plan.lines)
    header = [*_TEACHING, "kind", "share", "kept", *["dilation"] * dilated, *["groups"] * grouped]
    rows = []
    for line in plan.lines:
        cells = [line.full, words.given(line), _counted(line), f"{line.macs:,}", *_teaching(line)]
        cells[12] = words.seen(line.field, reasons)
        cells += [words.kind(line), words.share(line.parameters, totals.parameters)]
        cells += [words.memory(line.kept_bytes) if line.kept_bytes else ""]
        cells += [words.pair(line.window.dilation) if line.window else ""] * dilated
        cells += [str(line.groups) if line.window else ""] * grouped
        cells = list(map(escaped_markdown, cells))
        if line.block:
            cells[0] = f"**{cells[0]}**" if line.open else cells[0] + " (folded)" * line.folds
        rows.append(cells)
    empty = [""] * (len(header) - 4)
    total = ["**total**", "", f"**{totals.parameters:,}**", f"**{totals.macs:,}**", *empty]
    alignment = [":--" if name in ("layer", "output shape", "kind") else "--:" for name in header]
    lines = ["| " + " | ".join(row) + " |" for row in [header, alignment, *rows, total]]
    notes = [*map(escaped_markdown, words.signs(plan.lines, reasons))]
    if summary.failure is not None:
        failure = summary.failure
        stop = f"stopped at {failure.layer} ({failure.kind}): got {failure.got}; needs {failure.needs}"
        notes.append(f"**{escaped_markdown(stop)}**; {escaped_markdown(failure.repair)}")
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    if summary.findings:
        lines += ["", *map(_finding_markdown, _findings(summary))]
    if budget is not None:
        lines += ["", *budget_lines(budget)]
    return "\n".join(lines) + "\n"


def _counted(line: Line) -> str:
    return words.parameters(line) or "0"


def _findings(summary: Summary) -> list[tuple[str, str]]:
    return [(one.kind, f"{one.layer}: {one.evidence}; {one.repair}") for one in summary.findings]


def _finding_markdown(finding: tuple[str, str]) -> str:
    return f"- **{escaped_markdown(finding[0])}**: {escaped_markdown(finding[1])}"


def escaped_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, in a table too."""
    return re.sub(r"([\\`*_|\[\]]|<(?=[a-zA-Z/!?]))", r"\\\1", text)


def latex(summary: Summary, budget: BudgetVerdict | None = None, depth: int | None = None) -> str:
    r"""Return a ``tabular`` that needs the package booktabs and nothing else; totals and verdicts are comments."""
    plan = outline(summary, depth)
    totals = summary.totals
    reasons = words.Reasons([line.field for line in plan.lines])
    header = ["layer", "kind", "output shape", "parameters", "MACs", "window", "field", "jump"]
    rows = []
    for line in plan.lines:
        cells = [line.name, words.kind(line), words.given(line), _counted(line), f"{line.macs:,}"]
        cells += [words.window(line.window, line.groups), words.seen(line.field, reasons)]
        cells = list(map(_escaped_latex, [*cells, words.stepped(line.field, reasons)]))
        cells[0] = r"\quad " * line.level + (rf"\textbf{{{cells[0]}}}" if line.open else cells[0])
        rows.append(cells)
    if summary.failure is not None:
        stop = [rf"\textbf{{{_escaped_latex(summary.failure.layer)}}}", "stopped here", *[""] * 6]
        rows.insert(plan.reached, stop)
    total = ["total", "", "", f"{totals.parameters:,}", f"{totals.macs:,}", "", "", ""]
    comments = [
        summary.net,
        f"for {words.inputs(summary)}",
        *(f"{name}: {text}" for name, text in words.facts(summary)),
    ]
    comments += [*words.signs(plan.lines, reasons), *(budget_lines(budget) if budget else [])]
    comments += [f"{name}: {text}" for name, text in _findings(summary)]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            *(f"% {line}" for comment in comments for line in comment.splitlines()),
            r"\begin{tabular}{@{}lllrrlrr@{}}",
            r"\toprule",
            _latex_line(header),
            r"\midrule",
            *map(_latex_line, rows),
            r"\midrule",
            _latex_line(total),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "°": r"$^{\circ}$",
    # Brackets at the start of a line would be read as an argument of the \\ before them.
    "[": "{[}",
    "]": "{]}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{words.superscript(digit): f"$^{{{digit}}}$" for digit in range(10)},
}


def _escaped_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
