"""LeNet, AlexNet, VGG, the ResNets and their kin, DenseNet, ConvNeXt."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from .blocks import ChannelNorm, Entry, Residual, SqueezeExcite, conv, named, pooled_linear

IMAGE = ((3, 224, 224),)


def lenet5() -> nn.Sequential:
    return named(
        conv1=nn.Conv2d(1, 6, 5, padding=2),
        tanh1=nn.Tanh(),
        pool1=nn.AvgPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        tanh2=nn.Tanh(),
        pool2=nn.AvgPool2d(2),
        flatten=nn.Flatten(),
        head=nn.Sequential(nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )


def _wide_head(features: int, *, dropout_first: bool) -> nn.Sequential:
    """Two hidden linear layers of 4,096: AlexNet drops before each of them, VGG after."""
    layers = [nn.Linear(features, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
    layers = [nn.Dropout(), *layers] if dropout_first else [*layers, nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(4096, 1000))


def alexnet() -> nn.Sequential:
    return named(
        conv1=nn.Sequential(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU()),
        pool1=nn.MaxPool2d(3, 2),
        conv2=nn.Sequential(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        pool2=nn.MaxPool2d(3, 2),
        conv3=nn.Sequential(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        conv4=nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        conv5=nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
        pool5=nn.MaxPool2d(3, 2),
        resize=nn.AdaptiveAvgPool2d(6),
        flatten=nn.Flatten(),
        head=_wide_head(256 * 6 * 6, dropout_first=True),
    )


def vgg16_features() -> nn.Sequential:
    """The convolutions of VGG-16 (configuration D) in five groups, each followed by a pooling pool1 … pool5."""
    features = nn.Sequential()
    channels = 3
    for index, (width, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], start=1):
        group = nn.Sequential()
        for _ in range(depth):
            group.extend([nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()])
            channels = width
        features.add_module(f"conv{index}", group)
        features.add_module(f"pool{index}", nn.MaxPool2d(2))
    return features


def vgg16() -> nn.Sequential:
    return named(
        features=vgg16_features(),
        resize=nn.AdaptiveAvgPool2d(7),
        flatten=nn.Flatten(),
        head=_wide_head(512 * 7 * 7, dropout_first=False),
    )


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
    """Nothing where the input can be added as it is, else a projection to the branch's shape."""
    if stride == 1 and channels_in == channels_out:
        return None
    return conv(channels_in, channels_out, 1, stride, activation=None)


def _basic(channels_in: int, width: int, stride: int, dilation: int = 1) -> Residual:
    branch = nn.Sequential(
        conv(channels_in, width, 3, stride, dilation=dilation),
        conv(width, width, 3, dilation=dilation, activation=None),
    )
    return Residual(branch, _shortcut(channels_in, width, stride), nn.ReLU())


def _bottleneck(
    channels_in: int,
    width: int,
    stride: int,
    dilation: int = 1,
    *,
    expansion: int = 4,
    inner: float = 1,
    groups: int = 1,
    stride_first: bool = False,
    squeezed: int = 0,
) -> Residual:
    """1×1, 3×3, 1×1; the 3×3 is ``inner`` times as wide as ``width``, in groups, with squeeze-excitation if asked."""
    middle, channels_out = int(width * inner), width * expansion
    first, second = (stride, 1) if stride_first else (1, stride)
    branch = nn.Sequential(
        conv(channels_in, middle, 1, first),
        conv(middle, middle, 3, second, dilation=dilation, groups=groups),
        *([SqueezeExcite(middle, squeezed)] if squeezed else []),
        conv(middle, channels_out, 1, activation=None),
    )
    return Residual(branch, _shortcut(channels_in, channels_out, stride), nn.ReLU())


def resnet_features(depths: tuple[int, ...], block=_basic, expansion: int = 1, dilate: int = 0) -> nn.Sequential:  # type: ignore[no-untyped-def]
    """A ResNet up to its last map. The last ``dilate`` stages have dilation in the place of their stride."""
    features = named(stem=conv(3, 64, 7, 2), pool=nn.MaxPool2d(3, 2, 1))
    channels, dilation = 64, 1
    for index, depth in enumerate(depths):
        width, stride, before = 64 << index, 1 if index == 0 else 2, dilation
        if index >= len(depths) - dilate:
            stride, dilation = 1, 2 * dilation
        # The first block still looks through the dilation of the stage before it, whose map it reads.
        blocks = [block(channels, width, stride, before)]
        channels = width * expansion
        blocks += [block(channels, width, 1, dilation) for _ in range(depth - 1)]
        features.add_module(f"stage{index + 1}", nn.Sequential(*blocks))
    return features


def resnet(depths: tuple[int, ...]) -> nn.Sequential:
    return named(features=resnet_features(depths), head=pooled_linear(512))


def deep_resnet(depths: tuple[int, ...], **options: float) -> nn.Sequential:
    """A ResNet of bottlenecks, and with options ResNeXt, the wide one, or the stride in the first 1×1."""
    return named(features=resnet_features(depths, partial(_bottleneck, **options), 4), head=pooled_linear(2048))


