"""Small nets of which everything is known by hand: what the tools that inspect nets are asked about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor


@dataclass(frozen=True)
class Given:
    """What a net takes: a shape without the batch, and the type of its values."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


IMAGE = (Given((1, 12, 12)),)
MAPS = (Given((2, 8, 8)),)
PIXELS = (Given((4, 8, 8)),)
WORDS = (Given((6,), torch.int64),)
SEQUENCE = (Given((10, 8)),)


class Applied(nn.Module):
    """Modules by name, and a function that says what is done with them and the inputs.

    Args:
        function: called with this module and the inputs.
        modules: its parts.
    """

    def __init__(self, function: Callable[..., object], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *inputs: Tensor) -> object:
        """Return what the function makes of the inputs."""
        return self.function(self, *inputs)


def bare_parameter() -> nn.Module:
    """Return a net of 20 parameters in a convolution, and 7 beside it that no layer holds."""
    net = Applied(lambda net, x: net.conv(x) + net.offset.sum(), conv=nn.Conv2d(1, 2, 3))
    net.register_parameter("offset", nn.Parameter(torch.zeros(7)))
    return net


def called_thrice() -> nn.Module:
    """Return a net that calls one convolution of 38 parameters three times in a row."""
    return Applied(lambda net, x: net.conv(net.conv(net.conv(x))), conv=nn.Conv2d(2, 2, 3, padding=1))


def never_called() -> nn.Module:
    """Return a net of 20 parameters that are used and 10,100 that are not."""
    return Applied(lambda net, x: net.conv(x), conv=nn.Conv2d(1, 2, 3), spare=nn.Linear(100, 100))


def shared_activation() -> nn.Module:
    """Return three convolutions of 40 parameters: a stem, and two blocks that begin with one and the same ReLU."""
    relu = nn.ReLU()
    stem, *others = (nn.Conv2d(4, 4, 3, padding=1, groups=4) for _ in range(3))
    return nn.Sequential(stem, *(nn.Sequential(relu, conv) for conv in others))


def frozen_weight() -> nn.Module:
    """Return a convolution of which training changes the two biases only."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3))
    net[0].weight.requires_grad_(False)
    return net


def tied() -> nn.Module:
    """Return a net of 10 words of 4 numbers, read by the embedding and by the layer that predicts them."""
    net = Applied(
        lambda net, x: net.head(net.embedding(x)), embedding=nn.Embedding(10, 4), head=nn.Linear(4, 10, bias=False)
    )
    net.head.weight = net.embedding.weight
    return net


def words() -> nn.Module:
    """Return an embedding of 10 words in 4 numbers."""
    return nn.Sequential(nn.Embedding(10, 4))


def normalised() -> nn.Module:
    """Return a convolution and a batch-norm, in training mode."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()


def frozen_norm() -> nn.Module:
    """Return a net in training mode whose batch-norm is in evaluation mode, as one does to fine-tune."""
    net = normalised()
    net[1].eval()
    return net


def own_class() -> nn.Module:
    """Return a net of a class that no library knows."""
    return Applied(lambda net, x: net.conv(x).relu(), conv=nn.Conv2d(1, 2, 3), norm=nn.BatchNorm2d(2))


def raises() -> nn.Module:
    """Return a net in training mode, but for its second part, that stops with an exception half way."""

    def stop(net: nn.Module, x: Tensor) -> None:
        raise ValueError(f"no more than {net.conv(x).shape}")

    net = Applied(stop, conv=nn.Conv2d(1, 2, 3), norm=nn.BatchNorm2d(2)).train()
    net.norm.eval()
    return net


def witness(seen: list[bool]) -> nn.Module:
    """Return a net that notes for each of its calls whether its input holds real values.

    Args:
        seen: True is appended if so.
    """

    def look(net: nn.Module, x: Tensor) -> Tensor:
        seen.append(not (x.is_meta or isinstance(x, FakeTensor)))
        return net.conv(x)

    return Applied(look, conv=nn.Conv2d(1, 2, 3))


def billion() -> nn.Module:
    """Return 1,000,000,000 parameters in ten matrices of 10,000 × 10,000, on the meta device: no memory."""
    with torch.device("meta"):
        return nn.Sequential(*(nn.Linear(10_000, 10_000, bias=False) for _ in range(10)))


