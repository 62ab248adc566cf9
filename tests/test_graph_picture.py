"""The picture of a net's graph: what becomes a box, what is written on it, and files."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from PIL import Image

from graph_nets import EXAMPLES, Facts, Wiring, dense, frames_of, inception, nodes_of, plain, residual, two_inputs, unet
from stepladder.errors import SpecError, StepladderError
from stepladder.layers import Window
from stepladder.pictures import graph, style
from stepladder.pictures.graph import words
from stepladder.pictures.graph.channels import channels_of
from stepladder.pictures.graph.folding import MOST_NODES, graph_of
from stepladder.pictures.group import Group

SVG = "{http://www.w3.org/2000/svg}"


def svg_of(facts: Facts, depth: int | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(style.save(graph.graph(facts, depth), "svg"))


# What becomes a box.


def test_a_layer_is_one_box_with_what_follows_it() -> None:
    nodes = nodes_of(plain("8C3 MP2 GAP 10C1"))

    assert [(node.title, node.chain) for node in nodes] == [
        ("3×3 conv", "BN · ReLU"),
        ("2×2 max pool", ""),
        ("global avg pool", ""),
        ("1×1 conv", ""),
    ]
    assert [node.sees for node in nodes] == ["sees 3×3", "sees 4×4", "sees 28×28", "sees 28×28"]
    assert [node.shape for node in nodes] == [(8, 26, 26), (8, 13, 13), (8, 1, 1), (10, 1, 1)]


def test_what_two_read_is_a_box_of_its_own() -> None:
    made = Wiring("TwoReaders", (4, 8, 8))
    conv = made.conv(-1, 4)
    made.add(made.relu(conv), conv)

    assert [node.title for node in nodes_of(made.facts())] == ["3×3 conv", "ReLU", "add"]


def test_an_output_in_the_middle_of_a_chain_ends_the_box() -> None:
    made = Wiring("Middle", (4, 8, 8))
    conv = made.conv(-1, 4)
    facts = made.facts(conv, made.relu(conv))

    drawn = graph_of(facts)
    assert [node.title for node in nodes_of(facts)] == ["3×3 conv", "ReLU"]
    assert [(source.title, target.title) for source, target in drawn.edges if not target.rows] == [
        ("3×3 conv", "output 1"),
        ("ReLU", "output 2"),
    ]


def test_a_block_of_one_box_has_no_frame_and_takes_what_follows_it() -> None:
    made = Wiring("Wrapped", (4, 8, 8))
    with made.block("wrapped", "Wrapper"):
        conv = made.conv(-1, 4)
    made.linear(made.relu(conv), 3)

    drawn = graph_of(made.facts())
    assert [(node.title, node.chain) for node in nodes_of(made.facts())] == [("3×3 conv", "ReLU"), ("linear", "")]
    assert not list(frames_of(drawn.root))


def test_what_follows_a_block_of_several_boxes_is_not_written_on_its_last() -> None:
    made = Wiring("Block", (4, 8, 8))
    with made.block("two", "Two"):
        conv = made.conv(made.conv(-1, 4), 4)
    made.pool(made.relu(conv))

    drawn = graph_of(made.facts())
    (frame,) = frames_of(drawn.root)
    assert [node.title for node in frame.nodes()] == ["3×3 conv", "3×3 conv"]
    assert [node.title for node in nodes_of(made.facts())] == ["3×3 conv", "3×3 conv", "ReLU", "2×2 max pool"]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("depth", [None, 1, 2, 3])
def test_every_row_is_in_one_box_and_the_sums_are_the_totals(name: str, depth: int | None) -> None:
    facts = EXAMPLES[name]()
    nodes = nodes_of(facts, depth)

    assert sorted(index for node in nodes for index in node.rows) == list(range(len(facts["rows"])))
    assert sum(node.parameters for node in nodes) == facts["totals"]["parameters"]
    assert sum(node.macs for node in nodes) == facts["totals"]["macs"]
    for node in nodes:
        assert not node.shares or sum(count for _, count in node.shares) == node.parameters


def test_large_nets_are_folded_and_alike_blocks_become_one() -> None:
    facts = residual(3, 4, 6, 3, bottleneck=True)
    blocks = [node for node in nodes_of(facts) if node.colour == "block"]

    assert len(nodes_of(facts, 3)) > MOST_NODES >= len(nodes_of(facts))
    assert [node.times for node in blocks] == [1, 2, 1, 3, 1, 5, 1, 2]
    assert [node.chain for node in blocks[:4]] == ["0", "1 … 2", "0", "1 … 3"]
    assert {node.title for node in blocks} == {"Bottleneck"}


def test_the_shallowest_folding_is_one_box_a_module() -> None:
    titles = [(node.title, node.chain) for node in nodes_of(inception(), 1)]

    assert titles[3:5] == [("InceptionA", "mixed1"), ("InceptionA", "mixed2")]


def test_blocks_whose_inside_is_read_elsewhere_are_not_merged() -> None:
    made = Wiring("Tapped", (4, 8, 8))
    at, taps = -1, []
    for number in range(4):
        with made.block(f"b{number}", "Unit"):
            at = made.conv(made.conv(at, 4), 4)
        taps.append(at)

    assert [node.times for node in nodes_of(made.facts(), 1)] == [4]
    assert [node.times for node in nodes_of(made.facts(taps[1], taps[3]), 1)] == [2, 2]


def test_blocks_that_read_one_more_thing_are_merged_if_it_is_the_same() -> None:
    made = Wiring("Memory", (4, 8, 8), (4, 8, 8))
    at = -1
    for number in range(3):
        with made.block(f"b{number}", "Decoder"):
            at = made.conv(made.add(at, -2), 4)
    (node,) = nodes_of(made.facts(), 1)

    assert node.times == 3
    assert [source.title for source, target in graph_of(made.facts(), 1).edges if target.rows] == ["x1", "x2"]


def test_a_layer_that_is_called_again_is_shared_and_counted_once() -> None:
    made = Wiring("Twice", (4, 8, 8))
    first = made.conv(-1, 4)
    made.row("Conv2d", "convolution", [first], (4, 8, 8), window=Window((3, 3)), shared=144)

    assert [(node.parameters, node.is_shared) for node in nodes_of(made.facts())] == [(144, False), (0, True)]
    texts = ["".join(one.itertext()) for one in svg_of(made.facts()).iter(f"{SVG}text")]
    assert "4×8×8 · shared · sees 3×3" in texts


def test_layers_that_are_never_called_are_one_box_apart() -> None:
    (never,) = [node for node in nodes_of(two_inputs()) if node.title == "never called"]

    assert (never.chain, never.parameters) == ("1 layer", 330)
    assert not any(never in edge for edge in graph_of(two_inputs()).edges)


def test_a_concatenation_shows_what_is_laid_side_by_side() -> None:
    first = next(node for node in nodes_of(inception()) if node.is_concat)

    assert first.parts == (("pointwise", 64), ("convolution", 64), ("convolution", 96), ("pointwise", 32))
    assert first.channels == sum(count for _, count in first.parts)


@pytest.mark.parametrize(
    ("facts", "written"),
    [
        ({"role": "convolution", "kernel": [3, 3], "stride": [2, 2]}, "3×3 conv s2"),
        ({"role": "convolution", "kernel": [1, 7], "dilation": [2, 2]}, "1×7 conv d2"),
        ({"role": "convolution", "kernel": [3, 3], "groups": 8, "input_shape": [8, 5, 5]}, "3×3 depthwise"),
        ({"role": "convolution", "kernel": [3, 3], "groups": 2, "input_shape": [8, 5, 5]}, "3×3 conv g2"),
        ({"role": "convolution", "kernel": [5], "stride": [2]}, "1-D conv k5 s2"),
        ({"role": "transposed", "kernel": [2, 2], "stride": [2, 2]}, "2×2 up-conv s2"),
        ({"role": "pool", "kind": "MaxPool2d", "kernel": [3, 3], "stride": [2, 2]}, "3×3 max pool s2"),
        ({"role": "pool", "kind": "adaptive_avg_pool2d", "output_shape": [8, 1, 1]}, "global avg pool"),
        ({"role": "pool", "kind": "AdaptiveAvgPool2d", "output_shape": [8, 7, 7]}, "avg pool"),
        ({"role": "upsample", "input_shape": [8, 4, 4], "output_shape": [8, 8, 8]}, "upsample ×2"),
        ({"role": "upsample", "input_shape": [8, 4, 4], "output_shape": [8, 9, 8]}, "upsample"),
        ({"role": "norm", "kind": "LazyBatchNorm1d"}, "BN"),
        ({"role": "norm", "kind": "layer_norm"}, "LN"),
        ({"role": "norm", "kind": "LocalResponseNorm"}, "LocalResponseNorm"),
        ({"role": "activation", "kind": "relu"}, "ReLU"),
        ({"role": "concat", "kind": "cat"}, "concat"),
        ({"role": "recurrent", "kind": "LSTM"}, "LSTM"),
    ],
)
def test_operations_in_words(facts: Facts, written: str) -> None:
    usual = {"kernel": None, "stride": [1, 1], "dilation": [1, 1], "groups": 1, "token": "", "kind": "Kind"}
    shapes = {"input_shape": [8, 9, 9], "output_shape": [8, 9, 9], "inputs": [-1]}

    assert words.operation(usual | shapes | facts) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, ""), (950, "950"), (1000, "1k"), (1216, "1.2k"), (36_864, "36.9k"), (147_456, "147k"), (999_600, "1M")],
)
def test_counts_are_compact(count: int, written: str) -> None:
    assert words.compact(count) == written


@given(st.integers(1, 10**15))
def test_compact_counts_are_short_and_right_to_a_twentieth(count: int) -> None:
    written = words.compact(count)
    unit = 1000 ** "kMGT".find(written[-1]) * 1000 if written[-1] in "kMGT" else 1

    assert len(written) <= 5
    assert float(written.rstrip("kMGT")) * unit == pytest.approx(count, rel=0.05)


def test_channels_are_first_on_maps_and_last_on_tokens() -> None:
    made = Wiring("Tokens", (3, 32, 32), (7,))
    patches = made.conv(-1, 24, 8, 8)
    flat = made.row("flatten", "flatten", [patches], (24, 25))
    tokens = made.row("transpose", "other", [flat], (25, 24))
    mixed = made.row("LayerNorm", "norm", [tokens], (25, 24))
    made.row("gelu", "activation", [made.row("Linear", "linear", [mixed], (25, 96))], (25, 96))
    words_in = made.row("Embedding", "embedding", [-2], (7, 24))

    rows, inputs = channels_of(made.facts())
    assert [rows[index] for index in (patches, flat, tokens, mixed, 5, words_in)] == [24, 24, 24, 24, 96, 24]
    assert inputs == [3, 1]


# The picture.


def test_text_stays_text_and_every_box_is_a_group() -> None:
    facts = residual(1, 2)
    root = svg_of(facts)
    texts = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    identities = {one.get("id", "") for one in root.iter(f"{SVG}g")}

    assert {f"row-{node.rows[0]}" for node in nodes_of(facts)} | {"input-1", "output-1"} <= identities
    assert "7×7 conv s2" in texts
    assert "64×112×112 · 9.5k · sees 7×7" in texts
    assert "layer1.0 · BasicBlock" in texts
    assert f"{facts['totals']['parameters']:,} parameters" in " ".join(texts)


def test_the_legend_has_the_colours_that_occur() -> None:
    texts = ["".join(one.itertext()) for one in svg_of(unet()).iter(f"{SVG}text")]

    assert [name for name, _ in words.COLOURS.values() if name in texts] == [
        "input and output",
        "convolution",
        "1×1 convolution",
        "upsampling",
        "pooling",
        "where branches meet",
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_text_lies_over_another_or_leaves_its_box(name: str) -> None:
    figure = graph.graph(EXAMPLES[name]())
    figure.set_dpi(192)  # as in PNG files; letters are wider where there are fewer dots
    canvas = FigureCanvasAgg(figure)
    with style.context():
        canvas.draw()
    renderer = canvas.get_renderer()
    texts = [one for one in figure.findobj(Text) if one.get_text()]
    places = [one.get_window_extent(renderer) for one in texts]

    for (one, here), (other, there) in combinations(zip(texts, places, strict=True), 2):
        apart = here.x1 <= there.x0 or there.x1 <= here.x0 or here.y1 <= there.y0 + 1 or there.y1 <= here.y0 + 1
        assert apart, (one.get_text(), other.get_text())
    margin = 10 * 192 / style.POINTS
    width, height = figure.canvas.get_width_height()
    for one, here in zip(texts, places, strict=True):
        assert margin < here.x0, one.get_text()
        assert here.x1 < width - margin, one.get_text()
        assert 0 < here.y0 < here.y1 < height, one.get_text()
    for group in figure.findobj(Group):
        shapes = [one.get_window_extent(renderer) for one in group.get_children() if isinstance(one, FancyBboxPatch)]
        for one in group.get_children() if shapes else ():
            if isinstance(one, Text):
                here = one.get_window_extent(renderer)
                assert shapes[-1].x0 <= here.x0, one.get_text()
                assert here.x1 <= shapes[-1].x1, one.get_text()
                assert shapes[-1].y0 <= here.y0 < here.y1 <= shapes[-1].y1, one.get_text()


def test_names_are_taken_literally() -> None:
    made = Wiring("Cost$net$", (4, 8, 8))
    with made.block("a<b", "Price$x$"):
        made.add(made.conv(-1, 4), made.conv(-1, 4))
    made.pool(1)

    texts = ["".join(one.itertext()) for one in svg_of(made.facts()).iter(f"{SVG}text")]
    assert "Cost$net$" in texts
    assert "a<b · Price$x$" in texts


@pytest.mark.parametrize("kind", style.FORMATS)
def test_equal_facts_give_equal_bytes(kind: str) -> None:
    assert style.save(graph.graph(dense()), kind) == style.save(graph.graph(dense()), kind)


def test_bytes_do_not_depend_on_how_python_hashes() -> None:
    code = (
        "import hashlib; from graph_nets import inception; from stepladder.pictures import graph, style;"
        "print(hashlib.sha256(style.save(graph.graph(inception()), 'svg')).hexdigest())"
    )
    folder = str(Path(__file__).parent)
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_files_are_written_by_the_end_of_their_name(tmp_path: Path) -> None:
    graph.save(plain(), tmp_path / "net.svg")
    graph.save(plain(), tmp_path / "net.PNG", depth=1)
    graph.save(plain(), tmp_path / "deep" / "net.pdf")

    assert ElementTree.parse(tmp_path / "net.svg").getroot().tag == f"{SVG}svg"
    with Image.open(tmp_path / "net.PNG") as image:
        assert image.format == "PNG"
    assert (tmp_path / "deep" / "net.pdf").read_bytes().startswith(b"%PDF")


def test_other_ends_of_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="format is the end of its file's name"):
        graph.save(plain(), tmp_path / "net.gif")
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_written_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StepladderError, match="could not be written"):
        graph.save(plain(), tmp_path / "file" / "net.svg")


def chain(length: int) -> Facts:
    made = Wiring("Long", (4, 8, 8))
    at = before = -1
    for number in range(length):
        at, before = (made.add(at, before) if number % 4 == 3 else made.conv(at, 4)), at
    return made.facts()


def test_a_picture_too_large_for_png_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="too large for a PNG file"):
        graph.save(chain(800), tmp_path / "net.png")
