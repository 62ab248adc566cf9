"""Facts that are measured: on nets and images whose answer is known, and on short runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch

from conftest import striped_images
from stepladder.advice import advise, advise_run
from stepladder.data import Dataset, Split
from stepladder.diagnosis import Facts, diagnose, neighbours
from stepladder.diagnosis.changed import at_limit
from stepladder.diagnosis.measure import confused
from stepladder.diagnosis.probe import probe
from stepladder.diagnosis.structure import net_facts, object_extent
from stepladder.errors import RunError, TrainingError
from stepladder.inputs import Images, Normalisation
from stepladder.notation import Net
from stepladder.spec import Experiment, Recipe
from stepladder.train import train

SOUND = "8C5s2 12C3s2 16C3 GAP 10C1"
IMAGE = (1, 28, 28)


@pytest.fixture(scope="module")
def blocks() -> Dataset:
    """400 training images of bright blocks on dark noise."""
    train_split, test_split = Split(*striped_images(400, 1)), Split(*striped_images(50, 2))
    return Dataset("blocks", "blocks", tuple("0123456789"), train_split, test_split, "made for the tests")


@pytest.fixture(scope="module")
def run_of(blocks: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Train an experiment and return its folder."""

    def trained(net: str = SOUND, dataset: Dataset = blocks, protocol: str = "holdout", **recipe: object) -> Path:
        folder = tmp_path_factory.mktemp("run")
        values = {"epochs": 4, "batch_size": 32, "schedule": {"kind": "one-cycle"}} | recipe
        experiment = Experiment.read(
            {"net": net, "recipe": values, "data": dataset.name, "protocol": protocol, "holdout_size": 100}, "test"
        )
        for _ in train(experiment, dataset, folder, threads=1):
            pass
        return folder

    return trained


@pytest.fixture(scope="module")
def sound(run_of: Callable[..., Path], blocks: Dataset) -> Facts:
    return diagnose(run_of(augmentation={"shift": 1}), blocks)


def test_a_sound_run_is_measured_as_it_was_trained(sound: Facts) -> None:
    assert (sound.train_count, sound.steps, len(sound.epochs)) == (300, 10, 4)
    assert sound.train is not None
    assert sound.holdout is not None
    assert (sound.train.count, sound.holdout.count) == (300, 100)
    assert sound.holdout.accuracy == sound.epochs[-1].holdout_accuracy
    assert sound.input_mean == pytest.approx(0, abs=0.1)
    assert sound.input_deviation == pytest.approx(1, abs=0.1)
    assert 1.5 < sound.first_loss < 4, "about ln 10"
    assert sound.epochs[1].last_rate > sound.epochs[3].last_rate
    assert [one.kind for one in sound.augmentation] == ["shift"]
    assert sound.labels.neighbours > 90
    assert sound.range_test is not None
    assert sound.range_test.learns


def test_of_uneven_classes_guessing_reaches_the_share_of_the_largest_that_is_trained_on(
    run_of: Callable[..., Path],
) -> None:
    images, labels = striped_images(2000, 1)
    small = numpy.concatenate([numpy.flatnonzero(labels == label)[:20] for label in range(10) if label != 3])
    kept = numpy.concatenate([numpy.flatnonzero(labels == 3)[:120], small])
    test = Split(*striped_images(50, 2))
    uneven = Dataset("uneven", "uneven", tuple("0123456789"), Split(images[kept], labels[kept]), test, "made here")
    found = diagnose(run_of(dataset=uneven, epochs=1), uneven, with_range_test=False)
    assert found.train_count == 200, "100 of 300 are held out, 40 of them of the largest class"
    assert found.largest == 40.0, "80 of 200"
    assert found.guess == 40.0, "and not a tenth, as of ten even classes"


def test_of_even_classes_guessing_reaches_about_a_tenth(sound: Facts) -> None:
    assert 10 <= sound.guess == sound.largest < 13


def test_facts_are_json(sound: Facts) -> None:
    values = json.loads(json.dumps(sound.as_values(), allow_nan=False))
    assert values["experiment"]["net"] == str(Net.parse(SOUND))
    assert values["net"]["field"] == [17, 17]


def test_the_folder_stays_as_it_was_and_facts_are_the_same_each_time(
    run_of: Callable[..., Path], blocks: Dataset
) -> None:
    folder = run_of()
    before = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    state = torch.get_rng_state()
    once, again = diagnose(folder, blocks), diagnose(folder, blocks)
    assert once == again
    assert advise(once) == advise_run(folder, blocks)
    assert {path: path.read_bytes() for path in sorted(folder.iterdir())} == before
    assert torch.equal(state, torch.get_rng_state())


