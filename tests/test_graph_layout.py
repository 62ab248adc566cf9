"""Where the boxes of a net's graph stand: apart, below what they read, and edges keep out of them."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph_nets import EXAMPLES, Facts, Wiring, frames_of, inception, nodes_of, residual, two_inputs, unet
from stepladder.pictures.graph.cards import scale, size_of
from stepladder.pictures.graph.folding import graph_of
from stepladder.pictures.graph.heights import Bar, stacked
from stepladder.pictures.graph.layers import Extent, Link, layered
from stepladder.pictures.graph.layout import Layout, Place
from stepladder.pictures.graph.nested import layout_of
from stepladder.pictures.graph.nodes import Frame, Graph, Node


def laid_out(facts: Facts, depth: int | None = None) -> tuple[Graph, Layout]:
    drawn = graph_of(facts, depth)
    width_of = scale(list(drawn.root.nodes()))
    return drawn, layout_of(drawn, lambda node: size_of(node, width_of), name_width)


def name_width(frame: Frame) -> float:
    return 30.0 + 5.0 * len(frame.name)


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


def test_a_net_without_rows_is_its_input() -> None:
    facts = Wiring("Nothing", (4, 8, 8)).facts(-1)

    assert [(source.title, target.title) for source, target in graph_of(facts).edges] == [("input", "output")]
    check(*laid_out(facts))
