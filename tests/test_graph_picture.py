"""The picture of a net's graph: what becomes a box, where the boxes are, and that edges keep out of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from PIL import Image

from graph_nets import EXAMPLES, Wiring, dense, inception, plain, residual, two_inputs, unet
from stepladder.errors import SpecError, StepladderError
from stepladder.pictures import graph, style
from stepladder.pictures.graph import words
from stepladder.pictures.graph.cards import scale, size_of
from stepladder.pictures.graph.channels import channels_of
from stepladder.pictures.graph.heights import Bar, stacked
from stepladder.pictures.graph.layers import Extent, Link, layered
from stepladder.pictures.graph.layout import Layout, Place
from stepladder.pictures.graph.nested import layout_of
from stepladder.pictures.graph.nodes import MOST_NODES, Frame, Graph, Node, graph_of
from stepladder.pictures.group import Group

SVG = "{http://www.w3.org/2000/svg}"
Facts = dict[str, Any]


def nodes_of(facts: Facts, depth: int | None = None) -> list[Node]:
    return [node for node in graph_of(facts, depth).root.nodes() if node.rows]


def frames_of(frame: Frame) -> Iterator[Frame]:
    for child in frame.children:
        if isinstance(child, Frame):
            yield child
            yield from frames_of(child)


def laid_out(facts: Facts, depth: int | None = None) -> tuple[Graph, Layout]:
    drawn = graph_of(facts, depth)
    width_of = scale(list(drawn.root.nodes()))
    return drawn, layout_of(drawn, lambda node: size_of(node, width_of), name_width)


def name_width(frame: Frame) -> float:
    return 30.0 + 5.0 * len(frame.name)


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


# Where the boxes are.


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def inner(place: Place) -> tuple[float, float, float, float]:
    """Return the part of a box that no edge may touch: edges end on the rim, of a circle a little below its top."""
    left, top, right, bottom = place.rectangle
    return left + 0.6, top + max(0.6, place.size.radius), right - 0.6, bottom - 0.6


def check(drawn: Graph, layout: Layout) -> None:
    """Assert what holds for every layout."""
    nodes = list(drawn.root.nodes())
    assert list(layout.places).count(nodes[0]) == 1
    assert set(layout.places) == set(nodes)

    for one, other in combinations(layout.places.values(), 2):
        assert not overlap(one.rectangle, other.rectangle)
    for place in layout.places.values():
        left, top, right, bottom = place.rectangle
        assert left >= -0.01
        assert top >= -0.01
        assert right <= layout.width + 0.01
        assert bottom <= layout.height + 0.01

    for source, target in drawn.edges:
        assert layout.places[source].rectangle[3] < layout.places[target].top
        if _parent(drawn.root, source) is _parent(drawn.root, target):
            assert layout.layers[source] < layout.layers[target]

    for piece in layout.segments:
        assert piece.y1 > piece.y0
        for x, y in piece.points():
            for place in layout.places.values():
                left, top, right, bottom = inner(place)
                assert not (left < x < right and top < y < bottom), (piece, place)

    check_frames(layout)
    check_edges(drawn, layout)


def check_frames(layout: Layout) -> None:
    boxes = [(one, (one.left, one.top, one.right, one.bottom)) for one in layout.frames]
    for one, box in boxes:
        held = set(one.frame.nodes())
        for node, place in layout.places.items():
            left, top, right, bottom = place.rectangle
            if node in held:
                assert box[0] < left
                assert right < box[2]
                assert box[1] < top
                assert bottom < box[3] + 0.01
            else:
                assert not overlap(box, place.rectangle)
        # Edges pass its border at its top and bottom alone, and never its name.
        name = (one.name_left, one.top + 2, one.name_left + name_width(one.frame), one.top + 12)
        assert box[0] < name[0] < name[2] < box[2]
        for piece in layout.segments:
            points = list(piece.points())
            inside = [box[0] < x < box[2] and box[1] + 0.01 < y < box[3] - 0.01 for x, y in points]
            at_border = [abs(y - box[1]) < 0.02 or abs(y - box[3]) < 0.02 for _, y in points]
            assert all(there or end for there, end in zip(inside, at_border, strict=True)) or not any(inside)
            assert not any(name[0] < x < name[2] and name[1] < y < name[3] for x, y in points)
    for (one, box), (other, another) in combinations(boxes, 2):
        if set(other.frame.nodes()) <= set(one.frame.nodes()):
            assert box[0] < another[0]
            assert another[2] < box[2]
        else:
            assert not overlap(box, another)


def check_edges(drawn: Graph, layout: Layout) -> None:
    """Assert that the pieces lead from each source to the rim of each of its targets, and to nothing else."""
    starts: dict[tuple[int, int], list[Any]] = {}
    for piece in layout.segments:
        starts.setdefault((round(piece.x0), round(piece.y0)), []).append(piece)

    def next_to(x: float, y: float) -> list[Any]:
        around = [(round(x) + dx, round(y) + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        found = [piece for key in around for piece in starts.get(key, ())]
        return [piece for piece in found if abs(piece.x0 - x) < 0.51 and abs(piece.y0 - y) < 0.01]

    rims = {
        node: [tip for tip in layout.tips if _on_rim(place, tip)] for node, place in layout.places.items() if place.size
    }
    targets: dict[Node, set[Node]] = {}
    for source, target in drawn.edges:
        targets.setdefault(source, set()).add(target)
    for source, expected in targets.items():
        place = layout.places[source]
        waiting = next_to(place.x, place.rectangle[3])
        seen, reached = set(waiting), set()
        while waiting:
            piece = waiting.pop()
            for node, tips in rims.items():
                if any(abs(piece.x1 - x) < 0.01 and abs(piece.y1 - y) < 0.01 for x, y in tips):
                    reached.add(node)
            more = [one for one in next_to(piece.x1, piece.y1) if one not in seen]
            seen.update(more)
            waiting += more
        assert expected <= reached


def _on_rim(place: Place, tip: tuple[float, float]) -> bool:
    return abs(tip[0] - place.x) <= place.size.ports + 0.6 and 0 <= tip[1] - place.top <= max(0.01, place.size.radius)


def _parent(frame: Frame, node: Node) -> Frame | None:
    if any(child is node for child in frame.children):
        return frame
    inside = [child for child in frame.children if isinstance(child, Frame)]
    return next((found for child in inside if (found := _parent(child, node))), None)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("depth", [None, 1, 5])
def test_boxes_stand_apart_and_edges_keep_out_of_them(name: str, depth: int | None) -> None:
    check(*laid_out(EXAMPLES[name](), depth))


@st.composite
def random_nets(draw: st.DrawFn) -> Facts:
    """Nets in which any row may read any before it, in blocks that may hold blocks."""
    made = Wiring("Random", *[(4, 8, 8)] * draw(st.integers(1, 3)))

    def some(left: int, deep: int) -> None:
        while left > 0:
            if deep < 3 and draw(st.integers(0, 3)) == 0:
                size = draw(st.integers(1, left))
                with made.block(f"b{len(made.blocks)}", "Block"):
                    some(size, deep + 1)
                left -= size
                continue
            lowest = -len(made.inputs)
            sources = draw(st.lists(st.integers(lowest, len(made.rows) - 1), min_size=1, max_size=3, unique=True))
            if draw(st.integers(0, 3)):
                sources = [len(made.rows) - 1, *sources[1:]]  # mostly chains, as nets are
            if len(sources) == 1:
                made.relu(sources[0]) if draw(st.booleans()) else made.conv(sources[0], 4)
            else:
                kind = draw(st.sampled_from(["add", "cat"]))
                made.row(kind, "add" if kind == "add" else "concat", sources, (4, 8, 8))
            left -= 1

    some(draw(st.integers(1, 14)), 0)
    return made.facts(*draw(st.lists(st.integers(0, len(made.rows) - 1), min_size=1, max_size=2, unique=True)))


@settings(max_examples=100, deadline=None)
@given(random_nets(), st.sampled_from([None, 1, 2]))
def test_any_graph_is_drawn_without_overlap(facts: Facts, depth: int | None) -> None:
    check(*laid_out(facts, depth))
    nodes = nodes_of(facts, depth)
    assert sorted(index for node in nodes for index in node.rows) == list(range(len(facts["rows"])))


def test_a_skip_connection_passes_beside_what_it_skips() -> None:
    drawn, layout = laid_out(residual(1))
    conv = next(node for node in drawn.root.nodes() if node.title == "3×3 conv")
    place = layout.places[conv]

    beside = [piece for piece in layout.segments if piece.x0 == piece.x1 > place.rectangle[2]]
    assert any(piece.y0 <= place.top and place.rectangle[3] <= piece.y1 for piece in beside)


def test_a_chain_is_straight_past_its_skip_connections() -> None:
    _, layout = laid_out(unet())

    assert len({round(place.x, 6) for place in layout.places.values()}) == 1


def test_four_branches_stand_side_by_side_over_the_middle_of_where_they_meet() -> None:
    drawn, layout = laid_out(inception())
    frame = next(frame for frame in frames_of(drawn.root) if frame.name == "mixed1")
    concat = next(node for node in frame.nodes() if node.is_concat)
    branches = [source for source, target in drawn.edges if target is concat]

    xs = sorted(layout.places[branch].x for branch in branches)
    assert len({round(x) for x in xs}) == 4
    assert layout.places[concat].x == pytest.approx(sum(xs) / 4, abs=1.0)


def test_what_forks_in_two_stands_between_them() -> None:
    drawn, layout = laid_out(two_inputs())
    outputs = [layout.places[node].x for node in drawn.root.nodes() if node.identity.startswith("output")]
    concat = next(place for node, place in layout.places.items() if node.is_concat)

    assert concat.x == pytest.approx(sum(outputs) / 2)


def test_wider_boxes_give_more_channels() -> None:
    _, layout = laid_out(unet())
    widths = {node.channels: place.size.left + place.size.right for node, place in layout.places.items()}
    by_channels = [width for _, width in sorted(widths.items())]

    assert by_channels == sorted(by_channels)
    # A log scale: twice the channels is always the same step.
    assert widths[64] - widths[32] == pytest.approx(widths[512] - widths[256])


def test_layers_in_order_and_without_crossing_where_that_is_possible() -> None:
    # 0 and 1 lead crosswise to 3 and 2.
    drawing = layered([Extent(5, 5)] * 4, [Link(0, 3), Link(1, 2)])

    upper, lower = drawing.layers
    assert [upper.index(0), upper.index(1)] == [lower.index(3), lower.index(2)]
    assert drawing.x[0] == drawing.x[3]
    assert drawing.x[1] == drawing.x[2]


def test_a_circle_of_edges_is_refused() -> None:
    with pytest.raises(ValueError, match="without cycles"):
        layered([Extent()] * 2, [Link(0, 1), Link(1, 0)])


def test_things_below_each_other_stand_apart_and_others_move_up() -> None:
    tops, bends = stacked(
        [[Bar(0, 10, 20), Bar(30, 40, 5)], [Bar(0, 10, 20), Bar(30, 40, 20)]], [[Bar(5, 20, 8)], []], gap=4, start=1
    )

    assert tops == [[1, 1], [29, 10]]  # one below the bend, the other only below the low box
    assert bends == [[21], []]


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


def test_a_net_without_rows_is_its_input() -> None:
    facts = Wiring("Nothing", (4, 8, 8)).facts(-1)

    assert [(source.title, target.title) for source, target in graph_of(facts).edges] == [("input", "output")]
    check(*laid_out(facts))
