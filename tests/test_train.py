"""Training: streams of numbers, augmentation, schedules, the loop and what stops it."""

from __future__ import annotations

import math
import random
import warnings
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stepladder.augment import affine_maps, augment
from stepladder.data import Dataset, split_holdout, statistics
from stepladder.dropout import StreamDropout, use_streams
from stepladder.errors import ShapeError, SpecError, TrainingError
from stepladder.randomness import derive, numpy_stream, torch_stream
from stepladder.runs import EpochRow, open_finished
from stepladder.schedule import plateau_rates, unroll
from stepladder.spec import Augmentation, Cosine, Experiment, MultiStepDecay, OneCycle, Plateau, Recipe, StepDecay
from stepladder.train import prepare, train


def _rows(experiment: Experiment, dataset: Dataset, folder: Path | None = None) -> list[EpochRow]:
    return [row for row, _ in train(experiment, dataset, folder, device="cpu")]


def _experiment(net: str = "8C3 MP2 GAP 10C1", **recipe: object) -> Experiment:
    values = {"epochs": 2, "batch_size": 32, **recipe}
    return Experiment.read({"net": net, "recipe": values}, "the experiment")


# --- random numbers --------------------------------------------------------------------------------------------------


def test_streams_depend_on_seed_purpose_and_position_alone() -> None:
    assert derive(1, "shuffle", 2) == derive(1, "shuffle", 2)
    others = {derive(1, "shuffle", 3), derive(2, "shuffle", 2), derive(1, "augment", 2), derive(1, "shuffle", 2, 0)}
    assert len({derive(1, "shuffle", 2), *others}) == 5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_every_seed_makes_streams(seed: int) -> None:
    assert 0 <= derive(seed, "x") < 2**63
    numpy_stream(seed, "x").random()
    torch.rand(1, generator=torch_stream(seed, "x"))


def test_training_leaves_the_global_generators_alone(tiny: Dataset) -> None:
    before = (torch.get_rng_state().clone(), numpy.random.get_state()[1].copy(), random.getstate())  # type: ignore[index, union-attr]
    _rows(_experiment("8C3/BN/ReLU/D0.1 MP2 GAP 10C1", augmentation={"rotation": 5}), tiny)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == numpy.random.get_state()[1]).all()  # type: ignore[index]
    assert before[2] == random.getstate()


# --- dropout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dropout_keeps_the_expectation_and_drops_its_share(
    probability: float, memory_format: torch.memory_format
) -> None:
    layer = StreamDropout(probability)
    layer.restart(0, 0, 0, 0)
    values = torch.ones(64, 8, 20, 20).contiguous(memory_format=memory_format)
    dropped = layer(values)
    share = (dropped == 0).float().mean().item()
    error = math.sqrt(probability * (1 - probability) / values.numel())
    assert share == pytest.approx(probability, abs=5 * error + 1e-5)
    assert dropped.mean().item() == pytest.approx(1, abs=6 * error / (1 - probability))
    kept = dropped[dropped > 0]
    assert kept.min() == kept.max()
    # No channel or position is favoured.
    assert (dropped == 0).float().mean((0, 2, 3)).std().item() < 6 * error * math.sqrt(8)


def test_dropout_is_the_identity_in_evaluation_and_equal_for_equal_streams() -> None:
    module = nn.Sequential(nn.Dropout(0.3), nn.Sequential(nn.Dropout(0.2)))
    layers = use_streams(module)
    assert [layer.p for layer in layers] == [0.3, 0.2]
    values = torch.ones(4, 10)
    for layer in layers:
        layer.restart(1, 0, 2, 3)
    first = layers[0](values)
    layers[0].restart(1, 0, 2, 3)
    assert torch.equal(first, layers[0](values))
    layers[0].restart(1, 0, 2, 4)
    assert not torch.equal(first, layers[0](values))
    assert torch.equal(module.eval()(values), values)


# --- augmentation ----------------------------------------------------------------------------------------------------


def _blob(rows: int = 41, columns: int = 41, row: int = 10, column: int = 20) -> torch.Tensor:
    image = torch.zeros(1, 1, rows, columns)
    image[0, 0, row - 1 : row + 2, column - 1 : column + 2] = 1
    return image


def _centre(image: torch.Tensor) -> tuple[float, float]:
    weights = image[0, 0] / image.sum()
    rows, columns = torch.meshgrid(*(torch.arange(size) for size in image.shape[2:]), indexing="ij")
    return float((weights * rows).sum()), float((weights * columns).sum())


