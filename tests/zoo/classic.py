"""LeNet, AlexNet, VGG, DenseNet, ConvNeXt."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import ChannelNorm, Entry, Field, conv, named, pooled_linear

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


# Araujo et al., 2019, Computing receptive fields; the table that goes with their library. Its AlexNet pads nothing at
# the first convolution.
ALEXNET_FIELDS = {
    "conv1": Field(11, 4),
    "pool1": Field(19, 8),
    "conv2": Field(51, 8),
    "conv3": Field(99, 16),
    "conv4": Field(131, 16),
    "conv5": Field(163, 16),
    "pool5": Field(195, 32),
}
VGG16_FIELDS = {
    "features.pool1": Field(6, 2, 2),
    "features.pool2": Field(16, 4, 6),
    "features.pool3": Field(44, 8, 18),
    "features.pool4": Field(100, 16, 42),
    "features.pool5": Field(212, 32, 90),
}


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
        fields=ALEXNET_FIELDS,
        gigamacs=0.714,
    ),
    "vgg16": Entry(
        vgg16,
        IMAGE,
        (1000,),
        138_357_544,
        "Simonyan and Zisserman, 2015; configuration D",
        212,
        "features.pool5",
        fields=VGG16_FIELDS,
        gigamacs=15.47,
    ),
    "densenet121": Entry(
        densenet121, IMAGE, (1000,), 7_978_856, "Huang et al., 2017; growth 32, with bottlenecks", gigamacs=2.834
    ),
    "convnext_tiny": Entry(
        convnext_tiny,
        IMAGE,
        (1000,),
        28_589_128,
        "Liu et al., 2022, A ConvNet for the 2020s; without stochastic depth",
        gigamacs=4.456,
    ),
}
