"""A net that trains on the processor through compiled kernels; its parameters stay the module's."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

from stepladder.engine import layout as table
from stepladder.engine.compile import Compiled, Function, build, machine_name
from stepladder.engine.layout import PARTS, Layout
from stepladder.engine.parameters import Strides
from stepladder.engine.plan import Block, Layers, plan
from stepladder.engine.program import Constants, Program
from stepladder.inputs import Images, Normalisation

_ALIGNMENT = 64


class CompiledNet:
    """A module's training and evaluation passes.

    Args:
        module: in channels-last memory format, its dropout layers ``StreamDropout``.
        input_shape: channels, rows, columns.
        capacity: images of the largest batch.
        precision: "float32" or "bfloat16".
        threads: how many work on a batch.
        folder: where machine code is kept between runs; None for nowhere.

    Raises:
        UnsupportedNet: if a layer or its place has no kernel.
    """

    def __init__(
        self,
        module: nn.Module,
        input_shape: tuple[int, int, int],
        capacity: int,
        precision: str,
        threads: int = 1,
        folder: Path | None = None,
    ) -> None:
        self.capacity = capacity
        self.threads = max(1, min(threads, PARTS))
        blocks, self._layers = plan(module, input_shape)
        self.layout = Layout(blocks, capacity, precision)
        constants = tuple(map(_constants, self._layers, blocks))
        key = repr((blocks, capacity, precision, constants))
        program = Program(self.layout, constants, machine_name())
        self._compiled = Compiled(build(program.write, key, folder))
        self._forward, self._backward = (self._compiled.function(name) for name in ("forward", "backward"))
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None
        self._names = {id(child): name for name, child in module.named_modules()}
        self._set_up()

    def _set_up(self) -> None:
        count = len(self._layers)
        self._table = numpy.zeros(table.SHARED + table.PER_BLOCK * count, dtype=numpy.int64)
        self._arena, arena = _aligned(self.layout.arena_size)
        self._scratch, scratch = _aligned(self.layout.scratch_size * self.threads)
        self._barrier, barrier = _aligned(3 * _ALIGNMENT)
        self._draws = numpy.zeros((count, table.DRAWS_SIZE // 4), dtype=numpy.uint32)
        self._times = numpy.zeros(2 * count + 1, dtype=numpy.int64)
        shared = {
            table.BARRIER: barrier,
            table.YIELD: _yield_address(),
            table.ARENA: arena,
            table.SCRATCH: scratch,
            table.DRAWS: self._draws.ctypes.data,
            table.TIMES: self._times.ctypes.data,
        }
        for place, address in shared.items():
            self._table[place] = address
        last = self.layout.blocks[-1]
        self._logits = self._numbers(arena, self.layout.logits, last.lanes_out)[:, : last.outputs]
        self._d_logits = self._numbers(arena, self.layout.d_logits, last.lanes_out)[:, : last.outputs]
        self._identity = torch.eye(2, 3).repeat(self.capacity, 1, 1)
        self.refresh()

    def _numbers(self, arena: int, offset: int, lanes: int) -> torch.Tensor:
        start = arena - self._arena.ctypes.data + offset
        stored = self._arena[start : start + 4 * self.capacity * lanes].view(numpy.float32)
        return torch.from_numpy(stored.reshape(self.capacity, lanes))

    def forward(
        self, images: Images, chosen: torch.Tensor, maps: torch.Tensor | None, normalisation: Normalisation
    ) -> torch.Tensor:
        """Return the logits of a training batch, (B, classes); they stand until the next pass.

        Args:
            images: of the data set.
            chosen: which of them, int64 (B,).
            maps: how each is warped, float32 (B, 2, 3), as ``stepladder.augment.affine_maps`` gives them; None for not.
            normalisation: of the training images.
        """
        for draws, layers in zip(self._draws, self._layers, strict=True):
            dropout = layers.dropout
            draws[0] = dropout.key if dropout and dropout.dropped_levels else 0
            draws[1] = dropout.dropped_levels if dropout else 0
            draws[2:3].view(numpy.float32)[0] = dropout.compensation if dropout else 1.0
            if layers.norm is not None and layers.norm.num_batches_tracked is not None:
                layers.norm.num_batches_tracked.add_(1)
        return self._run_forward(images, chosen, maps, normalisation, is_training=True)

    def backward(self, d_logits: torch.Tensor) -> None:
        """Put the gradients of all parameters of the last training batch where the module keeps them.

        Args:
            d_logits: the loss's gradient with respect to the logits, (B, classes).
        """
        count = len(d_logits)
        self._d_logits[:count] = d_logits
        self._run(self._backward, count, is_training=True)

    def evaluate(
        self, images: Images, normalisation: Normalisation, state: Mapping[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Return the logits of all images with the running statistics, (N, classes).

        Args:
            images: as they are.
            normalisation: of the training images.
            state: weights and statistics by the module's names for them; None for the module's own.
        """
        self._draws[:, :2] = 0
        self._draws[:, 2].view(numpy.float32)[:] = 1
        self._point(state)
        try:
            return torch.cat(
                [
                    self._run_forward(images, chosen, None, normalisation, is_training=False).clone()
                    for chosen in torch.split(torch.arange(len(images)), self.capacity)
                ]
            )
        finally:
            self._point(None)

    def timings(self) -> dict[str, float]:
        """Return the share of the kernels' time that each block's passes took, and start to count anew.

        Keys are "forward" and "backward" with the block's number from 1; there are none where cycles are not counted.
        """
        total, count = int(self._times[1:].sum()), len(self._layers)
        shares = {
            f"{name} {block + 1}": int(self._times[1 + start + block]) / total
            for name, start in (("forward", 0), ("backward", count))
            for block in range(count)
            if total
        }
        self._times[:] = 0
        return shares

    def _run_forward(
        self,
        images: Images,
        chosen: torch.Tensor,
        maps: torch.Tensor | None,
        normalisation: Normalisation,
        is_training: bool,
    ) -> torch.Tensor:
        count = len(chosen)
        maps = self._identity if maps is None else maps
        scaling = _scaling(normalisation)
        for place, address in (
            (table.PIXELS, images.pixels.data_ptr()),
            (table.CHOSEN, chosen.data_ptr()),
            (table.MAPS, maps.data_ptr()),
            (table.NORMALISATION, scaling.ctypes.data),
        ):
            self._table[place] = address
        self._run(self._forward, count, is_training)
        return self._logits[:count]

    def _run(self, function: Function, count: int, is_training: bool) -> None:
        address, threads = self._table.ctypes.data, self.threads
        if self._pool is None:
            function(address, 0, threads, count, is_training)
            return
        others: list[Future[None]] = []
        try:
            for thread in range(1, threads):
                others.append(self._pool.submit(function, address, thread, threads, count, is_training))
            function(address, 0, threads, count, is_training)
            for other in others:
                other.result()
        except BaseException:
            # An interrupt may come before every thread has begun: the others must not wait for it for ever.
            self._barrier[:] = 1
            wait(others)
            self._barrier[:] = 0
            raise

    def refresh(self) -> None:
        """Look up again where the module's tensors lie; to be called when some may have been replaced."""
        for layers in self._layers:
            for layer in (layers.convolution, layers.norm):
                for parameter in layer.parameters() if layer else ():
                    if parameter.grad is None or parameter.grad.stride() != parameter.stride():
                        parameter.grad = torch.zeros_like(parameter)
        self._point(None)

    def _point(self, state: Mapping[str, torch.Tensor] | None) -> None:
        """Let the kernels read parameters and statistics from the module's tensors, or from a state's."""
        # The table holds addresses alone: what they point at has to live as long.
        self._kept: list[torch.Tensor] = []
        for index, layers in enumerate(self._layers):
            start = table.SHARED + table.PER_BLOCK * index
            for layer, names in (
                (layers.convolution, {"weight": table.WEIGHT, "bias": table.BIAS}),
                (
                    layers.norm,
                    {
                        "weight": table.GAMMA,
                        "bias": table.BETA,
                        "running_mean": table.MEAN,
                        "running_var": table.VARIANCE,
                    },
                ),
            ):
                for name, place in names.items():
                    own = getattr(layer, name, None)
                    if own is None:
                        continue
                    tensor = own if state is None else _like(own, state[f"{self._names[id(layer)]}.{name}"])
                    self._kept.append(tensor)
                    self._table[start + place] = tensor.data_ptr()
                    if own.grad is not None:
                        gradient = {"weight": table.D_WEIGHT, "bias": table.D_BIAS}[name]
                        shift = 2 if layer is layers.norm else 0
                        self._table[start + gradient + shift] = own.grad.data_ptr()


