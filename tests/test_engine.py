"""The engine's machine code computes what torch does, within rounding, and trains to the same results."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import nn
from torch.nn import functional

from stepladder import data
from stepladder.dropout import use_streams
from stepladder.engine import UnsupportedNet, missing
from stepladder.inputs import Images, Normalisation
from stepladder.ladder import GUIDE_NET
from stepladder.loop import Loop
from stepladder.notation import Net
from stepladder.passes import CompiledPasses, PlainPasses, build_passes, loss_and_gradient
from stepladder.spec import Augmentation, OneCycle, Recipe

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(missing(CPU, "float32") is not None, reason=str(missing(CPU, "float32")))
needs_bfloat16 = pytest.mark.skipif(missing(CPU, "bfloat16") is not None, reason=str(missing(CPU, "bfloat16")))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def built(text: str, shape: tuple[int, int, int]) -> nn.Sequential:
    torch.manual_seed(0)
    module = Net.parse(text).build(shape).to(memory_format=torch.channels_last)
    for name, value in module.named_parameters():
        if value.ndim == 1:
            value.data.add_(0.2 * torch.randn_like(value), alpha=1 if "bias" in name else 0.5)
    return module


def images(shape: tuple[int, int, int], count: int = 40) -> Images:
    numbers = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, *shape), generator=numbers, dtype=torch.uint8)
    return Images(pixels, torch.randint(0, 10, (count,), generator=numbers))


def passes(
    kind: type[PlainPasses | CompiledPasses], module: nn.Module, recipe: Recipe, some_images: Images
) -> PlainPasses | CompiledPasses:
    channels = some_images.pixels.shape[1]
    normalisation = Normalisation((0.1, 0.4, 0.6)[:channels], (0.3, 0.4, 0.5)[:channels])
    return kind(module, use_streams(module), recipe, some_images, normalisation, seed=3)


def one_step(one: PlainPasses | CompiledPasses, module: nn.Module, chosen: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return logits, loss, all gradients and statistics after one training step, then the logits of an evaluation."""
    module.train()
    logits, loss = one.forward(one.prepare(chosen, 0, 0), one.training.labels[chosen] % 4, 0, 0)
    found = {"logits": logits.detach().clone(), "loss": loss.detach()}
    one.backward(loss)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        found[f"gradient of {name}"] = parameter.grad.clone()
    found |= {name: value.clone().float() for name, value in module.named_buffers()}
    module.eval()
    with torch.inference_mode():
        found["evaluation"] = one.evaluate(one.training, {})
    return found


def differences(text: str, shape: tuple[int, int, int], recipe: Recipe, count: int = 24) -> dict[str, float]:
    """Return, for each result of a step, the largest difference between the engines over the largest value."""
    plain = built(text, shape)
    other = copy.deepcopy(plain)
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(2))[:count]
    expected = one_step(
        passes(PlainPasses, plain, recipe.model_copy(update={"precision": "float32"}), images(shape)), plain, chosen
    )
    found = one_step(passes(CompiledPasses, other, recipe, images(shape)), other, chosen)
    assert expected.keys() == found.keys()
    return {
        name: float((found[name] - value).abs().max()) / max(float(value.abs().max()), 1e-2)
        for name, value in expected.items()
    }


NETS = [
    (GUIDE_NET, (1, 28, 28)),
    ("6C3 MP2 10C3 MP2 10C1 GAP", (3, 29, 21)),  # odd maps: pooling leaves rows and columns out
    ("8C5s2 14C3p1 MP3 10F", (1, 28, 28)),  # strides, padding, a linear layer over the whole map
    ("7C3p1s2b 9C3x1d2/ReLU AP2 12C2s2p1b/BN 5C1/none GAP 10C1b", (2, 16, 19)),  # biases, chains of all kinds
    ("32F/BN/ReLU 20F/ReLU 4F", (1, 6, 6)),
    ("18C3/none MP2 24C1/ReLU AP3 10Fb", (1, 10, 10)),  # no normalisation at all
    ("[BN ReLU D0] 33C3 GAP 4C1", (1, 7, 7)),
]


