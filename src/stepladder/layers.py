"""The kinds of layer a net is made of; everything there is to say about a kind stands in one place.

Each kind gives its notation, its torch module, its output shape, its parameters and multiply-accumulates, and how
it changes the receptive field. Nothing here imports torch until a module is built.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from stepladder.errors import ShapeError

if TYPE_CHECKING:
    from torch import nn

Pair = tuple[int, int]
Shape = tuple[int, ...]
"""(channels, rows, columns) of feature maps, or (features,) once flattened; never with the batch."""


@dataclass(frozen=True)
class Window:
    """How a layer looks at its input along each axis: what shapes and receptive fields follow from."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)

    def reach(self, axis: int) -> int:
        """Return the input positions that one output spans along an axis: d(k - 1) + 1."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def output_size(self, size: int, axis: int) -> int:
        """Return floor((n + 2p - d(k-1) - 1) / s) + 1, the outputs along an axis; below 1 it does not fit."""
        return (size + 2 * self.padding[axis] - self.reach(axis)) // self.stride[axis] + 1


class Layer(ABC):
    """One elementary layer: one torch module, one row of the summary."""

    kind: ClassVar[str]
    """The name of the torch module, which the summary prints."""
    teaching: ClassVar[str]
    """What the layer does, in one line."""
    keeps: ClassVar[frozenset[str]] = frozenset()
    """What training keeps of it for the backward pass: its "input", its "output", its "indices" (8 bytes for each value
    of the output: where a maximum was), its "mask" (1 byte for each: what was dropped) or its "statistics" (mean and
    deviation of each channel)."""

    @abstractmethod
    def token(self) -> str:
        """Return the layer in the notation."""

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that comes out.

        Raises:
            ShapeError: if the layer does not fit; the net adds which layer it is.
        """

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Return the torch module for inputs of this shape."""

    def module_name(self, shape: Shape) -> str:
        """Return the name of the torch module that is built for inputs of this shape."""
        return self.kind

    def window(self, shape: Shape) -> Window | None:
        """Return how the layer looks at maps of this shape; None if it takes each position by itself."""
        return None

    def parameters(self, shape: Shape) -> int:
        """Return the trainable parameters for inputs of this shape."""
        return 0

    def macs(self, shape: Shape) -> int:
        """Return the multiply-accumulates for one image; those of convolutions and linear layers are counted."""
        return 0


class Weighted(Layer):
    """A layer with a weight matrix or kernel: what chains follow, and the last of which gives the logits."""


@dataclass(frozen=True)
class Convolution(Weighted):
    """``8C3``: 8 channels out of 3×3 kernels."""

    kind: ClassVar[str] = "Conv2d"
    teaching: ClassVar[str] = "slides small filters over the maps; each filter makes one output channel"
    keeps: ClassVar[frozenset[str]] = frozenset({"input"})
    channels: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = False

    def token(self) -> str:
        """Return the layer in the notation."""
        suffixes = _suffix("s", self.stride, (1, 1)) + _suffix("p", self.padding, (0, 0))
        suffixes += _suffix("d", self.dilation, (1, 1))
        suffixes += f"g{self.groups}" if self.groups != 1 else ""
        return f"{self.channels}C{_pair(self.kernel)}{suffixes}{'b' if self.bias else ''}"

    def window(self, shape: Shape) -> Window:
        """Return the convolution's kernel, stride, padding and dilation."""
        return Window(self.kernel, self.stride, self.padding, self.dilation)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, rows, columns)."""
        _needs_maps(shape, "a convolution")
        for count, what in ((shape[0], "input"), (self.channels, "output")):
            if count % self.groups:
                raise ShapeError(
                    f"{self.groups} groups do not divide {count} {what} channels",
                    repair=f"choose a number of groups that divides both {shape[0]} and {self.channels}",
                )
        return (self.channels, *_windowed(self.window(shape), shape))

    def parameters(self, shape: Shape) -> int:
        """Return weights and, if there are any, biases."""
        weights = self.channels * (shape[0] // self.groups) * prod(self.kernel)
        return weights + (self.channels if self.bias else 0)

    def macs(self, shape: Shape) -> int:
        """Return kernel size × input channels a group × output values."""
        return prod(self.output_shape(shape)) * (shape[0] // self.groups) * prod(self.kernel)

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.Conv2d."""
        from torch import nn

        return nn.Conv2d(
            shape[0],
            self.channels,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            bias=self.bias,
        )


