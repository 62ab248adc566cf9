"""What inspection promises: numbers that other tools get wrong are right, and the net is left as it was, to the bit."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import peer_nets
from peer_nets import IMAGE, MAPS, PIXELS, SEQUENCE, WORDS, Applied, Given
from stepladder.errors import InspectionError
from stepladder.inspection.module import inspect
from stepladder.inspection.summary import Input, Summary

Build = Callable[[], nn.Module]


def inspected(net: nn.Module, given: tuple[Given, ...]) -> Summary:
    return inspect(net, tuple(Input("", one.shape, str(one.dtype).removeprefix("torch.")) for one in given))


# The rows of the table of mistakes, and their kin.


@pytest.mark.parametrize(
    ("build", "given", "parameters"),
    [
        (peer_nets.bare_parameter, IMAGE, 27),
        (peer_nets.called_thrice, MAPS, 38),
        (peer_nets.never_called, IMAGE, 10_120),
        (peer_nets.shared_activation, PIXELS, 120),
        (peer_nets.tied, WORDS, 40),
        (peer_nets.frozen_weight, IMAGE, 20),
    ],
)
def test_parameters_are_those_of_the_net_and_the_rows_add_up(build: Build, given: Any, parameters: int) -> None:
    net = build()
    summary = inspected(net, given)
    assert summary.totals.parameters == parameters == sum(one.numel() for one in net.parameters())
    assert sum(row.parameters for row in summary.rows) == parameters
    assert summary.totals.trainable == sum(row.trainable for row in summary.rows)


def test_a_frozen_weight_leaves_the_bias_trainable() -> None:
    assert inspected(peer_nets.frozen_weight(), IMAGE).totals.trainable == 2


def test_a_layer_that_is_never_called_is_said_to_be() -> None:
    (row,) = (row for row in inspected(peer_nets.never_called(), IMAGE).rows if row.kind == "Linear")
    assert (row.name, row.parameters, row.macs) == ("spare", 10_100, 0)
    assert "never called" in row.note


def test_parameters_used_again_are_counted_in_the_first_row_and_marked_in_the_others() -> None:
    rows = [row for row in inspected(peer_nets.called_thrice(), MAPS).rows if row.kind == "Conv2d"]
    assert [(row.parameters, row.shared) for row in rows] == [(38, 0), (0, 38), (0, 38)]
    assert [row.macs for row in rows] == [2 * 2 * 9 * 64] * 3


def test_buffers_are_no_parameters() -> None:
    (row,) = (row for row in inspected(peer_nets.normalised(), IMAGE).rows if row.kind == "BatchNorm2d")
    assert (row.parameters, row.buffers) == (4, 5)


# What is left alone.


def values(tensor: Tensor) -> Any:
    """Everything that can be told of a tensor from outside, its values bit by bit."""
    if is_lazy(tensor):
        return type(tensor).__name__
    bits = (
        tensor.detach().contiguous().view(torch.uint8) if tensor.dim() else tensor.detach().reshape(1).view(torch.uint8)
    )
    described = tuple(tensor.shape), tensor.dtype, tensor.device, tensor.requires_grad, type(tensor).__name__
    return id(tensor), tensor._version, described, bits.numpy().tobytes()


def plain(value: Any) -> Any:
    """An attribute as something that can be compared: tensors by their bits, containers by what is in them."""
    if isinstance(value, Tensor):
        return values(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, int | float | str | bool | type(None)) else id(value)


def everything(net: nn.Module) -> dict[str, Any]:
    """All that inspection may not change: attributes (modes, hooks, parameters, buffers), gradients, random states."""
    numpy_state: Any = numpy.random.get_state()
    return {
        "attributes": {
            name: {key: plain(value) for key, value in vars(one).items()} for name, one in net.named_modules()
        },
        "classes": {name: type(one) for name, one in net.named_modules()},
        "gradients": {
            name: None if one.grad is None else values(one.grad)
            for name, one in net.named_parameters()
            if not is_lazy(one)
        },
        "state_dict": {
            key: value if is_lazy(value) else values(value)[2:] for key, value in net.state_dict(keep_vars=True).items()
        },
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (numpy_state[1].tobytes(), *numpy_state[2:]),
        "python": random.getstate(),
        "settings": (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()),
    }


def with_hooks() -> nn.Module:
    net = peer_nets.own_class()
    net.conv.register_forward_hook(lambda module, inputs, output: output)
    net.conv.register_forward_pre_hook(lambda module, inputs: None)
    net.register_full_backward_hook(lambda module, before, after: None)
    return net


def with_gradients() -> nn.Module:
    net = peer_nets.own_class()
    net(torch.ones(2, 1, 12, 12)).sum().backward()
    return net


def with_spectral_norm() -> nn.Module:
    return nn.Sequential(spectral_norm(nn.Conv2d(1, 2, 3)), parametrizations.spectral_norm(nn.Conv2d(2, 2, 3))).train()


def with_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older form is deprecated, and common
        return nn.Sequential(weight_norm(nn.Conv2d(1, 2, 3)), parametrizations.weight_norm(nn.Conv2d(2, 2, 3)))


def pruned() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 2, 3))
    prune.l1_unstructured(net[0], "weight", amount=0.5)
    return net


def cumulative_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, momentum=None), nn.InstanceNorm2d(2, track_running_stats=True)
    )


def with_not_a_number() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 2, 3))
    with torch.no_grad():
        net[0].weight[0] = torch.nan
    return net


def writes() -> nn.Module:
    """Its forward counts its calls and keeps what it saw: in attributes, in a list, in buffers, in a parameter."""

    def remember(net: nn.Module, x: Tensor) -> Tensor:
        net.calls += 1
        net.last = x
        net.history.append(x.mean())
        net.notes["shape"] = x.shape
        net.seen += 1
        net.mean = 0.9 * net.mean + 0.1 * x.mean()
        with torch.no_grad():
            net.scale.mul_(2)
        return net.conv(x) * net.scale

    net: Any = Applied(remember, conv=nn.Conv2d(1, 2, 3))
    net.calls, net.history, net.notes = 0, [], {}
    net.register_buffer("seen", torch.zeros((), dtype=torch.int64))
    net.register_buffer("mean", torch.zeros(()))
    net.scale = nn.Parameter(torch.ones(()))
    return net


def draws() -> nn.Module:
    """Its forward asks every global random generator."""

    def chance(net: nn.Module, x: Tensor) -> Tensor:
        x = net.drop(net.conv(x)) + torch.rand(1) * random.random() * float(numpy.random.rand())
        return x + torch.randn_like(x)

    return Applied(chance, conv=nn.Conv2d(1, 2, 3), drop=nn.Dropout())


def seeds() -> nn.Module:
    """Its forward sets the seeds of every global random generator."""

    def seed(net: nn.Module, x: Tensor) -> Tensor:
        torch.manual_seed(1)
        random.seed(1)
        numpy.random.seed(1)
        return net.conv(x)

    return Applied(seed, conv=nn.Conv2d(1, 2, 3))


def switches() -> nn.Module:
    """Its forward changes modes and what is frozen."""

    def switch(net: nn.Module, x: Tensor) -> Tensor:
        net.norm.eval()
        net.conv.weight.requires_grad_(False)
        return net.norm(net.conv(x))

    return Applied(switch, conv=nn.Conv2d(1, 2, 3), norm=nn.BatchNorm2d(2)).train()


def plain_tensor() -> nn.Module:
    """It uses tensors that are neither parameters nor buffers."""
    net: Any = Applied(lambda net, x: net.conv(x) * net.table["gain"] + net.offset, conv=nn.Conv2d(1, 2, 3))
    net.offset, net.table = torch.ones(1), {"gain": torch.full((1,), 2.0)}
    return net


def half() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3)).to(torch.bfloat16)


NETS: list[tuple[Build, tuple[Given, ...]]] = [
    (peer_nets.normalised, IMAGE),
    (peer_nets.frozen_norm, IMAGE),
    (peer_nets.called_thrice, MAPS),
    (peer_nets.tied, WORDS),
    (peer_nets.frozen_weight, IMAGE),
    (peer_nets.recurrent, SEQUENCE),
    (peer_nets.lazy, IMAGE),
    (peer_nets.billion, (Given((10_000,)),)),
    (with_hooks, IMAGE),
    (with_gradients, IMAGE),
    (with_spectral_norm, IMAGE),
    (with_weight_norm, IMAGE),
    (pruned, IMAGE),
    (cumulative_norm, IMAGE),
    (with_not_a_number, IMAGE),
    (writes, IMAGE),
    (draws, IMAGE),
    (seeds, IMAGE),
    (switches, IMAGE),
    (plain_tensor, IMAGE),
    (half, (Given((1, 12, 12), torch.bfloat16),)),
]


@pytest.mark.parametrize(("build", "given"), NETS, ids=lambda one: getattr(one, "__name__", ""))
def test_everything_is_as_it_was(build: Build, given: tuple[Given, ...]) -> None:
    net = build()
    before = everything(net) if build is not peer_nets.billion else vars(net).copy()
    summary = inspected(net, given)
    assert (everything(net) if build is not peer_nets.billion else vars(net)) == before
    if build is not peer_nets.lazy:  # which has none as long as it is left alone
        assert summary.totals.parameters == sum(one.numel() for one in net.parameters())
    assert sum(row.parameters for row in summary.rows) == summary.totals.parameters


@pytest.mark.parametrize("wrapped", [peer_nets.raises, peer_nets.mismatched], ids=["exception", "shape"])
@pytest.mark.parametrize(("build", "given"), [*NETS[:2], (writes, IMAGE), (draws, IMAGE), (seeds, IMAGE)])
def test_everything_is_as_it_was_after_a_failure(build: Build, given: Any, wrapped: Build) -> None:
    # The first part does its work, and harm if it can; the second stops the net.
    def both(net: nn.Module, x: Tensor) -> Any:
        net.first(x)
        return net.second(x)

    net = Applied(both, first=build(), second=wrapped())
    before = everything(net)
    with pytest.raises(InspectionError) as caught:
        inspected(net, given)
    assert everything(net) == before
    assert caught.value.summary.failure is not None
    assert caught.value.summary.failure.layer.startswith("second")
    assert any(row.name.startswith("first") for row in caught.value.summary.rows)


def test_what_a_net_raises_is_told_with_its_words() -> None:
    with pytest.raises(InspectionError, match="no more than"):
        inspected(peer_nets.raises(), IMAGE)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_and_leaves_the_gradients_mode_wherever_it_is_called(context: Callable[[], Any]) -> None:
    net = with_gradients()
    before = everything(net)
    with context():
        during = torch.is_grad_enabled()
        assert inspected(net, IMAGE).totals.parameters == 24
        assert torch.is_grad_enabled() == during
    assert everything(net) == before


def test_a_net_learns_after_inspection_as_it_would_have_without() -> None:
    def trained(*, look: bool) -> dict[str, Tensor]:
        torch.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(200, 2))
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        for _ in range(3):
            if look:
                inspected(net, IMAGE)
            optimiser.zero_grad()
            net(torch.rand(4, 1, 12, 12)).square().mean().backward()
            optimiser.step()
        return net.state_dict()

    plainly, inspected_between = trained(look=False), trained(look=True)
    assert all(torch.equal(value, inspected_between[key]) for key, value in plainly.items())


def test_no_arithmetic_is_done_on_the_weights() -> None:
    seen: list[bool] = []
    inspected(peer_nets.witness(seen), IMAGE)
    assert seen
    assert not any(seen)
