"""Nets that docs/inspect.md describes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution with batch normalisation and ReLU that keeps the map's size where its stride is 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, 3, stride)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the sum of both ways."""
        return torch.relu(self.norm(self.second(self.first(maps))) + self.shortcut(maps))


class Branches(nn.Module):
    """Kernels of several sizes and a pooling side by side, as in Inception."""

    def __init__(self, inputs: int, each: int) -> None:
        super().__init__()
        self.one = convolution(inputs, each, 1)
        self.three = nn.Sequential(convolution(inputs, each // 2, 1), convolution(each // 2, each, 3))
        self.five = nn.Sequential(convolution(inputs, each // 2, 1), convolution(each // 2, each, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), convolution(inputs, each, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the channels of all branches."""
        return torch.cat([branch(maps) for branch in (self.one, self.three, self.five, self.pool)], dim=1)


def residual(classes: int = 10, width: int = 16) -> nn.Sequential:
    """Return a small residual net for 3×32×32."""
    return nn.Sequential(
        convolution(3, width, 3),
        Residual(width, width),
        Residual(width, 2 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )


def inception(classes: int = 10) -> nn.Sequential:
    """Return a small net of branches for 3×32×32."""
    return nn.Sequential(
        convolution(3, 16, 3),
        nn.MaxPool2d(2),
        Branches(16, 8),
        Branches(32, 16),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


class Careless(nn.Module):
    """A net for 1×28×28 with much that is worth finding."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.wide = nn.Conv2d(8, 64, 3)
        self.dense = nn.Linear(64 * 12 * 12, 10)
        self.extra = nn.Linear(10, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities."""
        maps = torch.relu(self.norm(self.first(images)))
        maps = torch.max_pool2d(torch.relu(self.wide(maps)), 2)
        return torch.softmax(self.dense(maps.flatten(1)), dim=1)


def tutorial() -> nn.Sequential:
    """Return a net that was written for 3×32×32."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.ReLU(),
        nn.Linear(120, 10),
    )


class Transformer(nn.Module):
    """A language model whose output weights are its input's."""

    def __init__(self, width: int = 2048, depth: int = 20, words: int = 50_000) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 16, 4 * width, batch_first=True, norm_first=True) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Return a score for every word at every place."""
        values = self.words(tokens)
        for block in self.blocks:
            values = block(values)
        scores: Tensor = self.head(self.norm(values))
        return scores
