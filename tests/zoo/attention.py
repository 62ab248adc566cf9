"""Nets of attention: ViT, Swin, GPT-2, BERT, the transformer of encoder and decoder; and MLP-Mixer, its rival."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Entry, Residual, named

IMAGE = ((3, 224, 224),)


def perceptron(channels: int, hidden: int, activation: type[nn.Module] = nn.GELU, **options: str) -> nn.Sequential:
    """Two linear layers over the last axis."""
    return nn.Sequential(nn.Linear(channels, hidden), activation(**options), nn.Linear(hidden, channels))


class Transpose(nn.Module):
    """The last two axes exchanged."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class SelfAttention(nn.Module):
    """torch's multi-head attention of a sequence with itself."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return mixed


class FusedAttention(nn.Module):
    """Causal self-attention by torch's one function for it, queries, keys and values from one linear layer."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.queries_keys_values = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.queries_keys_values(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts.unbind(0), is_causal=True)
        return self.project(mixed.transpose(1, 2).flatten(2))


def _before(norm: nn.Module, mixing: nn.Module) -> Residual:
    """A residual branch that normalises first."""
    return Residual(named(norm=norm, mixing=mixing))


class Patches(nn.Sequential):
    """An image as a sequence of vectors, one a patch."""

    def __init__(self, channels: int, patch: int):
        super().__init__(nn.Conv2d(3, channels, patch, patch), nn.Flatten(2), Transpose())


class ViT(nn.Module):
    """Patches and a class token through an encoder; the token's last state is classified."""

    def __init__(self, channels: int = 768, depth: int = 12, heads: int = 12, patch: int = 16, image: int = 224):
        super().__init__()
        self.patches = Patches(channels, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, channels))
        self.positions = nn.Parameter(torch.zeros(1, (image // patch) ** 2 + 1, channels))
        self.blocks = nn.Sequential()
        for _ in range(depth):
            self.blocks.append(_before(nn.LayerNorm(channels, eps=1e-6), SelfAttention(channels, heads)))
            self.blocks.append(_before(nn.LayerNorm(channels, eps=1e-6), perceptron(channels, 4 * channels)))
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.head = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1) + self.positions
        return self.head(self.norm(self.blocks(tokens))[:, 0])


class Mean(nn.Module):
    """The mean over a sequence."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def mixer_b16() -> nn.Sequential:
    net = named(patches=Patches(768, 16))
    for index in range(12):
        over_patches = nn.Sequential(Transpose(), perceptron(196, 384), Transpose())
        net.add_module(f"tokens{index}", _before(nn.LayerNorm(768), over_patches))
        net.add_module(f"channels{index}", _before(nn.LayerNorm(768), perceptron(768, 3072)))
    for name, module in named(norm=nn.LayerNorm(768), mean=Mean(), head=nn.Linear(768, 1000)).named_children():
        net.add_module(name, module)
    return net


class WindowAttention(nn.Module):
    """Self-attention within square windows of a map (batch, height, width, channels), shifted or not."""

    def __init__(self, channels: int, heads: int, window: int, shift: int):
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.queries_keys_values = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        # Which bias holds for a pair of pixels depends on how far apart they are along each axis.
        row, column = torch.arange(window * window) // window, torch.arange(window * window) % window
        rows, columns = (axis[:, None] - axis[None, :] + window - 1 for axis in (row, column))
        self.register_buffer("which", rows * (2 * window - 1) + columns)

    def _windows(self, x: Tensor) -> Tensor:
        """(batch, height, width, channels) to (batch, windows, pixels of a window, channels)."""
        batch, height, width, channels = x.shape
        size = self.window
        x = x.view(batch, height // size, size, width // size, size, channels)
        return x.transpose(2, 3).reshape(batch, -1, size * size, channels)

    def _apart(self, height: int, width: int, like: Tensor) -> Tensor:
        """-100 for pairs of pixels that only the shift's wrapping round has brought into one window, else 0."""

        def regions(length: int) -> Tensor:
            position = torch.arange(length, device=like.device)
            return (position >= length - self.window).to(like.dtype) + (position >= length - self.shift).to(like.dtype)

        region = self._windows((3 * regions(height)[:, None] + regions(width))[None, :, :, None]).squeeze(-1)
        return (region[:, :, None, :] != region[:, :, :, None]).to(like.dtype)[:, :, None] * -100.0

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        size, shift = self.window, self.shift
        shifted = torch.roll(x, (-shift, -shift), (1, 2)) if shift else x
        parts = self.queries_keys_values(self._windows(shifted)).unflatten(3, (3, self.heads, -1))
        queries, keys, values = parts.permute(3, 0, 1, 4, 2, 5).unbind(0)
        scores = queries @ keys.transpose(-2, -1) * (channels // self.heads) ** -0.5
        scores = scores + self.bias[self.which].permute(2, 0, 1)
        if shift:
            scores = scores + self._apart(height, width, x)
        mixed = self.project((scores.softmax(-1) @ values).transpose(2, 3).flatten(3))
        mixed = mixed.view(batch, height // size, width // size, size, size, channels).transpose(2, 3).reshape(x.shape)
        return torch.roll(mixed, (shift, shift), (1, 2)) if shift else mixed


class MergePatches(nn.Module):
    """Each 2×2 pixels joined into one of twice the channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduce(self.norm(torch.cat(corners, dim=-1)))


class Swin(nn.Module):
    """Attention in windows that every second block shifts by half; maps shrink from stage to stage."""

    def __init__(self, channels: int = 96, window: int = 7):
        super().__init__()
        self.patches = nn.Conv2d(3, channels, 4, 4)
        self.stages = nn.Sequential(nn.LayerNorm(channels))
        for index, (depth, heads) in enumerate([(2, 3), (2, 6), (6, 12), (2, 24)]):
            if index > 0:
                self.stages.append(MergePatches(channels))
                channels *= 2
            for position in range(depth):
                # The last stage's map is one window: there is nothing to shift.
                shift = window // 2 if position % 2 and index < 3 else 0
                attention = WindowAttention(channels, heads, window, shift)
                self.stages.append(_before(nn.LayerNorm(channels), attention))
                self.stages.append(_before(nn.LayerNorm(channels), perceptron(channels, 4 * channels)))
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 1000)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.stages(self.patches(x).permute(0, 2, 3, 1))
        return self.head(self.norm(pixels).mean((1, 2)))


class GPT2(nn.Module):
    """The next token's logits at every position; the head's weight is the token embedding's."""

    def __init__(
        self, vocabulary: int = 50257, context: int = 1024, channels: int = 768, depth: int = 12, heads: int = 12
    ):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, channels)
        self.positions = nn.Embedding(context, channels)
        self.blocks = nn.Sequential()
        for _ in range(depth):
            self.blocks.append(_before(nn.LayerNorm(channels), FusedAttention(channels, heads)))
            hidden = perceptron(channels, 4 * channels, approximate="tanh")
            self.blocks.append(_before(nn.LayerNorm(channels), hidden))
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        place = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.tokens(tokens) + self.positions(place))))


