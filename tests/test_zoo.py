"""The zoo's nets are what they claim to be, so that tests of inspection can rely on what is published of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoo import ZOO, Field

BATCH = 3


@dataclass(frozen=True)
class Seen:
    """What one forward pass without memory shows: the net, its output's shape, those of the layers with published
    fields call by call, and the operations that torch counts for the batch.
    """

    net: nn.Module
    output: tuple[int, ...]
    shapes: dict[str, list[tuple[int, ...]]]
    operations: int


@cache
def seen(name: str) -> Seen:
    entry = ZOO[name]
    with torch.device("meta"):
        net = entry.build().eval()
    shapes: dict[str, list[tuple[int, ...]]] = {layer: [] for layer in entry.fields}
    if entry.field_layer is not None:
        shapes[entry.field_layer] = []
    for layer, calls in shapes.items():
        # The default value binds this layer's list, not the last one's.
        def note(_module: nn.Module, _inputs: object, output: Tensor, calls: list[tuple[int, ...]] = calls) -> None:
            calls.append(tuple(output.shape))

        net.get_submodule(layer).register_forward_hook(note)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = net(*entry.example(BATCH))
    return Seen(net, tuple(output.shape), shapes, counter.get_total_flops())


@pytest.mark.parametrize("name", [name for name, entry in ZOO.items() if entry.parameters is not None])
def test_parameters_are_the_published_ones(name: str) -> None:
    assert sum(parameter.numel() for parameter in seen(name).net.parameters()) == ZOO[name].parameters


@pytest.mark.parametrize("name", [name for name, entry in ZOO.items() if entry.gigamacs is not None])
def test_multiply_adds_are_the_published_ones(name: str) -> None:
    # torch counts a multiplication and an addition as two operations.
    assert round(seen(name).operations / 2 / BATCH / 1e9, 3) == ZOO[name].gigamacs


@pytest.mark.parametrize("name", ZOO)
def test_a_batch_gives_outputs_of_the_stated_shape(name: str) -> None:
    assert seen(name).output == (BATCH, *ZOO[name].output)


@pytest.mark.parametrize("name", ZOO)
def test_layers_with_published_fields_are_called_once(name: str) -> None:
    entry = ZOO[name]
    assert (entry.receptive_field is None) == (entry.field_layer is None)
    assert all(len(calls) == 1 for calls in seen(name).shapes.values())
    if entry.fields:
        assert entry.field_layer is not None
        assert entry.fields[entry.field_layer].size == entry.receptive_field


def test_the_head_of_gpt_is_its_embedding() -> None:
    net = seen("gpt2_small").net
    assert net.get_parameter("head.weight") is net.get_parameter("tokens.weight")


def test_inception_gives_auxiliary_logits_in_training_only() -> None:
    entry = ZOO["inception_v3"]
    with torch.device("meta"):
        net = entry.build().train()
    with torch.no_grad():
        logits, auxiliary = net(*entry.example(BATCH))
    assert logits.shape == auxiliary.shape == (BATCH, 1000)


class Reached(Exception):  # noqa: N818
    """The layer whose field is wanted has its output; what comes after is not needed."""


def positive(net: nn.Module) -> nn.Module:
    """The net with averages for maxima and equal positive weights, so that no pixel's share in a unit is nil."""
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
            elif isinstance(child, nn.Linear):
                setattr(module, name, nn.Identity())  # heads would only take memory
    net = net.to_empty(device="cpu")
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                value.fill_(1 / value[0].numel() if value.dim() > 1 else 0 if name.endswith(("bias", "mean")) else 1)
    return net


def measured_field(name: str, layer: str, size: int) -> Field:
    """The field along the last axis, from the gradients of two neighbouring units on an input that is long enough."""
    entry = ZOO[name]
    with torch.device("meta"):
        net = positive(entry.build().eval())
    length = 2 * size + 100 if len(entry.inputs[0]) == 2 else size + 200
    shape = (*entry.inputs[0][:-2], 80, length) if len(entry.inputs[0]) == 3 else (*entry.inputs[0][:-1], length)
    inputs = [torch.full((1, *shape), 0.5, requires_grad=True) for _ in entry.inputs]
    outputs: list[Tensor] = []

    def stop(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs.append(output)
        raise Reached

    net.get_submodule(layer).register_forward_hook(stop)
    with pytest.raises(Reached):
        net(*inputs)
    output = outputs[0]
    causal = output.shape[-1] == length
    unit = output.shape[-1] - 2 if causal else output.shape[-1] // 2
    spans = []
    for position in (unit, unit + 1):
        gradient = torch.autograd.grad(output[..., position].sum(), inputs[0], retain_graph=True)[0]
        pixels = gradient.flatten(0, -2).abs().sum(0).nonzero()
        spans.append((int(pixels[0]), int(pixels[-1])))
    jump = spans[1][0] - spans[0][0]
    return Field(spans[0][1] - spans[0][0] + 1, jump, unit * jump - spans[0][0])


MEASURED = [
    "alexnet",
    "resnet50",
    "resnet50_original",
    "mobilenet_v1",
    "inception_v3_plain",
    "patchgan",
    "tcn",
    "wavenet",
]


@pytest.mark.parametrize("name", MEASURED)
def test_the_field_measured_by_gradients_is_the_published_one(name: str) -> None:
    entry = ZOO[name]
    assert entry.field_layer is not None
    assert entry.receptive_field is not None
    measured = measured_field(name, entry.field_layer, entry.receptive_field)
    assert measured.size == entry.receptive_field
    published = entry.fields.get(entry.field_layer, Field(entry.receptive_field))
    assert published.jump in (None, measured.jump)
    assert published.padding in (None, measured.padding)