@dataclass(frozen=True)
class Linear(Weighted):
    """``10F``: 10 values, each from all inputs."""

    kind: ClassVar[str] = "Linear"
    teaching: ClassVar[str] = "weighs every input for every output; it holds many parameters"
    keeps: ClassVar[frozenset[str]] = frozenset({"input"})
    features: int
    bias: bool = False

    def token(self) -> str:
        """Return the layer in the notation."""
        return f"{self.features}F{'b' if self.bias else ''}"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (features,)."""
        if len(shape) != 1:
            raise ShapeError("a linear layer needs a flat input", repair="put FL before it")
        return (self.features,)

    def parameters(self, shape: Shape) -> int:
        """Return weights and, if there are any, biases."""
        return self.features * (shape[0] + (1 if self.bias else 0))

    def macs(self, shape: Shape) -> int:
        """Return inputs × outputs."""
        return self.features * shape[0]

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.Linear."""
        from torch import nn

        return nn.Linear(shape[0], self.features, bias=self.bias)


@dataclass(frozen=True)
class _Pooling(Layer):
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    letters: ClassVar[str]

    def token(self) -> str:
        """Return the layer in the notation; the stride is named where it is not the kernel."""
        suffixes = _suffix("s", self.stride, self.kernel) + _suffix("p", self.padding, (0, 0))
        return f"{self.letters}{_pair(self.kernel)}{suffixes}"

    def window(self, shape: Shape) -> Window:
        """Return the pooling's kernel, stride and padding."""
        return Window(self.kernel, self.stride, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape with fewer rows and columns."""
        _needs_maps(shape, "pooling")
        if any(2 * padding > kernel for padding, kernel in zip(self.padding, self.kernel, strict=True)):
            raise ShapeError(
                f"pooling pads by {_pair(self.padding)}, more than half its kernel {_pair(self.kernel)}",
                repair="pad less",
            )
        return (shape[0], *_windowed(self.window(shape), shape))


@dataclass(frozen=True)
class MaxPool(_Pooling):
    """``MP2``: the largest value of each 2×2 window."""

    kind: ClassVar[str] = "MaxPool2d"
    teaching: ClassVar[str] = "keeps the strongest answer of each window and shrinks the maps"
    keeps: ClassVar[frozenset[str]] = frozenset({"input", "indices"})
    letters: ClassVar[str] = "MP"

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.MaxPool2d."""
        from torch import nn

        return nn.MaxPool2d(self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class AveragePool(_Pooling):
    """``AP2``: the mean of each 2×2 window."""

    kind: ClassVar[str] = "AvgPool2d"
    teaching: ClassVar[str] = "keeps the mean of each window and shrinks the maps"
    keeps: ClassVar[frozenset[str]] = frozenset({"input"})
    letters: ClassVar[str] = "AP"

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.AvgPool2d."""
        from torch import nn

        return nn.AvgPool2d(self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """``GAP``: the mean of each whole map."""

    kind: ClassVar[str] = "AvgPool2d"
    teaching: ClassVar[str] = "turns each whole map into its mean, without any parameters"
    keeps: ClassVar[frozenset[str]] = frozenset({"input"})

    def token(self) -> str:
        """Return the layer in the notation."""
        return "GAP"

    def window(self, shape: Shape) -> Window:
        """Return a window as large as the map, which moves by 1 as in the guide's table."""
        return Window((shape[1], shape[2]))

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channels, 1, 1)."""
        _needs_maps(shape, "global average pooling")
        return (shape[0], 1, 1)

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.AvgPool2d of the whole map."""
        from torch import nn

        return nn.AvgPool2d((shape[1], shape[2]), stride=1)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """``BN``: each channel scaled to mean 0 and deviation 1 over the batch, then by two learned numbers."""

    kind: ClassVar[str] = "BatchNorm2d"
    teaching: ClassVar[str] = "keeps each channel's mean and spread steady, so that training is fast and stable"
    keeps: ClassVar[frozenset[str]] = frozenset({"input", "statistics"})

    def token(self) -> str:
        """Return the layer in the notation."""
        return "BN"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape as it came."""
        return shape

    def module_name(self, shape: Shape) -> str:
        """Return BatchNorm1d once the input is flat."""
        return "BatchNorm1d" if len(shape) == 1 else self.kind

    def parameters(self, shape: Shape) -> int:
        """Return two a channel: scale and shift."""
        return 2 * shape[0]

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.BatchNorm2d, or BatchNorm1d once the input is flat."""
        from torch import nn

        return nn.BatchNorm1d(shape[0]) if len(shape) == 1 else nn.BatchNorm2d(shape[0])


@dataclass(frozen=True)
class _Activation(Layer):
    def token(self) -> str:
        """Return the layer in the notation."""
        return self.kind

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape as it came."""
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return torch's module of the same name."""
        from torch import nn

        module: nn.Module = getattr(nn, self.kind)()
        return module


@dataclass(frozen=True)
class ReLU(_Activation):
    """``ReLU``: negative values become 0."""

    kind: ClassVar[str] = "ReLU"
    teaching: ClassVar[str] = "cuts off negative values; without it stacked layers would be one layer"
    keeps: ClassVar[frozenset[str]] = frozenset({"output"})


@dataclass(frozen=True)
class SiLU(_Activation):
    """``SiLU``: x times its logistic function, a smooth ReLU."""

    kind: ClassVar[str] = "SiLU"
    teaching: ClassVar[str] = "a smooth ReLU: it lets small negative values through"
    keeps: ClassVar[frozenset[str]] = frozenset({"input"})


@dataclass(frozen=True)
class GELU(_Activation):
    """``GELU``: x times the normal distribution function of x."""

    kind: ClassVar[str] = "GELU"
    teaching: ClassVar[str] = "a smooth ReLU: it weighs values by how likely they are to be large"
    keeps: ClassVar[frozenset[str]] = frozenset({"input"})


@dataclass(frozen=True)
class Dropout(Layer):
    """``D0.05``: each value is dropped with probability 0.05 while training."""

    kind: ClassVar[str] = "Dropout"
    teaching: ClassVar[str] = "drops values at random while training, so that no unit relies on another"
    keeps: ClassVar[frozenset[str]] = frozenset({"mask"})
    probability: float

    def token(self) -> str:
        """Return the layer in the notation."""
        return f"D{self.probability!r}" if self.probability else "D0"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape as it came."""
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.Dropout."""
        from torch import nn

        return nn.Dropout(self.probability)


@dataclass(frozen=True)
class Flatten(Layer):
    """``FL``: maps laid out in one row."""

    kind: ClassVar[str] = "Flatten"
    teaching: ClassVar[str] = "lays all maps out in one row for the linear layers"

    def token(self) -> str:
        """Return the layer in the notation."""
        return "FL"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (values,)."""
        return (prod(shape),)

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.Flatten."""
        from torch import nn

        return nn.Flatten()


@dataclass(frozen=True)
class Softmax(Layer):
    """``SM``: probabilities out of logits, for nets that are not trained with cross-entropy, which does this itself."""

    kind: ClassVar[str] = "Softmax"
    teaching: ClassVar[str] = (
        "turns logits into probabilities; cross-entropy does so itself, so leave it out in training"
    )
    keeps: ClassVar[frozenset[str]] = frozenset({"output"})

    def token(self) -> str:
        """Return the layer in the notation."""
        return "SM"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape as it came."""
        return shape

    def build(self, shape: Shape) -> nn.Module:
        """Return a torch.nn.Softmax over the channels, or over the values once the input is flat."""
        from torch import nn

        return nn.Softmax(dim=1)


KINDS: tuple[type[Layer], ...] = (
    Convolution,
    Linear,
    MaxPool,
    AveragePool,
    GlobalAveragePool,
    BatchNorm,
    ReLU,
    SiLU,
    GELU,
    Dropout,
    Flatten,
    Softmax,
)


def _pair(values: Pair) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}x{values[1]}"


def _suffix(letter: str, values: Pair, usual: Pair) -> str:
    return "" if values == usual else letter + _pair(values)


def _needs_maps(shape: Shape, what: str) -> None:
    if len(shape) != 3:
        raise ShapeError(f"{what} needs maps, but what comes in is flat", repair="move it before the flattening")


def _windowed(window: Window, shape: Shape) -> Pair:
    sizes = (window.output_size(shape[1], 0), window.output_size(shape[2], 1))
    if min(sizes) < 1:
        spans = (window.reach(0), window.reach(1))
        padded = (shape[1] + 2 * window.padding[0], shape[2] + 2 * window.padding[1])
        missing = max((span - size + 1) // 2 for span, size in zip(spans, padded, strict=True))
        raise ShapeError(
            f"its window spans {spans[0]}×{spans[1]}, but its input is only {padded[0]}×{padded[1]}"
            + (" with padding" if any(window.padding) else ""),
            repair=f"remove it, make its kernel smaller, pad it by {missing} more, or pool less before it",
        )
    return sizes