@pytest.mark.parametrize(("text", "shape"), NETS)
def test_a_step_equals_torchs(text: str, shape: tuple[int, int, int]) -> None:
    recipe = Recipe(batch_size=32, label_smoothing=0.1, augmentation=Augmentation(rotation=10, shift=2))
    found = differences(text, shape, recipe)
    assert max(found.values()) < 5e-3, found
    assert found["logits"] < 1e-4
    assert found["evaluation"] < 1e-4


@settings(max_examples=8, deadline=None)
@given(numbers=some.data())
def test_a_step_equals_torchs_for_any_net_that_has_kernels(numbers: some.DataObject) -> None:
    size = (numbers.draw(some.integers(6, 14)), numbers.draw(some.integers(6, 14)))
    words, left = [], size
    for _ in range(numbers.draw(some.integers(1, 3))):
        kernel = numbers.draw(some.integers(1, min(3, *left)))
        stride, padding = numbers.draw(some.integers(1, 2)), numbers.draw(some.integers(0, kernel - 1))
        bias = numbers.draw(some.sampled_from(["", "b"]))
        chain = numbers.draw(some.sampled_from(["/BN/ReLU", "/BN", "/ReLU", "/none"]))
        words.append(f"{numbers.draw(some.integers(1, 21))}C{kernel}s{stride}p{padding}{bias}{chain}")
        left = tuple((side + 2 * padding - kernel) // stride + 1 for side in left)
        window = numbers.draw(some.integers(1, min(3, *left)))
        if window > 1:
            words.append(numbers.draw(some.sampled_from(["MP", "AP"])) + str(window))
            left = tuple(side // window for side in left)
    text = " ".join([*words, "4F"])
    found = differences(text, (numbers.draw(some.integers(1, 3)), *size), Recipe(batch_size=32), count=23)
    # A ReLU or a maximum may tip over in the last bit; then one image's gradient takes another way.
    assert found["logits"] < 1e-3, (text, found)
    assert sum(value < 1e-2 for value in found.values()) >= 0.8 * len(found), (text, found)


@needs_bfloat16
@pytest.mark.parametrize(("text", "shape"), NETS)
def test_bfloat16_is_as_near_to_float32_as_torchs_own(text: str, shape: tuple[int, int, int]) -> None:
    recipe = Recipe(batch_size=32, precision="bfloat16")
    plain, other, exact = (built(text, shape) for _ in range(3))
    chosen = torch.arange(24)
    truth = one_step(passes(PlainPasses, exact, Recipe(batch_size=32), images(shape)), exact, chosen)
    torchs = one_step(passes(PlainPasses, plain, recipe, images(shape)), plain, chosen)
    ours = one_step(passes(CompiledPasses, other, recipe, images(shape)), other, chosen)
    names = ["logits", "evaluation", *(name for name in truth if name.startswith("gradient"))]
    errors = {
        name: [float((found[name] - truth[name]).norm() / (truth[name].norm() + 1e-3)) for found in (ours, torchs)]
        for name in names
    }
    # One draw of rounding errors may be luckier than another, but not by much.
    ours_in_all, torchs_in_all = numpy.mean(list(errors.values()), axis=0)
    assert ours_in_all < 1.6 * torchs_in_all
    assert all(error < 4 * allowed + 0.05 for error, allowed in errors.values()), errors


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        module = built("[BN ReLU D0.2] 8C3 MP2 12C3 GAP 10C1", (1, 28, 28))
        recipe = Recipe(batch_size=32, augmentation=Augmentation(rotation=10))
        one = passes(CompiledPasses, module, recipe, images((1, 28, 28)))
        assert isinstance(one, CompiledPasses)
        assert one.net.threads == threads
        results.append(one_step(one, module, torch.arange(21)))
    for other in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(value, other[name]), name


def test_an_interrupt_leaves_no_thread_waiting() -> None:
    """As if Ctrl-C came when one thread of three had begun; the next pass is as good as any."""
    torch.set_num_threads(3)
    module = built("8C3 GAP 10C1", (1, 12, 12))
    one = passes(CompiledPasses, module, Recipe(batch_size=32), images((1, 12, 12)))
    assert isinstance(one, CompiledPasses)
    assert one.net._pool is not None
    submit = one.net._pool.submit
    calls = []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return submit(*arguments)

    before = one_step(one, module, torch.arange(20))["logits"]
    one.net._pool.submit = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        one_step(one, module, torch.arange(20))
    one.net._pool.submit = submit  # type: ignore[method-assign]
    assert torch.equal(one_step(one, module, torch.arange(20))["logits"], before)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7)])
