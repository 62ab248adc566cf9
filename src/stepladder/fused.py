"""A net's training pass on a processor, with the layers between its convolutions in compiled kernels.

The module stays as it is: its parameters and statistics are those that the kernels read and write. What has no kernel
runs in torch. Results agree with torch's within rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

import numpy
import torch
from torch import nn

from stepladder.dropout import StreamDropout
from stepladder.inputs import Normalisation

_LANES = 128
"""Rows of at least this many numbers fill the processor's vectors."""

Stage = Callable[[torch.Tensor], torch.Tensor]


@cache
def missing() -> str | None:
    """Return why the kernels cannot be used here; None if they can."""
    try:
        import stepladder.kernels  # noqa: F401
    except ImportError as error:
        return f"Numba cannot be imported ({error})"
    except RuntimeError as error:
        return f"Numba finds no folder for what it compiles ({error})"
    return None


def use_threads(count: int) -> None:
    """Let the kernels and torch use this many threads each, one after the other."""
    import numba

    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(max(1, min(count, most)))
    # Numba and torch may share one OpenMP, whose number of threads Numba raises to all cores when it starts.
    torch.set_num_threads(count)


class FusedNet:
    """The training pass of a sequential module on a processor.

    Args:
        module: in channels-last memory format, with its dropout layers replaced by ``StreamDropout``.
    """

    def __init__(self, module: nn.Sequential) -> None:
        self._stages = list(_stages(list(module)))

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the module would in training mode, within rounding."""
        for stage in self._stages:
            inputs = stage(inputs)
        return inputs


def warp(images: torch.Tensor, chosen: torch.Tensor, maps: torch.Tensor, normalisation: Normalisation) -> torch.Tensor:
    """Return the chosen images through affine maps, normalised: floats (B, C, H, W) with channels last in memory.

    Args:
        images: uint8 of shape (N, C, H, W).
        chosen: int64 of shape (B,).
        maps: (B, 2, 3), as ``stepladder.augment.affine_maps`` gives them.
        normalisation: of the training images.
    """
    from stepladder import kernels

    out = torch.empty((len(chosen), *images.shape[1:]), memory_format=torch.channels_last)
    means = numpy.array(normalisation.mean, dtype=numpy.float32)
    deviations = numpy.array(normalisation.deviation, dtype=numpy.float32)
    last = out.permute(0, 2, 3, 1).numpy()
    kernels.warp(images.numpy(), chosen.numpy(), maps.numpy(), means, deviations, last)
    return out


def _stages(modules: list[nn.Module]) -> Iterator[Stage]:
    position = 0
    while position < len(modules):
        module = modules[position]
        after = modules[position + 1] if position + 1 < len(modules) else None
        if isinstance(module, nn.BatchNorm2d) and isinstance(after, nn.ReLU):
            position += 2
            dropout = next(islice(modules, position, None), None)
            if isinstance(dropout, StreamDropout):
                position += 1
            yield _Normalise(module, dropout if isinstance(dropout, StreamDropout) else None)
            continue
        yield _pool_or(module) if _is_halving(module) else module
        position += 1


class _Normalise:
    """Batch normalisation, ReLU and, where it follows, dropout."""

    def __init__(self, norm: nn.BatchNorm2d, dropout: StreamDropout | None) -> None:
        self._norm = norm
        self._dropout = dropout
        self._threshold = dropout.threshold if dropout else 0

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        norm = self._norm
        key = self._dropout.key if self._dropout and self._threshold else 0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        outputs: torch.Tensor = _NormaliseFunction.apply(  # type: ignore[no-untyped-call]
            _last(inputs),
            norm.weight,
            norm.bias,
            norm.running_mean,
            norm.running_var,
            norm.momentum,
            norm.eps,
            key,
            self._threshold,
        )
        return outputs


class _NormaliseFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        running_mean: torch.Tensor,
        running_variance: torch.Tensor,
        momentum: float,
        epsilon: float,
        key: int,
        threshold: int,
    ) -> torch.Tensor:
        from stepladder import kernels

        lanes = _lanes(x)
        y = torch.empty_like(x)
        saved = numpy.empty((2, len(weight)))
        statistics = (weight.numpy(), bias.numpy(), running_mean.numpy(), running_variance.numpy())
        kernels.normalise(_rows(x, lanes), _rows(y, lanes), *statistics, momentum, epsilon, key, threshold, saved)
        context.save_for_backward(x, y, weight)
        context.kept = (saved, threshold, lanes)
        return y

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        from stepladder import kernels

        x, y, weight = context.saved_tensors
        saved, threshold, lanes = context.kept
        dx, d_weight, d_bias = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        arrays = [_rows(tensor, lanes) for tensor in (x, y, _last(gradients[0]), dx)]
        kernels.normalise_backward(*arrays, weight.detach().numpy(), saved, threshold, d_weight.numpy(), d_bias.numpy())
        return dx, d_weight, d_bias, None, None, None, None, None, None


def _is_halving(module: nn.Module) -> bool:
    if not isinstance(module, nn.MaxPool2d):
        return False
    pairs = [value if isinstance(value, tuple) else (value, value) for value in (module.kernel_size, module.stride)]
    return pairs == [(2, 2), (2, 2)] and module.padding in (0, (0, 0)) and module.dilation in (1, (1, 1))


def _pool_or(module: nn.Module) -> Stage:
    def stage(inputs: torch.Tensor) -> torch.Tensor:
        # An odd row or column is left out by pooling; torch handles that.
        if inputs.shape[2] % 2 or inputs.shape[3] % 2:
            found: torch.Tensor = module(inputs)
            return found
        pooled: torch.Tensor = _PoolFunction.apply(_last(inputs))  # type: ignore[no-untyped-call]
        return pooled

    return stage


class _PoolFunction(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        from stepladder import kernels

        count, channels, rows, columns = x.shape
        half = (count, channels, rows // 2, columns // 2)
        y = torch.empty(half, dtype=x.dtype, memory_format=torch.channels_last)
        kernels.pool(_rows(x, 2 * columns * channels), _rows(y, columns // 2 * channels), columns // 2, channels)
        context.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        from stepladder import kernels

        x, y = context.saved_tensors
        channels, columns = x.shape[1], x.shape[3]
        dx = torch.empty_like(x)
        wide, narrow = 2 * columns * channels, columns // 2 * channels
        arrays = (_rows(x, wide), _rows(y, narrow), _rows(_last(gradients[0]), narrow), _rows(dx, wide))
        kernels.pool_backward(*arrays, columns // 2, channels)
        return dx


def _last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _lanes(tensor: torch.Tensor) -> int:
    """Return how many numbers a row has: the channels as many times over as the pixels allow, up to ``_LANES``."""
    pixels = tensor.numel() // tensor.shape[1]
    times = 1
    while tensor.shape[1] * times < _LANES and pixels % (2 * times) == 0:
        times *= 2
    return tensor.shape[1] * times


def _rows(tensor: torch.Tensor, lanes: int) -> numpy.ndarray:
    """Return a view of maps as rows of numbers; NumPy has no bfloat16, so it gets its bits."""
    flat = tensor.detach().permute(0, 2, 3, 1).reshape(-1, lanes)
    return flat.view(torch.uint16).numpy() if tensor.dtype == torch.bfloat16 else flat.numpy()
