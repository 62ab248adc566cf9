"""The sheet of inputs that a climb's report shows: of every class a few as the net is given them, small enough."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from own_images import photo_folder
from small_climbs import read
from stepladder import data
from stepladder.ascent import AscentOptions, Climber
from stepladder.class_sheet import MOST_CHARACTERS, MOST_CLASSES, class_sheet
from stepladder.data import Dataset, Split
from stepladder.ladder import Goal
from stepladder.questions import load
from stepladder.spec import Experiment
from stepladder.train import prepare
from stepladder.trials import Trial


def experiment(dataset: Dataset, **recipe: object) -> Experiment:
    values = {"net": f"4C3 GAP {len(dataset.classes)}C1", "data": dataset.name, "protocol": "selection"}
    return Experiment.read(values | {"holdout_size": len(dataset.train) // 5, "recipe": recipe}, "the test")


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_it_shows_inputs_of_every_class_as_the_net_is_given_them_and_counts_what_is_trained_on() -> None:
    dataset = read("digits")
    asked = experiment(dataset)
    materials = prepare(asked, dataset, torch.device("cpu"))
    sheet = class_sheet(asked, dataset)
    assert [one["name"] for one in sheet["classes"]] == list(dataset.classes)
    assert [one["count"] for one in sheet["classes"]] == torch.bincount(materials.training.labels).tolist()
    known = {
        (image.tobytes(), int(label))
        for image, label in zip(materials.training.pixels.numpy(), materials.training.labels, strict=True)
    }
    assert sheet["others"] is None
    for label, one in enumerate(sheet["classes"]):
        strip = numpy.asarray(opened(one["strip"])).astype(float)
        values = strip / 255 * (sheet["high"] - sheet["low"]) + sheet["low"]
        deviation, mean = float(materials.normalisation.deviation[0]), float(materials.normalisation.mean[0])
        pixels = ((values * deviation + mean) * 255).round().clip(0, 255).astype(numpy.uint8)
        images = [pixels[:, left : left + 8] for left in range(0, pixels.shape[1], 9)]
        assert len(images) == 6
        assert all((numpy.ascontiguousarray(image).tobytes(), label) in known for image in images)


def test_it_is_the_same_again_and_varies_as_the_recipe_says() -> None:
    dataset = read("digits")
    plain = class_sheet(experiment(dataset), dataset)
    assert json.loads(json.dumps(plain)) == class_sheet(experiment(dataset), dataset)
    assert plain["classes"] != class_sheet(experiment(dataset, augmentation={"rotation": 45}), dataset)["classes"]


@pytest.mark.parametrize("side", [32, 224])
def test_photographs_stay_small_and_in_colour(side: int, tmp_path: Path) -> None:
    dataset = data.load(str(photo_folder(tmp_path / "photos", each=30, side=side)))
    sheet = class_sheet(experiment(dataset), dataset)
    assert sheet["shrunk"] == (1 if side == 32 else 3)
    assert sum(len(one["strip"]) for one in sheet["classes"]) <= MOST_CHARACTERS
    assert {opened(one["strip"]).mode for one in sheet["classes"]} == {"RGB"}


def test_of_many_classes_the_smallest_and_the_largest_are_shown_and_the_page_stays_small() -> None:
    classes, side = 300, 64
    numbers = numpy.random.default_rng(0)
    counts = [1 if label == 7 else 2 + label % 3 for label in range(classes)]
    labels = numpy.repeat(numpy.arange(classes), counts)
    images = numbers.integers(0, 256, (len(labels), 3, side, side), dtype=numpy.uint8)
    whole = Split(images, labels)
    made = dataclasses.replace(
        read("digits"), train=whole, test=whole, classes=tuple(f"class {label}" for label in range(classes))
    )
    asked = experiment(made).model_copy(update={"protocol": "reference"})
    sheet = class_sheet(asked, made)
    assert len(sheet["classes"]) == MOST_CLASSES
    assert "class 7" in [one["name"] for one in sheet["classes"]]
    assert sheet["others"] == {"classes": classes - MOST_CLASSES, "least": 2, "most": 4}
    assert sum(len(one["strip"]) for one in sheet["classes"]) <= MOST_CHARACTERS


def test_a_class_without_training_images_has_no_pictures() -> None:
    dataset = read("digits")
    kept = dataset.train.labels != 3
    less = dataclasses.replace(dataset, train=Split(dataset.train.images[kept], dataset.train.labels[kept]))
    sheet = class_sheet(experiment(less), less)
    assert sheet["classes"][3] | {"name": ""} == {"name": "", "count": 0, "strip": ""}


def test_the_pre_flight_of_a_climb_has_it(tmp_path: Path) -> None:
    dataset = read("digits")
    options = AscentOptions(load("full"), Goal(target=50, budget=6000, epochs=1, held=1), holdout_size=300)
    climber = Climber(options, dataset, tmp_path, lambda jobs: None, lambda line: None)
    found = climber._check(Trial("4C3 GAP 10C1", Experiment(net="4C3 GAP 10C1").recipe))
    assert len(found["inputs"]["classes"]) == 10
