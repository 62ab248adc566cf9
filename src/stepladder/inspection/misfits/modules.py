"""Which rule knows which kind of torch module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules import activation, batchnorm, conv, padding, pooling, rnn

from stepladder.inspection.misfits import maps, values
from stepladder.inspection.misfits.given import Given, Misfit


def of_module(module: nn.Module, given: Given) -> Misfit | None:
    """Return why the module cannot take what it is given; None if that fits or nothing is known about its kind."""
    if not given.shapes or any(nn.parameter.is_lazy(one) for one in module.parameters(recurse=False)):
        return None
    for kinds, rule in _RULES:
        if isinstance(module, kinds):
            return rule(module, given)
    return None


_RULES: tuple[tuple[Any, Callable[[Any, Given], Misfit | None]], ...] = (
    (conv._ConvNd, maps.convolution),
    (nn.Linear, values.linear),
    ((batchnorm._NormBase, nn.GroupNorm), values.norm),
    ((nn.LayerNorm, nn.RMSNorm), values.layer_norm),
    (nn.PReLU, values.prelu),
    ((pooling._MaxPoolNd, pooling._AvgPoolNd), maps.pool),
    ((pooling._AdaptiveAvgPoolNd, pooling._AdaptiveMaxPoolNd), maps.adaptive),
    ((nn.Embedding, nn.EmbeddingBag), values.embedding),
    ((rnn.RNNBase, rnn.RNNCellBase), values.recurrent),
    (activation.MultiheadAttention, values.attention),
    (nn.Bilinear, values.bilinear),
    (nn.PixelShuffle, maps.shuffle),
    ((padding._ReflectionPadNd, padding._CircularPadNd), maps.padded),
    (nn.Flatten, values.flatten),
)
