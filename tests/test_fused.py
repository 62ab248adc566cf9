"""The compiled kernels compute what torch does, within rounding, and train to the same results."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn
from torch.nn import functional

from conftest import GUIDE_NET
from stepladder import data, fused
from stepladder.augment import affine_maps
from stepladder.dropout import StreamDropout, use_streams
from stepladder.fused import FusedNet, warp
from stepladder.inputs import Images, Normalisation
from stepladder.loop import Loop
from stepladder.notation import Net
from stepladder.spec import Augmentation, OneCycle, Recipe

pytestmark = pytest.mark.skipif(fused.missing() is not None, reason=str(fused.missing()))


def built(text: str, shape: tuple[int, int, int]) -> nn.Sequential:
    torch.manual_seed(0)
    module = Net.parse(text).build(shape).to(memory_format=torch.channels_last)
    for name, value in module.named_parameters():
        if value.ndim == 1:
            value.data.add_(0.2 * torch.randn_like(value), alpha=1 if "bias" in name else 0.5)
    return module


def passed(module: nn.Sequential, net: FusedNet | nn.Module, inputs: torch.Tensor) -> list[torch.Tensor]:
    """Return the outputs, the gradient of the input, all parameters' gradients and all statistics after one pass."""
    inputs = inputs.clone().requires_grad_()
    outputs = net(inputs).flatten(1).float()
    functional.cross_entropy(outputs, torch.arange(len(inputs)) % outputs.shape[1]).backward()
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    assert inputs.grad is not None
    return [outputs.detach(), inputs.grad, *gradients, *module.buffers()]


NETS = [
    ("8C3 16C3 MP2 8C1 12C3 16C3 20C3 GAP 16C1 10C1", (1, 28, 28)),
    ("6C3 MP2 10C3 MP2 GAP 10C1", (3, 29, 21)),  # odd maps: torch pools them
    ("[BN SiLU] 8C3 MP3s2 7C3/BN/ReLU GAP 10C1", (1, 14, 14)),
    ("32F/BN/ReLU 10F", (1, 6, 6)),
    ("BN 130C1 GAP 10C1", (2, 4, 4)),
]


@pytest.mark.parametrize(("text", "shape"), NETS)
def test_a_pass_equals_torchs(text: str, shape: tuple[int, int, int]) -> None:
    plain = built(text, shape).train()
    other = copy.deepcopy(plain)
    inputs = torch.randn(24, *shape).contiguous(memory_format=torch.channels_last)
    for expected, found in zip(passed(plain, plain, inputs), passed(other, FusedNet(other), inputs), strict=True):
        scale = max(float(expected.abs().max()), 1e-3)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-4 * scale)


@settings(max_examples=25, deadline=None)
@given(
    channels=some.integers(1, 40),
    rows=some.integers(1, 9),
    columns=some.integers(1, 9),
    count=some.integers(2, 9),
    mean=some.floats(-3, 3),
    seed=some.integers(0, 99),
)
def test_normalisation_equals_torchs_for_any_shape(
    channels: int, rows: int, columns: int, count: int, mean: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn((count, channels, rows, columns), generator=generator) + mean
    plain = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU()).train()
    other = copy.deepcopy(plain)
    weights = torch.randn(inputs.shape, generator=generator)
    results = []
    for module, net in ((plain, plain), (other, FusedNet(other))):
        values = inputs.clone().requires_grad_()
        outputs = net(values)
        (outputs * weights).sum().backward()
        assert values.grad is not None
        results.append([outputs.detach(), values.grad, *module.buffers()])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)


def test_bfloat16_is_rounded_to_nearest_even() -> None:
    plain = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU()).train()
    other = copy.deepcopy(plain)
    inputs = torch.randn(16, 8, 6, 6).bfloat16().contiguous(memory_format=torch.channels_last)
    found = FusedNet(other)(inputs)
    exact = plain(inputs.float())
    assert found.dtype == torch.bfloat16
    # Within half a unit in the last of 8 bits: nothing is lost but by the one rounding.
    assert ((found.float() - exact).abs() <= exact.abs() * 2**-8 + 1e-6).all()
    assert (found == exact.bfloat16()).float().mean() > 0.99


def test_dropout_drops_its_share_anew_for_every_key_and_scales_the_rest() -> None:
    module = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.25)).train()
    dropouts = use_streams(module)
    inputs = torch.randn(64, 16, 12, 12).contiguous(memory_format=torch.channels_last)
    bare = FusedNet(nn.Sequential(*list(copy.deepcopy(module))[:2]))(inputs)
    masks = []
    for step in (0, 1, 0):
        dropouts[0].restart(0, 0, 0, step)
        outputs = FusedNet(module)(inputs)
        live = bare > 0
        kept = (outputs > 0) & live
        torch.testing.assert_close(outputs[kept], bare[kept] / 0.75, rtol=1e-4, atol=1e-6)
        masks.append(kept[live])
    assert torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[0], masks[1])
    share = 1 - masks[0].float().mean().item()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / len(masks[0])) ** 0.5
    both = (masks[0] & masks[1]).float().mean().item()
    assert abs(both - 0.75**2) < 4 * (0.5625 * 0.4375 / len(masks[0])) ** 0.5, "two steps' masks are independent"
    neighbours = (masks[0][:-1] & masks[0][1:]).float().mean().item()
    assert abs(neighbours - 0.75**2) < 0.01


