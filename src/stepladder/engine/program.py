"""The whole training step of a net as two functions: forward to the logits, and back from their gradient.

Each block's convolution is one phase: every thread works through its images one after another, in memory that stays in
its cache. Between phases the threads meet, since normalisation needs sums over the whole batch. A phase forward reads
the convolution before it, applies what follows that, and convolves; a phase back does the same in reverse and takes
the weight gradient on the way.

Arguments of both functions: the table of outer addresses, the thread, the number of threads, the images of the batch,
and whether it is a training step (else the running statistics are used, and nothing is kept for the way back).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from stepladder.engine import layout as table
from stepladder.engine.chain import Chain, Draws
from stepladder.engine.convolution import load_words, write_weight_gradient
from stepladder.engine.emit import F32, F64, I32, I64, POINTER, SIZE, Emitter, chunks
from stepladder.engine.layout import PARTS, BlockLayout, Layout
from stepladder.engine.maps import add_pixels, add_totals, clear, padded_offset, pair_columns
from stepladder.engine.parameters import (
    Strides,
    write_back_statistics,
    write_packing,
    write_reduction,
    write_statistics,
)
from stepladder.engine.threads import write_barrier
from stepladder.engine.warp import write_warp

_OUTER = {
    "weight": table.WEIGHT,
    "bias": table.BIAS,
    "gamma": table.GAMMA,
    "beta": table.BETA,
    "mean": table.MEAN,
    "variance": table.VARIANCE,
    "d_weight": table.D_WEIGHT,
    "d_bias": table.D_BIAS,
    "d_gamma": table.D_GAMMA,
    "d_beta": table.D_BETA,
}


@dataclass(frozen=True)
class Constants:
    """What of a block's modules is fixed: how its weights lie in memory, and its normalisation's constants."""

    strides: Strides
    epsilon: float
    momentum: float


class Program:
    """Writes the module of a net.

    Args:
        layout: of everything.
        constants: of each block.
        machine: LLVM's name of the processor's architecture, such as "x86_64".
    """

    def __init__(self, layout: Layout, constants: tuple[Constants, ...], machine: str) -> None:
        self.layout = layout
        self.constants = constants
        self.machine = machine
        self.module = ir.Module("stepladder")

    def write(self) -> str:
        """Return the module as text; its functions are ``forward`` and ``backward``."""
        write_barrier(self.module, self.machine)
        for index in range(len(self.layout.each)):
            self._write_forward_phase(index)
            self._write_backward_phase(index)
        self._write_logits_phase()
        if self.layout.blocks[-1].has_norm:
            self._write_first_sums_phase()
        self._write_forward()
        self._write_backward()
        return str(self.module)

    # The two functions

    def _write_forward(self) -> None:
        e, (addresses, thread, threads, count, training) = self._entry("forward")
        last = len(self.layout.each) - 1
        self._share_blocks(e, thread, threads, lambda index: self._pack(e, addresses, index))
        is_training = e.builder.icmp_signed("!=", training, e.number(0))
        self._meet(e, addresses, threads)
        self._stamp(e, addresses, thread, None)
        for index in range(last + 1):
            if index:
                self._fold(e, addresses, thread, count, is_training, index - 1)
            self._share_parts(e, addresses, thread, threads, count, f"forward.{index}")
            self._meet(e, addresses, threads)
            self._stamp(e, addresses, thread, index)
        self._fold(e, addresses, thread, count, is_training, last)
        self._share_parts(e, addresses, thread, threads, count, "logits")
        e.builder.ret_void()

    def _write_backward(self) -> None:
        e, (addresses, thread, threads, count, _) = self._entry("backward")
        last = len(self.layout.each) - 1
        self._stamp(e, addresses, thread, None)
        if self.layout.blocks[-1].has_norm:
            self._share_parts(e, addresses, thread, threads, count, "sums")
            self._meet(e, addresses, threads)
        for index in range(last, -1, -1):
            self._fold_back(e, addresses, thread, count, index)
            self._share_parts(e, addresses, thread, threads, count, f"backward.{index}")
            self._meet(e, addresses, threads)
            self._stamp(e, addresses, thread, last + 1 + index)
        self._share_blocks(e, thread, threads, lambda index: self._reduce(e, addresses, index))
        e.builder.ret_void()

    def _entry(self, name: str) -> tuple[Emitter, Any]:
        e = Emitter(self.module, name, [POINTER, I64, I64, I64, I64])
        return e, e.function.args

    def _share_blocks(self, e: Emitter, thread: Any, threads: Any, write: Callable[[int], None]) -> None:
        for index in range(len(self.layout.each)):
            owner = e.builder.urem(e.number(index), threads)
            with e.when(e.builder.icmp_signed("==", owner, thread)):
                write(index)

    def _share_parts(self, e: Emitter, addresses: Any, thread: Any, threads: Any, count: Any, name: str) -> None:
        """Call a phase for each part of the batch that is this thread's."""
        function = self.module.globals[name]
        scratch = self._scratch(e, addresses, thread)
        start, stop = (e.builder.sdiv(e.product(e.sum(thread, more), PARTS), threads) for more in (0, 1))
        with e.loop(start, stop) as part:
            low, high = (e.builder.sdiv(e.product(e.sum(part.index, more), count), e.number(PARTS)) for more in (0, 1))
            e.builder.call(function, [addresses, scratch, part.index, low, high])

    def _pack(self, e: Emitter, addresses: Any, index: int) -> None:
        weight, bias = (self._outer(e, addresses, index, name) for name in ("weight", "bias"))
        arena = self._address(e, addresses, table.ARENA)
        write_packing(e, self.layout.each[index], self.constants[index].strides, weight, bias, arena)

    def _reduce(self, e: Emitter, addresses: Any, index: int) -> None:
        weight, bias = (self._outer(e, addresses, index, name) for name in ("d_weight", "d_bias"))
        arena = self._address(e, addresses, table.ARENA)
        write_reduction(e, self.layout.each[index], self.constants[index].strides, weight, bias, arena)

    def _fold(self, e: Emitter, addresses: Any, thread: Any, count: Any, is_training: Any, index: int) -> None:
        block, constants = self.layout.blocks[index], self.constants[index]
        write_statistics(
            e,
            self.layout.each[index],
            arena=self._address(e, addresses, table.ARENA),
            scratch=self._scratch(e, addresses, thread),
            outer=lambda name: self._outer(e, addresses, index, name),
            keep=self._draw(e, addresses, index, 2, F32),
            count=e.product(count, block.out[0] * block.out[1]),
            is_training=is_training,
            is_first=e.builder.icmp_signed("==", thread, e.number(0)),
            epsilon=constants.epsilon,
            momentum=constants.momentum,
        )

    def _fold_back(self, e: Emitter, addresses: Any, thread: Any, count: Any, index: int) -> None:
        block = self.layout.blocks[index]
        write_back_statistics(
            e,
            self.layout.each[index],
            arena=self._address(e, addresses, table.ARENA),
            scratch=self._scratch(e, addresses, thread),
            outer=lambda name: self._outer(e, addresses, index, name),
            keep=self._draw(e, addresses, index, 2, F32),
            count=e.product(count, block.out[0] * block.out[1]),
            is_first=e.builder.icmp_signed("==", thread, e.number(0)),
        )

    # Phases: functions of the addresses, the thread's scratch, the part, and its first and last images

    def _phase(self, name: str) -> tuple[Emitter, Any, Any, Any, Any]:
        e = Emitter(self.module, name, [POINTER, POINTER, I64, I64, I64])
        e.function.attributes.add("noinline")
        e.function.linkage = "internal"
        addresses, scratch, part, low, high = e.function.args
        return e, addresses, scratch, part, (low, high)

    def _write_forward_phase(self, index: int) -> None:
        e, addresses, scratch, part, images = self._phase(f"forward.{index}")
        here, block = self.layout.each[index], self.layout.blocks[index]
        arena = self._address(e, addresses, table.ARENA)
        vectors = chunks(block.lanes_out)
        totals = self._part(e, arena, here.totals, part, 2 * block.lanes_out, F64)
        sums = [e.builder.alloca(ir.VectorType(F32, lanes)) for _, lanes in vectors for _ in range(2)]
        if block.has_norm:
            clear(e, totals, 2 * block.lanes_out, F64)
        first = [
            load_words(e, e.at(arena, here.bias), start, lanes, paired=False) if block.has_bias else e.splat(0.0, lanes)
            for start, lanes in vectors
        ]
        with e.loop(*images) as image:
            source = self._source(e, addresses, scratch, index, image.index)
            outputs = self._map(e, arena, here.outputs, image.index, here.output_count)
            for slot in sums:
                e.store(e.splat(0.0, _lanes(slot)), slot)

            def keep(row: Any, column: Any, start: int, value: Any) -> None:
                offset = e.product(e.sum(e.product(row, block.out[1]), column), block.lanes_out)
                e.store_numbers(value, outputs, e.sum(offset, start), here.precision)
                if block.has_norm:
                    slot = [begin for begin, _ in vectors].index(start)
                    total, square = sums[2 * slot : 2 * slot + 2]
                    e.store(e.builder.fadd(e.load(total, value.type), value), total)
                    e.store(e.fma(value, value, e.load(square, value.type)), square)

            here.forward.write(e, source, e.at(arena, here.weights), first, keep)
            if block.has_norm:
                found = [
                    (e.load(sums[2 * chunk], kind), e.load(sums[2 * chunk + 1], kind))
                    for chunk, kind in enumerate(ir.VectorType(F32, lanes) for _, lanes in vectors)
                ]
                add_totals(e, totals, block.lanes_out, found)
        e.builder.ret_void()

    def _source(self, e: Emitter, addresses: Any, scratch: Any, index: int, image: Any) -> Any:
        """Write what comes into a block's convolution, and return its address."""
        arena = self._address(e, addresses, table.ARENA)
        if index == 0:
            first = self.layout.blocks[0]
            chosen = e.load(e.at(self._address(e, addresses, table.CHOSEN), image, I64), I64)
            pixels = e.product(chosen, first.inputs * first.size[0] * first.size[1])
            target = e.at(arena, e.sum(e.product(image, 4 * self.layout.input_count), self.layout.inputs))
            write_warp(
                e,
                self.layout,
                picture=e.at(self._address(e, addresses, table.PIXELS), pixels),
                place=e.at(self._address(e, addresses, table.MAPS), e.product(image, 6), F32),
                normalisation=self._address(e, addresses, table.NORMALISATION),
                scratch=scratch,
                target=target,
            )
            return target
        here, before = self.layout.each[index], self.layout.each[index - 1]
        target = e.at(scratch, here.image)
        precision = "bfloat16" if here.is_paired else "float32"

        def put(row: Any, column: Any, start: int, value: Any) -> None:
            e.store_numbers(value, target, padded_offset(e, here, row, column, start), precision)

        chain = self._chain(e, arena, before, image)
        chain.forward(
            e.at(scratch, before.scale), e.at(scratch, before.shift), self._draws(e, addresses, index - 1, image), put
        )
        return target

    def _write_logits_phase(self) -> None:
        e, addresses, scratch, _, images = self._phase("logits")
        arena = self._address(e, addresses, table.ARENA)
        last = self.layout.each[-1]
        with e.loop(*images) as image:
            offset = e.sum(e.product(image.index, 4 * last.block.lanes_out), self.layout.logits)
            target = e.at(arena, offset)
            self._chain(e, arena, last, image.index).forward(
                e.at(scratch, last.scale),
                e.at(scratch, last.shift),
                self._draws(e, addresses, len(self.layout.each) - 1, image.index),
                lambda row, column, start, value: e.store_numbers(value, target, start, "float32"),
            )
        e.builder.ret_void()

    def _write_first_sums_phase(self) -> None:
        e, addresses, _, part, images = self._phase("sums")
        arena = self._address(e, addresses, table.ARENA)
        last = self.layout.each[-1]
        totals = self._part(e, arena, last.totals_back, part, 2 * last.block.lanes_out, F64)
        clear(e, totals, 2 * last.block.lanes_out, F64)
        with e.loop(*images) as image:
            gradient = self._gradient(e, arena, len(self.layout.each) - 1, image.index)
            found = self._chain(e, arena, last, image.index).sums(gradient)
            add_totals(e, totals, last.block.lanes_out, found)
        e.builder.ret_void()

    def _write_backward_phase(self, index: int) -> None:
        e, addresses, scratch, part, images = self._phase(f"backward.{index}")
        here, block = self.layout.each[index], self.layout.blocks[index]
        arena = self._address(e, addresses, table.ARENA)
        weights = here.taps * block.lanes_in * block.lanes_out
        d_weights = self._part(e, arena, here.d_weights, part, weights, F32)
        d_bias = self._part(e, arena, here.d_bias, part, block.lanes_out, F32)
        clear(e, d_weights, weights, F32)
        if block.has_bias:
            clear(e, d_bias, block.lanes_out, F32)
        before = self.layout.each[index - 1] if index else None
        if before is not None and before.block.has_norm:
            totals = self._part(e, arena, before.totals_back, part, 2 * before.block.lanes_out, F64)
            clear(e, totals, 2 * before.block.lanes_out, F64)
        with e.loop(*images) as image:
            self._write_output_gradient(e, arena, scratch, index, image.index)
            if block.has_bias:
                add_pixels(e, e.at(scratch, here.gradient), d_bias, block.out[0] * block.out[1], block.lanes_out)
            self._write_weight_gradient(e, arena, scratch, index, image.index, d_weights)
            if before is not None:
                self._write_input_gradient(e, arena, scratch, index, image.index)
            if before is not None and before.block.has_norm:
                gradient = self._gradient(e, arena, index - 1, image.index)
                add_totals(e, totals, before.block.lanes_out, self._chain(e, arena, before, image.index).sums(gradient))
        e.builder.ret_void()

    def _write_input_gradient(self, e: Emitter, arena: Any, scratch: Any, index: int, image: Any) -> None:
        """Write the gradient of what came into the convolution, which went out of the block before."""
        here, before, block = self.layout.each[index], self.layout.each[index - 1], self.layout.blocks[index]
        gradients = self._map(e, arena, before.gradients, image, before.pooled_count)

        def give(row: Any, column: Any, start: int, value: Any) -> None:
            pixel = e.sum(e.product(row, block.size[1]), column)
            e.store_numbers(value, gradients, e.sum(e.product(pixel, block.lanes_in), start), here.precision)

        zeros = [e.splat(0.0, lanes) for _, lanes in chunks(block.lanes_in)]
        here.backward.write(e, e.at(scratch, here.spread), e.at(arena, here.weights_back), zeros, give)

    def _write_output_gradient(self, e: Emitter, arena: Any, scratch: Any, index: int, image: Any) -> None:
        """Write the gradient of the convolution's output: as it is, in pairs, and spread for the convolution back."""
        here, block = self.layout.each[index], self.layout.blocks[index]
        plain, spread = e.at(scratch, here.gradient), e.at(scratch, here.spread)
        precision = "bfloat16" if here.is_paired else "float32"

        def put(row: Any, column: Any, start: int, value: Any) -> None:
            pixel = e.sum(e.product(row, block.out[1]), column)
            e.store_numbers(value, plain, e.sum(e.product(pixel, block.lanes_out), start), "float32")
            if index:
                place = e.sum(
                    e.product(row, block.stride[0] * block.spread[1]),
                    e.product(column, block.stride[1]),
                    block.margin[0] * block.spread[1] + block.margin[1],
                )
                e.store_numbers(value, spread, e.sum(e.product(place, block.lanes_out), start), precision)

        self._chain(e, arena, here, image).backward(
            e.at(scratch, here.by_gradient),
            e.at(scratch, here.by_output),
            e.at(scratch, here.constant),
            self._gradient(e, arena, index, image),
            put,
        )
        if here.is_paired:
            pair_columns(e, plain, e.at(scratch, here.gradient_pairs), block.out, block.lanes_out, step=2, distance=1)

    def _write_weight_gradient(self, e: Emitter, arena: Any, scratch: Any, index: int, image: Any, target: Any) -> None:
        here, block = self.layout.each[index], self.layout.blocks[index]
        if index == 0:
            source = e.at(arena, e.sum(e.product(image, 4 * self.layout.input_count), self.layout.inputs))
        else:
            before = self.layout.each[index - 1]
            source = e.at(scratch, here.recomputed)

            def put(row: Any, column: Any, start: int, value: Any) -> None:
                e.store_numbers(value, source, padded_offset(e, here, row, column, start), "float32")

            chain = self._chain(e, arena, before, image)
            chain.recompute(e.at(scratch, before.scale), e.at(scratch, before.shift), put)
        gradient, columns = e.at(scratch, here.gradient), block.out[1]
        if here.is_paired:
            pairs = e.at(scratch, here.paired)
            pair_columns(e, source, pairs, block.padded, block.lanes_in, step=1, distance=block.stride[1])
            source, gradient, columns = pairs, e.at(scratch, here.gradient_pairs), -(-columns // 2)
        width = block.lanes_in
        taps = [
            (
                (row * block.dilation[0] * block.padded[1] + column * block.dilation[1]) * width + channel,
                (row * block.kernel[1] + column) * width + channel,
            )
            for row in range(block.kernel[0])
            for column in range(block.kernel[1])
            for channel in range(block.inputs)
        ]
        write_weight_gradient(
            e,
            source,
            gradient,
            target,
            taps=taps,
            lanes=block.lanes_out,
            rows=block.out[0],
            columns=columns,
            down=block.stride[0] * block.padded[1] * width,
            across=block.stride[1] * width * (2 if here.is_paired else 1),
            paired=here.is_paired,
        )

    # Addresses

    def _address(self, e: Emitter, addresses: Any, index: int) -> Any:
        return e.load(e.at(addresses, index, I64), POINTER)

    def _outer(self, e: Emitter, addresses: Any, index: int, name: str) -> Any:
        return self._address(e, addresses, table.SHARED + table.PER_BLOCK * index + _OUTER[name])

    def _scratch(self, e: Emitter, addresses: Any, thread: Any) -> Any:
        return e.at(self._address(e, addresses, table.SCRATCH), e.product(thread, self.layout.scratch_size))

    def _draw(self, e: Emitter, addresses: Any, index: int, item: int, kind: Any) -> Any:
        start = table.DRAWS_SIZE // 4 * index + item
        return e.load(e.at(self._address(e, addresses, table.DRAWS), start, I32), kind)

    def _draws(self, e: Emitter, addresses: Any, index: int, image: Any) -> Draws:
        return Draws(self._draw(e, addresses, index, 0, I32), self._draw(e, addresses, index, 1, I32), image)

    def _part(self, e: Emitter, arena: Any, start: int, part: Any, size: int, kind: Any) -> Any:
        return e.at(e.at(arena, start), e.product(part, size), kind)

    def _map(self, e: Emitter, arena: Any, start: int, image: Any, count: int) -> Any:
        return e.at(arena, e.sum(e.product(image, count * SIZE[self.layout.precision]), start))

    def _chain(self, e: Emitter, arena: Any, here: BlockLayout, image: Any) -> Chain:
        outputs = self._map(e, arena, here.outputs, image, here.output_count)
        bits = e.at(arena, e.sum(e.product(image, 2 * here.bit_count), here.bits))
        return Chain(e, here.block, outputs, bits, here.precision)

    def _gradient(self, e: Emitter, arena: Any, index: int, image: Any) -> Callable[[Any, Any, int, int], Any]:
        """Return what gives the gradient of a block's output, from row, column, first channel and lanes."""
        here, block = self.layout.each[index], self.layout.blocks[index]
        is_last = index == len(self.layout.each) - 1
        if is_last:
            offset = e.sum(e.product(image, 4 * block.lanes_out), self.layout.d_logits)
            source, precision = e.at(arena, offset), "float32"
        else:
            source = self._map(e, arena, here.gradients, image, here.pooled_count)
            precision = here.precision

        def gradient(row: Any, column: Any, start: int, lanes: int) -> Any:
            pixel = e.sum(e.product(row, block.pooled[1]), column)
            return e.load_numbers(source, e.sum(e.product(pixel, block.lanes_out), start), lanes, precision)

        return gradient

    # Threads

    def _meet(self, e: Emitter, addresses: Any, threads: Any) -> None:
        e.builder.call(self.module.globals["meet"], [addresses, threads])

    def _stamp(self, e: Emitter, addresses: Any, thread: Any, slot: int | None) -> None:
        """Let the first thread add the cycles since its last stamp to a slot, where the processor counts them."""
        if not self.machine.startswith("x86_64"):
            return
        with e.when(e.builder.icmp_signed("==", thread, e.number(0))):
            times = self._address(e, addresses, table.TIMES)
            now = e.intrinsic("llvm.readcyclecounter", I64)
            if slot is not None:
                place = e.at(times, slot + 1, I64)
                spent = e.builder.sub(now, e.load(times, I64))
                e.store(e.builder.add(e.load(place, I64), spent), place)
            e.store(now, times)


def _lanes(slot: Any) -> int:
    return int(slot.allocated_type.count)
