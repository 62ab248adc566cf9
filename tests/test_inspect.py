"""Describing a net: against the reference guide's tables, torch, torchinfo and measured gradients."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchinfo
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conftest import GUIDE_NET
from stepladder.errors import ShapeError
from stepladder.inspection import tables
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import budget_verdict
from stepladder.notation import Net

GOLDEN = Path(__file__).parent / "golden" / "inspect"
GUIDE = describe(Net.parse(GUIDE_NET), (1, 28, 28))

# The reference guide's first table: layer, output shape, parameters.
REFERENCE_LAYERS = [
    "Conv2d-1|[-1, 8, 26, 26]|72",
    "BatchNorm2d-2|[-1, 8, 26, 26]|16",
    "ReLU-3|[-1, 8, 26, 26]|0",
    "Dropout-4|[-1, 8, 26, 26]|0",
    "Conv2d-5|[-1, 16, 24, 24]|1,152",
    "BatchNorm2d-6|[-1, 16, 24, 24]|32",
    "ReLU-7|[-1, 16, 24, 24]|0",
    "Dropout-8|[-1, 16, 24, 24]|0",
    "MaxPool2d-9|[-1, 16, 12, 12]|0",
    "Conv2d-10|[-1, 8, 12, 12]|128",
    "BatchNorm2d-11|[-1, 8, 12, 12]|16",
    "ReLU-12|[-1, 8, 12, 12]|0",
    "Conv2d-13|[-1, 12, 10, 10]|864",
    "BatchNorm2d-14|[-1, 12, 10, 10]|24",
    "ReLU-15|[-1, 12, 10, 10]|0",
    "Dropout-16|[-1, 12, 10, 10]|0",
    "Conv2d-17|[-1, 16, 8, 8]|1,728",
    "BatchNorm2d-18|[-1, 16, 8, 8]|32",
    "ReLU-19|[-1, 16, 8, 8]|0",
    "Dropout-20|[-1, 16, 8, 8]|0",
    "Conv2d-21|[-1, 20, 6, 6]|2,880",
    "BatchNorm2d-22|[-1, 20, 6, 6]|40",
    "ReLU-23|[-1, 20, 6, 6]|0",
    "Dropout-24|[-1, 20, 6, 6]|0",
    "AvgPool2d-25|[-1, 20, 1, 1]|0",
    "Conv2d-26|[-1, 16, 1, 1]|320",
    "BatchNorm2d-27|[-1, 16, 1, 1]|32",
    "ReLU-28|[-1, 16, 1, 1]|0",
    "Dropout-29|[-1, 16, 1, 1]|0",
    "Conv2d-30|[-1, 10, 1, 1]|160",
]

# Its second: operation, N in and out, channels in and out, padding, kernel, stride, jump and field in and out.
REFERENCE_FIELDS = [
    "**CONVLUTION** 28 26 1 8 0 3 1 1 1 1 3",
    "**CONVLUTION** 26 24 8 16 0 3 1 1 1 3 5",
    "**MaxPool** 24 12 16 16 0 2 2 1 2 5 6",
    "**CONVLUTION** 12 12 16 8 0 1 1 2 2 6 6",
    "**CONVLUTION** 12 10 8 12 0 3 1 2 2 6 10",
    "**CONVLUTION** 10 8 12 16 0 3 1 2 2 10 14",
    "**CONVLUTION** 8 6 16 20 0 3 1 2 2 14 18",
    "**GAP** 6 1 20 20 0 6 1 2 2 18 28",
    "**CONVLUTION** 1 1 20 16 0 1 1 2 2 28 28",
    "**CONVLUTION** 1 1 16 10 0 1 1 2 2 28 28",
]


def test_the_guides_tables_come_out_cell_for_cell() -> None:
    layers, fields = tables.render(GUIDE, "guide").split("\n\n")
    rows = [line for line in layers.splitlines() if "[-1" in line]
    cells = [f"{row.split()[0]}|{row[row.index('[') : row.index(']') + 1]}|{row.split()[-1]}" for row in rows]
    assert cells == REFERENCE_LAYERS
    assert "Total params: 7,496\nTrainable params: 7,496\nNon-trainable params: 0" in layers
    table = [line.strip("| ").split(" | ") for line in fields.strip().splitlines()]
    assert [" ".join(row) for row in table[2:]] == REFERENCE_FIELDS
    assert table[0][:3] == ["OPERATION", "N<sub>in</sub>", "N<sub>out</sub>"]
    assert len(table[0]) == 12


@pytest.mark.parametrize(
    ("style", "name"),
    [("guide", "guide.txt"), ("text", "text.txt"), ("json", "net.json"), ("csv", "net.csv"), ("markdown", "net.md")],
)
def test_tables_look_as_they_did(style: str, name: str) -> None:
    path = GOLDEN / name
    rendered = tables.render(GUIDE, style, width=100)
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8"), "UPDATE_GOLDEN=1 writes the files anew"


def test_the_text_fits_120_columns() -> None:
    assert max(map(len, tables.render(GUIDE, "text", width=120).splitlines())) <= 120


def test_json_has_the_documented_fields() -> None:
    facts = json.loads(tables.render(GUIDE, "json", budget_verdict(GUIDE, 8000)))
    row = facts["rows"][4]
    assert row["name"] == "Conv2d-5"
    assert row["input_shape"] == [8, 26, 26]
    assert row["output_shape"] == [16, 24, 24]
    assert row["macs"] == 16 * 24 * 24 * 8 * 9
    assert (row["kernel"], row["stride"], row["padding"]) == ([3, 3], [1, 1], [0, 0])
    assert (row["receptive_field"], row["jump"], row["start"]) == ([5, 5], [1, 1], [2.5, 2.5])
    assert facts["totals"]["parameters"] == facts["totals"]["trainable"] == 7496
    assert facts["totals"]["macs"] == 1_031_808
    assert facts["budget"]["passes"] is True
    assert facts["findings"] == []


def test_csv_has_a_row_a_layer_and_plain_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(tables.render(GUIDE, "csv"))))
    assert len(rows) == 30
    assert sum(int(row["parameters"]) for row in rows) == 7496


def test_a_budget_is_a_limit_to_stay_below() -> None:
    assert budget_verdict(GUIDE, 8000).passes
    assert budget_verdict(GUIDE, 7497).passes
    assert not budget_verdict(GUIDE, 7496).passes
    text = "\n".join(tables.budget_lines(budget_verdict(GUIDE, 5000)))
    assert "fails" in text
    assert "Conv2d-21 (20C3): 2,880 parameters, 38%" in text


@pytest.mark.parametrize(
    ("text", "kind", "evidence"),
    [
        ("8C3b GAP 10C1", "bias before batch-norm", "8 biases"),
        ("8C3 10C3", "small receptive field", "sees 5×5 of 28×28"),
        ("8C3 64F 10F", "heavy head", "holds 346,112"),
        ("8C3 GAP 10F SM", "softmax at the end", "cross-entropy in torch takes logits"),
        ("8C1s2 GAP 10C1", "stride larger than kernel", "steps over"),
        ("8C3 8C3 8C3 MP4 GAP 10C1", "edge left out", "leaves out 2 of 22×22"),
    ],
)
def test_findings_name_evidence_and_layer(text: str, kind: str, evidence: str) -> None:
    findings = {finding.kind: finding for finding in describe(Net.parse(text), (1, 28, 28)).findings}
    assert evidence in findings[kind].evidence
    assert findings[kind].repair


def test_describing_needs_no_torch() -> None:
    code = (
        "import sys; from stepladder.inspection import tables; from stepladder.inspection.oneline import describe; "
        "from stepladder.notation import Net; tables.render(describe(Net.parse('8C3 GAP 10C1'), (1, 28, 28)), 'text'); "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


_words = st.one_of(
    st.builds(
        "{}C{}x{}s{}p{}d{}{}".format,
        st.integers(1, 6),
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(1, 2),
        st.integers(0, 1),
        st.integers(1, 2),
        st.sampled_from(["", "b"]),
    ),
    st.sampled_from(["MP2", "AP2", "AP3s2", "MP3s1p1", "BN", "SiLU", "4C3", "4C1", "2C3s2"]),
)


@st.composite
def nets(draw: st.DrawFn) -> Net:
    words = draw(st.lists(_words, min_size=1, max_size=5))
    tail = draw(st.sampled_from(["", "GAP 10C1", "10F", "8F 10Fb"]))
    return Net.parse(" ".join([*words, tail]))


@settings(max_examples=60, deadline=None)
@given(nets())
def test_rows_equal_what_torch_builds(net: Net) -> None:
    try:
        summary = describe(net, (2, 17, 19))
    except ShapeError:
        assume(False)
        raise
    module = net.build((2, 17, 19)).eval()
    values = torch.zeros(1, 2, 17, 19)
    for row, child in zip(summary.rows, module, strict=True):
        values = child(values)
        assert row.output_shape == tuple(values.shape[1:])
        assert row.kind == type(child).__name__
        assert row.parameters == sum(parameter.numel() for parameter in child.parameters())
    assert summary.totals.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert summary.totals.parameters == sum(row.parameters for row in summary.rows) == net.parameters((2, 17, 19))
    assert summary.totals.macs == sum(row.macs for row in summary.rows)


@pytest.mark.parametrize("text", [GUIDE_NET, "8C5p2 MP2 16C3g2 GAP 10C1", "8C3x5s2 12C3d2p2 32F 10F"])
def test_totals_agree_with_torchinfo(text: str) -> None:
    net = Net.parse(text)
    summary = describe(net, (1, 28, 28))
    other = torchinfo.summary(net.build((1, 28, 28)), (1, 1, 28, 28), verbose=0)
    assert summary.totals.parameters == other.total_params
    # torchinfo counts one multiply-add a batch-norm weight as well; the rest is convolutions and linear layers.
    norm = sum(row.parameters for row in summary.rows if row.kind.startswith("BatchNorm"))
    assert other.total_mult_adds - summary.totals.macs in (0, norm)
