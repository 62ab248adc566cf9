"""Which nets the engine trains, and what it has to know of them: blocks, each a convolution and what follows.

A block is a convolution (or a linear layer, which is a convolution over the whole map), then batch normalisation, ReLU,
dropout and pooling, each of them or not, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from stepladder.dropout import StreamDropout
from stepladder.engine import UnsupportedNet

Pair = tuple[int, int]

_WIDEST = 128
"""Channels of a layer; wider ones fill the processor's vectors without help."""
_LONGEST = 8192
"""Vectors of a layer's weights: kernels are written out, and longer ones would take long to compile."""


@dataclass(frozen=True)
class Block:
    """One convolution and what follows it, with all its sizes; pairs are (rows, columns).

    Args:
        index: which block of the net, from 0.
        inputs: channels that come in.
        outputs: channels that go out.
        size: of the map that comes in.
        kernel: of the convolution.
        stride: likewise.
        padding: likewise.
        dilation: likewise.
        window: of the pooling; (1, 1) where there is none. Its stride is its size.
        pooling: "max" or "average".
        has_bias: whether the convolution adds one.
        has_norm: whether batch normalisation follows.
        has_relu: whether ReLU follows.
        has_dropout: whether dropout follows.
        is_linear: whether the weights are a linear layer's, whose inputs are flattened channel by channel.
    """

    index: int
    inputs: int
    outputs: int
    size: Pair
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    window: Pair
    pooling: str
    has_bias: bool
    has_norm: bool
    has_relu: bool
    has_dropout: bool
    is_linear: bool

    @property
    def out(self) -> Pair:
        """Return the size of the convolution's output."""
        rows, columns = (
            (self.size[axis] + 2 * self.padding[axis] - self.dilation[axis] * (self.kernel[axis] - 1) - 1)
            // self.stride[axis]
            + 1
            for axis in (0, 1)
        )
        return rows, columns

    @property
    def pooled(self) -> Pair:
        """Return the size of the block's output."""
        return self.out[0] // self.window[0], self.out[1] // self.window[1]

    @property
    def lanes_in(self) -> int:
        """Return the channels that come in as they lie in memory: the first block's as they are, others rounded up."""
        return self.inputs if self.index == 0 else _rounded(self.inputs)

    @property
    def lanes_out(self) -> int:
        """Return the channels that go out as they lie in memory, in multiples of 4."""
        return _rounded(self.outputs)

    @property
    def padded(self) -> Pair:
        """Return the size of the map that comes in with its padding."""
        return self.size[0] + 2 * self.padding[0], self.size[1] + 2 * self.padding[1]

    @property
    def spread(self) -> Pair:
        """Return the size of the gradient's map with the zeros around and between that a convolution back needs."""
        rows, columns = (self.size[axis] + self.dilation[axis] * (self.kernel[axis] - 1) for axis in (0, 1))
        return rows, columns

    @property
    def margin(self) -> Pair:
        """Return the zeros before the first gradient in that map."""
        rows, columns = (self.dilation[axis] * (self.kernel[axis] - 1) - self.padding[axis] for axis in (0, 1))
        return rows, columns


@dataclass(frozen=True)
class Layers:
    """The modules of a block that hold parameters, statistics and dropout."""

    convolution: nn.Conv2d | nn.Linear
    norm: nn.BatchNorm2d | None
    dropout: StreamDropout | None


def plan(module: nn.Module, input_shape: tuple[int, int, int]) -> tuple[tuple[Block, ...], tuple[Layers, ...]]:
    """Return the net's blocks and the modules behind them.

    Args:
        module: whose dropout layers are ``StreamDropout``.
        input_shape: channels, rows, columns.

    Raises:
        UnsupportedNet: if a layer or its place has no kernel.
    """
    if not isinstance(module, nn.Sequential):
        raise UnsupportedNet("only sequences of layers have kernels")
    modules = [child for child in module if not isinstance(child, nn.Identity)]
    channels, *size = input_shape
    blocks: list[Block] = []
    layers: list[Layers] = []
    place = (size[0], size[1])
    while modules:
        block, found, modules = _block(len(blocks), modules, channels, place)
        blocks.append(block)
        layers.append(found)
        channels, place = block.outputs, block.pooled
    if not blocks or place != (1, 1):
        raise UnsupportedNet("the net does not end in one value a class")
    return tuple(blocks), tuple(layers)


