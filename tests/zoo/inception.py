"""Nets of parallel branches: GoogLeNet as published and as torchvision builds it, and Inception-v3."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from .blocks import Branches, Entry, Field, conv, named, pooled_linear

# Name, then channels: input, 1×1, 3×3 reduced, 3×3, 5×5 reduced, 5×5, after pooling (table 1 of the paper).
GOOGLENET = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def _biased_conv(channels_in: int, channels_out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2), nn.ReLU())


def _googlenet(
    layer: Callable[..., nn.Module], wide: int, last_pool: int, local_norm: Callable[[], nn.Module], head: nn.Module
) -> nn.Sequential:
    """GoogLeNet of ``layer`` convolutions; ``wide`` is the kernel of the branch that the paper gives 5×5."""

    def pool(kernel: int = 3) -> nn.MaxPool2d:
        return nn.MaxPool2d(kernel, 2, ceil_mode=True)

    features = named(
        conv1=layer(3, 64, 7, 2),
        pool1=pool(),
        norm1=local_norm(),
        conv2=nn.Sequential(layer(64, 64), layer(64, 192, 3)),
        norm2=local_norm(),
        pool2=pool(),
    )
    for name, (channels, one, reduced, three, reduced_wide, five, pooled) in GOOGLENET.items():
        block = Branches(
            layer(channels, one),
            nn.Sequential(layer(channels, reduced), layer(reduced, three, 3)),
            nn.Sequential(layer(channels, reduced_wide), layer(reduced_wide, five, wide)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), layer(channels, pooled)),
        )
        features.add_module(f"mixed{name}", block)
        if name in ("3b", "4e"):
            features.add_module(f"pool{name[0]}", pool(3 if name == "3b" else last_pool))
    return named(features=features, head=head)


def googlenet() -> nn.Sequential:
    return _googlenet(conv, 3, 2, nn.Identity, pooled_linear(1024, dropout=0.2))


def googlenet_original() -> nn.Sequential:
    head = named(pool=nn.AvgPool2d(7), flatten=nn.Flatten(), dropout=nn.Dropout(0.4), linear=nn.Linear(1024, 1000))
    return _googlenet(_biased_conv, 5, 3, partial(nn.LocalResponseNorm, 5), head)


def _chain(channels: int, *steps: tuple[int, int | tuple[int, int]], stride: int = 1) -> nn.Sequential:
    """Convolutions one after another, each given as channels and kernel; the last one, unpadded, takes the stride."""
    layers = nn.Sequential()
    for width, kernel in steps[:-1]:
        layers.append(conv(channels, width, kernel))
        channels = width
    width, kernel = steps[-1]
    layers.append(conv(channels, width, kernel, stride, padding=0 if stride > 1 else None))
    return layers


def _pooled(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(channels, width))


def _mixed5(channels: int, pooled: int) -> Branches:
    return Branches(
        conv(channels, 64),
        _chain(channels, (48, 1), (64, 5)),
        _chain(channels, (64, 1), (96, 3), (96, 3)),
        _pooled(channels, pooled),
    )


def _mixed6(channels: int, inner: int) -> Branches:
    row, column = (1, 7), (7, 1)
    return Branches(
        conv(channels, 192),
        _chain(channels, (inner, 1), (inner, row), (192, column)),
        _chain(channels, (inner, 1), (inner, column), (inner, row), (inner, column), (192, row)),
        _pooled(channels, 192),
    )


def _mixed7(channels: int) -> Branches:
    def split(width_in: int) -> Branches:
        return Branches(conv(width_in, 384, (1, 3)), conv(width_in, 384, (3, 1)))

    return Branches(
        conv(channels, 320),
        nn.Sequential(conv(channels, 384), split(384)),
        nn.Sequential(_chain(channels, (448, 1), (384, 3)), split(384)),
        _pooled(channels, 192),
    )


class InceptionV3(nn.Module):
    """Logits, or in training with the auxiliary head the pair of logits and auxiliary logits."""

    def __init__(self, *, auxiliary: bool):
        super().__init__()
        self.stem = named(
            conv1=conv(3, 32, 3, 2, padding=0),
            conv2=conv(32, 32, 3, padding=0),
            conv3=conv(32, 64, 3),
            pool1=nn.MaxPool2d(3, 2),
            conv4=conv(64, 80),
            conv5=conv(80, 192, 3, padding=0),
            pool2=nn.MaxPool2d(3, 2),
        )
        self.middle = named(
            mixed5b=_mixed5(192, 32),
            mixed5c=_mixed5(256, 64),
            mixed5d=_mixed5(288, 64),
            mixed6a=Branches(
                _chain(288, (384, 3), stride=2), _chain(288, (64, 1), (96, 3), (96, 3), stride=2), nn.MaxPool2d(3, 2)
            ),
            mixed6b=_mixed6(768, 128),
            mixed6c=_mixed6(768, 160),
            mixed6d=_mixed6(768, 160),
            mixed6e=_mixed6(768, 192),
        )
        self.auxiliary = (
            named(
                pool=nn.AvgPool2d(5, 3),
                conv1=conv(768, 128),
                conv2=conv(128, 768, 5, padding=0),
                head=pooled_linear(768),
            )
            if auxiliary
            else None
        )
        self.last = named(
            mixed7a=Branches(
                _chain(768, (192, 1), (320, 3), stride=2),
                _chain(768, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3), stride=2),
                nn.MaxPool2d(3, 2),
            ),
            mixed7b=_mixed7(1280),
            mixed7c=_mixed7(2048),
        )
        self.head = pooled_linear(2048, dropout=0.5)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.middle(self.stem(x))
        logits = self.head(self.last(x))
        return (logits, self.auxiliary(x)) if self.training and self.auxiliary is not None else logits


# Araujo et al., 2019, Computing receptive fields: size, jump and padding of each layer's field.
INCEPTION_V3_FIELDS = {
    "stem.conv1": Field(3, 2, 0),
    "stem.conv2": Field(7, 2, 0),
    "stem.conv3": Field(11, 2, 2),
    "stem.pool1": Field(15, 4, 2),
    "stem.conv4": Field(15, 4, 2),
    "stem.conv5": Field(23, 4, 2),
    "stem.pool2": Field(31, 8, 2),
    "middle.mixed5b": Field(63, 8, 18),
    "middle.mixed5c": Field(95, 8, 34),
    "middle.mixed5d": Field(127, 8, 50),
    "middle.mixed6a": Field(159, 16, 58),
    "middle.mixed6b": Field(351, 16, 154),
    "middle.mixed6c": Field(543, 16, 250),
    "middle.mixed6d": Field(735, 16, 346),
    "middle.mixed6e": Field(927, 16, 442),
    "last.mixed7a": Field(1055, 32, 490),
    "last.mixed7b": Field(1183, 32, 554),
    "last.mixed7c": Field(1311, 32, 618),
}
_SZEGEDY = "Szegedy et al., 2016, Rethinking the Inception architecture; "

ENTRIES = {
    "googlenet": Entry(
        googlenet,
        ((3, 224, 224),),
        (1000,),
        6_624_904,
        "Szegedy et al., 2015, as torchvision builds it: batch norm, 3×3 for 5×5, no auxiliary heads",
        gigamacs=1.498,
    ),
    "googlenet_original": Entry(
        googlenet_original,
        ((3, 224, 224),),
        (1000,),
        6_998_552,
        "Szegedy et al., 2015, as published, no auxiliary heads; field after the average: Long et al., 2015, table 1",
        907,
        "head.pool",
    ),
    "inception_v3": Entry(
        partial(InceptionV3, auxiliary=True),
        ((3, 299, 299),),
        (1000,),
        27_161_264,
        _SZEGEDY + "with its auxiliary head, which only training uses",
        1311,
        "last.mixed7c",
        fields=INCEPTION_V3_FIELDS,
        gigamacs=5.713,
    ),
    "inception_v3_plain": Entry(
        partial(InceptionV3, auxiliary=False),
        ((3, 299, 299),),
        (1000,),
        23_834_568,
        _SZEGEDY + "without auxiliary head",
        1311,
        "last.mixed7c",
        fields=INCEPTION_V3_FIELDS,
    ),
}
