"""Where everything lies in memory: an arena for the batch, a scratch for each thread, a table of outer addresses."""

from __future__ import annotations

from dataclasses import dataclass, field

from stepladder.engine.convolution import Convolution
from stepladder.engine.emit import SIZE, chunks
from stepladder.engine.plan import Block

PARTS = 8
"""A batch is cut into so many parts, whose sums are kept apart: results do not depend on the number of threads."""

# The table of outer addresses, by index: shared ones first, then those of each block.
BARRIER, YIELD, PIXELS, CHOSEN, MAPS, NORMALISATION, DRAWS, ARENA, SCRATCH, TIMES = range(10)
SHARED = 10
WEIGHT, BIAS, GAMMA, BETA, MEAN, VARIANCE, D_WEIGHT, D_BIAS, D_GAMMA, D_BETA = range(10)
PER_BLOCK = 10

DRAWS_SIZE = 16
"""Bytes of a block's draws: key and threshold (32 bits each), then what dropout multiplies by (float32)."""


@dataclass
class Space:
    """Bytes handed out one after another, on boundaries of 64."""

    size: int = 0

    def take(self, size: int) -> int:
        """Return the offset of so many new bytes."""
        start = self.size
        # A little behind each, since the last vector of a map may be read beyond its end.
        self.size += -(-(size + 64) // 64) * 64
        return start


@dataclass(frozen=True)
class BlockLayout:
    """Offsets of one block's arrays; those in the arena are of the whole batch, those in the scratch of one image."""

    block: Block
    precision: str
    outputs: int
    bits: int
    gradients: int
    weights: int
    weights_back: int
    bias: int
    d_weights: int
    d_bias: int
    totals: int
    totals_back: int
    image: int
    recomputed: int
    paired: int
    gradient: int
    gradient_pairs: int
    spread: int
    scale: int
    shift: int
    mean: int
    inverse: int
    by_gradient: int
    by_output: int
    constant: int

    @property
    def is_paired(self) -> bool:
        """Return whether words are two bfloat16: the first block's inputs have too few channels for that."""
        return self.precision == "bfloat16" and self.block.index > 0

    @property
    def words_in(self) -> int:
        """Return the words of an input pixel."""
        return self.block.lanes_in // 2 if self.is_paired else self.block.lanes_in

    @property
    def words_out(self) -> int:
        """Return the words of a pixel of the gradient that is convolved back."""
        return self.block.lanes_out // 2 if self.is_paired else self.block.lanes_out

    @property
    def taps(self) -> int:
        """Return the places of the kernel."""
        return self.block.kernel[0] * self.block.kernel[1]

    @property
    def output_count(self) -> int:
        """Return the numbers of one image's convolution output."""
        return self.block.out[0] * self.block.out[1] * self.block.lanes_out

    @property
    def bit_count(self) -> int:
        """Return the 16-bit words of one image's bits."""
        return self.block.out[0] * self.block.out[1] * len(chunks(self.block.lanes_out))

    @property
    def pooled_count(self) -> int:
        """Return the numbers that go out for one image."""
        return self.block.pooled[0] * self.block.pooled[1] * self.block.lanes_out

    @property
    def forward(self) -> Convolution:
        """Return the convolution of the pass forward."""
        block = self.block
        return Convolution(
            pitch=block.padded[1],
            words=self.words_in,
            kernel=block.kernel,
            stride=block.stride,
            dilation=block.dilation,
            out=block.out,
            lanes=block.lanes_out,
            paired=self.is_paired,
        )

    @property
    def backward(self) -> Convolution:
        """Return the convolution that takes the gradient back to what came in."""
        block = self.block
        return Convolution(
            pitch=block.spread[1],
            words=self.words_out,
            kernel=block.kernel,
            stride=(1, 1),
            dilation=block.dilation,
            out=block.size,
            lanes=block.lanes_in,
            paired=self.is_paired,
        )


@dataclass(frozen=True)
class Layout:
    """Offsets of everything.

    Args:
        blocks: of the net.
        capacity: images of the largest batch.
        precision: "float32" or "bfloat16": of stored maps and of products.
    """

    blocks: tuple[Block, ...]
    capacity: int
    precision: str
    inputs: int = field(init=False)
    logits: int = field(init=False)
    d_logits: int = field(init=False)
    arena_size: int = field(init=False)
    scratch_size: int = field(init=False)
    source: int = field(init=False)
    warped: int = field(init=False)
    each: tuple[BlockLayout, ...] = field(init=False)

    def __post_init__(self) -> None:
        arena, scratch = Space(), Space()
        first, last = self.blocks[0], self.blocks[-1]
        values = {
            "inputs": arena.take(4 * self.capacity * first.padded[0] * first.padded[1] * first.lanes_in),
            "logits": arena.take(4 * self.capacity * last.lanes_out),
            "d_logits": arena.take(4 * self.capacity * last.lanes_out),
            "source": scratch.take(first.inputs * self.source_rows * self.source_pitch),
            "warped": scratch.take(5 * 4 * (first.size[0] * first.size[1] + 16)),
            "each": tuple(self._block(block, arena, scratch) for block in self.blocks),
        }
        values |= {"arena_size": arena.size, "scratch_size": scratch.size}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def source_pitch(self) -> int:
        """Return the bytes of a row of an image with the background around it."""
        return self.blocks[0].size[1] + 8

    @property
    def source_rows(self) -> int:
        """Return the rows of an image with the background around it."""
        return self.blocks[0].size[0] + 3

    @property
    def input_count(self) -> int:
        """Return the numbers of one input image with its padding."""
        first = self.blocks[0]
        return first.padded[0] * first.padded[1] * first.lanes_in

    def _block(self, block: Block, arena: Space, scratch: Space) -> BlockLayout:
        size, lanes, lanes_in = SIZE[self.precision], block.lanes_out, block.lanes_in
        outputs = block.out[0] * block.out[1]
        pooled = block.pooled[0] * block.pooled[1]
        taps = block.kernel[0] * block.kernel[1]
        padded = block.padded[0] * block.padded[1]
        pairs = block.out[0] * -(-block.out[1] // 2)
        return BlockLayout(
            block=block,
            precision=self.precision,
            outputs=arena.take(size * self.capacity * outputs * lanes),
            bits=arena.take(2 * self.capacity * outputs * len(chunks(lanes))),
            gradients=arena.take(size * self.capacity * pooled * lanes),
            weights=arena.take(4 * taps * lanes_in * lanes),
            weights_back=arena.take(4 * taps * lanes_in * lanes),
            bias=arena.take(4 * lanes),
            d_weights=arena.take(4 * PARTS * taps * lanes_in * lanes),
            d_bias=arena.take(4 * PARTS * lanes),
            totals=arena.take(8 * PARTS * 2 * lanes),
            totals_back=arena.take(8 * PARTS * 2 * lanes),
            image=scratch.take(4 * padded * lanes_in),
            recomputed=scratch.take(4 * padded * lanes_in),
            paired=scratch.take(4 * padded * lanes_in),
            gradient=scratch.take(4 * outputs * lanes),
            gradient_pairs=scratch.take(4 * pairs * lanes),
            spread=scratch.take(4 * block.spread[0] * block.spread[1] * lanes),
            **{name: scratch.take(4 * lanes) for name in ("scale", "shift", "by_gradient", "by_output", "constant")},
            mean=scratch.take(8 * lanes),
            inverse=scratch.take(8 * lanes),
        )
