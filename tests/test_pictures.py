"""Pictures as files: what is in them, that equal facts give equal bytes, and what is said where there is no picture."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import GUIDE_NET, write_mnist
from stepladder import data, facts
from stepladder.cli import app
from stepladder.errors import DataError, NotationError, RunError, ShapeError, SpecError
from stepladder.inspection import tables
from stepladder.inspection.oneline import describe
from stepladder.layers import AveragePool, GlobalAveragePool, MaxPool, Weighted
from stepladder.notation import Net
from stepladder.pictures import charts, draw, images, style
from stepladder.pictures.architecture import WIDEST, architecture
from stepladder.pictures.blocks import blocks_of
from stepladder.pictures.field import Seen, field, fields_of
from stepladder.report import render

SVG = "{http://www.w3.org/2000/svg}"
FLAT_NET = "6C5p2b/ReLU AP2 16C5b/ReLU AP2 120F/ReLU 84F/ReLU 10F"
DEEP_NET = " ".join(["16C3p1 16C3p1 16C3p1 16C1 MP2"] * 4) + " GAP 10C1"


def inspected(net: str, shape: tuple[int, int, int] = (1, 28, 28)) -> dict[str, Any]:
    return dict(json.loads(tables.render(describe(Net.parse(net), shape), "json")))


def parsed(content: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(content)


def texts(content: bytes) -> list[str]:
    return ["".join(one.itertext()) for one in parsed(content).iter(f"{SVG}text")]


def layer_ids(content: bytes) -> list[str]:
    identities = [one.get("id", "") for one in parsed(content).iter(f"{SVG}g")]
    return [one for one in identities if one.startswith("layer-")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mnist(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def climbed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A climb of one epoch under the holdout protocol."""
    place = tmp_path_factory.mktemp("climbs")
    options = ["--epochs", "1", "--protocol", "holdout", "--name", "one", "--data-dir", str(folder)]
    app(["climb", *options, "--folder", str(place)], standalone_mode=False)
    return place / "one"


@pytest.fixture(scope="module")
def run(climbed: Path) -> Path:
    return next(iter(sorted((climbed / "runs").glob("3-*"))))


@pytest.fixture
def load(folder: Path) -> Any:
    return lambda name: data.load(name, data_dir=folder)


# Architecture


@pytest.mark.parametrize(
    ("net", "shape"),
    [(GUIDE_NET, (1, 28, 28)), (FLAT_NET, (1, 28, 28)), (DEEP_NET, (3, 32, 32)), ("8C3x5s2x1 MP1x2 GAP", (2, 9, 30))],
)
def test_every_block_is_drawn_with_its_shape_and_cost(net: str, shape: tuple[int, int, int]) -> None:
    found = inspected(net, shape)
    blocks = blocks_of(found)
    content = style.save(architecture(found), "svg")
    written = texts(content)
    assert layer_ids(content) == ["layer-input", *(f"layer-{block.index}" for block in blocks[1:])]
    assert sum(block.parameters for block in blocks) == found["totals"]["parameters"]
    assert sum(block.macs for block in blocks) == found["totals"]["macs"]
    for block in blocks:
        assert "×".join(map(str, block.shape)) in written
        assert block.operation in written
        assert not block.parameters or f"{block.parameters:,} param." in written
        assert not block.macs or f"{block.macs:,} MACs" in written
    assert found["net"] in " ".join(written)


def test_a_block_is_a_layer_with_what_follows_it() -> None:
    blocks = blocks_of(inspected(GUIDE_NET))
    assert [block.token for block in blocks] == [
        "input",
        "8C3",
        "16C3",
        "MP2",
        "8C1",
        "12C3",
        "16C3",
        "20C3",
        "GAP",
        "16C1",
        "10C1",
    ]
    assert [blocks[1].chain, blocks[4].chain, blocks[-1].chain] == ["BN · ReLU · D0.05", "BN · ReLU", ""]
    kinds = [block.kind for block in blocks]
    assert kinds[:5] == ["input", "convolution", "convolution", "pooling", "pointwise"]
    assert kinds[-2:] == ["pointwise", "output"]
    assert [block.parameters for block in blocks[1:4]] == [88, 1184, 0]


