"""The page of ``--format html``: one file that opens offline, folds and unfolds, suits dark and light, and prints."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from stepladder.inspection.summary import BudgetVerdict, Summary
from stepladder.inspection.tables import html, words
from stepladder.inspection.tables.outline import ROOM, Line, outline
from stepladder.inspection.tables.text import budget_lines


def render(summary: Summary, budget: BudgetVerdict | None = None, depth: int | None = None) -> str:
    """Return the page. It holds every row; blocks deeper than ``depth`` (default: what fits 60 lines) are closed."""
    everything = outline(summary, depth=10**6)
    shown = depth or _open_depth(summary, everything.depth)
    lines = everything.lines
    look = html.Look(
        cell=lambda numbers, heads: f'class="{"n" if numbers else "t"}"',
        bar=lambda share: f'<div class="bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></div>',
        row=lambda line: _row(line, shown),
        name=_name,
        table='id="layers"',
        sums=True,
    )
    failure = ""
    if summary.failure is not None:
        what = f"✗ {escape(summary.failure.layer)} ({escape(summary.failure.kind)}): stopped here"
        failure = f'<tr class="stop"><th scope="row" colspan="99">{what}</th></tr>\n'
    buttons = (
        '<p class="buttons" hidden><button type="button" data-all="open">unfold all</button> '
        '<button type="button" data-all="close">fold all</button></p>'
        if any(line.open for line in lines)
        else ""
    )
    table = html.table(summary, lines, look, wide=True, extra=(everything.reached, failure))
    parts = [
        f"<header><h1>{escape(summary.net)}</h1>",
        f'<p class="soft">for {escape(words.inputs(summary))}</p></header>',
        _stop(summary),
        f'<ul class="tiles">{"".join(_tiles(summary))}</ul>',
        _budget(budget),
        _findings(summary),
        f"<section><h2>Layers</h2>{buttons}",
        f'<div class="scroll" tabindex="0" role="region" aria-label="Layers">{table}</div>',
        *(f'<p class="soft small">{escape(text)}</p>' for text in html.legend(summary, lines)),
        "</section>",
        "".join(f'<p class="soft small">Note: {escape(note)}.</p>' for note in summary.notes),
    ]
    return page(f"{summary.net}: layers", parts)


def _open_depth(summary: Summary, deepest: int) -> int:
    """Return how deep the page is open at first: as deep as leaves no more lines than a table has by itself."""
    fitting = (depth for depth in range(deepest, 1, -1) if len(outline(summary, depth).lines) <= ROOM)
    return next(fitting, 1)


def page(title: str, parts: Iterable[str]) -> str:
    """Return a page around parts that are HTML already."""
    body = "\n".join(part for part in parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def tile(what: str, value: str, more: str = "") -> str:
    """Return a tile with a number in large type; everything is escaped."""
    below = f'<span class="soft small">{escape(more)}</span>' if more else ""
    return f'<li><span class="soft small">{escape(what)}</span><b>{escape(value)}</b>{below}</li>'


def _tiles(summary: Summary) -> Iterable[str]:
    totals, one = summary.totals, words.example(summary)
    frozen = totals.parameters - totals.trainable
    trained = f"{totals.trainable:,} trainable, {frozen:,} frozen" if frozen else "all trainable"
    buffers = f"; {totals.buffers:,} values in buffers" if totals.buffers else ""
    yield _count("parameters", totals.parameters, trained + buffers)
    yield _count("MACs", totals.macs, f"of convolutions and matrix products for one {one}")
    field = words.final_field(summary)
    if field is not None and summary.failure is None:
        seen = words.numbers(field.size) if None in field.size else words.sizes(field.size)
        yield tile("receptive field", seen, f"of an {one} of {words.sizes(summary.image)}; what the output sees")
    yield tile("memory for inference", words.memory(totals.inference_bytes), f"activations of one {one}, at most")
    yield tile("memory for training", words.memory(totals.training_bytes), "kept for the backward pass")


def _count(what: str, number: int, more: str) -> str:
    """Return a tile with a count; one that is too long for large type stands in small type below."""
    exact = f"{number:,}"
    return tile(what, exact, more) if number < 10**9 else tile(what, words.size(number), f"{exact} {more}")


def _name(line: Line, name: str) -> str:
    indent = f'style="--level:{line.level}"'
    title = f' title="{escape(line.full)}"' if line.full != line.name else ""
    if line.open:
        return f'<button type="button" class="fold" aria-expanded="true" {indent}{title}>{name}</button>'
    return f'<span class="leaf" {indent}{title}>{name}</span>'


def _row(line: Line | None, shown: int) -> str:
    if line is None:
        return ""
    closed = " data-closed" if line.open and line.level + 1 >= shown else ""
    kind = "block" if line.open else "unused" if line.unused else ""
    return f' data-level="{line.level}"{closed}' + (f' class="{kind}"' if kind else "")


def _stop(summary: Summary) -> str:
    failure = summary.failure
    if failure is None:
        return ""
    facts = (("got", failure.got), ("needs", failure.needs), ("repair", failure.repair))
    items = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts if text)
    heading = f"Stopped at {escape(failure.layer)} ({escape(failure.kind)})"
    return f'<section class="card bad"><h2>{heading}</h2><dl>{items}</dl></section>'


def _budget(budget: BudgetVerdict | None) -> str:
    if budget is None:
        return ""
    first, *others = budget_lines(budget)
    share = min(1.0, budget.parameters / budget.budget)
    items = "".join(f"<li>{escape(other.strip())}</li>" for other in others)
    return (
        f'<section class="card {"good" if budget.passes else "bad"}"><div class="bar whole" aria-hidden="true">'
        f'<i style="width:{100 * share:.1f}%"></i></div><p><b>{escape(first.capitalize())}</b></p>'
        + (f"<ul>{items}</ul>" if items else "")
        + "</section>"
    )


def _findings(summary: Summary) -> str:
    kinds: dict[str, list[str]] = {}
    for one in summary.findings:
        kinds.setdefault(one.kind, []).append(
            f"<li><code>{escape(one.layer)}</code> {escape(one.evidence)}"
            f'<br><span class="repair">→ {escape(one.repair)}</span></li>'
        )
    if not kinds:
        return ""
    parts = []
    for kind, items in kinds.items():
        rest = f"<details><summary>{len(items) - 3} more</summary><ul>{''.join(items[3:])}</ul></details>"
        parts.append(f"<h3>{escape(kind)}</h3><ul>{''.join(items[:3])}</ul>" + (rest if len(items) > 3 else ""))
    return f'<section class="card note"><h2>Worth knowing</h2>{"".join(parts)}</section>'


_STYLE = """
:root { color-scheme: light; --paper: #fff; --tint: #f4f6f8; --line: #dde2e8; --ink: #1b1f24; --soft: #57606b;
  --accent: #0072b2; --good: #00664a; --good-tint: #e2f4ec; --bad: #a83a04; --bad-tint: #fdeee4; --note-tint: #fff5dc; }
@media (prefers-color-scheme: dark) { :root { color-scheme: dark; --paper: #12161b; --tint: #1d232b; --line: #323a45;
  --ink: #e8ecf1; --soft: #a3adb9; --accent: #6db9ea; --good: #5fd3a5; --good-tint: #14332a; --bad: #ff9a6b;
  --bad-tint: #3b2318; --note-tint: #352c14; } }
*, *::before, *::after { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; } h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
section { margin-top: 1.6rem; } ul { margin: .2rem 0; padding-left: 1.2rem; } li { margin: .25rem 0; }
p { margin: .4rem 0; } .soft { color: var(--soft); } .small { font-size: .86rem; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .8rem; margin: 1.4rem 0 0;
  padding: 0; list-style: none; }
.tiles li { border: 1px solid var(--line); border-radius: .7rem; padding: .7rem .95rem; display: flex;
  flex-direction: column; margin: 0; }
.tiles b { font-size: 1.45rem; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums; }
.card { border-radius: .7rem; padding: .9rem 1.1rem; } .card h3:first-of-type { margin-top: 0; }
.good { background: var(--good-tint); } .bad { background: var(--bad-tint); } .note { background: var(--note-tint); }
.bad h2, .stop th, .bad > p { color: var(--bad); } .good > p { color: var(--good); }
.repair { color: var(--good); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; text-align: left; }
th { font-weight: 400; } .n { text-align: right; }
thead th { color: var(--soft); font-weight: 600; border-bottom-color: var(--soft); }
tbody tr:hover { background: var(--tint); }
tfoot th, tfoot td { font-weight: 650; border-bottom: 0; border-top: 1px solid var(--soft); }
.block { color: var(--soft); } .block .fold { color: var(--ink); font-weight: 600; }
.unused { color: var(--bad); } .stop th { font-weight: 650; background: var(--bad-tint); }
.fold { font: inherit; background: none; border: 0; cursor: pointer; padding: 0 0 0 calc(var(--level) * 1.1rem); }
.fold::before { content: "▾"; content: "▾" / ""; display: inline-block; width: 1.1rem; text-align: left;
  color: var(--accent); }
.fold[aria-expanded="false"]::before { content: "▸"; content: "▸" / ""; }
.leaf { display: inline-block; max-width: 24rem; overflow-wrap: anywhere; white-space: normal;
  padding-left: calc(var(--level) * 1.1rem + 1.1rem); }
table:not(:has(.fold)) .leaf { padding-left: 0; }
.bar { width: 6.5rem; height: .6rem; } .bar i { display: block; height: 100%; background: var(--accent); opacity: .75;
  border-radius: .1rem; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.bar.whole { width: 100%; background: color-mix(in srgb, currentColor 15%, transparent); border-radius: .3rem;
  overflow: hidden; margin-bottom: .5rem; }
.good .bar i { background: var(--good); } .bad .bar i { background: var(--bad); }
tr:has(.fold[aria-expanded="true"]) .bar i { opacity: .25; }
.buttons button { font: inherit; font-size: .86rem; color: var(--soft); background: none; border: 1px solid var(--line);
  border-radius: .4rem; padding: .1rem .6rem; cursor: pointer; }
b.plus { color: var(--good); } b.minus { color: var(--bad); } .differs { color: var(--accent); }
tr.plus { background: var(--good-tint); } tr.minus { background: var(--bad-tint); } #sums { width: auto; }
#pairs thead th { white-space: normal; vertical-align: bottom; }
#pairs :is(th, td):is(:nth-child(3), :nth-child(7), :nth-child(11)) { border-left: 1px solid var(--line); }
[hidden] { display: none !important; }
@page { size: landscape; margin: 12mm; }
@media print { main { max-width: none; padding: 0; } .buttons { display: none; } table { font-size: 7.5pt; }
  th, td { padding: .1rem .3rem; } tr, .card, .tiles li { break-inside: avoid; } .scroll { overflow: visible; }
  .bar { width: 3rem; } }
"""

# Without the script everything is unfolded.
_SCRIPT = """
(() => {
  const table = document.getElementById("layers");
  if (!table) return;
  const rows = [...table.tBodies[0].rows];
  const button = row => row.querySelector(".fold");
  const draw = () => {
    let hidden = Infinity;
    for (const row of rows) {
      if (!row.dataset.level) continue;
      const level = +row.dataset.level;
      if (level <= hidden) hidden = Infinity;
      row.hidden = hidden !== Infinity;
      const own = button(row);
      if (!own) continue;
      own.setAttribute("aria-expanded", !("closed" in row.dataset));
      if ("closed" in row.dataset && hidden === Infinity) hidden = level;
    }
  };
  const close = (row, closed) => closed ? row.dataset.closed = "" : delete row.dataset.closed;
  table.addEventListener("click", event => {
    const own = event.target.closest(".fold");
    if (!own) return;
    const row = own.closest("tr");
    close(row, !("closed" in row.dataset));
    draw();
  });
  for (const all of document.querySelectorAll("[data-all]")) all.addEventListener("click", () => {
    for (const row of rows) if (button(row)) close(row, all.dataset.all === "close");
    draw();
  });
  for (const bar of document.querySelectorAll(".buttons")) bar.hidden = false;
  draw();
})();
"""
