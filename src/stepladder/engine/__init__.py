"""Training and evaluation passes of small nets on a processor, in machine code that is written for each net.

A small net's convolutions are short, and what lies between them costs as much again when every layer passes over all
its maps by itself. Here a convolution and all that follows it are one pass over one image at a time, which stays in the
processor's cache; and the loops are written for the net's sizes, so that sums stay in registers. LLVM, in the package
llvmlite, turns them into machine code for the processor at hand; no compiler has to be installed.

``net.py`` runs it; ``plan.py`` says which nets it knows; ``program.py`` puts the kernels together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class UnsupportedNet(Exception):  # noqa: N818
    """The engine has no kernels for this net, or not here; the message says why."""


def missing(device: torch.device, precision: str) -> str | None:
    """Return why machine code cannot be had here; None if it can.

    Args:
        device: where to compute.
        precision: "float32" or "bfloat16".
    """
    if device.type != "cpu":
        return f"machine code is written for processors, not for {device.type}"
    try:
        from stepladder.engine.compile import has_bfloat16_products
    except (ImportError, OSError) as error:
        return f"llvmlite cannot be imported ({error})"
    if precision == "bfloat16" and not has_bfloat16_products():
        return "this processor does not multiply bfloat16"
    return None