def test_warping_equals_torchs_grid_sample(shape: tuple[int, int, int]) -> None:
    """A net that passes its input on shows what the kernels looked up."""
    rows, columns = shape[1:]
    text = f"{shape[0]}C1/none {shape[0] * rows * columns}F"
    module = Net.parse(text).build(shape)
    for layer in module:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.data.view(layer.weight.shape[0], -1)
            weight.copy_(torch.eye(len(weight)))
    limits = Augmentation(rotation=30, shift=2, scale=0.3, shear=10, horizontal_flip=0.5, vertical_flip=0.5)
    recipe = Recipe(batch_size=5, augmentation=limits)
    one = passes(CompiledPasses, module, recipe, images(shape))
    chosen = torch.tensor([3, 0, 19, 7, 7])
    logits, _ = one.forward(one.prepare(chosen, 0, 0), torch.zeros(5, dtype=torch.int64), 0, 0)
    plain = passes(PlainPasses, module, recipe, images(shape))
    expected = plain.prepare(chosen, 0, 0)
    assert isinstance(expected, torch.Tensor)
    torch.testing.assert_close(logits.view(5, *shape), expected, rtol=0, atol=2e-4)


def test_dropout_drops_its_share_anew_for_every_step_and_scales_the_rest() -> None:
    """Maps of ones through dropout alone: 0 or 1 / 0.75 comes out, independently of place, channel and image."""
    module = Net.parse("16C1/D0.25 64F").build((1, 2, 2))
    with torch.no_grad():
        module[0].weight.fill_(1.0)
        module[-1].weight.copy_(torch.eye(64))
    whites = Images(torch.full((2000, 1, 2, 2), 255, dtype=torch.uint8), torch.zeros(2000, dtype=torch.int64))
    recipe = Recipe(batch_size=2000)
    one = CompiledPasses(module, use_streams(module), recipe, whites, Normalisation((0.0,), (1.0,)), 0)
    masks = []
    for step in (0, 1, 0):
        logits, _ = one.forward(one.prepare(torch.arange(2000), 0, step), whites.labels, 0, step)
        masks.append(logits.clone())
    assert torch.allclose(masks[0].unique(), torch.tensor([0.0, 1 / 0.75]))
    dropped = (masks[0] == 0).double()
    assert dropped.mean().item() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / dropped.numel()) ** 0.5)
    # The shares of images and of places scatter as those of independent draws do.
    for axis in (0, 1):
        expected = (0.25 * 0.75 / dropped.shape[axis]) ** 0.5
        assert float(dropped.mean(axis).std()) == pytest.approx(expected, rel=0.35)
    correlation = numpy.corrcoef(dropped.numpy().T) - numpy.eye(64)
    assert numpy.abs(correlation).max() < 5 / 2000**0.5
    assert (masks[0] != masks[1]).double().mean().item() == pytest.approx(2 * 0.25 * 0.75, abs=0.01)
    assert torch.equal(masks[0], masks[2])


def test_dropouts_gradient_passes_where_its_values_did() -> None:
    module = built("[BN ReLU D0.4] 12C3 MP2 8C1/BN 10C1 GAP", (1, 14, 14))
    one = passes(CompiledPasses, module, Recipe(batch_size=32), images((1, 14, 14)))
    chosen, labels = torch.arange(32), images((1, 14, 14)).labels[:32]
    loss = one.forward(one.prepare(chosen, 0, 0), labels, 0, 0)[1]
    one.backward(loss)
    beta = module[1].bias
    gradient = beta.grad.clone()
    for channel in range(12):
        moved = []
        for sign in (1, -1):
            with torch.no_grad():
                beta[channel] += sign * 1e-2
            moved.append(one.forward(one.prepare(chosen, 0, 0), labels, 0, 0)[1].item())
            with torch.no_grad():
                beta[channel] -= sign * 1e-2
        assert (moved[0] - moved[1]) / 2e-2 == pytest.approx(float(gradient[channel]), abs=2e-3)


