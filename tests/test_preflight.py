"""Checks before training: a healthy experiment passes them all, and each planted fault fails the check it should."""

from __future__ import annotations

import dataclasses
import json
from math import exp, log
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from typer.testing import CliRunner

from stepladder import data
from stepladder.cli import app
from stepladder.data import Dataset, Split
from stepladder.errors import SpecError
from stepladder.inputs import Images
from stepladder.pictures.style import save
from stepladder.preflight import Preflight, _blank_images, check_labels, preflight, sheet
from stepladder.short_training import Attempt, blank, first_inputs
from stepladder.spec import Experiment
from stepladder.train import prepare

NET = "6C3s2 12C3s2 GAP 10C1"
NAMES = ["labels", "inputs", "first loss", "outputs", "one batch", "blank images"]


def experiment(net: str = NET, protocol: str = "reference", **recipe: Any) -> Experiment:
    values = {"net": net, "protocol": protocol, "holdout_size": 100, "recipe": {"batch_size": 64, **recipe}}
    return Experiment.read(values, "experiment")


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return data.load("mnist-sample")


def failed(found: Preflight) -> dict[str, str]:
    """Return what the checks that failed mean, by their names."""
    return {check.name: check.meaning for check in found.checks if not check.passed}


# --- healthy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [
        {"augmentation": {"rotation": 10, "shift": 1}, "tail_averaging": 0.5, "schedule": {"kind": "cosine"}},
        {"optimiser": "adam", "learning_rate": 0.02, "schedule": {"kind": "one-cycle"}, "label_smoothing": 0.1},
    ],
    ids=str,
)
def test_a_healthy_experiment_passes_every_check(recipe: dict[str, Any], sample: Dataset) -> None:
    found = preflight(experiment(**recipe), sample, threads=1)
    assert failed(found) == {}
    assert found.passed
    assert [check.name for check in found.checks] == NAMES
    assert all(check.expected and check.measured and check.meaning for check in found.checks)
    assert json.loads(json.dumps(found.as_values()))["checks"][0]["name"] == "labels"


