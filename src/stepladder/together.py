"""Several nets of one shape as one net: the channels of all of them side by side, convolutions in groups.

The net of seed s owns the channels from s·C to (s + 1)·C of every layer, and nothing passes from one to another. A GPU
that a single small net leaves idle then computes all of them in about the time of one.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from stepladder.dropout import StreamDropout, use_streams
from stepladder.errors import SpecError

State = dict[str, torch.Tensor]
"""Tensors by the names of a module's state."""

_STATELESS = (nn.MaxPool2d, nn.AvgPool2d, nn.ReLU, nn.SiLU, nn.GELU, nn.Flatten)


class GroupedLinear(nn.Module):
    """Linear layers side by side: a convolution in groups over one position.

    Args:
        first: one of the layers.
        count: how many they are.
    """

    def __init__(self, first: nn.Linear, count: int) -> None:
        super().__init__()
        self._count = count
        self.weight, self.bias = first.weight, first.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return (B, count·outputs) from (B, count·inputs)."""
        weight = self.weight.unsqueeze(-1)
        return functional.conv1d(input.unsqueeze(-1), weight, self.bias, groups=self._count).squeeze(-1)


class SeparateSoftmax(nn.Module):
    """Softmax layers side by side: each over the values of its own net.

    Args:
        count: how many they are.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input's shape, (B, count·values) or (B, count·values, rows, columns), as probabilities."""
        apart = input.reshape(len(input), self._count, -1, *input.shape[2:])
        return apart.softmax(2).reshape(input.shape)


class SeparateDropout(nn.Module):
    """Dropout layers side by side, each with the masks that it would draw alone.

    Args:
        probability: of each value to be dropped.
        count: how many layers.
        layout: the order in memory of what each would get alone; masks are drawn in the order of memory.
    """

    def __init__(self, probability: float, count: int, layout: torch.memory_format) -> None:
        super().__init__()
        self.streams = nn.ModuleList(StreamDropout(probability) for _ in range(count))
        self._layout = layout

    def restart(self, seeds: Sequence[int], layer: int, epoch: int, step: int) -> None:
        """Name the streams that the next forward pass draws from."""
        for stream, seed in zip(self.streams, seeds, strict=True):
            assert isinstance(stream, StreamDropout)
            stream.restart(seed, layer, epoch, step)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the input with elements dropped in training mode, the input itself otherwise."""
        if not self.training:
            return input
        count, channels, *size = input.shape
        like = torch.empty(
            (count, channels // len(self.streams), *size),
            dtype=input.dtype,
            device=input.device,
            memory_format=self._layout if size else torch.contiguous_format,
        )
        masks = [stream.mask(like) for stream in self.streams if isinstance(stream, StreamDropout)]
        return input * torch.cat(masks, 1)


def joined(modules: Sequence[nn.Sequential], example: torch.Tensor) -> nn.Sequential:
    """Return one module that computes what all of them do, with copies of their parameters and statistics.

    Its input is (B, count·C, rows, columns), its output (B, count·K) or (B, count·K, 1, 1).

    Args:
        modules: of equal layers.
        example: at least two inputs of one of them, to see in which order its layers keep values in memory.

    Raises:
        SpecError: if a layer is of a kind that cannot be batched.
    """
    layouts = iter(_layouts_before_dropout(modules[0], example))
    layers = OrderedDict(
        (name, _side_by_side([getattr(module, name) for module in modules], layouts))
        for name, _ in modules[0].named_children()
    )
    return nn.Sequential(layers)


def join(states: Sequence[Mapping[str, torch.Tensor]]) -> State:
    """Return the states of several modules, or of their optimisers, as the state of the joined one.

    Scalars (counts of batches and steps) are equal in all of them.
    """
    first = states[0]
    return {
        name: tensor.clone() if tensor.ndim == 0 else torch.cat([state[name] for state in states])
        for name, tensor in first.items()
    }


def separate(state: Mapping[str, torch.Tensor], count: int) -> list[State]:
    """Return the states of ``count`` modules from that of the joined one: what ``join`` was given."""
    parts: list[State] = [{} for _ in range(count)]
    for name, tensor in state.items():
        shares = [tensor] * count if tensor.ndim == 0 else tensor.chunk(count)
        for part, share in zip(parts, shares, strict=True):
            part[name] = share.clone(memory_format=torch.contiguous_format)
    return parts


def _side_by_side(layers: list[nn.Module], layouts: Iterator[torch.memory_format]) -> nn.Module:
    first, count = layers[0], len(layers)
    if isinstance(first, nn.Dropout):
        return SeparateDropout(first.p, count, next(layouts))
    if isinstance(first, nn.Softmax):
        return SeparateSoftmax(count)
    if isinstance(first, _STATELESS):
        return copy.copy(first)
    together = copy.deepcopy(first)
    for name, parameter in first.named_parameters(recurse=False):
        values = torch.cat([getattr(layer, name).detach() for layer in layers])
        setattr(together, name, nn.Parameter(values, requires_grad=parameter.requires_grad))
    for name, buffer in first.named_buffers(recurse=False):
        if buffer.ndim:
            setattr(together, name, torch.cat([getattr(layer, name) for layer in layers]))
    match together:
        case nn.Conv2d():
            together.in_channels *= count
            together.out_channels *= count
            together.groups *= count
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            together.num_features *= count
        case nn.Linear():
            return GroupedLinear(together, count)
        case _:
            raise SpecError(
                "a layer of this kind cannot be trained for many seeds at once",
                given=type(first).__name__,
                repair="train the seeds one by one",
            )
    return together


def _layouts_before_dropout(module: nn.Sequential, example: torch.Tensor) -> list[torch.memory_format]:
    """Return the order in memory of what each dropout layer gets in training, as torch's kernels leave it."""
    probe = copy.deepcopy(module).to(example.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    found: list[torch.memory_format] = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        rows_first = inputs[0].ndim < 4 or inputs[0].is_contiguous()
        found.append(torch.contiguous_format if rows_first else torch.channels_last)

    for number, dropout in enumerate(use_streams(probe)):
        dropout.restart(0, number, 0, 0)
        dropout.register_forward_pre_hook(note)
    with torch.no_grad():
        probe.train()(example)
    return found