def test_of_a_reference_run_the_test_set_is_not_looked_at(run_of: Callable[..., Path], blocks: Dataset) -> None:
    found = diagnose(run_of(protocol="reference", epochs=1), blocks, with_range_test=False)
    assert found.holdout is None
    assert found.gap is None
    assert found.epochs[-1].holdout_accuracy is None
    assert found.train is not None
    assert found.train.count == 400
    assert advise(found)[0].technique == "holdout"


def test_a_run_that_failed_is_diagnosed_from_its_first_weights(tmp_path: Path, blocks: Dataset) -> None:
    recipe = {"learning_rate": 1e30, "epochs": 3, "batch_size": 32, "inputs": "raw"}
    experiment = Experiment.read(
        {"net": "16F/none 10F", "recipe": recipe, "data": "blocks", "protocol": "holdout", "holdout_size": 100},
        "test",
    )
    with pytest.raises(TrainingError):
        list(train(experiment, blocks, tmp_path, threads=1))
    found = diagnose(tmp_path, blocks)
    assert found.failure.startswith("the loss became")
    assert (found.train, found.holdout) == (None, None)
    assert {"learning rate", "input normalisation"} <= {one.technique for one in advise(found)}


def test_a_run_that_was_stopped_is_to_go_on_first(tmp_path: Path, blocks: Dataset) -> None:
    experiment = Experiment.read(
        {
            "net": SOUND,
            "recipe": {"epochs": 3, "batch_size": 32},
            "data": "blocks",
            "protocol": "holdout",
            "holdout_size": 9,
        },
        "test",
    )
    next(stream := train(experiment, blocks, tmp_path, threads=1))
    stream.close()  # type: ignore[attr-defined]
    with pytest.raises(RunError, match="not finished"):
        diagnose(tmp_path, blocks)


def test_other_images_are_refused(run_of: Callable[..., Path], blocks: Dataset) -> None:
    other = replace(blocks, train=Split(*striped_images(400, 5)))
    with pytest.raises(RunError, match="other images"):
        diagnose(run_of(epochs=1), other)


def test_shuffled_labels_are_named_by_their_numbers(run_of: Callable[..., Path], blocks: Dataset) -> None:
    labels = blocks.train.labels.copy()
    wrong = numpy.arange(7, 400, 13)
    labels[wrong] = (labels[wrong] + 3) % 10
    mixed = replace(blocks, train=Split(blocks.train.images.copy(), labels))
    folder = run_of(dataset=mixed, epochs=30)
    found = diagnose(folder, mixed, with_range_test=False)
    assert advise(found)[0].technique == "labels"
    named = {one.index for one in found.labels.doubtful}
    assert named <= set(wrong.tolist())
    assert len(named) > 10
    one = found.labels.doubtful[0]
    assert (int(one.label), int(one.suggested)) == (labels[one.index], (labels[one.index] - 3) % 10)


def test_one_class_under_two_names_is_named_as_the_pair_that_mistakes_are_made_of(
    run_of: Callable[..., Path], blocks: Dataset
) -> None:
    # Every second image of the last class gets a name of its own.
    labels = blocks.train.labels.copy()
    twins = numpy.flatnonzero(labels == 9)[::2]
    labels[twins] = 10
    split = replace(blocks, classes=(*blocks.classes, "nine"), train=Split(blocks.train.images, labels))
    told = advise_run(run_of(net=SOUND.replace("10C1", "11C1"), dataset=split, epochs=10), split)
    pair = next(one for one in told if one.technique == "confused classes")
    assert pair.title == "Look at what 9 and nine have in common"
    assert pair.change is None
    assert "confused classes" not in [one.technique for one in advise_run(run_of(), blocks)]


