"""A thin layer over llvmlite's builder: loops, vectors and numbers in memory, as the engine's kernels need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir


class _Bfloat(ir.types.Type):  # type: ignore[misc]
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bfloat)

    def __hash__(self) -> int:
        return hash("bfloat")


BIT, I16, I32, I64 = ir.IntType(1), ir.IntType(16), ir.IntType(32), ir.IntType(64)
BYTE = ir.IntType(8)
F32, F64, BF16 = ir.FloatType(), ir.DoubleType(), _Bfloat()
POINTER = ir.PointerType()

SIZE = {"float32": 4, "bfloat16": 2}
"""Bytes of a stored number."""


class Loop:
    """A loop being written: its index, the values that it carries, and what they become."""

    def __init__(self, index: Any, values: list[Any]) -> None:
        self.index = index
        self.values = values
        self.next: list[Any] = []
        self.results: list[Any] = []


class Emitter:
    """Writes one function.

    Args:
        module: where the function goes.
        name: its name.
        arguments: its argument types.
    """

    def __init__(self, module: ir.Module, name: str, arguments: Sequence[Any]) -> None:
        self.module = module
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), list(arguments)), name)
        self.function.attributes.add("nounwind")
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))

    # Control flow

    @contextmanager
    def loop(self, start: Any, stop: Any, carried: Sequence[Any] = (), step: int = 1) -> Iterator[Loop]:
        """Repeat what is written inside for every index from start to below stop."""
        start, stop = self.number(start), self.number(stop)
        before = self.builder.block
        head, body, after = (self.function.append_basic_block(name) for name in ("head", "body", "after"))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        index = self.builder.phi(I64)
        index.add_incoming(start, before)
        phis = [self.builder.phi(value.type) for value in carried]
        for phi, value in zip(phis, carried, strict=True):
            phi.add_incoming(value, before)
        self.builder.cbranch(self.builder.icmp_signed("<", index, stop), body, after)
        self.builder.position_at_end(body)
        loop = Loop(index, list(phis))
        yield loop
        end = self.builder.block
        index.add_incoming(self.builder.add(index, self.number(step)), end)
        for phi, value in zip(phis, loop.next, strict=True):
            phi.add_incoming(value, end)
        self.builder.branch(head)
        self.builder.position_at_end(after)
        loop.results = list(phis)

    @contextmanager
    def when(self, condition: Any) -> Iterator[None]:
        """Do what is written inside only where the condition holds."""
        with self.builder.if_then(condition):
            yield

    # Whole numbers and addresses

    def number(self, value: Any) -> Any:
        """Return a constant of 64 bits for a Python number; other values as they are."""
        return ir.Constant(I64, value) if isinstance(value, int) else value

    def sum(self, *terms: Any) -> Any:
        """Return the sum of numbers, constants folded."""
        constant = sum(term for term in terms if isinstance(term, int))
        total: Any = None
        for term in terms:
            if not isinstance(term, int):
                total = term if total is None else self.builder.add(total, term)
        if total is None:
            return self.number(constant)
        return self.builder.add(total, self.number(constant)) if constant else total

    def product(self, left: Any, right: Any) -> Any:
        """Return the product of two numbers."""
        if isinstance(left, int) and isinstance(right, int):
            return self.number(left * right)
        if 1 in (left, right) and (isinstance(left, int) or isinstance(right, int)):
            return right if isinstance(left, int) and left == 1 else left
        return self.builder.mul(self.number(left), self.number(right))

    def at(self, pointer: Any, offset: Any, kind: Any = BYTE) -> Any:
        """Return the address ``offset`` numbers of the kind behind the pointer."""
        if isinstance(offset, int) and offset == 0:
            return pointer
        return self.builder.gep(pointer, [self.number(offset)], source_etype=kind)

    def load(self, pointer: Any, kind: Any, align: int | None = None) -> Any:
        """Return what stands at the address."""
        loaded = self.builder.load(pointer, typ=kind)
        loaded.align = align or _alignment(kind)
        return loaded

    def store(self, value: Any, pointer: Any) -> None:
        """Put the value at the address."""
        self.builder.store(value, pointer).align = _alignment(value.type)

    # Vectors

    def splat(self, value: Any, lanes: int) -> Any:
        """Return a vector of one value, lanes times; a Python number makes a constant."""
        if isinstance(value, float):
            return ir.Constant(ir.VectorType(F32, lanes), [value] * lanes)
        if isinstance(value, int):
            return ir.Constant(ir.VectorType(I32, lanes), [value] * lanes)
        kind = ir.VectorType(value.type, lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def intrinsic(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call an LLVM intrinsic by its full name."""
        function = self.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(result, [argument.type for argument in arguments])
            function = ir.Function(self.module, kind, name)
        return self.builder.call(function, arguments)

    def fma(self, left: Any, right: Any, addend: Any) -> Any:
        """Return left · right + addend, rounded once."""
        return self.intrinsic(f"llvm.fma.{_suffix(left.type)}", left.type, left, right, addend)

    def multiply_pairs(self, left: Any, right: Any, addend: Any) -> Any:
        """Return, lane by lane, the addend and the two products of pairs of bfloat16 in 32-bit words."""
        lanes = addend.type.count
        pairs = ir.VectorType(BF16, 2 * lanes)
        return self.intrinsic(
            f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}",
            addend.type,
            addend,
            self.builder.bitcast(left, pairs),
            self.builder.bitcast(right, pairs),
        )

    def maximum(self, left: Any, right: Any) -> Any:
        """Return the larger of two vectors, lane by lane."""
        return self.builder.select(self.builder.fcmp_ordered(">", left, right), left, right)

    def square_root(self, value: Any) -> Any:
        """Return the square root of a float64."""
        return self.intrinsic("llvm.sqrt.f64", F64, value)

    def load_numbers(self, pointer: Any, offset: Any, lanes: int, precision: str) -> Any:
        """Return stored numbers as a vector of float32."""
        if precision == "float32":
            return self.load(self.at(pointer, offset, F32), ir.VectorType(F32, lanes))
        stored = self.load(self.at(pointer, offset, I16), ir.VectorType(I16, lanes))
        wide = self.builder.zext(stored, ir.VectorType(I32, lanes))
        return self.builder.bitcast(self.builder.shl(wide, self.splat(16, lanes)), ir.VectorType(F32, lanes))

    def store_numbers(self, values: Any, pointer: Any, offset: Any, precision: str) -> None:
        """Store a vector of float32, rounded to nearest even where less precision is kept."""
        if precision == "float32":
            self.store(values, self.at(pointer, offset, F32))
        else:
            self.store(self.halves(values), self.at(pointer, offset, I16))

    def halves(self, values: Any) -> Any:
        """Return the bits of the values as bfloat16."""
        lanes = values.type.count
        rounded = self.builder.fptrunc(values, ir.VectorType(BF16, lanes))
        return self.builder.bitcast(rounded, ir.VectorType(I16, lanes))

    def pairs(self, low: Any, high: Any) -> Any:
        """Return two vectors of float32 as one of 32-bit words: bfloat16 of low, and of high above it."""
        words = ir.VectorType(I32, low.type.count)
        lower = self.builder.zext(self.halves(low), words)
        if high is None:
            return lower
        upper = self.builder.zext(self.halves(high), words)
        return self.builder.or_(lower, self.builder.shl(upper, self.splat(16, low.type.count)))

    def store_mask(self, mask: Any, pointer: Any, offset: Any) -> None:
        """Store a vector of bits as 16 bits."""
        lanes = mask.type.count
        bits = self.builder.bitcast(mask, ir.IntType(lanes))
        self.store(bits if lanes == 16 else self.builder.zext(bits, I16), self.at(pointer, offset, I16))

    def load_mask(self, pointer: Any, offset: Any, lanes: int) -> Any:
        """Return stored bits as a vector."""
        bits = self.load(self.at(pointer, offset, I16), I16)
        narrow = bits if lanes == 16 else self.builder.trunc(bits, ir.IntType(lanes))
        return self.builder.bitcast(narrow, ir.VectorType(BIT, lanes))


def chunks(channels: int) -> list[tuple[int, int]]:
    """Return the vectors that a pixel's channels make, as (first channel, lanes); channels in multiples of 4."""
    found, start = [], 0
    for lanes in (16, 8, 4):
        while channels - start >= lanes:
            found.append((start, lanes))
            start += lanes
    return found


def _suffix(kind: Any) -> str:
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_suffix(kind.element)}"
    return {F32: "f32", F64: "f64"}[kind]


def _alignment(kind: Any) -> int:
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    if isinstance(element, ir.IntType):
        return max(1, int(element.width) // 8)
    return {F32: 4, F64: 8, BF16: 2}.get(element, 8)