def test_the_widest_picture_is_as_wide_as_it_may_be() -> None:
    for net in ("10F", GUIDE_NET, DEEP_NET):
        figure = architecture(inspected(net, (1, 32, 32)))
        assert figure.get_figwidth() * style.POINTS <= WIDEST + 0.01


WORDS = st.sampled_from(
    [
        "4C3p1",
        "12C3",
        "6C1",
        "8C3s2p1",
        "3C3x1g1",
        "30C5p2b",
        "MP2",
        "AP2",
        "MP3s1p1",
        "GAP",
        "BN",
        "ReLU",
        "D0.1",
        "FL",
        "20F",
        "300Fb",
    ]
)
SHAPES = st.tuples(st.integers(1, 4), st.integers(6, 40), st.integers(6, 40))


def fits(words: list[str], shape: tuple[int, int, int]) -> Net:
    try:
        net = Net.parse(" ".join(words))
        net.shapes(shape)
    except (ShapeError, NotationError):
        assume(False)
    return net


@settings(max_examples=40, deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=12), shape=SHAPES)
def test_any_net_that_fits_can_be_drawn(words: list[str], shape: tuple[int, int, int]) -> None:
    net = fits(words, shape)
    found = inspected(str(net), shape)
    content = style.save(architecture(found), "svg")
    heads = [isinstance(layer, Weighted | MaxPool | AveragePool | GlobalAveragePool) for layer in net.layers]
    assert len(layer_ids(content)) == 1 + sum(heads) + (not heads[0])
    numbers = re.findall(r'[ "](?:x|y|cx|cy)="([^"]+)"', content.decode())
    assert all(numpy.isfinite(float(number)) for number in numbers)
    assert_nested(fields_of(found))
    assert parsed(style.save(field(found), "svg")).tag == f"{SVG}svg"


# Receptive field


def assert_nested(seen: list[Seen]) -> None:
    for inner, outer in pairwise(seen):
        for axis in (0, 1):
            reach = (outer.size[axis] - inner.size[axis]) / 2
            assert abs(inner.centre[axis] - outer.centre[axis]) <= reach


def test_fields_are_those_of_inspect_and_lie_inside_each_other() -> None:
    seen = fields_of(inspected(GUIDE_NET))
    assert [one.size[0] for one in seen] == [3, 5, 6, 6, 10, 14, 18, 28, 28, 28]
    assert [one.jump[1] for one in seen] == [1, 1, 2, 2, 2, 2, 2, 2, 2, 2]
    assert_nested(seen)
    # Fields begin and end between two pixels.
    assert all((one.centre[axis] - one.size[axis] / 2) % 1 == 0 for one in seen for axis in (0, 1))


def test_the_field_of_a_flat_net_is_the_whole_image() -> None:
    assert fields_of(inspected("8C3 10F"))[-1].size == (28, 28)
    assert fields_of(inspected("ReLU")) == []
    assert "28" in texts(style.save(field(inspected("10F")), "svg"))


def test_the_field_is_drawn_on_an_image_or_a_grid() -> None:
    image = numpy.zeros((3, 20, 30), dtype=numpy.uint8)
    found = inspected("8C3 MP2 GAP", (3, 20, 30))
    on_image, on_grid = style.save(field(found, image), "svg"), style.save(field(found), "svg")
    assert len(list(parsed(on_image).iter(f"{SVG}image"))) == 1
    assert not list(parsed(on_grid).iter(f"{SVG}image"))
    assert "20×30" in texts(on_grid)


# Charts and sheets