def test_a_layer_whose_units_are_all_below_zero_is_dead() -> None:
    net = Net.parse("[ReLU] 4C3b GAP 10C1")
    module = net.build(IMAGE)
    with torch.no_grad():
        module[0].bias[:] = torch.tensor([100.0, 100.0, 100.0, -100.0])  # type: ignore[union-attr]
    pixels, labels = striped_images(20, 3)
    batch = Images(torch.from_numpy(pixels), torch.from_numpy(labels))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    _, states = probe(net, module, batch, Normalisation((0.0,), (1.0,)), Recipe(learning_rate=0.1, momentum=0.5))
    assert [one.layer for one in states] == ["1 4C3b", "2 ReLU", "3 GAP", "4 10C1"]
    assert states[1].dead == 0.25
    assert [one.dead for one in states if one.layer != "2 ReLU"] == [None] * 3
    assert states[1].gradient is None
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_an_update_is_the_rate_times_gradient_over_weight() -> None:
    net = Net.parse("10F")
    module = net.build(IMAGE)
    pixels, labels = striped_images(20, 3)
    batch = Images(torch.from_numpy(pixels), torch.from_numpy(labels))
    found = {}
    for rate, momentum in ((0.1, 0.0), (0.2, 0.0), (0.1, 0.9)):
        recipe = Recipe(learning_rate=rate, momentum=momentum, nesterov=False)
        found[rate, momentum] = probe(net, module, batch, Normalisation((0.0,), (1.0,)), recipe)[1][-1].update
    one = found[0.1, 0.0]
    assert one is not None
    assert found[0.2, 0.0] == pytest.approx(2 * one)
    assert found[0.1, 0.9] == pytest.approx(10 * one)


@pytest.mark.parametrize(
    ("net", "field", "averages", "dense"),
    [
        ("8C3 16C3 GAP 10C1", (5, 5), True, 0.0),
        ("[ReLU] 8C3 MP2 10F", (4, 4), False, 13520 / 13592),
        ("8C3 MP2 GAP 10F", (4, 4), True, 0.0),
        ("[ReLU] 4C28 10F", (28, 28), False, 0.0),
    ],
)
def test_where_a_net_looks_and_where_its_parameters_are(
    net: str, field: tuple[int, int], averages: bool, dense: float
) -> None:
    found = net_facts(Net.parse(net), IMAGE)
    assert (found.field, found.averages) == (field, averages)
    assert found.dense_share == pytest.approx(dense)


def test_the_extent_of_ink_is_that_of_the_median_box() -> None:
    pixels = torch.zeros(5, 1, 28, 28, dtype=torch.uint8)
    pixels[:, :, 4:14, 10:13] = 255
    assert object_extent(pixels) == (10, 3)
    assert object_extent(255 - pixels) == (10, 3), "dark ink on white"
    assert object_extent(pixels.expand(5, 3, 28, 28)) == (28, 28), "colour images fill their frame"


def test_neighbours_vote_without_the_image_itself() -> None:
    points = torch.cat([torch.zeros(11, 2), torch.full((11, 2), 9.0)])
    labels = torch.tensor([0] * 11 + [1] * 11)
    labels[3] = 1
    votes = neighbours.votes(points, labels, points, 2, own=True)
    assert votes.winner.tolist() == [0] * 11 + [1] * 11
    assert votes.count[3] == 10
    assert votes.count[0] == 9


def test_flips_and_turns_at_their_limit() -> None:
    pixels = torch.arange(9, dtype=torch.uint8).view(1, 1, 3, 3)
    assert at_limit("vertical_flip", 0.5, pixels).flatten().tolist() == [6, 7, 8, 3, 4, 5, 0, 1, 2]
    assert at_limit("horizontal_flip", 0.5, pixels).flatten().tolist() == [2, 1, 0, 5, 4, 3, 8, 7, 6]
    assert at_limit("rotation", 180, pixels).flatten().tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    two = pixels.expand(2, 1, 3, 3)
    assert at_limit("shift", 1, two)[:, 0, 1, 1].tolist() == [0, 8], "one way, then the other"


def test_the_other_direction_of_a_kept_confusion_is_kept_however_rare() -> None:
    pairs = [(one, one + 6) for one in range(6)] + [(one, (one + 1) % 6) for one in range(6)]
    labels = [label for label, _ in pairs for _ in range(3)] + [6]
    predicted = [other for _, other in pairs for _ in range(3)] + [0]
    found = confused(numpy.array(predicted), numpy.array(labels), tuple("abcdefghijkl"))
    assert [(one.label, one.predicted, one.count) for one in found[10:]] == [("g", "a", 1)]


def test_features_of_many_images_are_those_of_each() -> None:
    images = torch.randint(0, 256, (1_100, 1, 20, 20), dtype=torch.uint8)
    whole = torch.nn.functional.avg_pool2d(images.float() / 255, 2, ceil_mode=True).flatten(1)
    assert torch.equal(neighbours.features(images), whole)


def test_confusions_count_pairs_of_classes() -> None:
    found = confused(numpy.array([0, 1, 1, 2, 0]), numpy.array([0, 2, 2, 2, 1]), ("a", "b", "c"))
    assert [(one.label, one.predicted, one.count, one.of) for one in found] == [("c", "b", 2, 3), ("b", "a", 1, 1)]
    assert found[0].share == pytest.approx(2 / 3)
