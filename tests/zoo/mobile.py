"""Nets for small devices: SqueezeNet, the MobileNets, ShuffleNet, MNASNet, EfficientNet."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .blocks import Branches, Entry, Field, Residual, SqueezeExcite, conv, named, pooled_linear

IMAGE = ((3, 224, 224),)


def _fire(channels: int, squeezed: int, expanded: int) -> nn.Sequential:
    """A 1×1 convolution to few channels, then a 1×1 and a 3×3 convolution to many, side by side."""
    return named(
        squeeze=nn.Sequential(nn.Conv2d(channels, squeezed, 1), nn.ReLU()),
        expand=Branches(nn.Conv2d(squeezed, expanded, 1), nn.Conv2d(squeezed, expanded, 3, padding=1)),
        activation=nn.ReLU(),
    )


def squeezenet1_1() -> nn.Sequential:
    features = nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.ReLU())
    channels = 64
    for group in [[(16, 64)] * 2, [(32, 128)] * 2, [(48, 192)] * 2 + [(64, 256)] * 2]:
        features.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        for squeezed, expanded in group:
            features.append(_fire(channels, squeezed, expanded))
            channels = 2 * expanded
    return named(
        features=features,
        dropout=nn.Dropout(),
        head=nn.Sequential(nn.Conv2d(channels, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def mobilenet_v1() -> nn.Sequential:
    features = nn.Sequential(conv(3, 32, 3, 2))
    channels = 32
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for width, stride in rows:
        features.append(
            named(depthwise=conv(channels, channels, 3, stride, groups=channels), pointwise=conv(channels, width))
        )
        channels = width
    return named(features=features, head=pooled_linear(channels))


def inverted_residual(
    channels: int,
    width: int,
    expanded: int,
    kernel: int = 3,
    stride: int = 1,
    activation: Callable[[], nn.Module] = nn.ReLU6,
    excite: SqueezeExcite | None = None,
) -> nn.Module:
    """1×1 to ``expanded`` channels, depthwise, gate if there is one, 1×1 without activation; a sum where it fits."""
    branch = nn.Sequential()
    if expanded != channels:
        branch.add_module("expand", conv(channels, expanded, activation=activation))
    branch.add_module("depthwise", conv(expanded, expanded, kernel, stride, groups=expanded, activation=activation))
    if excite is not None:
        branch.add_module("excite", excite)
    branch.add_module("project", conv(expanded, width, activation=None))
    return Residual(branch) if stride == 1 and channels == width else branch


def mobilenet_v2() -> nn.Sequential:
    features = nn.Sequential(conv(3, 32, 3, 2, activation=nn.ReLU6))
    channels = 32
    table = [  # expansion, channels, blocks, stride of the first
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    for expansion, width, depth, first_stride in table:
        for stride in (first_stride, *[1] * (depth - 1)):
            features.append(inverted_residual(channels, width, expansion * channels, stride=stride))
            channels = width
    features.append(conv(channels, 1280, activation=nn.ReLU6))
    return named(features=features, head=pooled_linear(1280, dropout=0.2))


def mobilenet_v3_small() -> nn.Sequential:
    features = nn.Sequential(conv(3, 16, 3, 2, activation=nn.Hardswish))
    channels = 16
    relu, swish = nn.ReLU, nn.Hardswish
    table = [  # kernel, expanded, channels, channels of the gate, activation, stride
        (3, 16, 16, 8, relu, 2),
        (3, 72, 24, 0, relu, 2),
        (3, 88, 24, 0, relu, 1),
        (5, 96, 40, 24, swish, 2),
        (5, 240, 40, 64, swish, 1),
        (5, 240, 40, 64, swish, 1),
        (5, 120, 48, 32, swish, 1),
        (5, 144, 48, 40, swish, 1),
        (5, 288, 96, 72, swish, 2),
        (5, 576, 96, 144, swish, 1),
        (5, 576, 96, 144, swish, 1),
    ]
    for kernel, expanded, width, squeezed, activation, stride in table:
        excite = SqueezeExcite(expanded, squeezed, nn.ReLU, nn.Hardsigmoid) if squeezed else None
        features.append(inverted_residual(channels, width, expanded, kernel, stride, activation, excite))
        channels = width
    features.append(conv(channels, 576, activation=nn.Hardswish))
    head = nn.Sequential(nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, 1000))
    return named(features=features, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=head)


def mnasnet1_0() -> nn.Sequential:
    features = nn.Sequential(conv(3, 32, 3, 2), conv(32, 32, 3, groups=32), conv(32, 16, activation=None))
    channels = 16
    table = [  # expansion, kernel, channels, blocks, stride of the first
        (3, 3, 24, 3, 2),
        (3, 5, 40, 3, 2),
        (6, 5, 80, 3, 2),
        (6, 3, 96, 2, 1),
        (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    ]
    for expansion, kernel, width, depth, first_stride in table:
        for stride in (first_stride, *[1] * (depth - 1)):
            features.append(inverted_residual(channels, width, expansion * channels, kernel, stride, nn.ReLU))
            channels = width
    features.append(conv(channels, 1280))
    return named(features=features, head=pooled_linear(1280, dropout=0.2))


def efficientnet_b0() -> nn.Sequential:
    features = nn.Sequential(conv(3, 32, 3, 2, activation=nn.SiLU))
    channels = 32
    table = [  # expansion, kernel, channels, blocks, stride of the first
        (1, 3, 16, 1, 1),
        (6, 3, 24, 2, 2),
        (6, 5, 40, 2, 2),
        (6, 3, 80, 3, 2),
        (6, 5, 112, 3, 1),
        (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    ]
    for expansion, kernel, width, depth, first_stride in table:
        for stride in (first_stride, *[1] * (depth - 1)):
            expanded = expansion * channels
            # The gate's width is a quarter of the block's input, before the expansion.
            excite = SqueezeExcite(expanded, channels // 4, nn.SiLU)
            features.append(inverted_residual(channels, width, expanded, kernel, stride, nn.SiLU, excite))
            channels = width
    features.append(conv(channels, 1280, activation=nn.SiLU))
    return named(features=features, head=pooled_linear(1280, dropout=0.2))


class ShuffleUnit(nn.Module):
    """Half of the channels pass by, or with stride 2 all go both ways; then the two halves are interleaved."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        half = width // 2
        source = channels if stride == 2 else half
        self.aside = (
            nn.Sequential(conv(channels, channels, 3, 2, groups=channels, activation=None), conv(channels, half))
            if stride == 2
            else None
        )
        self.branch = nn.Sequential(
            conv(source, half), conv(half, half, 3, stride, groups=half, activation=None), conv(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.aside is None:
            kept, changed = x.chunk(2, dim=1)
        else:
            kept, changed = self.aside(x), x
        joined = torch.cat([kept, self.branch(changed)], dim=1)
        batch, channels, height, width = joined.shape
        return joined.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(joined.shape)


def shufflenet_v2() -> nn.Sequential:
    features = named(stem=conv(3, 24, 3, 2), pool=nn.MaxPool2d(3, 2, 1))
    channels = 24
    for index, (width, depth) in enumerate([(116, 4), (232, 8), (464, 4)], start=2):
        units = [ShuffleUnit(channels, width, 2), *(ShuffleUnit(width, width, 1) for _ in range(depth - 1))]
        features.add_module(f"stage{index}", nn.Sequential(*units))
        channels = width
    features.add_module("stage5", conv(channels, 1024))
    return named(features=features, head=pooled_linear(1024))


# Araujo et al., 2019, Computing receptive fields: size and jump of each layer's field.
MOBILENET_V1_FIELDS = {
    f"features.{index}": Field(size, jump)
    for index, (jump, size) in enumerate(
        (jump, size)
        for jump, sizes in {
            2: (3, 7),
            4: (11, 19),
            8: (27, 43),
            16: (59, 91, 123, 155, 187, 219),
            32: (251, 315),
        }.items()
        for size in sizes
    )
}

ENTRIES = {
    "squeezenet1_1": Entry(
        squeezenet1_1,
        IMAGE,
        (1000,),
        1_235_496,
        "Iandola et al., 2016; version 1.1 of the authors' repository",
        gigamacs=0.349,
    ),
    "mobilenet_v1": Entry(
        mobilenet_v1,
        IMAGE,
        (1000,),
        4_231_976,
        "Howard et al., 2017; width 1.0",
        315,
        "features.13",
        fields=MOBILENET_V1_FIELDS,
    ),
    "mobilenet_v2": Entry(mobilenet_v2, IMAGE, (1000,), 3_504_872, "Sandler et al., 2018; width 1.0", gigamacs=0.301),
    "mobilenet_v3_small": Entry(
        mobilenet_v3_small, IMAGE, (1000,), 2_542_856, "Howard et al., 2019; small, width 1.0", gigamacs=0.057
    ),
    "mnasnet1_0": Entry(
        mnasnet1_0, IMAGE, (1000,), 4_383_312, "Tan et al., 2019; B1 (no squeeze-excitation), depth 1.0", gigamacs=0.314
    ),
    "efficientnet_b0": Entry(
        efficientnet_b0, IMAGE, (1000,), 5_288_548, "Tan and Le, 2019; B0, without stochastic depth", gigamacs=0.386
    ),
    "shufflenet_v2": Entry(shufflenet_v2, IMAGE, (1000,), 2_278_604, "Ma et al., 2018; width 1.0", gigamacs=0.145),
}
