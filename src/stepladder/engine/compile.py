"""From the text of a program to functions that can be called; what was compiled once is kept on disk."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import llvmlite
from llvmlite import binding as llvm

from stepladder.files import write_bytes

Function = Callable[[int, int, int, int, int], None]
"""Of the address table, the thread, the threads, the images and whether it is a training step."""

_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4)
_DIGEST = hashlib.sha256().digest_size


class Compiled:
    """Machine code in memory; it lives as long as this does.

    Args:
        object_file: as ``build`` returns it.
    """

    def __init__(self, object_file: bytes) -> None:
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(object_file))
        self._engine.finalize_object()

    def function(self, name: str) -> Function:
        """Return a function of the program; calls release the interpreter's lock."""
        found: Function = _SIGNATURE(self._engine.get_function_address(name))
        return found


def build(write: Callable[[], str], key: str, folder: Path | None) -> bytes:
    """Return a program's object file, from the folder where it lies there.

    Args:
        write: gives the program's text.
        key: what the text follows from.
        folder: where object files are kept; None keeps nothing.
    """
    machine = _target_machine()
    parts = (key, _sources(), llvmlite.__version__, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    path = folder / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}.o" if folder else None
    if path is not None and (kept := _read(path)) is not None:
        return kept
    module = llvm.parse_assembly(write())
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    # The vectors are written already; unrolled loops would only take longer to compile.
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    found: bytes = machine.emit_object(module)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, hashlib.sha256(found).digest() + found)
        except OSError:
            pass  # a full or read-only disk: it is compiled again next time
    return found


def machine_name() -> str:
    """Return LLVM's name of this processor's architecture, such as "x86_64"."""
    return str(llvm.get_process_triple()).split("-", 1)[0]


def has_bfloat16_products() -> bool:
    """Return whether the processor multiplies pairs of bfloat16."""
    return bool(dict(llvm.get_host_cpu_features()).get("avx512bf16"))


def _target_machine() -> llvm.TargetMachine:
    # A new one each time: what executes the code takes it over.
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, jit=True
    )


@cache
def _sources() -> str:
    """Return a digest of the engine's own source: another version compiles anew."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> bytes | None:
    """Return a kept object file, None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, found = content[:_DIGEST], content[_DIGEST:]
    return found if hashlib.sha256(found).digest() == digest else None