@given(
    count=some.integers(1, 9), classes=some.integers(2, 12), smoothing=some.floats(0, 0.9), seed=some.integers(0, 99)
)
def test_the_loss_is_torchs(count: int, classes: int, smoothing: float, seed: int) -> None:
    numbers = torch.Generator().manual_seed(seed)
    logits = (5 * torch.randn(count, classes, generator=numbers)).requires_grad_()
    labels = torch.randint(0, classes, (count,), generator=numbers)
    expected = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    expected.backward()
    loss, gradient = loss_and_gradient(logits.detach(), labels, smoothing)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-6)
    assert logits.grad is not None
    torch.testing.assert_close(gradient, logits.grad, rtol=1e-4, atol=1e-6)


def test_machine_code_is_kept_and_damaged_files_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    results = []
    for damage in (None, b"", b"\0" * 100, None):
        files = list((tmp_path / "engine").glob("*.o"))
        before = {path: path.stat().st_mtime_ns for path in files}
        for path in files:
            if damage is not None:
                path.write_bytes(damage)
        module = built("4C3 GAP 10C1", (1, 8, 8))
        one = passes(CompiledPasses, module, Recipe(batch_size=32), images((1, 8, 8)))
        results.append(one_step(one, module, torch.arange(16))["logits"])
        after = list((tmp_path / "engine").glob("*.o"))
        assert len(after) == 1
        assert after[0].stat().st_size > 1000
        if files and damage is None:
            assert before[after[0]] == after[0].stat().st_mtime_ns
    assert all(torch.equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("8C3/BN/SiLU GAP 10C1", "SiLU"),
        ("8C3 MP3s2 GAP 10C1", "overlap"),
        ("8C3 8C3g8 GAP 10C1", "groups"),
        ("8C3 10C1", "one value a class"),
    ],
)
def test_other_nets_are_left_to_torch(text: str, reason: str) -> None:
    module = Net.parse(text).build((1, 12, 12))
    arguments = (
        module,
        use_streams(module),
        Recipe(batch_size=8),
        images((1, 12, 12)),
        Normalisation((0.0,), (1.0,)),
        0,
    )
    assert build_passes(None, *arguments).name == "plain"
    with pytest.raises(UnsupportedNet, match=reason):
        build_passes("compiled", *arguments)


def trained(engine: str, precision: Literal["float32", "bfloat16"], seed: int) -> float:
    """Return the sample's test accuracy after three epochs with dropout and augmentation."""
    recipe = Recipe(epochs=3, learning_rate=0.2, schedule=OneCycle(), augmentation=Augmentation(rotation=7))
    recipe = recipe.model_copy(update={"precision": precision})
    sample = data.load("mnist-sample")
    mean, deviation = data.statistics(sample.train.images)
    torch.manual_seed(seed)
    module = Net.parse("[BN ReLU D0.05] 8C5s2 16C3 16C3 GAP 10C1").build((1, 28, 28))
    splits = [Images(torch.tensor(one.images), torch.tensor(one.labels)) for one in (sample.train, sample.test)]
    loop = Loop(module, recipe, splits[0], Normalisation(mean, deviation), seed, CPU, engine)
    assert loop.engine == engine
    for epoch in range(recipe.epochs):
        loop.train_epoch(epoch, [])
    evaluation = loop.evaluate(splits[1])
    return 100 * evaluation.correct / evaluation.count


@pytest.fixture(scope="module")
def plainly_trained() -> list[float]:
    return [trained("plain", "float32", seed) for seed in range(5)]


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=needs_bfloat16)])
def test_both_engines_end_at_the_same_accuracy(
    precision: Literal["float32", "bfloat16"], plainly_trained: list[float]
) -> None:
    """Five pairs on the same seeds: the mean difference is within its error."""
    other = [trained("compiled", precision, seed) for seed in range(5)]
    gaps = numpy.subtract(other, plainly_trained)
    error = gaps.std(ddof=1) / len(gaps) ** 0.5
    assert min(*plainly_trained, *other) > 75
    assert abs(gaps.mean()) < 4.6 * error + 0.2, (plainly_trained, other)
