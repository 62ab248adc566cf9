"""The ResNets and their kin: ResNeXt, the wide one, RegNet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from .blocks import Entry, Field, Residual, SqueezeExcite, conv, named, pooled_linear

IMAGE = ((3, 224, 224),)


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


def bottleneck(
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


def resnet_features(
    depths: tuple[int, ...], block: Callable[..., Residual] = _basic, expansion: int = 1, dilate: int = 0
) -> nn.Sequential:
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
    return named(features=resnet_features(depths, partial(bottleneck, **options), 4), head=pooled_linear(2048))


def regnet_y_400mf() -> nn.Sequential:
    features = named(stem=conv(3, 32, 3, 2))
    channels = 32
    for index, (width, depth) in enumerate([(48, 1), (104, 3), (208, 6), (440, 6)], start=1):
        stage = nn.Sequential()
        for position in range(depth):
            stride = 2 if position == 0 else 1
            # The squeeze is a quarter of the block's input, not of its own width.
            squeezed = round(channels / 4)
            stage.append(bottleneck(channels, width, stride, expansion=1, groups=width // 8, squeezed=squeezed))
            channels = width
        features.add_module(f"stage{index}", stage)
    return named(features=features, head=pooled_linear(channels))


def _resnet(
    depths: tuple[int, ...],
    parameters: int,
    reference: str,
    receptive_field: int | None = None,
    fields: tuple[int, ...] = (),
    gigamacs: float | None = None,
    **options: float,
) -> Entry:
    """An entry; ``fields`` are the stages' of Araujo et al., 2019, Computing receptive fields.

    Theirs have a stage's stride at the stage's end, which gives the same fields and other jumps between them.
    """
    return Entry(
        partial(deep_resnet, depths, **options),
        IMAGE,
        (1000,),
        parameters,
        reference,
        receptive_field,
        "features.stage4" if receptive_field else None,
        fields={f"features.stage{index}": Field(size) for index, size in enumerate(fields, start=1)},
        gigamacs=gigamacs,
    )


_HE = "He et al., 2016, Deep residual learning; "
_STRIDE_IN_3 = _HE + "stride in the 3×3 of a block, as torchvision builds it"
_STRIDE_IN_1 = _HE + "the paper's own, stride in the first 1×1 of a block"

ENTRIES = {
    "resnet18": Entry(partial(resnet, (2, 2, 2, 2)), IMAGE, (1000,), 11_689_512, _HE + "basic blocks", gigamacs=1.814),
    "resnet34": Entry(partial(resnet, (3, 4, 6, 3)), IMAGE, (1000,), 21_797_672, _HE + "basic blocks", gigamacs=3.664),
    "resnet50": _resnet((3, 4, 6, 3), 25_557_032, _STRIDE_IN_3, 427, gigamacs=4.089),
    "resnet101": _resnet((3, 4, 23, 3), 44_549_160, _STRIDE_IN_3, gigamacs=7.801),
    "resnet152": _resnet((3, 8, 36, 3), 60_192_808, _STRIDE_IN_3, gigamacs=11.514),
    "resnet50_original": _resnet((3, 4, 6, 3), 25_557_032, _STRIDE_IN_1, 483, (35, 99, 291, 483), stride_first=True),
    "resnet101_original": _resnet(
        (3, 4, 23, 3), 44_549_160, _STRIDE_IN_1, 1027, (35, 99, 835, 1027), stride_first=True
    ),
    "resnet152_original": _resnet(
        (3, 8, 36, 3), 60_192_808, _STRIDE_IN_1, 1507, (35, 163, 1315, 1507), stride_first=True
    ),
    "resnext50": _resnet(
        (3, 4, 6, 3), 25_028_904, "Xie et al., 2017; 32 groups of width 4", groups=32, inner=2, gigamacs=4.23
    ),
    "wide_resnet50": _resnet(
        (3, 4, 6, 3), 68_883_240, "Zagoruyko and Komodakis, 2016; 3×3 twice as wide", inner=2, gigamacs=11.398
    ),
    "regnet_y_400mf": Entry(
        regnet_y_400mf,
        IMAGE,
        (1000,),
        4_344_144,
        "Radosavovic et al., 2020; Y (squeeze-excitation), 400 MMACs",
        gigamacs=0.402,
    ),
}
