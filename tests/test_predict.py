"""Answers for people's own images: photographs made from digits of the sample, and every way a file can be wrong."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from stepladder import predict as module
from stepladder.cli import app
from stepladder.cli import main as command_line
from stepladder.data import Dataset, load
from stepladder.errors import DataError, RunError
from stepladder.handwriting import prepare
from stepladder.image_files import open_picture
from stepladder.ink import find_ink
from stepladder.runs import open_finished
from stepladder.spec import Experiment
from stepladder.train import train
from stepladder.trained import TrainedNet
from stepladder.trained import load as load_net

SHAPE = (1, 28, 28)
Array = numpy.ndarray


@pytest.fixture(scope="session")
def sample() -> Dataset:
    return load("mnist-sample")


@pytest.fixture(scope="session")
def run(sample: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small net trained for a few epochs on the sample."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    recipe = {"epochs": 5, "schedule": {"kind": "one-cycle"}}
    experiment = Experiment.read({"net": "16C3 MP2 16C3 MP2 10F", "data": "mnist-sample", "recipe": recipe}, "t")
    list(train(experiment, sample, folder, threads=1))
    return folder


@pytest.fixture(scope="session")
def net(run: Path) -> TrainedNet:
    return load_net(open_finished(run))


def page(
    digit: Array, *, scale: float = 10, size: tuple[int, int] = (420, 560), at: tuple[int, int] = (70, 150)
) -> Array:
    """Return dark ink on white paper, float in [0, 1]: the digit smoothly enlarged at a place of the page."""
    ink = ndimage.zoom(digit / 255, scale, order=3, grid_mode=True, mode="grid-constant")
    ink = numpy.clip((ndimage.gaussian_filter(ink, scale * 0.35) - 0.5) * scale * 0.4 + 0.5, 0, 1)
    paper = numpy.ones((420, 560))
    paper[at[0] : at[0] + ink.shape[0], at[1] : at[1] + ink.shape[1]] -= 0.85 * ink
    return paper


def image(values: Array) -> Image.Image:
    return Image.fromarray((255 * values.clip(0, 1)).round().astype(numpy.uint8))


def uneven(paper: Array) -> Array:
    """A lamp at one corner and the soft shadow of a hand."""
    y, x = (axis / size for axis, size in zip(numpy.indices(paper.shape), paper.shape, strict=True))
    return paper * (0.95 - 0.4 * x - 0.2 * y - 0.25 * numpy.exp(-((x - 0.2) ** 2 + (y - 0.8) ** 2) / 0.06))


def shadowed(paper: Array) -> Array:
    y, x = numpy.indices(paper.shape)
    return paper * numpy.where(x + 0.4 * y > 0.55 * paper.shape[1], 0.55, 1.0)


def noisy(paper: Array) -> Array:
    return paper + numpy.random.Generator(numpy.random.PCG64(7)).normal(0, 0.1, paper.shape)


def ruled(paper: Array) -> Array:
    lined = paper.copy()
    for row in range(25, len(lined), 45):
        lined[row : row + 2] = numpy.minimum(lined[row : row + 2], 0.55)
    return lined


def on_a_table(paper: Array) -> Array:
    return ndimage.rotate(numpy.pad(paper, 90, constant_values=0.2), 6, reshape=False, order=1, cval=0.2)


def with_dust(paper: Array) -> Array:
    dusty = paper.copy()
    for row, column in ((10, 20), (400, 30), (50, 500), (390, 530)):
        dusty[row : row + 4, column : column + 4] = 0.1
    return dusty


CONDITIONS: list[Callable[[Array], Array]] = [uneven, shadowed, noisy, ruled, on_a_table, with_dust]


def examples(sample: Dataset, count: int) -> tuple[Array, Array]:
    """Return digits and labels, all classes alike."""
    chosen = numpy.concatenate([numpy.flatnonzero(sample.test.labels == label)[: count // 10] for label in range(10)])
    return sample.test.images[chosen, 0], sample.test.labels[chosen]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda one: one.__name__)
def test_a_photograph_of_a_digit_looks_like_the_digit(condition: Callable[[Array], Array], sample: Dataset) -> None:
    """What the condition does to the page is undone: the net sees nearly what it sees of the plain page."""
    digits = examples(sample, 10)[0][::2]
    apart = []
    for digit in digits:
        plain, changed = (prepare(image(paper), SHAPE) for paper in (page(digit), condition(page(digit))))
        apart.append(alike(plain, changed))
    assert min(apart) > 0.65
    assert float(numpy.median(apart)) > 0.88


def test_a_net_reads_photographs_nearly_as_well_as_the_data_set(sample: Dataset, net: TrainedNet) -> None:
    digits, labels = examples(sample, 30)
    as_they_are = (net.logits(digits[:, None]).argmax(1) == labels).mean()
    seen = numpy.stack([prepare(image(noisy(uneven(page(digit)))), SHAPE) for digit in digits])
    photographed = (net.logits(seen).argmax(1) == labels).mean()
    assert as_they_are > 0.9
    assert photographed >= as_they_are - 0.05


def alike(one: Array, other: Array) -> float:
    """Return the correlation of two images; rounding can move one by a pixel, so the best of the neighbours counts."""
    steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    moved = [numpy.roll(other, step, (-2, -1)).ravel() for step in steps]
    return max(float(numpy.corrcoef(one.ravel(), values)[0, 1]) for values in moved)


@given(index=st.integers(0, 799), scale=st.floats(4, 13), row=st.floats(0, 1), column=st.floats(0, 1))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_place_and_size_do_not_matter(sample: Dataset, index: int, scale: float, row: float, column: float) -> None:
    digit = sample.test.images[index % len(sample.test.images), 0]
    free = (420 - round(28 * scale), 560 - round(28 * scale))
    moved = page(digit, scale=scale, at=(round(row * free[0]), round(column * free[1])))
    assert alike(prepare(image(page(digit)), SHAPE), prepare(image(moved), SHAPE)) > 0.93


@given(index=st.integers(0, 799))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_light_ink_on_a_dark_ground_is_the_same(sample: Dataset, index: int) -> None:
    paper = image(page(sample.test.images[index % len(sample.test.images), 0]))
    turned = Image.fromarray(255 - numpy.asarray(paper))
    assert alike(prepare(paper, SHAPE), prepare(turned, SHAPE)) > 0.99


def test_a_digit_enlarged_eight_times_comes_back(sample: Dataset) -> None:
    digits, _ = examples(sample, 20)
    same = []
    for digit in digits:
        enlarged = numpy.kron(255 - digit, numpy.ones((8, 8), dtype=numpy.uint8))
        same.append(alike(digit, prepare(Image.fromarray(enlarged), SHAPE)[0]))
    assert float(numpy.median(same)) > 0.95
    assert float(numpy.percentile(same, 10)) > 0.85


def test_images_of_the_nets_size_are_taken_as_they_are(sample: Dataset) -> None:
    for digit in sample.test.images[:50]:
        assert (prepare(Image.fromarray(digit[0]), SHAPE) == digit).all()
        assert (prepare(Image.fromarray(255 - digit[0]), SHAPE) == digit).all()


@pytest.mark.parametrize(("pen", "least"), [(-0.6, 1.7), (0.9, 2.2)], ids=["thin", "thick"])
def test_strokes_come_out_about_as_wide_as_in_mnist(pen: float, least: float, sample: Dataset) -> None:
    widths = []
    for digit in examples(sample, 10)[0]:
        ink = page(digit, scale=12) < 0.5
        distance = ndimage.distance_transform_edt(ink) - ndimage.distance_transform_edt(~ink)
        seen = prepare(image(1 - (distance + 12 * pen).clip(0, 1)), SHAPE)[0]
        fine = ndimage.zoom(seen, 8, order=1) > 127
        widths.append(4 * ndimage.distance_transform_edt(fine)[fine].mean() / 8)
    assert least < float(numpy.median(widths)) < 4.6


def test_the_drawing_fills_the_box_and_its_mass_is_in_the_middle(sample: Dataset) -> None:
    for digit in examples(sample, 10)[0]:
        seen = prepare(image(page(digit, at=(5, 5))), SHAPE)[0]
        rows, columns = (numpy.flatnonzero((seen > 100).any(axis=axis)) for axis in (1, 0))
        assert 18 <= max(numpy.ptp(rows), numpy.ptp(columns)) + 1 <= 21
        assert numpy.abs(numpy.array(ndimage.center_of_mass(seen)) - 14).max() < 0.8


def test_nets_of_other_sizes_and_colours(sample: Dataset) -> None:
    paper = image(page(sample.test.images[0, 0]))
    assert prepare(paper, (1, 32, 40)).shape == (1, 32, 40)
    colours = Image.new("RGB", (50, 40), (200, 100, 0))
    assert (prepare(colours, (3, 32, 32)) == numpy.array([200, 100, 0]).reshape(3, 1, 1)).all()
    with pytest.raises(DataError, match="one channel or three"):
        prepare(paper, (2, 28, 28))


BLANKS = {
    "white": numpy.ones((300, 400)),
    "black": numpy.zeros((300, 400)),
    "paper in uneven light": uneven(numpy.ones((300, 400))),
    "noise": noisy(numpy.full((300, 400), 0.6)),
    "one pixel": numpy.ones((1, 1)),
    "a line": numpy.ones((1, 500)),
    "of the net's size": numpy.zeros((28, 28)),
}


@pytest.mark.parametrize("values", BLANKS.values(), ids=BLANKS)
def test_a_blank_image_has_no_ink(values: Array) -> None:
    with pytest.raises(DataError, match="no ink found"):
        prepare(image(values), SHAPE)


@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    seed=st.integers(0, 1000),
    density=st.sampled_from([0.01, 0.2, 0.5, 0.99]),
)
@settings(max_examples=25, deadline=None)
def test_whatever_the_pixels_there_is_an_image_or_one_error(rows: int, columns: int, seed: int, density: float) -> None:
    values = numpy.random.Generator(numpy.random.PCG64(seed)).random((rows, columns)) < density
    with contextlib.suppress(DataError):
        seen = prepare(image(values.astype(float)), SHAPE)
        assert seen.shape == SHAPE
        assert seen.max() > 50


def _as_mode(paper: Image.Image, mode: str) -> Image.Image:
    values = numpy.asarray(paper)
    if mode == "I;16":
        return Image.fromarray(values.astype(numpy.uint16) * 200)
    if mode == "I":
        return Image.fromarray(values.astype(numpy.int32))
    if mode == "F":
        return Image.fromarray((values / 255).astype(numpy.float32))
    return paper.convert("RGB").quantize(8) if mode == "P" else paper.convert(mode, dither=Image.Dither.NONE)


MODES = {"1": "png", "L": "png", "LA": "png", "P": "gif", "RGB": "jpg", "RGBA": "webp", "CMYK": "tif"}
DEEP_MODES = {"I;16": "png", "I": "tif", "F": "tif"}


@pytest.mark.parametrize(("mode", "ending"), (MODES | DEEP_MODES).items())
def test_every_mode_gives_the_same(mode: str, ending: str, sample: Dataset, tmp_path: Path) -> None:
    paper = image(page(sample.test.images[3, 0]))
    path = tmp_path / f"digit.{ending}"
    stored = _as_mode(paper, mode)
    assert stored.mode == mode
    stored.save(path)
    assert alike(prepare(open_picture(path), SHAPE), prepare(paper, SHAPE)) > 0.95


@pytest.mark.parametrize("colour", [0, 255], ids=["black", "white"])
def test_ink_on_a_transparent_ground(colour: int, sample: Dataset, tmp_path: Path) -> None:
    paper = image(page(sample.test.images[3, 0]))
    values = numpy.full((*paper.size[::-1], 4), colour, dtype=numpy.uint8)
    values[..., 3] = 255 - numpy.asarray(paper)
    Image.fromarray(values).save(tmp_path / "drawing.png")
    seen = prepare(open_picture(tmp_path / "drawing.png"), SHAPE)
    assert alike(seen, prepare(paper, SHAPE)) > 0.95


def test_transparent_corners_of_a_picture_are_no_ink(sample: Dataset, tmp_path: Path) -> None:
    paper = image(page(sample.test.images[3, 0]))
    cut = paper.convert("LA")
    alpha = numpy.full(paper.size[::-1], 255, dtype=numpy.uint8)
    alpha[:40, :40] = alpha[-40:, -40:] = 0
    cut.putalpha(Image.fromarray(alpha))
    cut.save(tmp_path / "corners.png")
    assert alike(prepare(open_picture(tmp_path / "corners.png"), SHAPE), prepare(paper, SHAPE)) > 0.95


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_pictures_are_turned_upright(orientation: int, sample: Dataset, tmp_path: Path) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    paper = image(page(sample.test.images[3, 0]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    paper.transpose(turns[orientation]).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert alike(prepare(open_picture(tmp_path / "turned.jpg"), SHAPE), prepare(paper, SHAPE)) > 0.95


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scan_in_a_tiff_is_turned_as_any_other(
    orientation: int, compression: str | None, sample: Dataset, tmp_path: Path
) -> None:
    paper = image(page(sample.test.images[3, 0]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    paper.save(tmp_path / "turned.tif", exif=exif, compression=compression)
    paper.save(tmp_path / "turned.png", exif=exif)
    found, expected = (numpy.asarray(open_picture(tmp_path / f"turned.{ending}")) for ending in ("tif", "png"))
    assert found.shape == expected.shape
    assert (found == expected).all()


def test_of_an_animation_the_first_frame_counts(sample: Dataset, tmp_path: Path) -> None:
    first, second = (image(page(sample.test.images[index, 0])) for index in (3, 200))
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    assert alike(prepare(open_picture(tmp_path / "two.gif"), SHAPE), prepare(first, SHAPE)) > 0.95


def test_a_picture_of_many_pixels_is_reduced(tmp_path: Path) -> None:
    values = numpy.full((1200, 4800), 255, dtype=numpy.uint8)
    values[300:900, 2000:2080] = 0
    Image.fromarray(values).save(tmp_path / "large.png")
    picture = open_picture(tmp_path / "large.png")
    assert picture.size == (1600, 400)
    ink = find_ink(numpy.asarray(picture))
    assert ink.shape[0] > 5 * ink.shape[1]


@pytest.fixture
def folder(sample: Dataset, tmp_path: Path) -> Path:
    """Image files good and bad: two digits as they are, one photograph, one blank page, one broken file."""
    for name, index in (("a.png", 0), ("b.png", 1)):
        Image.fromarray(sample.test.images[index, 0]).save(tmp_path / name)
    image(uneven(page(sample.test.images[2, 0]))).save(tmp_path / "photo.jpg", quality=90)
    Image.new("L", (100, 100), 255).save(tmp_path / "blank.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:80])
    (tmp_path / "words.jpg").write_text("no picture")
    return tmp_path


def test_answers_are_those_on_the_data_set(run: Path, sample: Dataset, net: TrainedNet, folder: Path) -> None:
    answers = module.predict(run, [str(folder / "a.png"), str(folder / "b.png")])
    logits = net.logits(sample.test.images[:2])
    shares = numpy.exp(logits) / numpy.exp(logits).sum(axis=1, keepdims=True)
    for answer, expected, pixels in zip(answers, shares, sample.test.images, strict=False):
        assert answer.error is None
        assert answer.pixels is not None
        assert (answer.pixels == pixels).all()
        assert answer.choices[0].name == str(expected.argmax())
        assert [choice.probability for choice in answer.choices] == pytest.approx(sorted(expected, reverse=True))
        assert sorted(choice.name for choice in answer.choices) == list("0123456789")


def test_a_bad_file_is_named_and_the_others_are_answered(
    run: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a.png", "blank.png", "broken.png", "missing.png", "words.jpg", ".", "photo.jpg")
    monkeypatch.setattr(sys, "argv", ["stepladder", "predict", str(run), *(str(folder / name) for name in names)])
    with pytest.raises(SystemExit) as ended:
        command_line()
    assert ended.value.code == 2
    printed, errors = capsys.readouterr()
    assert [Path(line.split()[0]).name for line in printed.splitlines()] == ["a.png", "photo.jpg"]
    assert errors.count("stepladder: ") == errors.count("to repair: ") == 5
    for message in ("no ink found", "cannot be read", "no such image file", "no image format", "this is a folder"):
        assert message in errors
    for name in names[1:5]:
        assert name in errors


def test_what_the_net_saw_is_shown(run: Path, folder: Path) -> None:
    done = CliRunner().invoke(app, ["predict", str(run), str(folder / "a.png"), "--show", "--top", "1"])
    assert done.exit_code == 0
    first, _, *drawn, _ = done.stdout.splitlines()
    assert first.count("%") == 1
    assert len(drawn) == 16
    assert {len(line) for line in drawn} == {32}
    assert "█" in done.stdout


def test_blocks_are_two_rows_a_line() -> None:
    pixels = numpy.array([[[0, 255, 0, 255], [0, 0, 255, 255], [255, 0, 0, 0]]], dtype=numpy.uint8)
    assert module.blocks(pixels) == ["  ┌────┐", "  │ ▀▄█│", "  │▀   │", "  └────┘"]


def test_json_has_the_answers_the_pixels_and_the_errors(run: Path, folder: Path) -> None:
    files = [str(folder / name) for name in ("b.png", "blank.png")]
    done = CliRunner().invoke(app, ["predict", str(run), *files, "--format", "json", "--show", "--top", "2"])
    assert done.exit_code == 2
    good, bad = json.loads(done.stdout)["answers"]
    assert len(good["classes"]) == 2
    assert good["classes"][0]["probability"] >= good["classes"][1]["probability"]
    assert numpy.array(good["pixels"]).shape == SHAPE
    assert bad["path"] == files[1]
    assert set(bad["error"]) == {"what", "given", "repair"}
    plain = CliRunner().invoke(app, ["predict", str(run), files[0], "--format", "json"])
    assert set(json.loads(plain.stdout)["answers"][0]) == {"path", "classes"}


def test_a_climbs_folder_stands_for_its_last_step(run: Path, folder: Path) -> None:
    climb = folder / "climb"
    shutil.copytree(run, climb / "runs" / "last")
    steps = [{"runs": [{"folder": "runs/first"}]}, {"runs": [{"folder": "runs/last"}, {"folder": "runs/other"}]}]
    (climb / "facts.json").write_text(json.dumps({"format": 2, "steps": steps, "best": {}}), encoding="utf-8")
    photo = [str(folder / "photo.jpg")]
    assert module.predict(climb, photo)[0].choices == module.predict(run, photo)[0].choices


def test_patterns_are_expanded_where_the_shell_does_not(folder: Path) -> None:
    assert [Path(path).name for path in module.expand([str(folder / "?.png")])] == ["a.png", "b.png"]
    (folder / "odd[1].png").write_bytes(b"")
    untouched = [str(folder / "odd[1].png"), str(folder / "none*.png"), "missing.png"]
    assert module.expand(untouched) == untouched


def test_a_folder_without_a_run_is_refused(folder: Path) -> None:
    with pytest.raises(RunError, match="this is no run folder"):
        module.predict(folder, [str(folder / "a.png")])
