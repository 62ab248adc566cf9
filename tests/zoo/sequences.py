"""Nets of sound, text, series, video and pairs: convolutions over one and three axes, recurrence, twins."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from .blocks import Entry, named


class CausalConv(nn.Conv1d):
    """A convolution over time that sees the present and the past only."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, ((self.kernel_size[0] - 1) * self.dilation[0], 0)))


class TemporalBlock(nn.Module):
    """Two causal convolutions with normalised weights beside a shortcut."""

    def __init__(self, channels: int, width: int, kernel: int, dilation: int):
        super().__init__()
        layers = nn.Sequential()
        for source in (channels, width):
            layers.append(weight_norm(CausalConv(source, width, kernel, dilation=dilation)))
            layers.extend([nn.ReLU(), nn.Dropout(0.05)])
        self.layers = layers
        self.shortcut = nn.Conv1d(channels, width, 1) if channels != width else None

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.layers(x) + (x if self.shortcut is None else self.shortcut(x)))


class Last(nn.Module):
    """The last time step."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., -1]


def tcn() -> nn.Sequential:
    blocks = [TemporalBlock(25 if level else 1, 25, 7, 2**level) for level in range(8)]
    return named(blocks=nn.Sequential(*blocks), last=Last(), head=nn.Linear(25, 10))


class GatedLayer(nn.Module):
    """A dilated convolution, gated; returns the sum with its input, and what it gives to the net's end."""

    def __init__(self, channels: int, skipped: int, dilation: int):
        super().__init__()
        self.dilated = CausalConv(channels, 2 * channels, 2, dilation=dilation)
        self.residual = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, skipped, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        filtered, gate = self.dilated(x).chunk(2, dim=1)
        gated = torch.tanh(filtered) * torch.sigmoid(gate)
        return x + self.residual(gated), self.skip(gated)


class WaveNet(nn.Module):
    """Logits of the next sample from one block of ten layers, whose dilation doubles from 1 to 512."""

    def __init__(self, levels: int = 256, channels: int = 32, skipped: int = 64):
        super().__init__()
        self.embed = nn.Conv1d(levels, channels, 1)
        self.layers = nn.ModuleList(GatedLayer(channels, skipped, 2**power) for power in range(10))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(skipped, skipped, 1), nn.ReLU(), nn.Conv1d(skipped, levels, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        skips = []
        for layer in self.layers:
            x, skip = layer(x)
            skips.append(skip)
        return self.head(torch.stack(skips).sum(0))


def c3d() -> nn.Sequential:
    features = nn.Sequential()
    channels = 3
    for index, (width, depth) in enumerate([(64, 1), (128, 1), (256, 2), (512, 2), (512, 2)], start=1):
        for _ in range(depth):
            features.extend([nn.Conv3d(channels, width, 3, padding=1), nn.ReLU()])
            channels = width
        # The first pooling leaves time alone, so that motion is not merged early.
        features.append(nn.MaxPool3d((1, 2, 2) if index == 1 else 2, ceil_mode=True))
    linear = [nn.Linear(512 * 4 * 4, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
    return named(features=features, flatten=nn.Flatten(), head=nn.Sequential(*linear, nn.Linear(4096, 487)))


class TextClassifier(nn.Module):
    """Tokens through an LSTM that runs both ways; the last states of both directions are classified."""

    def __init__(self, vocabulary: int = 10_000, embedded: int = 128, hidden: int = 256, classes: int = 2):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, embedded)
        self.lstm = nn.LSTM(embedded, hidden, num_layers=2, batch_first=True, dropout=0.5, bidirectional=True)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (states, _) = self.lstm(self.tokens(tokens))
        return self.head(torch.cat([states[-2], states[-1]], dim=1))


class LanguageModel(nn.Module):
    """The next word's logits at every position."""

    def __init__(self, vocabulary: int = 10_000, channels: int = 650):
        super().__init__()
        self.words = nn.Embedding(vocabulary, channels)
        self.lstm = nn.LSTM(channels, channels, num_layers=2, batch_first=True, dropout=0.5)
        self.head = nn.Linear(channels, vocabulary)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.lstm(self.words(words))[0])


class Forecaster(nn.Module):
    """The next value of each series, from the last state of a GRU."""

    def __init__(self, series: int = 8, hidden: int = 64):
        super().__init__()
        self.gru = nn.GRU(series, hidden, batch_first=True)
        self.head = nn.Linear(hidden, series)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[0][:, -1])