def lazy() -> nn.Module:
    """Return a convolution that learns its input channels from its input: 4 × (1 × 9 + 1) = 40 parameters then."""
    return nn.Sequential(nn.LazyConv2d(4, 3))


def two_convolutions() -> nn.Module:
    """Return a net with a field of 3 + 2 = 5."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3))


def functional_pooling() -> nn.Module:
    """Return a net whose field is 3, then 4 with the pooling, whose jump of 2 makes the last convolution add 4: 8."""
    return Applied(
        lambda net, x: net.second(functional.max_pool2d(net.first(x), 2)),
        first=nn.Conv2d(1, 2, 3),
        second=nn.Conv2d(2, 2, 3),
    )


def dilated() -> nn.Module:
    """Return a net whose field is 3, and two steps of 2 more: 7."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3, dilation=2))


def branched() -> nn.Module:
    """Return two convolutions in one branch (5) and one in the other (3): 5 where they meet, not 7."""
    return Applied(
        lambda net, x: net.long(x) + net.short(x),
        long=nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)),
        short=nn.Conv2d(1, 2, 3, padding=1),
    )


def asymmetric() -> nn.Module:
    """Return a net with a field of 3 rows and 5 + 2 = 7 columns."""
    return nn.Sequential(nn.Conv2d(1, 2, (3, 5)), nn.Conv2d(2, 2, (1, 3)))


def transposed() -> nn.Module:
    """Return a net whose strided convolution sees 2; what comes of each value sees that value alone: still 2."""
    return nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), nn.ConvTranspose2d(2, 2, 2, stride=2))


def pooled() -> nn.Module:
    """Return a net with global pooling: every value sees the whole image of 12 × 12."""
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1))


def convolution_alone() -> nn.Module:
    """Return a convolution of 10 × 10 positions of 2 × 9 multiply-adds: 1,800."""
    return nn.Sequential(nn.Conv2d(1, 2, 3, bias=False))


def linear_over_sequence() -> nn.Module:
    """Return a linear layer for 10 positions of 8 × 4 multiply-adds: 320."""
    return nn.Sequential(nn.Linear(8, 4, bias=False))


def product() -> nn.Module:
    """Return a matrix product without a layer, as in attention: 10 × 10 × 8 = 800 multiply-adds."""
    return Applied(lambda net, x: net.same(x) @ x.transpose(1, 2), same=nn.Identity())


def residual() -> nn.Module:
    """Return a convolution of 38 parameters, an addition and an activation that are no modules."""
    return Applied(lambda net, x: functional.relu(net.conv(x) + x), conv=nn.Conv2d(2, 2, 3, padding=1))


def two_inputs() -> nn.Module:
    """Return a net of 40 parameters, 20 for each of two inputs of different size."""
    return Applied(
        lambda net, x, y: net.left(x).mean() + net.right(y).mean(), left=nn.Conv2d(1, 2, 3), right=nn.Conv2d(1, 2, 3)
    )


def gives_dict() -> nn.Module:
    """Return a part of 20 parameters that returns a dictionary, and a head of 3."""
    body = Applied(lambda net, x: {"maps": net.conv(x)}, conv=nn.Conv2d(1, 2, 3))
    return Applied(lambda net, x: net.head(net.body(x)["maps"]), body=body, head=nn.Conv2d(2, 1, 1))


def recurrent() -> nn.Module:
    """Return an LSTM of 4 × (8 × 5 + 5 × 5 + 2 × 5) = 300 parameters, whose output is a tuple of tuples."""
    return Applied(lambda net, x: net.memory(x)[0], memory=nn.LSTM(8, 5, batch_first=True))


def mismatched() -> nn.Module:
    """Return a net whose head is built for 99 features and gets 72."""
    return Applied(
        lambda net, x: net.head(net.second(net.first(x)).flatten(1)),
        first=nn.Conv2d(1, 3, 5),
        second=nn.Conv2d(3, 2, 3),
        head=nn.Linear(99, 10),
    )


def nested() -> nn.Module:
    """Return two convolutions in a part of their own."""
    return nn.Sequential(two_convolutions())