def steps_of(*curves: list[float]) -> list[dict[str, Any]]:
    return [
        {
            "number": number,
            "title": f"Step {number}",
            "parameters": 1000 * number,
            "evaluation": {"mean": 99.0},
            "learning_rates": [0.1] * len(losses),
            "runs": [
                {
                    "rows": [
                        {
                            "steps": 10,
                            "train_loss": loss,
                            "evaluation_loss": loss,
                            "train_correct": 90,
                            "train_count": 100,
                            "evaluation_correct": 95,
                            "evaluation_count": 100,
                        }
                        for loss in losses
                    ]
                }
            ],
        }
        for number, losses in enumerate(curves, start=1)
    ]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=5), min_size=1, max_size=8))
def test_any_losses_can_be_drawn(curves: list[list[float]]) -> None:
    written = texts(style.save(charts.curves(steps_of(*curves), 99.4, "holdout"), "svg"))
    assert {"Holdout loss", "Training accuracy (%)", "target 99.4%"} <= set(written)
    assert {f"Step {number + 1}" for number in range(len(curves))} <= set(written)


def test_losses_that_hardly_differ_still_have_numbers_beside_them() -> None:
    for losses in ([0.5, 0.50001], [0.3, 0.4], [1.0]):
        figure = charts.curves(steps_of(losses), None, "test")
        assert len(figure.axes[0].get_yticks()) >= 2
        assert "target" not in " ".join(texts(style.save(figure, "svg")))


def test_learning_rates_stand_where_their_steps_are() -> None:
    step = {"number": 1, "title": "one", "epochs": 2, "learning_rates": [4.0, 3.0, 2.0, 1.0]}
    (line,) = charts.schedules([step]).axes[0].get_lines()
    assert list(line.get_xdata()) == [0, 0.5, 1, 1.5]


def test_the_sheet_of_errors_shows_the_most_confident_first_and_forty_at_most() -> None:
    found = [
        {
            "pixels": base64.b64encode(bytes(4)).decode(),
            "label": 0,
            "predicted": 1,
            "label_probability": 0.001,
            "predicted_probability": 0.5 + number / 200,
        }
        for number in range(50)
    ]
    written = texts(style.save(images.errors(found, ["cat", "dog"], (1, 2, 2)), "svg"))
    said = [text for text in written if text.startswith("said")]
    assert len(said) == 40
    assert said[0] == "said dog · 74%"
    assert written.count("true cat · <1%") == 40
    assert "rightly" in texts(style.save(images.errors([], ["a"], (1, 2, 2)), "svg"))[0]


def test_confusion_writes_every_count_but_nothing_for_none() -> None:
    written = texts(style.save(charts.confusion([[5, 0], [3, 7]], ["cat", "dog"]), "svg"))
    assert sorted(text for text in written if text.isdigit()) == ["3", "5", "7"]


# Files


@pytest.mark.parametrize("kind", style.FORMATS)
def test_equal_facts_give_equal_bytes_without_a_date(kind: str) -> None:
    first, second = (style.save(architecture(inspected(GUIDE_NET)), kind) for _ in range(2))
    assert first == second
    assert b"Date" not in first
    if kind == "png":
        assert Image.open(io.BytesIO(first)).width == pytest.approx(WIDEST / 72 * 192, abs=1)
    assert first.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[kind])


def test_a_picture_in_a_page_has_ids_of_its_own_and_the_pages_colours() -> None:
    text = style.inline_svg(architecture(inspected("8C3 GAP 10C1")), "first-")
    root = ElementTree.fromstring(text)
    identities = [one.get("id", "") for one in root.iter() if one.get("id")]
    assert all(one.startswith("first-") for one in identities)
    assert "first-layer-0" in identities
    assert f"var(--ink, {style.INK})" in text
    assert root.get("width") is None
    assert root.get("viewBox")