def _block(index: int, modules: list[nn.Module], channels: int, size: Pair) -> tuple[Block, Layers, list[nn.Module]]:
    rest = list(modules)

    def take(kind: type[nn.Module]) -> nn.Module | None:
        return rest.pop(0) if rest and isinstance(rest[0], kind) else None

    take(nn.Flatten)
    convolution = rest.pop(0) if rest else None
    if not isinstance(convolution, nn.Conv2d | nn.Linear):
        raise UnsupportedNet(f"{_name(convolution)} stands where a convolution or a linear layer has to")
    norm = take(nn.BatchNorm2d) or take(nn.BatchNorm1d)
    relu = take(nn.ReLU)
    dropout = take(StreamDropout)
    pool = take(nn.MaxPool2d) or take(nn.AvgPool2d) or take(nn.AdaptiveAvgPool2d)
    if norm is not None and not (norm.affine and norm.track_running_stats and norm.momentum is not None):
        raise UnsupportedNet("this batch normalisation keeps no weights or running statistics")
    if isinstance(convolution, nn.Linear):
        kernel, stride, padding, dilation = size, (1, 1), (0, 0), (1, 1)
        inputs, outputs = channels, convolution.out_features
        if convolution.in_features != channels * size[0] * size[1]:
            raise UnsupportedNet("the linear layer does not take the whole map")
    else:
        if convolution.groups != 1 or convolution.padding_mode != "zeros" or isinstance(convolution.padding, str):
            raise UnsupportedNet("groups and other padding than zeros have no kernels")
        kernel, stride, padding, dilation = (
            (value[0], value[1])
            for value in (convolution.kernel_size, convolution.stride, convolution.padding, convolution.dilation)
        )
        inputs, outputs = convolution.in_channels, convolution.out_channels
    bare = Block(
        index=index,
        inputs=inputs,
        outputs=outputs,
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        window=(1, 1),
        pooling="max",
        has_bias=convolution.bias is not None,
        has_norm=norm is not None,
        has_relu=relu is not None,
        has_dropout=dropout is not None,
        is_linear=isinstance(convolution, nn.Linear),
    )
    if min(bare.margin) < 0 or min(bare.out) < 1:
        raise UnsupportedNet("padding wider than the kernel has no kernel")
    length = kernel[0] * kernel[1] * inputs * -(-outputs // 16)
    if max(inputs if index else 0, outputs) > _WIDEST or length > _LONGEST:
        raise UnsupportedNet("the layer is so wide that torch is the better choice")
    window, pooling = _window(pool, bare.out)
    block = replace(bare, window=window, pooling=pooling)
    return block, Layers(convolution, norm, dropout), rest  # type: ignore[arg-type]


def _window(pool: nn.Module | None, size: Pair) -> tuple[Pair, str]:
    if pool is None:
        return (1, 1), "max"
    if isinstance(pool, nn.AdaptiveAvgPool2d):
        if pool.output_size not in (1, (1, 1)):
            raise UnsupportedNet("adaptive pooling to more than one value has no kernel")
        return size, "average"
    assert isinstance(pool, nn.MaxPool2d | nn.AvgPool2d)
    window, stride, padding = (_pair(value) for value in (pool.kernel_size, pool.stride, pool.padding))
    dilation = _pair(getattr(pool, "dilation", 1))
    if (stride != window and window != size) or padding != (0, 0) or dilation != (1, 1) or pool.ceil_mode:
        raise UnsupportedNet("pooling whose windows overlap or reach over the edge has no kernel")
    if window[0] > size[0] or window[1] > size[1]:
        raise UnsupportedNet("the pooling's window is larger than the map")
    return window, "max" if isinstance(pool, nn.MaxPool2d) else "average"


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _rounded(channels: int) -> int:
    return -(-channels // 4) * 4


def _name(module: nn.Module | None) -> str:
    return "nothing" if module is None else type(module).__name__