def test_equal_calls_give_equal_results_and_no_global_state_changes(tiny: Dataset) -> None:
    torch.manual_seed(5)
    numpy.random.seed(5)
    before = torch.random.get_rng_state(), numpy.random.get_state()[1].copy(), torch.get_num_threads()
    found = [preflight(experiment("6C3s2/BN/ReLU/D0.2 GAP 10C1"), tiny, threads=1) for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert numpy.array_equal(numpy.random.get_state()[1], before[1])
    assert torch.get_num_threads() == before[2]


def test_held_out_and_test_images_are_not_looked_at(tiny: Dataset) -> None:
    chosen = experiment(protocol="holdout")
    _, held = tiny.split_holdout(chosen.holdout_size)
    images = tiny.train.images.copy()
    images[held] = 255 - images[held]
    blank_test = Split(numpy.zeros_like(tiny.test.images), tiny.test.labels)
    other = dataclasses.replace(tiny, train=Split(images, tiny.train.labels), test=blank_test)
    assert preflight(chosen, tiny, threads=1) == preflight(chosen, other, threads=1)


@pytest.mark.parametrize(
    ("seeing", "blind", "count", "share"),
    [(1.0, 0.167, 6, 0.5), (0.99, 0.95, 84, 0.95)],  # two small classes; and one that is nearly always right
)
def test_where_too_few_images_are_held_out_to_tell_the_check_says_so_and_passes(
    seeing: float, blind: float, count: int, share: float
) -> None:
    attempts = [Attempt(100, accuracy, count, is_finite=True) for accuracy in (seeing, blind)]
    check = _blank_images(*attempts, share, is_memorised=True)
    assert check.passed
    assert check.meaning == f"{count} held-out images are too few to tell what the net knows from the images"
    assert not _blank_images(*attempts, share, is_memorised=False).passed


# --- planted faults --------------------------------------------------------------------------------------------------


def test_a_softmax_at_the_end_is_found_by_its_outputs_and_by_the_floor_of_the_loss(tiny: Dataset) -> None:
    found = preflight(experiment(f"{NET} SM"), tiny, threads=1)
    meanings = failed(found)
    assert "take the softmax (SM) away" in meanings["outputs"]
    floor = log(exp(1) + 9) - 1  # the loss of certainty behind a softmax, ten classes
    assert f"cannot fall below {floor:.2f}" in meanings["one batch"]


def test_raw_pixels_are_found_by_their_deviation(sample: Dataset) -> None:
    found = preflight(experiment("[ReLU] 8C3s2b 8C3s2b GAP 10C1b", inputs="raw"), sample, threads=1)
    meanings = failed(found)
    assert "set inputs = standardised" in meanings["inputs"]
    assert "from 0 to 255" in found.checks[1].measured


def test_the_first_loss_of_a_net_that_is_sure_of_itself_is_too_high(sample: Dataset) -> None:
    loud = preflight(experiment("[ReLU] 8C3s2b MP2 10Fb", inputs="raw", learning_rate=1e-3), sample, threads=1)
    assert "unlearn it first" in failed(loud)["first loss"]


@pytest.mark.parametrize("rate", [1e-5, 100.0])
def test_an_absurd_learning_rate_learns_not_even_one_batch(rate: float, sample: Dataset) -> None:
    meanings = failed(preflight(experiment(learning_rate=rate), sample, threads=1))
    assert meanings.keys() == {"one batch", "blank images"}
    assert "stepladder rates finds one" in meanings["one batch"]


def test_shuffled_labels_can_be_learned_by_heart_but_do_not_hold_for_other_images(sample: Dataset) -> None:
    numbers = numpy.random.Generator(numpy.random.PCG64(0))
    shuffled = Split(sample.train.images, numbers.permutation(sample.train.labels))
    meanings = failed(preflight(experiment(), dataclasses.replace(sample, train=shuffled), threads=1))
    assert meanings.keys() == {"blank images"}
    assert "are the labels those of the images" in meanings["blank images"]


def test_blank_images_have_nothing_to_see_and_equal_images_cannot_be_told_apart(tiny: Dataset) -> None:
    black = Split(numpy.zeros_like(tiny.train.images), tiny.train.labels)
    meanings = failed(preflight(experiment(), dataclasses.replace(tiny, train=black), threads=1))
    assert meanings.keys() == {"inputs", "one batch", "blank images"}
    assert "all inputs are alike" in meanings["inputs"]


@pytest.mark.parametrize(
    ("keep", "complaint"),
    [
        (lambda labels: labels != 3, "no image says what 3 looks like"),
        (lambda labels: (labels != 3) | (numpy.cumsum(labels == 3) <= 4), "3 can hardly be learned from so few"),
        (lambda labels: (labels == 0) | (numpy.cumsum(labels != 0) % 12 == 0), "look at each class's accuracy"),
    ],
)
def test_classes_that_are_missing_few_or_uneven_are_named(keep: Any, complaint: str, sample: Dataset) -> None:
    kept = keep(sample.train.labels)
    small = dataclasses.replace(sample, train=Split(sample.train.images[kept], sample.train.labels[kept]))
    labels = check_labels(prepare(experiment(), small, torch.device("cpu")), small.classes)
    assert not labels.passed
    assert complaint in labels.meaning


def test_a_net_of_other_classes_is_refused(tiny: Dataset) -> None:
    with pytest.raises(SpecError, match="outputs are not the data set's classes"):
        preflight(experiment("8C3 GAP 7C1"), tiny)


# --- inputs ----------------------------------------------------------------------------------------------------------


def test_first_inputs_are_those_of_a_run_augmented_and_normalised(tiny: Dataset) -> None:
    chosen = experiment(batch_size=20, augmentation={"horizontal_flip": 1})
    materials = prepare(chosen, tiny, torch.device("cpu"))
    given = first_inputs(chosen, materials, 50)
    plain = first_inputs(experiment(batch_size=20), materials, 50)
    assert given.values.shape == (50, 1, 28, 28)
    torch.testing.assert_close(given.values, plain.values.flip(3), rtol=1e-4, atol=1e-4)
    mean, deviation = materials.normalisation.mean[0], materials.normalisation.deviation[0]
    restored = ((plain.values * deviation + mean) * 255).round().to(torch.uint8)
    known = {image.tobytes(): label for image, label in zip(tiny.train.images, tiny.train.labels.tolist(), strict=True)}
    assert [known[image.numpy().tobytes()] for image in restored] == plain.labels.tolist()


def test_blank_materials_keep_their_labels(tiny: Dataset) -> None:
    materials = prepare(experiment(), tiny, torch.device("cpu"))
    training: Images = blank(materials).training
    assert not training.pixels.any()
    assert torch.equal(training.labels, materials.training.labels)


def test_the_sheet_shows_every_input_with_its_label_and_the_range_of_its_shades(tiny: Dataset) -> None:
    drawn = save(sheet(experiment(), tiny), "svg").decode()
    given = first_inputs(experiment(), prepare(experiment(), tiny, torch.device("cpu")), 40)
    assert drawn.count("<image") == 40
    assert f"from {float(given.values.min()):.3g} (black) to {float(given.values.max()):.3g} (white)" in drawn
    assert all(f">{label}</text>" in drawn for label in set(given.labels.tolist()))


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_findings_and_ends_well(tmp_path: Path) -> None:
    picture = tmp_path / "inputs.png"
    words = ["preflight", f"{NET} SM", "--data", "mnist-sample", "--threads", "1", "--sheet", str(picture)]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    assert "✓ labels        4,000 images of 10 classes: 400 of each" in ran.output
    assert "✗ outputs" in ran.output
    assert "→ cross-entropy applies softmax itself" in ran.output
    assert "of 6 checks failed" in ran.output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_refused_before_anything_is_trained() -> None:
    for words in ([NET, "--format", "xml"], [NET, "--sheet", "inputs.gif"], ["8C3 GAP 7C1"], ["8Q3"]):
        ran = CliRunner().invoke(app, ["preflight", *words, "--data", "mnist-sample"])
        assert isinstance(ran.exception, SpecError), ran.output


def test_a_batch_as_large_as_the_data_set_is_not_looked_at_whole(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.short_training._VALUES", 28 * 28 * 100)
    chosen = experiment(batch_size=4000, augmentation={"rotation": 5})
    materials = prepare(chosen, sample, torch.device("cpu"))
    assert len(first_inputs(chosen, materials, 1024).values) == 100
