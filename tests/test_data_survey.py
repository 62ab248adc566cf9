"""What stepladder data says: its facts, in three forms, and the picture sheet."""

import json
import shutil
from pathlib import Path

import numpy
import pytest
from PIL import Image
from typer.testing import CliRunner

from own_images import mnist_folder, photo_folder
from stepladder.cli import app
from stepladder.data.sheet import mean_image, sheet
from stepladder.data.survey import survey
from stepladder.data.survey_text import STYLES, render


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with a leak, a repeated image, one under two labels, a broken file and a class of the test alone."""
    root = mnist_folder(tmp_path_factory.mktemp("flawed") / "digits", each=8)
    images = sorted((root / "train" / "3").iterdir())
    shutil.copy(images[0], root / "test" / "3" / "leak.png")
    shutil.copy(images[1], root / "train" / "3" / "twice.png")
    shutil.copy(images[2], root / "train" / "5" / "wrong.png")
    (root / "test" / "8" / "broken.png").write_bytes(b"\x89PNG")
    (root / "test" / "9").mkdir()
    shutil.copy(sorted((root / "test" / "5").iterdir())[0], root / "test" / "9" / "nine.png")
    return root


def test_facts(flawed: Path) -> None:
    facts = survey(str(flawed)).facts
    counts = {one["name"]: (one["train"], one["test"]) for one in facts["classes"]}
    assert counts == {"3": (9, 9), "5": (9, 8), "8": (8, 8), "9": (0, 1)}
    assert (facts["shape"], facts["modes"]) == ([1, 28, 28], {"L": 52})
    assert facts["sizes"] == [{"rows": 28, "columns": 28, "count": 52}]
    assert facts["missing"] == {"train": ["9"], "test": []}
    assert [one["name"] for one in facts["unreadable"]] == ["test/8/broken.png"]
    (leak,) = facts["leaks"]
    assert (leak["first"], leak["second"], leak["count"]) == ("train", "test", 1)
    assert leak["examples"][0][1] == "test/3/leak.png"
    # The two that stand in one split under two labels count as repeated there too.
    assert facts["splits"]["train"]["duplicates"] == 2
    assert {"train/3/twice.png"} < {name for group in facts["splits"]["train"]["duplicate_examples"] for name in group}
    assert any("train/5/wrong.png" in group for group in facts["contradictions"])
    assert facts["problems"] == []


def test_mean_and_deviation_are_those_of_the_training_images(tmp_path: Path) -> None:
    found = survey(str(photo_folder(tmp_path)))
    pixels = found.collection.images[found.parts["train"]] / 255
    assert found.facts["splits"]["train"]["mean"] == pytest.approx(pixels.mean(axis=(0, 2, 3)))
    assert found.facts["splits"]["train"]["deviation"] == pytest.approx(pixels.std(axis=(0, 2, 3)))
    images = found.collection.images
    assert numpy.abs(mean_image(images) - images.mean(axis=0)).max() <= 0.5


@pytest.mark.parametrize("style", STYLES)
def test_every_form_names_what_is_wrong(style: str, flawed: Path) -> None:
    text = render(survey(str(flawed)).facts, style)
    for part in ("test/3/leak.png", "train/3/twice.png", "test/8/broken.png", "no training image for 9"):
        assert part in text
    if style == "json":
        assert json.loads(text)["images"] == 52


def test_command_and_picture(flawed: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["data", str(flawed), "--picture", str(tmp_path / "sheet.png"), "--size", "14"])
    assert done.exit_code == 0
    assert "1×14×14, grey" in done.output
    with Image.open(tmp_path / "sheet.png") as drawn:
        pixels = numpy.asarray(drawn.convert("L"))
    assert (pixels < 40).mean() > 0.1  # digits on black, as they are in the files


def test_dollars_in_a_name_are_no_formula(tmp_path: Path) -> None:
    folder = mnist_folder(tmp_path / "a$^$b")
    (folder / "train" / "3").rename(folder / "train" / "x$^$y")
    done = CliRunner().invoke(app, ["data", str(folder), "--picture", str(tmp_path / "sheet.svg")])
    assert done.exit_code == 0


def test_exit_code_where_training_is_impossible(tmp_path: Path) -> None:
    shutil.copytree(photo_folder(tmp_path / "photos", each=14) / "china", tmp_path / "one" / "china")
    done = CliRunner().invoke(app, ["data", str(tmp_path / "one"), "--format", "json"])
    assert done.exit_code == 2
    assert json.loads(done.output)["problems"][0]["what"].startswith("there is one class only")


def test_data_sets_of_the_catalogue() -> None:
    found = survey("digits")
    assert found.facts["splits"]["train"]["count"] == 1437
    assert found.is_trainable
    assert len(sheet(found).axes[0].images) == 10 * 11 + 1