def regnet_y_400mf() -> nn.Sequential:
    features = named(stem=conv(3, 32, 3, 2))
    channels = 32
    for index, (width, depth) in enumerate([(48, 1), (104, 3), (208, 6), (440, 6)], start=1):
        stage = nn.Sequential()
        for position in range(depth):
            stride = 2 if position == 0 else 1
            # The squeeze is a quarter of the block's input, not of its own width.
            squeezed = round(channels / 4)
            stage.append(_bottleneck(channels, width, stride, expansion=1, groups=width // 8, squeezed=squeezed))
            channels = width
        features.add_module(f"stage{index}", stage)
    return named(features=features, head=pooled_linear(channels))


class DenseLayer(nn.Sequential):
    """Grows its input by some channels and passes both on."""

    def __init__(self, channels: int, growth: int):
        super().__init__(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            *conv(channels, 4 * growth),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], dim=1)


def densenet121() -> nn.Sequential:
    growth, channels = 32, 64
    features = named(stem=conv(3, channels, 7, 2), pool=nn.MaxPool2d(3, 2, 1))
    for index, depth in enumerate([6, 12, 24, 16], start=1):
        layers = [DenseLayer(channels + growth * position, growth) for position in range(depth)]
        features.add_module(f"dense{index}", nn.Sequential(*layers))
        channels += growth * depth
        halved = [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)] if index < 4 else []
        features.add_module(f"transition{index}", nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), *halved))
        channels //= 2 if index < 4 else 1
    return named(features=features, head=pooled_linear(channels))


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7, then a two-layer perceptron on each pixel, scaled per channel and added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.depthwise(x).permute(0, 2, 3, 1)
        return x + self.scale * self.perceptron(pixels).permute(0, 3, 1, 2)


def convnext_tiny() -> nn.Sequential:
    features = named(stem=nn.Sequential(nn.Conv2d(3, 96, 4, 4), ChannelNorm(96, eps=1e-6)))
    for index, (channels, depth) in enumerate([(96, 3), (192, 3), (384, 9), (768, 3)], start=1):
        if index > 1:
            halve = nn.Sequential(ChannelNorm(channels // 2, eps=1e-6), nn.Conv2d(channels // 2, channels, 2, 2))
            features.add_module(f"halve{index}", halve)
        features.add_module(f"stage{index}", nn.Sequential(*(ConvNeXtBlock(channels) for _ in range(depth))))
    return named(
        features=features,
        pool=nn.AdaptiveAvgPool2d(1),
        norm=ChannelNorm(768, eps=1e-6),
        flatten=nn.Flatten(),
        head=nn.Linear(768, 1000),
    )


def _resnet(depths: tuple[int, ...], parameters: int, note: str, field: int | None = None, **options: float) -> Entry:
    build = partial(deep_resnet, depths, **options)
    layer = "features.stage4" if field else None
    return Entry(build, IMAGE, (1000,), parameters, note, field, layer)


_HE = "He et al., 2016, Deep residual learning; "
_STRIDE_IN_3 = _HE + "stride in the 3×3 of a block, as torchvision builds it"
_STRIDE_IN_1 = _HE + "the paper's own, stride in the first 1×1 of a block"

ENTRIES = {
    "lenet5": Entry(
        lenet5,
        ((1, 28, 28),),
        (10,),
        61_706,
        "LeCun et al., 1998; second convolution fully connected, plain average pooling",
    ),
    "alexnet": Entry(
        alexnet,
        IMAGE,
        (1000,),
        61_100_840,
        "Krizhevsky, 2014, One weird trick, as torchvision builds it: no groups, no local normalisation",
        195,
        "pool5",
    ),
    "vgg16": Entry(
        vgg16,
        IMAGE,
        (1000,),
        138_357_544,
        "Simonyan and Zisserman, 2015; configuration D",
        212,
        "features.pool5",
    ),
    "resnet18": Entry(partial(resnet, (2, 2, 2, 2)), IMAGE, (1000,), 11_689_512, _HE + "basic blocks"),
    "resnet34": Entry(partial(resnet, (3, 4, 6, 3)), IMAGE, (1000,), 21_797_672, _HE + "basic blocks"),
    "resnet50": _resnet((3, 4, 6, 3), 25_557_032, _STRIDE_IN_3, 427),
    "resnet101": _resnet((3, 4, 23, 3), 44_549_160, _STRIDE_IN_3),
    "resnet152": _resnet((3, 8, 36, 3), 60_192_808, _STRIDE_IN_3),
    "resnet50_original": _resnet((3, 4, 6, 3), 25_557_032, _STRIDE_IN_1, 483, stride_first=True),
    "resnet101_original": _resnet((3, 4, 23, 3), 44_549_160, _STRIDE_IN_1, 1027, stride_first=True),
    "resnet152_original": _resnet((3, 8, 36, 3), 60_192_808, _STRIDE_IN_1, 1507, stride_first=True),
    "resnext50": _resnet((3, 4, 6, 3), 25_028_904, "Xie et al., 2017; 32 groups of width 4", None, groups=32, inner=2),
    "wide_resnet50": _resnet(
        (3, 4, 6, 3), 68_883_240, "Zagoruyko and Komodakis, 2016; 3×3 twice as wide", None, inner=2
    ),
    "regnet_y_400mf": Entry(
        regnet_y_400mf, IMAGE, (1000,), 4_344_144, "Radosavovic et al., 2020; Y (squeeze-excitation), 400 MMACs"
    ),
    "densenet121": Entry(densenet121, IMAGE, (1000,), 7_978_856, "Huang et al., 2017; growth 32, with bottlenecks"),
    "convnext_tiny": Entry(
        convnext_tiny, IMAGE, (1000,), 28_589_128, "Liu et al., 2022, A ConvNet for the 2020s; without stochastic depth"
    ),
}