def test_the_report_has_every_picture(climbed: Path) -> None:
    page = (climbed / "report.md").read_text(encoding="utf-8")
    linked = re.findall(r"!\[[^]]+]\((\S+)\)", page)
    assert {Path(one).stem for one in linked} == set(render.draw(facts.read(climbed)))
    for one in linked:
        assert parsed((climbed / one).read_bytes()).tag == f"{SVG}svg"
    headings = {re.sub(r"[^a-z -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in page.splitlines()}
    assert set(re.findall(r"\(#([a-z-]+)\)", page)) <= headings
    assert "\n\n\n\n" not in page


def test_the_report_takes_less_than_five_seconds(climbed: Path, tmp_path: Path) -> None:
    """Of the processor, so that a busy machine does not fail it: 15 epochs, five seeds, three schedules compared."""
    found = facts.read(climbed)
    for step in found["steps"]:
        for run in step["runs"]:
            run["rows"] = [run["rows"][0] | {"epoch": epoch} for epoch in range(1, 16)]
        step["learning_rates"] *= 15
        step["runs"] *= 5
    found["alternatives"] = [found["steps"][-1] | {"number": number} for number in (4, 5)]
    found["best"]["mistakes"] *= -(-100 // len(found["best"]["mistakes"]))
    facts.save(found, tmp_path)
    began = time.process_time()
    render.write_climb(tmp_path)
    assert time.process_time() - began < 5


# The command


@pytest.mark.parametrize("kind", draw.KINDS)
def test_a_run_and_a_climb_have_pictures_of_every_kind(kind: str, run: Path, climbed: Path, load: Any) -> None:
    written = [texts(style.save(draw.draw(str(one), kind, load), "svg")) for one in (run, climbed)]
    assert all(written)
    if kind in ("architecture", "errors", "confusion", "augmentation"):
        assert written[0] == written[1]


def test_an_experiment_file_has_what_needs_no_training(run: Path, load: Any) -> None:
    text = str(run / "experiment.toml")
    for kind in ("architecture", "field", "augmentation", "schedule"):
        assert draw.draw(text, kind, load).axes
    with pytest.raises(SpecError, match="of an experiment there are: architecture, field, augmentation, schedule"):
        draw.draw(text, "curves", load)


def test_a_net_needs_no_data(tmp_path: Path) -> None:
    def refuse(name: str) -> Any:
        raise AssertionError(name)

    for kind in ("architecture", "field"):
        assert draw.draw(GUIDE_NET, kind, refuse, "1x30x40").axes
    with pytest.raises(SpecError, match="of a net there are: architecture, field"):
        draw.draw(GUIDE_NET, "errors", refuse)
    with pytest.raises(SpecError, match="did you mean 'curves'"):
        draw.draw(GUIDE_NET, "curve", refuse)
    with pytest.raises(RunError, match="neither a run folder nor a climb's"):
        draw.draw(str(tmp_path), "field", refuse)
    with pytest.raises(ShapeError):
        draw.draw("8C40 10F", "architecture", refuse)


def test_errors_are_drawn_only_on_the_images_of_the_run(run: Path) -> None:
    with pytest.raises(DataError, match="not the images that the run was evaluated on"):
        draw.draw(str(run), "errors", lambda _: data.load("mnist-sample"))


def test_what_cannot_be_known_before_training_is_said(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text('net = "8C3 GAP 10C1"\n[recipe.schedule]\nkind = "plateau"\n')
    with pytest.raises(SpecError, match="depend on the losses"):
        draw.draw(str(path), "schedule", data.load)
    with pytest.raises(SpecError, match="no augmentation"):
        draw.draw(str(path), "augmentation", data.load)
    with pytest.raises(SpecError, match="cannot be read"):
        draw.draw(str(tmp_path / "missing.toml"), "field", data.load)


@pytest.mark.parametrize("suffix", [".svg", ".PNG", ".pdf"])
def test_the_command_writes_the_file_over_an_older_one(suffix: str, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_text("old")
    app(["draw", GUIDE_NET, "--kind", "architecture", "-o", str(path)], standalone_mode=False)
    assert path.read_bytes()[:4] in (b"<?xm", b"\x89PNG", b"%PDF")
    assert capsys.readouterr().out.strip() == str(path)


def test_the_command_names_the_formats(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"end it in \.svg, \.png, \.pdf"):
        app(["draw", GUIDE_NET, "--kind", "field", "-o", str(tmp_path / "net.gif")], standalone_mode=False)
    assert not list(tmp_path.iterdir())