class CRNN(nn.Module):
    """Convolutions whose pooling halves the height more often than the width, then LSTMs along the width."""

    def __init__(self, classes: int = 37):
        super().__init__()
        self.features = nn.Sequential()
        channels = 1
        table: list[tuple[int, bool, tuple[int, int] | None]] = [  # channels, batch norm, stride of the pooling
            (64, False, (2, 2)),
            (128, False, (2, 2)),
            (256, False, None),
            (256, False, (2, 1)),
            (512, True, None),
            (512, True, (2, 1)),
        ]
        for width, norm, pool in table:
            self.features.append(nn.Conv2d(channels, width, 3, padding=1))
            self.features.extend([*([nn.BatchNorm2d(width)] if norm else []), nn.ReLU()])
            if pool:
                self.features.append(nn.MaxPool2d(2, pool, (0, 2 - pool[1])))
            channels = width
        self.features.extend([nn.Conv2d(512, 512, 2), nn.ReLU()])
        self.lower = nn.LSTM(512, 256, bidirectional=True, batch_first=True)
        self.between = nn.Linear(512, 256)
        self.upper = nn.LSTM(256, 256, bidirectional=True, batch_first=True)
        self.head = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        columns = self.features(x).squeeze(2).transpose(1, 2)
        return self.head(self.upper(self.between(self.lower(columns)[0]))[0])


class Siamese(nn.Module):
    """How probable it is that two characters are the same: one twin sees both images."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = nn.Sequential()
        channels = 1
        for width, kernel in [(64, 10), (128, 7), (128, 4), (256, 4)]:
            pool = [nn.MaxPool2d(2)] if width < 256 else []
            self.twin.extend([nn.Conv2d(channels, width, kernel), nn.ReLU(), *pool])
            channels = width
        self.twin.extend([nn.Flatten(), nn.Linear(9216, 4096), nn.Sigmoid()])
        self.verdict = nn.Linear(4096, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.sigmoid(self.verdict(torch.abs(self.twin(first) - self.twin(second))))


def _text(build: Callable[[], nn.Module], output: tuple[int, ...], reference: str) -> Entry:
    return Entry(build, ((35,),), output, None, reference, dtypes=(torch.long,))


ENTRIES = {
    "tcn": Entry(
        tcn,
        ((1, 784),),
        (10,),
        None,
        "Bai et al., 2018; sequential MNIST: 8 levels, 25 channels, kernel 7, 70 thousand; field by their rule",
        1 + 2 * (7 - 1) * (2**8 - 1),
        "blocks",
    ),
    "wavenet": Entry(
        WaveNet,
        ((256, 2048),),
        (256, 2048),
        None,
        "van den Oord et al., 2016; one block of ten layers, narrow; they give its field",
        1024,
        "head",
    ),
    "c3d": Entry(c3d, ((3, 16, 112, 112),), (487,), None, "Tran et al., 2015; Sports-1M, pooling rounds up"),
    "lstm_classifier": _text(
        TextClassifier, (2,), "of the tests' own: Hochreiter and Schmidhuber's LSTM, 1997, both ways"
    ),
    "lstm_language_model": _text(LanguageModel, (35, 10_000), "Zaremba et al., 2014; medium, about 20 million"),
    "gru_forecaster": Entry(Forecaster, ((96, 8),), (8,), None, "of the tests' own: the GRU of Cho et al., 2014"),
    "crnn": Entry(
        CRNN, ((1, 32, 100),), (26, 37), None, "Shi et al., 2017; text in images, 36 characters and blank, 8.3 million"
    ),
    "siamese": Entry(
        Siamese,
        ((1, 105, 105), (1, 105, 105)),
        (1,),
        38_951_745,
        "Koch et al., 2015; Omniglot, figure 4",
    ),
}