def test_what_is_dropped_gets_no_gradient() -> None:
    module = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), StreamDropout(0.5)).train()
    module[2].restart(0, 0, 0, 0)
    inputs = torch.randn(8, 4, 6, 6).contiguous(memory_format=torch.channels_last)
    plain = copy.deepcopy(module)
    outputs = FusedNet(module)(inputs.clone().requires_grad_())
    # torch's own pass with the very mask that was drawn.
    values = inputs.clone().requires_grad_()
    mask = (outputs.detach() > 0).float() / 0.5
    expected = plain[1](plain[0](values)) * mask
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    fused_values = inputs.clone().requires_grad_()
    (FusedNet(module)(fused_values) * weights).sum().backward()
    torch.testing.assert_close(fused_values.grad, values.grad, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(module[0].weight.grad, plain[0].weight.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 12, 20)])
def test_warping_equals_torchs_grid_sample(shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (20, *shape), generator=generator, dtype=torch.uint8)
    chosen = torch.tensor([3, 0, 19, 7, 7])
    limits = Augmentation(rotation=30, shift=4, scale=0.3, shear=10)
    maps = affine_maps(limits, len(chosen), shape[1:], torch.Generator().manual_seed(2))
    normalisation = Normalisation((0.1, 0.2, 0.3)[: shape[0]], (0.3, 0.4, 0.5)[: shape[0]])
    scaled = images[chosen].float() / 255
    grid = functional.affine_grid(maps, list(scaled.shape), align_corners=False)
    expected = normalisation.apply(functional.grid_sample(scaled, grid, align_corners=False))
    found = warp(images, chosen, maps, normalisation)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    module = built("8C3 MP2 16C3 GAP 10C1", (1, 28, 28)).train()
    inputs = torch.randn(32, 1, 28, 28).contiguous(memory_format=torch.channels_last)
    norm, outputs = FusedNet(nn.Sequential(*list(module)[1:3])), []
    maps = module[0](inputs).detach()
    for threads in (1, 2):
        fused.use_threads(threads)
        outputs.append(norm(maps))
    fused.use_threads(1)
    assert torch.equal(*outputs)


def trained(engine: str, recipe: Recipe, seed: int, net: str = GUIDE_NET) -> tuple[float, torch.Tensor]:
    """Return the sample's test accuracy and the first epoch's logits after the recipe's epochs."""
    sample = data.load("mnist-sample")
    mean, deviation = data.statistics(sample.train.images)
    torch.manual_seed(seed)
    module = Net.parse(net).build((1, 28, 28))
    images = [Images(torch.tensor(one.images), torch.tensor(one.labels)) for one in (sample.train, sample.test)]
    loop = Loop(module, recipe, images[0], Normalisation(mean, deviation), seed, torch.device("cpu"), engine)
    for epoch in range(recipe.epochs):
        loop.train_epoch(epoch, [])
    evaluation = loop.evaluate(images[1])
    return 100 * evaluation.correct / evaluation.count, evaluation.logits


def test_both_engines_take_the_same_first_steps() -> None:
    recipe = Recipe(epochs=1, batch_size=1000, learning_rate=0.05, augmentation=Augmentation(rotation=10, shift=1))
    net = "8C3 16C3 MP2 GAP 10C1"
    (_, plain), (_, other) = (trained(engine, recipe, 0, net) for engine in ("plain", "fused"))
    torch.testing.assert_close(other, plain, rtol=0, atol=2e-3 * float(plain.abs().max()))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_both_engines_end_at_the_same_accuracy(precision: str) -> None:
    """Five pairs on the same seeds, with dropout and augmentation: the mean difference is within its error."""
    recipe = Recipe(epochs=3, learning_rate=0.2, schedule=OneCycle(), augmentation=Augmentation(rotation=7))
    seeds = range(5)
    plain = [trained("plain", recipe, seed)[0] for seed in seeds]
    other = [trained("fused", recipe.model_copy(update={"precision": precision}), seed)[0] for seed in seeds]
    differences = numpy.subtract(other, plain)
    error = differences.std(ddof=1) / len(differences) ** 0.5
    assert min(*plain, *other) > 90
    assert abs(differences.mean()) < 4.6 * error + 0.2, (plain, other)


def test_without_the_kernels_torch_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "missing", lambda: "not here")
    module = Net.parse("4C3 GAP 10C1").build((1, 28, 28))
    images = Images(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    loop = Loop(module, Recipe(), images, Normalisation((0.0,), (1.0,)), 0, torch.device("cpu"))
    assert loop.engine == "plain"
    assert replace(loop.normalisation).mean == (0.0,)
