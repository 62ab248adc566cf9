"""Where threads wait for each other."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from stepladder.engine import layout as table
from stepladder.engine.emit import I32, I64, POINTER, Emitter

_SPINS_BEFORE_YIELD = 1 << 10
"""Some ten microseconds: one thread is rarely that much later than another, unless others need the cores."""


def write_barrier(module: ir.Module, machine: str) -> None:
    """Write the function in which threads wait for each other; it spins, and yields where that takes long.

    It is called ``meet`` and takes the table of outer addresses and the number of threads.

    The barrier is three words, each in a cache line of its own: how many have arrived, the round, and whether the
    call is off, so that nobody has to wait for a thread that never came.
    """
    e = Emitter(module, "meet", [POINTER, I64])
    e.function.attributes.add("noinline")
    e.function.linkage = "internal"
    b = e.builder
    addresses, threads = e.function.args
    with b.if_then(b.icmp_signed("==", threads, e.number(1))):
        b.ret_void()
    arrived = e.load(e.at(addresses, table.BARRIER, I64), POINTER)
    round_ = e.at(arrived, 64)
    current = b.load_atomic(round_, "acquire", 8, typ=I64)
    others = b.atomic_rmw("add", arrived, e.number(1), "acq_rel")
    with b.if_then(b.icmp_signed("==", e.sum(others, 1), threads)):
        b.atomic_rmw("xchg", arrived, e.number(0), "monotonic")
        b.atomic_rmw("xchg", round_, e.sum(current, 1), "release")
        b.ret_void()
    before = b.block
    spin, rest, leave = (e.function.append_basic_block(name) for name in ("spin", "rest", "leave"))
    b.branch(spin)
    b.position_at_end(spin)
    spins = b.phi(I64)
    spins.add_incoming(e.number(0), before)
    if machine.startswith("x86_64"):
        e.intrinsic("llvm.x86.sse2.pause", ir.VoidType())
    is_over = b.icmp_signed("!=", b.load_atomic(round_, "acquire", 8, typ=I64), current)
    is_called_off = b.icmp_signed("!=", b.load_atomic(e.at(arrived, 128), "monotonic", 8, typ=I64), e.number(0))
    is_over = b.or_(is_over, is_called_off)
    b.cbranch(is_over, leave, rest)
    b.position_at_end(rest)
    give_way = e.load(e.at(addresses, table.YIELD, I64), POINTER)
    is_due = b.icmp_signed(">", spins, e.number(_SPINS_BEFORE_YIELD))
    exists = b.icmp_unsigned("!=", b.ptrtoint(give_way, I64), e.number(0))
    with b.if_then(b.and_(is_due, exists)):
        signature = ir.FunctionType(I32, [])
        b.call(_Callable(give_way, signature), [])
    spins.add_incoming(e.sum(spins, 1), b.block)
    b.branch(spin)
    b.position_at_end(leave)
    b.ret_void()


class _Callable:
    """A function by its address, in the form that llvmlite's builder takes for a call."""

    def __init__(self, address: Any, signature: Any) -> None:
        self.function_type = signature
        self.type = address.type
        self.get_reference = address.get_reference
        self.args: list[Any] = []
