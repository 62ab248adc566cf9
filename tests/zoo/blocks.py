"""What the nets of the zoo are made of: the entry that describes one, and blocks that several papers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
Size = int | tuple[int, int]


class Field(NamedTuple):
    """A published receptive field: its size along each axis, the jump from one unit's field to the next one's, and how
    far the first unit's field reaches beyond the image's edge (None: depends on the variant, ours is another one).
    """

    size: int
    jump: int | None = None
    padding: int | None = None


@dataclass(frozen=True)
class Entry:
    """One net of the zoo and what is known of it from elsewhere.

    ``build`` makes it; ``inputs`` and ``output`` are the shapes of its tensors without the batch axis. ``parameters``
    is the total that torchvision, the paper or its authors' code gives. ``receptive_field`` is the published field, in
    pixels or samples along each axis, of the output of the module ``field_layer`` (a name in ``named_modules``), and
    ``fields`` are published ones of more layers. None or empty: nobody gives one. ``reference`` says which paper and
    which variant. ``dtypes`` are those of the inputs (default: float). ``gigamacs`` are the 10⁹ multiply-adds for one
    input that torchvision's tables give, to three places, under the name GFLOPS.
    """

    build: Callable[[], nn.Module]
    inputs: tuple[Shape, ...]
    output: Shape
    parameters: int | None
    reference: str
    receptive_field: int | None = None
    field_layer: str | None = None
    dtypes: tuple[torch.dtype, ...] | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    gigamacs: float | None = None

    def example(self, batch: int = 1, device: str = "meta") -> list[Tensor]:
        """Inputs of zeros for a batch; on the meta device they hold no memory."""
        dtypes = self.dtypes or (torch.float32,) * len(self.inputs)
        return [
            torch.zeros(batch, *shape, dtype=dtype, device=device)
            for shape, dtype in zip(self.inputs, dtypes, strict=True)
        ]


def named(**modules: nn.Module) -> nn.Sequential:
    """A sequence whose modules have names."""
    sequence = nn.Sequential()
    for name, module in modules.items():
        sequence.add_module(name, module)
    return sequence


def same(kernel: Size, dilation: int = 1) -> Size:
    """The padding with which a convolution of stride 1 and odd kernel keeps its map's size."""
    if isinstance(kernel, int):
        return dilation * (kernel - 1) // 2
    return (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)


def conv(
    channels_in: int,
    channels_out: int,
    kernel: Size = 1,
    stride: int = 1,
    *,
    padding: Size | None = None,
    dilation: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """A convolution without bias, batch normalisation and, unless it is None, an activation."""
    padding = same(kernel, dilation) if padding is None else padding
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(channels_out),
    ]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class Residual(nn.Module):
    """The sum of a branch and a shortcut (None: the input itself), then an activation if there is one."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None, activation: nn.Module | None = None):
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation

    def forward(self, x: Tensor) -> Tensor:
        total = self.branch(x) + (x if self.shortcut is None else self.shortcut(x))
        return total if self.activation is None else self.activation(total)


class Branches(nn.ModuleList):
    """The outputs of several branches from one input, joined along the channels."""

    def __init__(self, *branches: nn.Module):
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class SqueezeExcite(nn.Module):
    """Each channel times a gate that sees the mean of every channel (Hu et al., 2018)."""

    def __init__(self, channels: int, squeezed: int, activation: type = nn.ReLU, gate: type = nn.Sigmoid):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Conv2d(channels, squeezed, 1), activation(), nn.Conv2d(squeezed, channels, 1), gate()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((2, 3), keepdim=True))


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of an image whose channels come first."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def pooled_linear(channels: int, classes: int = 1000, dropout: float = 0.0) -> nn.Sequential:
    """The usual head: global average pooling, dropout if there is any, a linear layer."""
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []), nn.Linear(channels, classes))
