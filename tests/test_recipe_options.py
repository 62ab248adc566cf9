"""What recipes offer beside SGD from random weights: Muon, first weights, batch-norm's rates, averages of weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner

from conftest import write_mnist
from stepladder import data, engine
from stepladder.averaging import Averaging, build_averaging
from stepladder.cli import app
from stepladder.data import Dataset, statistics
from stepladder.errors import NotationError, SpecError
from stepladder.experiments import NAMES, named
from stepladder.facts import recipe_text
from stepladder.initialise import make_dirac, make_he, prepare_module, whiten
from stepladder.inputs import Images, Normalisation
from stepladder.inspection.oneline import describe
from stepladder.inspection.summary import budget_verdict
from stepladder.notation import Net
from stepladder.optimisers import Muon, build_optimiser, orthogonalise, set_rate
from stepladder.passes import CompiledPasses, PlainPasses
from stepladder.runs import open_finished
from stepladder.spec import Augmentation, Experiment, Recipe
from stepladder.train import train
from stepladder.trained import load

NET = "4C5 MP2 6C3 6C3 GAP 10F"


def built(text: str = NET) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net.parse(text).build((1, 28, 28))


def after_one_step(recipe: Recipe) -> dict[str, torch.Tensor]:
    """Return how far each parameter of the same net on the same images goes in its first step."""
    module = built().train()
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    optimiser = build_optimiser(module, recipe)
    set_rate(optimiser, recipe.learning_rate)
    inputs = torch.randn(16, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    functional.cross_entropy(module(inputs).flatten(1), torch.arange(16) % 10).backward()
    optimiser.step()
    return {name: parameter.detach() - before[name] for name, parameter in module.named_parameters()}


def images_of(dataset: Dataset) -> tuple[Images, Normalisation]:
    mean, deviation = statistics(dataset.train.images)
    pixels, labels = torch.tensor(dataset.train.images), torch.tensor(dataset.train.labels)
    return Images(pixels, labels), Normalisation(mean, deviation)


# --- optimisers ------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(rows=some.integers(1, 20), columns=some.integers(1, 20), scale=some.floats(1e-3, 1e3), seed=some.integers(0, 99))
def test_orthogonalising_keeps_singular_directions_and_evens_their_sizes(
    rows: int, columns: int, scale: float, seed: int
) -> None:
    numbers = numpy.random.Generator(numpy.random.PCG64(seed))
    size = min(rows, columns)
    left, right = (numpy.linalg.qr(numbers.normal(size=(length, size)))[0] for length in (rows, columns))
    sizes = scale * numbers.uniform(0.2, 1, size)
    gradient = torch.tensor(left * sizes @ right.T, dtype=torch.float32)
    found = left.T @ orthogonalise([gradient])[0].double().numpy() @ right
    on_diagonal = numpy.diag(found)
    assert ((on_diagonal > 0.6) & (on_diagonal < 1.3)).all()
    assert numpy.abs(found - numpy.diag(on_diagonal)).max() < 0.05


def test_orthogonalising_several_at_once_is_the_same_as_one_by_one() -> None:
    numbers = torch.Generator().manual_seed(0)
    shapes = ((6, 4, 3, 3), (8, 1, 5, 5), (10, 6), (3, 1, 1, 1))
    gradients = [torch.randn(shape, generator=numbers) for shape in shapes]
    for gradient, found in zip(gradients, orthogonalise(gradients), strict=True):
        assert found.shape == gradient.shape
        alone = orthogonalise([gradient.flatten(1)])[0].reshape(gradient.shape)
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("nesterov", [True, False])
def test_what_muon_does_not_orthogonalise_takes_the_steps_of_sgd(nesterov: bool) -> None:
    ours, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    optimisers = (
        Muon([{"params": [ours]}], 0.1, 0.9, nesterov, 0.0),
        torch.optim.SGD([theirs], lr=0.1, momentum=0.9, nesterov=nesterov),
    )
    for step in range(4):
        for parameter in (ours, theirs):
            parameter.grad = torch.arange(5.0) * (step - 1)
        for optimiser in optimisers:
            optimiser.step()
    torch.testing.assert_close(ours, theirs)


def test_muon_trains_matrices_at_their_own_rate_and_all_others_as_sgd_does() -> None:
    sgd, muon = (
        after_one_step(Recipe(optimiser=name, learning_rate=0.1, matrix_rate=0.03)) for name in ("sgd", "muon")
    )
    for name, step in muon.items():
        if step.ndim == 1:
            torch.testing.assert_close(step, sgd[name])
        else:
            sizes = torch.linalg.svdvals(step.flatten(1) / 0.03)
            # A direction without any gradient stays without; of the others none is far from 1.
            assert sizes.max() < 1.3
            assert sizes.median() > 0.6


@pytest.mark.parametrize("optimiser", ["sgd", "muon"])
def test_only_the_biases_of_batch_normalisation_learn_faster(optimiser: str) -> None:
    plain, faster = (after_one_step(Recipe(optimiser=optimiser, bias_rate=rate)) for rate in (1, 8))
    norms = {name for name, layer in built().named_modules() if isinstance(layer, nn.BatchNorm2d)}
    for name, step in faster.items():
        place, _, kind = name.rpartition(".")
        factor = 8 if place in norms and kind == "bias" else 1
        torch.testing.assert_close(step, factor * plain[name])


def test_weight_decay_pulls_fast_biases_no_harder() -> None:
    module = built()
    for parameter in module.parameters():
        parameter.data.fill_(1.0)
        parameter.grad = torch.zeros_like(parameter)
    optimiser = build_optimiser(module, Recipe(bias_rate=8, weight_decay=0.01, momentum=0, nesterov=False))
    set_rate(optimiser, 0.1)
    optimiser.step()
    for parameter in module.parameters():
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, 1 - 0.1 * 0.01))


# --- averages --------------------------------------------------------------------------------------------------------


def averaged(recipe: Recipe, steps: int) -> tuple[list[torch.Tensor], Averaging, nn.Linear]:
    """Return the weights after each step of a module that moves by itself, the average at the end, and the module."""
    module = nn.Linear(3, 2)
    average = build_averaging(module, recipe, steps)
    assert average is not None
    weights, numbers = [], torch.Generator().manual_seed(0)
    for step in range(steps):
        module.weight.data.add_(torch.randn(2, 3, generator=numbers))
        weights.append(module.weight.detach().clone())
        average.update(step)
    return weights, average, module


def test_no_average_unless_asked_for() -> None:
    assert build_averaging(nn.Linear(3, 2), Recipe(), 10) is None


@pytest.mark.parametrize(("share", "counted"), [(0.25, 3), (0.5, 6), (0.99, 12)])
def test_a_tail_average_is_the_mean_of_the_last_weights(share: float, counted: int) -> None:
    weights, average, module = averaged(Recipe(tail_averaging=share), 12)
    torch.testing.assert_close(average.state["weight"], torch.stack(weights[-counted:]).mean(0))
    assert torch.equal(module.weight, weights[-1]), "the module trains on, untouched"


def test_before_its_tail_begins_the_average_is_the_weights_themselves() -> None:
    module = nn.Linear(3, 2)
    average = build_averaging(module, Recipe(tail_averaging=0.5), 10)
    assert average is not None
    module.weight.data.fill_(3.0)
    average.update(0)
    assert torch.equal(average.state["weight"], module.weight)


def test_a_moving_average_forgets_by_its_decay_each_step() -> None:
    weights, average, _ = averaged(Recipe(averaging=0.5), 40)
    shares = [0.5 ** (len(weights) - index) for index in range(len(weights))]
    recent = sum(share * weight for share, weight in zip(shares, weights, strict=True))
    torch.testing.assert_close(average.state["weight"], recent, rtol=1e-4, atol=1e-4)


def test_lookahead_goes_half_of_the_way_and_the_weights_start_from_there() -> None:
    module = nn.Linear(3, 2)
    average = build_averaging(module, Recipe(lookahead=2), 4)
    assert average is not None
    start = module.weight.detach().clone()
    for step in range(3):
        module.weight.data.add_(1.0)
        average.update(step)
        slow = start + (1.0 if step >= 1 else 0.0)
        torch.testing.assert_close(average.state["weight"], slow)
    torch.testing.assert_close(module.weight.detach(), start + 2.0)


@pytest.mark.parametrize("kind", [{"tail_averaging": 0.5}, {"averaging": 0.9}, {"lookahead": 2}])
def test_averages_hold_everything_that_evaluation_needs(kind: dict[str, Any]) -> None:
    module = built().train()
    average = build_averaging(module, Recipe.read(kind, "recipe"), 6)
    assert average is not None
    for step in range(6):
        module(torch.randn(8, 1, 28, 28))
        average.update(step)
    other = built()
    other.load_state_dict(average.state)
    counts = [name for name in average.state if name.endswith("num_batches_tracked")]
    assert {int(average.state[name]) for name in counts} == {6}


def test_two_kinds_of_average_are_refused() -> None:
    with pytest.raises(SpecError, match=r"averaging = 0\.9, lookahead = 5"):
        Recipe.read({"averaging": 0.9, "lookahead": 5}, "recipe")


# --- first weights ---------------------------------------------------------------------------------------------------


def test_whitened_outputs_vary_alike_and_apart_and_come_with_their_negatives(tiny: Dataset) -> None:
    images, normalisation = images_of(tiny)
    convolution = nn.Conv2d(1, 8, 3, bias=False)
    whiten(convolution, images, normalisation, seed=0)
    inputs = normalisation.apply(normalisation.scale(images.pixels))
    outputs = convolution(inputs).detach().transpose(0, 1).flatten(1)
    torch.testing.assert_close(outputs[4:], -outputs[:4])
    covariance = torch.cov(outputs[:4])
    torch.testing.assert_close(covariance, torch.eye(4), rtol=0, atol=0.2)


def test_more_outputs_than_components_leave_the_rest_random(tiny: Dataset) -> None:
    images, normalisation = images_of(tiny)
    convolution = nn.Conv2d(1, 10, 2, bias=False)
    before = convolution.weight.detach().clone()
    whiten(convolution, images, normalisation, seed=0)
    assert torch.equal(convolution.weight[8:], before[8:])
    assert not torch.equal(convolution.weight[:8], before[:8])


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 3), (3, 5), (5, 3)])
def test_a_dirac_convolution_passes_its_inputs_on(inputs: int, outputs: int) -> None:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    random = convolution.weight.detach().clone()
    make_dirac(convolution)
    images = torch.randn(2, inputs, 6, 6)
    both = min(inputs, outputs)
    torch.testing.assert_close(convolution(images)[:, :both], images[:, :both])
    assert torch.equal(convolution.weight[both:], random[both:])


def test_kernels_without_a_middle_stay_random() -> None:
    convolution = nn.Conv2d(3, 3, 2)
    random = convolution.weight.detach().clone()
    make_dirac(convolution)
    assert torch.equal(convolution.weight, random)


def test_a_recipe_of_defaults_starts_from_the_weights_that_torch_drew(tiny: Dataset) -> None:
    module = built()
    expected = copy.deepcopy(module.state_dict())
    prepare_module(module, Recipe(), *images_of(tiny), seed=0)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in module.state_dict().items())


def test_a_net_without_convolutions_cannot_start_from_patches(tiny: Dataset) -> None:
    with pytest.raises(SpecError, match="no first convolution"):
        prepare_module(built("32F 10F"), Recipe(first_layer="whitening"), *images_of(tiny), seed=0)


# --- recipes ---------------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {"optimiser": "muon", "matrix_rate": 0.05},
    {"bias_rate": 8},
    {"tail_averaging": 0.75},
    {"lookahead": 3},
    {"initialisation": "dirac"},
    {"first_layer": "whitening"},
    {"first_layer": "whitening-frozen"},
    {"norm_momentum": 0.3},
    {"inputs": "raw"},
]


def experiment(options: dict[str, Any]) -> Experiment:
    recipe = {"epochs": 2, "batch_size": 50, "augmentation": {"rotation": 7}, **options}
    return Experiment.read({"net": NET, "recipe": recipe, "seed": 1}, "experiment")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_stopped_run_ends_in_the_same_bits(options: dict[str, Any], tiny: Dataset, tmp_path: Path) -> None:
    for _ in train(experiment(options), tiny, tmp_path / "whole", device="cpu"):
        pass
    stopped = train(experiment(options), tiny, tmp_path / "stopped", device="cpu")
    next(stopped)
    stopped.close()
    for _ in train(experiment(options), tiny, tmp_path / "stopped", device="cpu"):
        pass
    whole, resumed = (open_finished(tmp_path / name) for name in ("whole", "stopped"))
    assert resumed.rows == whole.rows
    assert resumed.result["weights_digest"] == whole.result["weights_digest"]


def test_a_frozen_first_layer_stays_as_it_began(tiny: Dataset, tmp_path: Path) -> None:
    chosen = experiment({"first_layer": "whitening-frozen"})
    for _ in train(chosen, tiny, tmp_path, device="cpu"):
        pass
    convolution = nn.Conv2d(1, 4, 5, bias=False)
    whiten(convolution, *images_of(tiny), seed=chosen.seed)
    first = open_finished(tmp_path).weights()["conv1.weight"]
    numpy.testing.assert_allclose(first, convolution.weight.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_survive_the_experiment_file_and_change_its_identity(options: dict[str, Any]) -> None:
    chosen, plain = experiment(options), experiment({})
    assert Experiment.from_toml(chosen.to_toml()) == chosen
    assert chosen.identity != plain.identity


def test_options_left_alone_are_not_written_so_that_old_experiments_stay_the_same() -> None:
    written = experiment({}).model_dump(mode="json")["recipe"]
    assert not {name for options in OPTIONS for name in options if name != "optimiser"} & written.keys()


def test_flips_left_alone_are_not_written_so_that_old_experiments_stay_the_same() -> None:
    flipped = experiment({"augmentation": {"rotation": 7, "vertical_flip": 0.5}})
    assert Experiment.from_toml(flipped.to_toml()) == flipped
    assert flipped.identity != experiment({}).identity
    assert experiment({}).model_dump(mode="json")["recipe"]["augmentation"] == {
        "rotation": 7,
        "shift": 0,
        "scale": 0,
        "shear": 0,
    }


def test_an_augmentation_names_its_kinds() -> None:
    assert str(Augmentation(rotation=7, horizontal_flip=0.5)) == "rotation 7°, horizontal flip 50%"
    assert not Augmentation(vertical_flip=0.1).is_none
    with pytest.raises(SpecError, match=r"horizontal_flip.*less than or equal to 1"):
        Augmentation.read({"horizontal_flip": 1.1}, "augmentation")


@pytest.mark.parametrize(("inputs", "largest"), [("scaled", 1.0), ("raw", 255.0)])
@pytest.mark.parametrize("kind", [PlainPasses, CompiledPasses])
def test_inputs_are_pixels_as_they_come_where_the_recipe_says_so(
    inputs: str, largest: float, kind: type[PlainPasses | CompiledPasses], tiny: Dataset
) -> None:
    """A net that passes on each pixel shows what it is given."""
    small = tiny.train.images[:, :, 10:14, 10:14]
    module = Net.parse("1C1/none 16F").build((1, 4, 4))
    with torch.no_grad():
        module[0].weight.fill_(1)
        module[-1].weight.copy_(torch.eye(16))
    images = Images(torch.tensor(small), torch.tensor(tiny.train.labels))
    recipe = Recipe(inputs=inputs)
    seen = kind(module, [], recipe, images, Normalisation.of(inputs, small), 0).evaluate(images, {})
    expected = torch.tensor(small.reshape(-1, 16) / 255 * largest, dtype=torch.float32)
    torch.testing.assert_close(seen, expected, rtol=1e-5, atol=1e-4)


def test_a_stored_run_on_raw_pixels_answers_as_it_was_evaluated(tiny: Dataset, tmp_path: Path) -> None:
    for _ in train(experiment({"inputs": "raw"}), tiny, tmp_path, device="cpu"):
        pass
    run = open_finished(tmp_path)
    logits, _ = run.predictions()
    numpy.testing.assert_allclose(load(run).logits(tiny.test.images), logits, rtol=1e-3, atol=1e-3)
    assert "inputs from 0 to 255" in recipe_text(run.experiment.recipe)


# --- named experiments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_named_experiments_keep_the_budget(name: str) -> None:
    chosen = named(name)
    assert chosen is not None
    assert budget_verdict(describe(Net.parse(chosen.net), (1, 28, 28)), 8000).passes
    assert chosen.protocol == "reference"


def test_no_name_is_also_a_net() -> None:
    for name in NAMES:
        with pytest.raises(NotationError):
            Net.parse(name)
    assert named("8C3 GAP 10C1") is None


def test_a_misspelt_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "fsat", "--run", str(tmp_path / "run")])
    assert isinstance(done.exception, SpecError)
    assert "no experiment of this name" in str(done.exception)
    assert "fast" in str(done.exception)


def test_train_takes_a_name_and_what_is_to_be_different(tmp_path: Path) -> None:
    options = ["--data-dir", str(write_mnist(tmp_path / "data")), "--run", str(tmp_path / "run"), "--device", "cpu"]
    changes = ["--seed", "3", "--set", "epochs=1", "--set", "augmentation.rotation=0"]
    done = CliRunner().invoke(app, ["train", "fast", *options, *changes])
    assert done.exit_code == 0, done.output
    chosen, trained = named("fast"), open_finished(tmp_path / "run").experiment
    assert chosen is not None
    assert (trained.net, trained.seed, trained.recipe.epochs) == (chosen.net, 3, 1)
    assert trained.recipe.augmentation == chosen.recipe.augmentation.model_copy(update={"rotation": 0.0})
    assert trained.recipe.learning_rate == chosen.recipe.learning_rate


@pytest.mark.full_mnist
def test_fast_reaches_the_region_of_its_target_on_the_holdout(full_mnist: Path) -> None:
    chosen = named("fast")
    assert chosen is not None
    # As the command does: torch's bfloat16 on a processor that has none takes minutes an epoch.
    lacks = engine.missing(torch.device("cpu"), chosen.recipe.precision)
    recipe = chosen.recipe.model_copy(update={"precision": "float32"}) if lacks else chosen.recipe
    on_holdout = chosen.model_copy(update={"protocol": "holdout", "recipe": recipe})
    dataset = data.load("mnist", data_dir=full_mnist)
    rows = [row for row, _ in train(on_holdout, dataset, threads=1, device="cpu")]
    # One seed of a mean of 99.42% with a deviation of 0.07 points (results/fast-recipe.md).
    assert rows[-1].evaluation_accuracy > 99.15
    assert (rows[-1].split, rows[-1].evaluation_count) == ("holdout", 10_000)


def test_hes_weights_keep_the_size_of_values_through_a_deep_net_and_begin_with_a_guess() -> None:
    net = "[ReLU] " + " ".join(["16C3"] * 12) + " GAP 10C1"
    images = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    sizes = {}
    for name, start in (("torch", nn.Identity()), ("he", None)):
        module = built(net)
        if start is None:
            make_he(module)
        seen: list[float] = []
        for layer in module.modules():
            if isinstance(layer, nn.ReLU):
                layer.register_forward_hook(lambda _layer, _inputs, output, seen=seen: seen.append(float(output.std())))
        with torch.inference_mode():
            logits = module(images).flatten(1)
        loss = functional.cross_entropy(logits, torch.arange(64) % 10)
        sizes[name] = (seen[-1] / seen[0], abs(float(loss) - numpy.log(10)))
    assert 0.3 < sizes["he"][0] < 3
    assert sizes["torch"][0] < 0.1
    assert sizes["he"][1] < 0.2
