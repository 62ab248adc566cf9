"""One's own images through the whole pipeline: training, climbing, report and prediction, by class names."""

import json
from pathlib import Path

import pytest

from own_images import mnist_folder, photo_folder
from stepladder import cli, data
from stepladder.climb import batch_for
from stepladder.errors import ShapeError
from stepladder.predict import predict
from stepladder.runs import open_finished


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command line as main does, but let errors through."""
    monkeypatch.setattr("sys.argv", ["stepladder", *words])
    cli.app(list(words), standalone_mode=False)


def test_a_climb_on_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = photo_folder(tmp_path / "photos", each=40)
    options = ["--epochs", "1", "--folder", str(tmp_path / "climbs"), "--workers", "1", "--precision", "float32"]
    run("climb", "--data", str(photos), "--size", "28", *options, monkeypatch=monkeypatch)
    climb = tmp_path / "climbs" / "classic-photos-28x28"
    facts = json.loads((climb / "facts.json").read_text())
    assert facts["data"]["classes"] == ["china", "flower"]
    assert facts["data"]["input_shape"] == [3, 28, 28]
    assert [step["net"].split()[-1] for step in facts["steps"]] == ["2C1"] * 3
    # 64 images make 4 steps, not one: the batch is lowered, and the learning rate with it.
    assert [step["recipe"]["batch_size"] for step in facts["steps"]] == [16] * 3
    assert [step["recipe"]["learning_rate"] for step in facts["steps"]] == pytest.approx([0.05 / 8] * 2 + [0.3 / 8])
    assert [run["rows"][0]["steps"] for step in facts["steps"] for run in step["runs"]] == [4] * 3
    assert len(facts["best"]["confusion"]) == 2
    assert facts["published"] == []
    page = (climb / "report.html").read_text()
    assert "china" in page
    assert "full MNIST" not in page
    assert "there is no test split: 16 of 80 images were set aside for it" in page
    (answer,) = predict(climb, [str(photos / "flower" / "000.png")])
    assert answer.error is None
    assert {choice.name for choice in answer.choices} == {"china", "flower"}


@pytest.mark.parametrize(("images", "batch"), [(12, 16), (256, 16), (512, 32), (2047, 64), (2048, 128), (60_000, 128)])
def test_small_data_sets_have_small_batches(images: int, batch: int) -> None:
    assert batch_for(images) == batch


def test_digits_in_png_files_learn_as_the_sample_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = mnist_folder(tmp_path / "png", each=60)
    net = "8C3 MP2 16C3 MP2 GAP 3C1"
    settings = ["--set", "epochs=12", "--set", "batch_size=16", "--set", "schedule.kind=one-cycle"]
    run("train", net, "--data", str(digits), "--run", str(tmp_path / "run"), *settings, monkeypatch=monkeypatch)
    finished = open_finished(tmp_path / "run")
    assert finished.rows[-1].evaluation_accuracy > 80
    (answer,) = predict(tmp_path / "run", [str(sorted((digits / "test" / "8").iterdir())[0])])
    # A picture of the net's size is seen as it was in training.
    assert answer.pixels is not None
    assert any((answer.pixels == image).all() for image in data.load(str(digits)).test.images)


def test_the_classic_ladder_says_that_8x8_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ShapeError, match="do not fit images of 8×8") as caught:
        run("climb", "--data", "digits", "--folder", str(tmp_path), monkeypatch=monkeypatch)
    assert "--size 28" in caught.value.repair
    run(
        *("train", "16C3p1 16C3 GAP 10C1", "--data", "digits", "--run", str(tmp_path / "run"), "--set", "epochs=1"),
        monkeypatch=monkeypatch,
    )
    assert open_finished(tmp_path / "run").input_shape == (1, 8, 8)