class BERT(nn.Module):
    """The pooled state of the first token: torch's encoder layers between embeddings and a pooler."""

    def __init__(self, vocabulary: int = 30522, context: int = 512, channels: int = 768, depth: int = 12):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, channels)
        self.positions = nn.Embedding(context, channels)
        self.segments = nn.Embedding(2, channels)
        self.norm = nn.LayerNorm(channels, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            channels, 12, 4 * channels, activation="gelu", layer_norm_eps=1e-12, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.pooler = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        place = torch.arange(tokens.shape[1], device=tokens.device)
        states = self.norm(self.tokens(tokens) + self.positions(place) + self.segments(segments))
        return torch.tanh(self.pooler(self.encoder(states)[:, 0]))


def transformer() -> nn.Transformer:
    return nn.Transformer(batch_first=True)


ENTRIES = {
    "vit_b16": Entry(ViT, IMAGE, (1000,), 86_567_656, "Dosovitskiy et al., 2021; base, patches of 16", gigamacs=17.564),
    "mixer_b16": Entry(mixer_b16, IMAGE, (1000,), 59_880_472, "Tolstikhin et al., 2021; base, patches of 16; as timm"),
    "swin_t": Entry(
        Swin, IMAGE, (1000,), 28_288_354, "Liu et al., 2021; tiny, window 7, without stochastic depth", gigamacs=4.491
    ),
    "gpt2_small": Entry(
        GPT2,
        ((1024,),),
        (1024, 50257),
        124_439_808,
        "Radford et al., 2019; small, the head tied to the embedding",
        dtypes=(torch.long,),
    ),
    "bert_base": Entry(
        BERT,
        ((128,), (128,)),
        (768,),
        109_482_240,
        "Devlin et al., 2019; base, uncased vocabulary, with pooler and without the heads of pretraining",
        dtypes=(torch.long, torch.long),
    ),
    "transformer": Entry(
        transformer,
        ((10, 512), (20, 512)),
        (20, 512),
        None,
        "Vaswani et al., 2017; base, as torch.nn.Transformer builds it: final norms, no embeddings",
    ),
}
