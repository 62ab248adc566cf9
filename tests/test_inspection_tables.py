"""How summaries look: tables that fit, fold and explain their signs, and laws that all of them keep."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import browser
from conftest import GUIDE_NET
from hand_made import Maker, broken, many, nets, oddities, residual, signal
from markup import Tags
from stepladder.inspection import diff, tables
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import Failure, Field, Summary, budget_verdict
from stepladder.inspection.tables import words
from stepladder.inspection.tables.outline import outline
from stepladder.layers import Window
from stepladder.notation import Net

GOLDEN = Path(__file__).parent / "golden" / "tables"
GUIDE = describe(Net.parse(GUIDE_NET), (1, 28, 28))

LOOKS: dict[str, Callable[[], str]] = {
    "guide-80.txt": lambda: tables.render(GUIDE, "text", budget_verdict(GUIDE, 8000), width=80),
    "guide-over-budget.txt": lambda: tables.render(GUIDE, "text", budget_verdict(GUIDE, 5000), width=120),
    "residual-80.txt": lambda: tables.render(residual(1, 1), "text", width=80),
    "residual-folded.txt": lambda: tables.render(residual(3, 8, 36, 3), "text", width=100),
    "residual-depth-1.txt": lambda: tables.render(residual(3, 4, 6, 3), "text", depth=1, width=100),
    "oddities-60.txt": lambda: tables.render(oddities(), "text", width=60),
    "oddities-140.txt": lambda: tables.render(oddities(), "text", width=140),
    "broken.txt": lambda: tables.render(broken(), "text", width=100),
    "signal.txt": lambda: tables.render(signal(), "text", width=120),
    "oddities.md": lambda: tables.render(oddities(), "markdown"),
    "oddities.csv": lambda: tables.render(oddities(), "csv"),
    "oddities.tex": lambda: tables.render(oddities(), "latex"),
    "broken.html": lambda: tables.render(broken(), "html", budget_verdict(broken(), 200)),
}


@pytest.mark.parametrize("name", LOOKS)
def test_tables_look_as_they_did(name: str) -> None:
    path, rendered = GOLDEN / name, LOOKS[name]()
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 writes the files anew"


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.glob("*") if not path.name.startswith("diff-")} == set(LOOKS)


@settings(max_examples=100, deadline=None)
@given(nets(), st.one_of(st.none(), st.integers(1, 6)))
def test_lines_sum_to_the_totals_however_they_are_folded(summary: Summary, depth: int | None) -> None:
    plan = outline(summary, depth, room=5)
    for fact in ("parameters", "trainable", "macs", "buffers", "kept_bytes"):
        total = sum(getattr(row, fact) for row in summary.rows)
        assert sum(getattr(line, fact) for line in plan.lines if not line.open) == total
    covered = [index for line in plan.lines if not line.open for index in range(*line.rows)]
    assert covered == list(range(len(summary.rows))), "every row is in exactly one line, in order"
    assert depth is None or all(line.level < depth for line in plan.lines)


@settings(max_examples=100, deadline=None)
@given(nets(), st.integers(40, 160))
def test_no_line_is_wider_than_the_terminal(summary: Summary, width: int) -> None:
    lines = tables.render(summary, "text", width=width).splitlines()
    assert max(map(len, lines)) <= width


def test_every_number_stays_whole_when_the_terminal_is_narrow() -> None:
    text = tables.render(residual(3, 4, 6, 3), "text", width=40)
    assert "25,557,032" in text
    assert "14,964,736" in text


def test_columns_go_in_the_order_that_is_stated() -> None:
    order = ["kept", "bars", "share", "jump", "kind", "window", "MACs", "field", "output"]
    seen: list[str] = []
    for width in range(140, 39, -1):
        text = tables.render(residual(1, 1), "text", width=width)
        left_out = re.findall(r"no room for: ([\w, \n]+)", text)
        names = re.split(r",\s+", left_out[0].split("\n▸")[0].strip()) if left_out else []
        seen += [name for name in names if name not in seen]
    assert seen == order[: len(seen)]
    assert len(seen) > 5


def test_a_table_folds_to_what_fits_and_says_how_to_unfold() -> None:
    text = tables.render(residual(3, 4, 6, 3), "text", width=100)
    assert "▸ folded: 175 rows" in text
    assert "--depth all" in text
    assert "5 × Bottleneck" in text
    plan = outline(residual(3, 4, 6, 3))
    assert len(plan.lines) <= 60
    assert len(outline(residual(3, 4, 6, 3), depth=plan.depth + 1).lines) > 60
    assert "folded" not in tables.render(residual(3, 4, 6, 3), "text", depth=9, width=100)
    assert "folded" not in tables.render(residual(1, 1), "text", width=100)


def test_blocks_are_alike_only_if_all_inside_is() -> None:
    made = Maker("net", 4, 8, 8)
    for number in range(40):
        with made.block(str(number), "Block"):
            made.conv("conv", 4, 3, 3 if number != 20 else 5)
            made.relu()
    names = [line.name for line in outline(made.done(), room=60).lines if line.block]
    assert names == ["0", "1–19", "20", "21", "22–39"]


def test_blocks_without_rows_stand_where_they_were_called() -> None:
    made = Maker("net", 4, 8, 8)
    with made.block("outer", "Block"):
        made.relu()
        with made.block("inside", "Sequential"):
            pass
    with made.block("after", "Sequential"):
        pass
    made.relu("last")
    lines = outline(made.done()).lines
    assert [(line.name, line.level) for line in lines] == [
        ("outer", 0),
        ("relu", 1),
        ("inside", 1),
        ("after", 0),
        ("last", 0),
    ]


def test_patterns_of_blocks_that_repeat_share_a_line() -> None:
    made = Maker("net", 4, 8, 8)
    for number in range(24):
        with made.block(str(number), "Attention" if number % 2 == 0 else "Mixer"):
            for index in range(number % 2 + 2):
                made.conv(f"conv{index}", 4, 3, 3)
    lines = outline(made.done(), room=20).lines
    assert [line.name for line in lines if line.level == 0] == ["0", "1", "2–23"]
    assert words.kind(lines[-1]) == "11 × (Attention, Mixer)"
    text = tables.render(made.done(), "text", width=120)
    assert "2–23" in text


def test_signs_are_explained_once_and_only_where_they_stand() -> None:
    text = tables.render(oddities(), "text", width=140)
    for sign in ("(n):", "°:", "*:", "?¹:", "?²:"):
        assert text.count(f"\n{sign}") == 1, sign
    plain = tables.render(GUIDE, "text", width=140)
    assert not re.search(r"^(\(n\)|°|\*|\?)", plain, re.MULTILINE)


def test_what_is_never_called_and_what_is_shared_is_marked() -> None:
    lines = tables.render(oddities(), "text", width=140).splitlines()
    assert sum("never called" in line and "10,000" in line for line in lines) == 1
    assert any("(1,152)" in line and "(again)" in line for line in lines)
    assert "aux_head…" in tables.render(oddities(), "text", width=100)


def test_a_net_that_stops_says_where_and_what_helps() -> None:
    text = tables.render(broken(), "text", width=100)
    table, _, below = text.partition("total so far")
    assert table.rstrip("\n─").endswith("✗ classifier (Linear): stopped here")
    assert re.search(r"got +8192 features\n +needs +512 features\n +repair +say nn.Linear\(8192, 10\)", below)


def test_what_was_not_reached_comes_after_the_layer_that_failed() -> None:
    made = Maker("net", 4, 8, 8)
    made.conv("0", 4, 3, 3)
    made.row("1", "Linear", "linear", parameters=8, output_shapes=(), field=None, note="not reached")
    made.row("2", "Linear", "linear", parameters=16, output_shapes=(), field=None, note="not reached")
    failure = Failure("1", "Linear", "3 <b>", "4", "")
    net = made.done(failure=failure)
    for style in ("text", "latex", "html"):
        text = tables.render(net, style, width=100)
        places = [text.rindex(word) for word in ("Conv2d", "stopped here", "not reached")]
        assert places == sorted(places), style
        assert text.index("stopped here") < text.index("not reached")


@pytest.mark.parametrize(
    ("share", "bar"), [((1, 1), "████████"), ((1, 2), "████"), ((1, 16), "▌"), ((1, 10**9), "▏"), ((0, 1), "")]
)
def test_bars_show_eighths(share: tuple[int, int], bar: str) -> None:
    assert words.bar(*share) == bar


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_bars_are_never_longer_than_their_place(part: int, whole: int) -> None:
    assert len(words.bar(min(part, whole), whole)) <= words.BAR


@pytest.mark.parametrize(
    ("window", "groups", "text"),
    [
        (Window((3, 3)), 1, "3×3"),
        (Window((3, 3), (2, 2), (1, 1), (2, 2)), 4, "3×3 s2 p1 d2 g4"),
        (Window((3, 5), (2, 1), (0, 2)), 1, "3×5 s2×1 p0×2"),
        (Window((7,), (2,), (3,), (1,)), 1, "7 s2 p3"),
        (Window((1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)), 1, "1×3×3 s1×2×2 p0×1×1"),
    ],
)
def test_windows_leave_out_what_is_usual(window: Window, groups: int, text: str) -> None:
    assert words.window(window, groups) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00k"),
        (12_345, "12.3k"),
        (999_499, "999k"),
        (999_600, "1.00M"),
        (3 * 10**15, "3.00P"),
    ],
)
def test_sizes_have_three_digits(number: int, text: str) -> None:
    assert words.size(number) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536, "1.50 KiB"), (5 * 2**40, "5.00 TiB")]
)
def test_memory_is_in_powers_of_1024(count: int, text: str) -> None:
    assert words.memory(count) == text


def test_fields_show_fractions_unknowns_and_axes() -> None:
    reasons = words.Reasons([])
    field = Field((31, None), (Fraction(1, 2), Fraction(1, 2)), (0.5, 0.5), aligned=False)
    assert words.seen(field, reasons) == "31×?*"
    assert words.stepped(field, reasons) == "1/2"
    assert words.seen(None, reasons) == ""


@given(st.text(min_size=1, max_size=60), st.integers(3, 40))
def test_shortened_names_keep_both_ends(name: str, width: int) -> None:
    short = words.shortened(name, width)
    assert len(short) <= width
    front, cut, end = short.partition("…") if len(name) > width else (name, "", "")
    assert name.startswith(front)
    assert name.endswith(end)
    assert bool(cut) == (len(name) > width)


def test_thousands_of_rows_are_all_there() -> None:
    net = many(2000)
    for style in tables.STYLES:
        assert tables.render(net, style, depth=9, width=100).count("\n") > 2000


def test_csv_keeps_its_columns_and_adds_others_after_them() -> None:
    rows = list(csv.DictReader(io.StringIO(tables.render(oddities(), "csv"))))
    assert list(rows[0])[:13] == list(csv.DictReader(io.StringIO(tables.render(GUIDE, "csv"))).fieldnames or ())[:13]
    assert sum(int(row["parameters"]) for row in rows) == oddities().totals.parameters
    assert [row["layer"] for row in rows] == [row.name for row in oddities().rows]


@pytest.mark.parametrize(
    "summary", [oddities(), broken(), signal(), residual(3, 4, 6, 3), GUIDE], ids=lambda s: s.net[:8]
)
def test_latex_is_a_table_of_eight_columns(summary: Summary) -> None:
    text = tables.render(summary, "latex")
    body = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert all(len(re.findall(r"(?<!\\)&", line)) == 7 for line in body)
    assert len(body) == len(outline(summary).lines) + 2 + (summary.failure is not None)
    assert text.isascii() or all(line.startswith("%") for line in text.splitlines() if not line.isascii())
    assert text.count("{") == text.count("}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_compiles_with_booktabs_alone(tmp_path: Path) -> None:
    awkward = Maker(r"a\b_{c}$%&#^~ [d]", 3, 8, 8)
    awkward.conv(r"[w]_\x{y}$%&#^~", 4, 3, 3)
    document = "\n".join(
        [
            r"\documentclass{article}\usepackage{booktabs}\begin{document}\footnotesize",
            *(tables.render(one, "latex") for one in (oddities(), broken(), awkward.done())),
            r"\end{document}",
        ]
    )
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


PAGES: dict[str, Callable[[], str]] = {
    "oddities": lambda: tables.render(oddities(), "html"),
    "broken": lambda: tables.render(broken(), "html"),
    "residual": lambda: tables.render(residual(3, 4, 6, 3), "html"),
    "guide": lambda: tables.render(GUIDE, "html", budget_verdict(GUIDE, 5000)),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_well_formed_and_fetch_nothing(name: str) -> None:
    text = PAGES[name]()
    tags = Tags(text.removeprefix("<!DOCTYPE html>"))
    assert not tags.open
    assert not tags.mistakes
    assert "http" not in text
    assert not [attributes for tag, attributes in tags.seen if "src" in attributes or "href" in attributes]


def test_what_people_write_is_escaped() -> None:
    made = Maker("<script>alert(1)</script>", 3, 8, 8)
    with made.block("<b>&'\"", "<i>"):
        made.conv("| [x](y) `", 4, 3, 3)
    net = made.done(notes=("<u>",))
    for text in (tables.render(net, "html"), diff.render(diff.compare(net, GUIDE), "html"), net._repr_html_()):
        assert "<script>alert" not in text
        assert not re.search(r"<(b|i|u)>[^~−+\d]", text.replace("<b>Budget", ""))
    assert r"\| \[x\](y) \`" in tables.render(net, "markdown")


def test_a_page_folds_and_unfolds(tmp_path: Path) -> None:
    path = tmp_path / "net.html"
    path.write_text(tables.render(residual(3, 4, 6, 3), "html"), encoding="utf-8")
    with browser.launched() as chromium:
        opened = browser.open_page(chromium, path)
        rows = opened.page.locator("#layers tbody tr:visible")
        first = rows.count()
        assert 10 < first < 60
        opened.page.get_by_role("button", name="layer1", exact=True).click()
        assert rows.count() == first - 3
        opened.page.get_by_role("button", name="unfold all").click()
        everything = outline(residual(3, 4, 6, 3), depth=99).lines
        assert rows.count() == len(everything)
        opened.page.get_by_role("button", name="fold all", exact=True).click()
        assert rows.count() == sum(line.level == 0 for line in everything)
        assert not opened.complaints
        assert all(address.startswith("file:") for address in opened.requests)


def test_colours_change_no_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    looks: list[Callable[[bool], str]] = [
        lambda colour: tables.render(oddities(), "text", budget_verdict(oddities(), 100), width=100, colour=colour),
        lambda colour: diff.render(diff.compare(oddities(), GUIDE), "text", width=100, colour=colour),
    ]
    for render in looks:
        plain = render(False)
        assert "\x1b" not in plain
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
        coloured = render(True)
        monkeypatch.delenv("FORCE_COLOR")
        assert "\x1b[" in coloured
        bare = re.sub(r"\x1b\[[\d;]*m", "", coloured)
        assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()


def test_tables_of_one_line_nets_need_neither_torch_nor_numpy_nor_rich() -> None:
    code = (
        "import sys; from stepladder.inspection import diff, tables; "
        "from stepladder.inspection.oneline import describe; from stepladder.notation import Net; "
        "net = describe(Net.parse('8C3 GAP 10C1'), (1, 28, 28)); "
        "[tables.render(net, style) for style in tables.STYLES]; diff.render(diff.compare(net, net), 'text'); "
        "print([name for name in ('torch', 'numpy', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
