"""Nets whose output is an image or a map: DCGAN, PatchGAN, autoencoder, U-Net, FCN-8s, DeepLab."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Branches, Entry, conv, named
from .classic import vgg16_features
from .resnets import bottleneck, resnet_features


def dcgan_generator() -> nn.Sequential:
    net = nn.Sequential()
    channels = 100
    for width, stride, padding in [(512, 1, 0), (256, 2, 1), (128, 2, 1), (64, 2, 1)]:
        net.append(nn.ConvTranspose2d(channels, width, 4, stride, padding, bias=False))
        net.extend([nn.BatchNorm2d(width), nn.ReLU()])
        channels = width
    return net.extend([nn.ConvTranspose2d(channels, 3, 4, 2, 1, bias=False), nn.Tanh()])


def dcgan_discriminator() -> nn.Sequential:
    net = nn.Sequential(nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2))
    for width in (128, 256, 512):
        net.extend([nn.Conv2d(width // 2, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)])
    return net.extend([nn.Conv2d(512, 1, 4, bias=False), nn.Sigmoid(), nn.Flatten()])


class PatchGAN(nn.Module):
    """A verdict for every patch of a pair of images, source and result."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(6, 64, 4, 2, 1), nn.LeakyReLU(0.2))
        for width, stride in [(128, 2), (256, 2), (512, 1)]:
            self.layers.append(nn.Conv2d(width // 2, width, 4, stride, 1, bias=False))
            self.layers.extend([nn.BatchNorm2d(width), nn.LeakyReLU(0.2)])
        self.verdict = nn.Conv2d(512, 1, 4, 1, 1)

    def forward(self, source: Tensor, result: Tensor) -> Tensor:
        return self.verdict(self.layers(torch.cat([source, result], dim=1)))


def autoencoder() -> nn.Sequential:
    """Kernels of 3 with stride 2 on the way up, which do not divide: the pattern that leaves a checkerboard."""
    widths = (1, 16, 32, 64)
    encoder, decoder = nn.Sequential(), nn.Sequential()
    for narrow, wide in pairwise(widths):
        encoder.extend([nn.Conv2d(narrow, wide, 3, 2, 1), nn.ReLU()])
    for wide, narrow in pairwise(reversed(widths)):
        decoder.append(nn.ConvTranspose2d(wide, narrow, 3, 2, 1, output_padding=1))
        decoder.append(nn.ReLU() if narrow > 1 else nn.Sigmoid())
    return named(encoder=encoder, decoder=decoder)


def _double(channels: int, width: int) -> nn.Sequential:
    """Two unpadded convolutions, which take two pixels off every side."""
    return nn.Sequential(nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU())


class UNet(nn.Module):
    """A U of unpadded convolutions; each map on the way down is cropped and joined to its equal on the way up."""

    def __init__(self, widths: tuple[int, ...] = (64, 128, 256, 512, 1024), classes: int = 2):
        super().__init__()
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList([_double(1, widths[0]), *(_double(narrow, wide) for narrow, wide in pairs)])
        self.raise_ = nn.ModuleList(nn.ConvTranspose2d(wide, narrow, 2, 2) for narrow, wide in reversed(pairs))
        self.up = nn.ModuleList(_double(wide, narrow) for narrow, wide in reversed(pairs))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down[0](x)
        passed = []
        for block in self.down[1:]:
            passed.append(x)
            x = block(functional.max_pool2d(x, 2))
        for enlarge, block in zip(self.raise_, self.up, strict=True):
            x = enlarge(x)
            across = passed.pop()
            crop = (across.shape[-1] - x.shape[-1]) // 2
            x = block(torch.cat([across[..., crop:-crop, crop:-crop], x], dim=1))
        return self.head(x)


class FCN8s(nn.Module):
    """VGG-16 whose linear layers are convolutions; scores of three scales are enlarged and added."""

    def __init__(self, classes: int = 21):
        super().__init__()
        self.features = vgg16_features()
        self.fc6 = nn.Sequential(nn.Conv2d(512, 4096, 7, padding=3), nn.ReLU(), nn.Dropout2d())
        self.fc7 = nn.Sequential(nn.Conv2d(4096, 4096, 1), nn.ReLU(), nn.Dropout2d())
        self.score3, self.score4, self.score7 = (nn.Conv2d(width, classes, 1) for width in (256, 512, 4096))
        self.double7, self.double4 = (nn.ConvTranspose2d(classes, classes, 4, 2, 1, bias=False) for _ in range(2))
        self.enlarge = nn.ConvTranspose2d(classes, classes, 16, 8, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        scales = {}
        for name, layer in self.features.named_children():
            x = scales[name] = layer(x)
        scores = self.double7(self.score7(self.fc7(self.fc6(x)))) + self.score4(scales["pool4"])
        return self.enlarge(self.double4(scores) + self.score3(scales["pool3"]))


class ImagePooling(nn.Sequential):
    """The map's mean through a convolution, spread again over the map."""

    def __init__(self, channels: int, width: int):
        super().__init__(nn.AdaptiveAvgPool2d(1), conv(channels, width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(super().forward(x), x.shape[-2:], mode="bilinear", align_corners=False)


def _aspp(channels: int, width: int, rates: tuple[int, ...]) -> nn.Sequential:
    """Atrous spatial pyramid pooling: one map seen through several dilations, and as a whole."""
    dilated = [conv(channels, width, 3, dilation=rate) for rate in rates]
    return named(
        pyramid=Branches(conv(channels, width), *dilated, ImagePooling(channels, width)),
        project=conv((len(rates) + 2) * width, width),
        dropout=nn.Dropout(),
    )


class DeepLab(nn.Module):
    """Features, pyramid and classifier at an eighth of the size; logits enlarged to the image's."""

    def __init__(self, features: nn.Module, channels: int, width: int, rates: tuple[int, ...], classes: int = 21):
        super().__init__()
        self.features = features
        self.aspp = _aspp(channels, width, rates)
        self.head = nn.Sequential(conv(width, width, 3), nn.Conv2d(width, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits = self.head(self.aspp(self.features(x)))
        return functional.interpolate(logits, x.shape[-2:], mode="bilinear", align_corners=False)


def deeplabv3_resnet50() -> DeepLab:
    return DeepLab(resnet_features((3, 4, 6, 3), bottleneck, 4, dilate=2), 2048, 256, (12, 24, 36))


def deeplab_small() -> DeepLab:
    features = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), conv(32, 64, 3, 2), conv(64, 64, 3, dilation=2))
    return DeepLab(features, 64, 32, (2, 4, 6))


ENTRIES = {
    "dcgan_generator": Entry(
        dcgan_generator,
        ((100, 1, 1),),
        (3, 64, 64),
        3_576_704,
        "Radford et al., 2016, as in PyTorch's tutorial: width 64",
    ),
    "dcgan_discriminator": Entry(
        dcgan_discriminator,
        ((3, 64, 64),),
        (1,),
        2_765_568,
        "Radford et al., 2016, as in PyTorch's tutorial: width 64; a convolution over the whole map at the end",
    ),
    "patchgan": Entry(
        PatchGAN,
        ((3, 256, 256), (3, 256, 256)),
        (1, 30, 30),
        2_768_705,
        "Isola et al., 2017; 70×70 discriminator; parameters as the authors' PyTorch code has them",
        70,
        "verdict",
    ),
    "autoencoder": Entry(autoencoder, ((1, 64, 64),), (1, 64, 64), None, "of the tests' own: three halvings and back"),
    "unet": Entry(
        UNet, ((1, 572, 572),), (2, 388, 388), 31_030_658, "Ronneberger et al., 2015; figure 1: unpadded, no batch norm"
    ),
    "fcn8s": Entry(
        FCN8s,
        ((3, 224, 224),),
        (21, 224, 224),
        None,
        "Long et al., 2015; 8s on VGG-16, 134 million; padding for their 100 pixels and crop; field: their table 1",
        404,
        "fc7",
    ),
    "deeplabv3_resnet50": Entry(
        deeplabv3_resnet50,
        ((3, 224, 224),),
        (21, 224, 224),
        39_638_869,
        "Chen et al., 2017, as torchvision builds it: ResNet-50 to an eighth, rates 12, 24, 36, no auxiliary head",
    ),
    "deeplab_small": Entry(
        deeplab_small,
        ((3, 96, 128),),
        (21, 96, 128),
        None,
        "of the tests' own: DeepLabv3's head on four layers",
    ),
}