@lru_cache(maxsize=8)
def _scaling(normalisation: Normalisation) -> numpy.ndarray:
    """Return what each channel's bytes are multiplied by, then what is added; float32. Kept, since every step asks."""
    factors = 1 / (255 * numpy.array(normalisation.deviation))
    addends = -numpy.array(normalisation.mean) / numpy.array(normalisation.deviation)
    return numpy.concatenate([factors, addends]).astype(numpy.float32)


def _constants(layers: Layers, block: Block) -> Constants:
    norm = layers.norm
    return Constants(
        strides=_strides(layers.convolution, block),
        epsilon=norm.eps if norm else 0.0,
        momentum=norm.momentum if norm and norm.momentum is not None else 0.0,
    )


def _strides(convolution: nn.Conv2d | nn.Linear, block: Block) -> Strides:
    """Return the steps in memory between a weight's outputs, inputs, rows and columns."""
    if isinstance(convolution, nn.Linear):
        rows, columns = block.size
        return convolution.in_features, rows * columns, columns, 1
    outputs, inputs, down, across = convolution.weight.stride()
    return outputs, inputs, down, across


def _like(own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the other tensor lying in memory as the module's own does."""
    if other.stride() == own.stride() and other.dtype == own.dtype:
        return other
    return torch.empty_like(own).copy_(other)


def _aligned(size: int) -> tuple[numpy.ndarray, int]:
    """Return zeroed memory and the first address in it on a boundary of 64 bytes, with so many bytes behind it."""
    memory = numpy.zeros(size + _ALIGNMENT, dtype=numpy.uint8)
    address = memory.ctypes.data
    return memory, address + -address % _ALIGNMENT


def _yield_address() -> int:
    """Return the address of the system's function that lets other threads run; 0 where there is none."""
    try:
        if sys.platform == "win32":
            function: Any = ctypes.WinDLL("kernel32").SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0