def test_no_augmentation_is_the_same_tensor() -> None:
    image = _blob()
    assert augment(image, Augmentation(), torch_stream(0, "x")) is image


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(41, 41), (41, 61)])
def test_a_rotation_keeps_distances_from_the_centre(seed: int, shape: tuple[int, int]) -> None:
    image = _blob(*shape, row=10, column=shape[1] // 2)
    turned = augment(image, Augmentation(rotation=30), torch_stream(seed, "x"))
    row, column = _centre(turned)
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    assert math.hypot(row - middle[0], column - middle[1]) == pytest.approx(10, abs=0.15)
    angle = math.degrees(math.atan2(column - middle[1], middle[0] - row))
    assert abs(angle) <= 30.5


@pytest.mark.parametrize("seed", range(5))
def test_a_shift_moves_by_at_most_its_pixels(seed: int) -> None:
    row, column = _centre(augment(_blob(), Augmentation(shift=3), torch_stream(seed, "x")))
    assert abs(row - 10) <= 3.01
    assert abs(column - 20) <= 3.01
    assert (row, column) != (10, 20)


def test_every_sample_draws_its_own_map_and_kinds_do_not_disturb_each_other() -> None:
    alone = affine_maps(Augmentation(rotation=10), 50, (28, 28), torch_stream(0, "x"))
    both = affine_maps(Augmentation(rotation=10, shift=2), 50, (28, 28), torch_stream(0, "x"))
    assert len({tuple(one.flatten().tolist()) for one in alone}) == 50
    assert torch.equal(alone[:, :, :2], both[:, :, :2])


def test_a_flip_is_the_mirror_image() -> None:
    image = torch.rand(3, 2, 7, 12, generator=torch.Generator().manual_seed(0))
    for flips, axes in (({"horizontal_flip": 1}, [3]), ({"vertical_flip": 1}, [2])):
        torch.testing.assert_close(augment(image, Augmentation(**flips), torch_stream(0, "x")), image.flip(axes))
    both = Augmentation(horizontal_flip=1, vertical_flip=1)
    torch.testing.assert_close(augment(image, both, torch_stream(0, "x")), image.flip([2, 3]))


def test_flips_come_as_often_as_they_should_and_leave_the_other_draws_alone() -> None:
    without = affine_maps(Augmentation(rotation=10, shift=2), 4000, (28, 28), torch_stream(0, "x"))
    limits = Augmentation(rotation=10, shift=2, horizontal_flip=0.25, vertical_flip=0.5)
    flipped = affine_maps(limits, 4000, (28, 28), torch_stream(0, "x"))
    assert torch.equal(flipped.abs(), without.abs())
    across, down = (flipped[:, axis, axis] < 0 for axis in (0, 1))  # both are positive for small angles
    assert float(across.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(down.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((across & down).float().mean()) == pytest.approx(0.125, abs=0.03)


def test_scale_and_shear_stay_within_their_limits() -> None:
    maps = affine_maps(Augmentation(scale=0.1), 500, (28, 28), torch_stream(0, "x"))
    factors = 1 / maps[:, 0, 0]
    assert factors.min() >= 0.9 - 1e-6
    assert factors.max() <= 1.1 + 1e-6
    assert factors.std() > 0.04
    maps = affine_maps(Augmentation(shear=20), 500, (28, 28), torch_stream(0, "x"))
    assert maps[:, 0, 1].abs().max() <= math.tan(math.radians(20)) + 1e-6
    assert torch.equal(maps[:, 1, 1], torch.ones(500))


# --- schedules -------------------------------------------------------------------------------------------------------


def test_rates_of_each_schedule() -> None:
    def rates(schedule: object, epochs: int = 6, steps: int = 4) -> numpy.ndarray:
        return unroll(Recipe(epochs=epochs, learning_rate=1.0, schedule=schedule), steps)  # type: ignore[arg-type]

    assert rates(StepDecay(every=2, factor=0.1))[:, 0] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rates(MultiStepDecay(at=(1, 4), factor=0.5))[:, -1] == pytest.approx([1, 0.5, 0.5, 0.5, 0.25, 0.25])
    cosine = rates(Cosine())
    assert cosine[0, 0] == 1
    assert cosine[-1, -1] == pytest.approx(0, abs=1e-9)
    cycle = rates(OneCycle(warm_up=0.25, start_divisor=10, final_divisor=100))
    assert cycle[0, 0] == pytest.approx(0.1)
    assert cycle.max() == pytest.approx(1)
    assert cycle.argmax() == round(0.25 * 24) - 1
    assert cycle[-1, -1] == pytest.approx(0.001)


def test_a_plateau_waits_for_its_patience() -> None:
    recipe = Recipe(learning_rate=1.0, schedule=Plateau(factor=0.1, patience=1))
    assert plateau_rates(recipe, [1.0, 0.5, 0.5, 0.5, 0.4]) == pytest.approx([1, 1, 1, 1, 0.1, 0.1])


def test_a_plateau_schedule_trains(tiny: Dataset) -> None:
    schedule = {"kind": "plateau", "patience": 0, "threshold": 10.0}
    rows = _rows(_experiment(epochs=3, learning_rate=0.1, schedule=schedule), tiny)
    assert [row.learning_rate for row in rows] == pytest.approx([0.1, 0.01, 0.001])


# --- the loop --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [
        {"learning_rate": 0.1},
        {"learning_rate": 1.0, "nesterov": False, "momentum": 0.0, "weight_decay": 1e-4},
        {"optimiser": "adam", "learning_rate": 0.01, "label_smoothing": 0.1},
        {"optimiser": "adamw", "learning_rate": 0.01, "weight_decay": 0.01, "averaging": 0.9},
        {"learning_rate": 0.1, "schedule": {"kind": "one-cycle"}, "precision": "bfloat16"},
    ],
)
def test_every_optimiser_learns_easy_images(recipe: dict[str, object], tiny: Dataset) -> None:
    rows = _rows(_experiment("8C5s2 16C3s2 GAP 10C1", epochs=12, **recipe), tiny)
    assert rows[-1].evaluation_correct > 90
    assert rows[-1].train_loss < rows[0].train_loss


def test_equal_experiments_give_equal_rows_and_other_seeds_others(tiny: Dataset) -> None:
    experiment = _experiment()
    assert _rows(experiment, tiny) == _rows(experiment, tiny)
    assert _rows(experiment, tiny) != _rows(experiment.model_copy(update={"seed": 1}), tiny)


def test_the_holdout_protocol_looks_at_the_test_set_once_at_the_end(tiny: Dataset, tmp_path: Path) -> None:
    experiment = _experiment().model_copy(update={"protocol": "holdout", "holdout_size": 50})
    rows = _rows(experiment, tiny, tmp_path / "run")
    assert open_finished(tmp_path / "run").result["test"]["count"] == 100
    assert {row.split for row in rows} == {"holdout"}
    assert rows[0].evaluation_count == 50
    assert rows[0].train_count == 250


def test_images_are_scaled_by_those_that_are_trained_on(tiny: Dataset) -> None:
    """Neither the test set nor a holdout has a part in it."""
    experiment = _experiment().model_copy(update={"protocol": "holdout", "holdout_size": 50})
    kept, _ = split_holdout(tiny.train.labels, size=50)
    found = {}
    for one in (experiment, _experiment()):
        scaling = prepare(one, tiny, torch.device("cpu")).normalisation
        found[one.protocol] = (scaling.mean, scaling.deviation)
    assert found == {
        "holdout": statistics(tiny.train.images[kept]),
        "reference": statistics(tiny.train.images),
    }
    assert found["holdout"] != found["reference"]


def test_the_average_of_the_weights_is_what_is_evaluated_and_kept(tiny: Dataset, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    plain, averaged = tmp_path / "plain", tmp_path / "averaged"
    _rows(_experiment(learning_rate=0.1), tiny, plain)
    _rows(_experiment(learning_rate=0.1, averaging=0.99), tiny, averaged)
    first, second = load_file(plain / "weights.safetensors"), load_file(averaged / "weights.safetensors")
    assert first.keys() == second.keys()
    assert not torch.equal(first["conv1.weight"], second["conv1.weight"])
    # Averaging changes what is kept, not how the net is trained.
    assert [row.train_loss for row in open_finished(plain).rows] == [
        row.train_loss for row in open_finished(averaged).rows
    ]


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_epoch(tiny: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    experiment = _experiment("[ReLU] 8C3 GAP 10C1", epochs=3, learning_rate=1e30)
    with pytest.raises(TrainingError, match="the step was not taken") as caught:
        _rows(experiment, tiny, run)
    assert "lower learning rate" in str(caught.value)
    good = _experiment("[ReLU] 8C3 GAP 10C1", epochs=2, learning_rate=1e-3, schedule={"kind": "step", "every": 1})
    _rows(good, tiny, tmp_path / "good")
    assert open_finished(tmp_path / "good").rows


def test_a_net_that_does_not_fit_is_refused_before_training(tiny: Dataset) -> None:
    with pytest.raises(SpecError, match="9 outputs for 10 classes"):
        _rows(_experiment("8C3 GAP 9C1"), tiny)
    with pytest.raises(ShapeError, match="layer 1"):
        _rows(_experiment("8C40 GAP 10C1"), tiny)


# --- specs -----------------------------------------------------------------------------------------------------------


def test_an_experiment_goes_through_toml_unchanged() -> None:
    experiment = _experiment(schedule={"kind": "multi-step", "at": [3, 5]}, augmentation={"shear": 3}, averaging=0.99)
    assert Experiment.from_toml(experiment.to_toml()) == experiment
    assert Experiment.from_toml(experiment.to_toml()).identity == experiment.identity
    assert experiment.model_copy(update={"seed": 1}).identity != experiment.identity


def test_all_wrong_fields_are_named_at_once_with_the_nearest_name() -> None:
    values = {
        "net": "8C3 XX",
        "sed": 1,
        "recipe": {"epochs": 0, "momentun": 0.5, "schedule": {"kind": "one-cycle", "warmup": 1}},
    }
    with pytest.raises(SpecError) as caught:
        Experiment.read(values, "the experiment")
    text = str(caught.value)
    for part in (
        "5 mistakes",
        "'XX' is no layer",
        "'sed' is not a field; did you mean 'seed'?",
        "'recipe.momentun' is not a field; did you mean 'momentum'?",
        "recipe.epochs: Input should be greater than or equal to 1",
        "did you mean 'warm_up'?",
    ):
        assert part in text


def test_broken_toml_is_one_message() -> None:
    with pytest.raises(SpecError, match="is not TOML"):
        Experiment.from_toml("net = ", "my.toml")


def test_training_gives_no_warnings(tiny: Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _rows(_experiment(schedule={"kind": "one-cycle"}), tiny)
