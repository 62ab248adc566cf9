"""Which memory tensors lie in, and how: what writes into one of them may change others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def key_of(tensor: Tensor) -> int:
    """Return what tells the memory of a tensor from that of others; the tensor's own id where it has none of one piece.

    Sparse tensors, and those that are mapped over, have none.
    """
    try:
        return int(tensor.untyped_storage()._cdata)
    except NotImplementedError:
        return id(tensor)


class Shadows:
    """Tensors without values that stand in for others; those that share memory have shadows that do."""

    def __init__(self) -> None:
        self._shadows: dict[int, tuple[Tensor, Tensor]] = {}
        self._memories: dict[int, Tensor] = {}

    def bare(self, value: Any) -> Any:
        """Return a value with every tensor in it on the meta device, each always with the same stand-in."""
        if isinstance(value, list | tuple):
            return [self.bare(one) for one in value]
        if isinstance(value, dict):
            return {name: self.bare(one) for name, one in value.items()}
        if not isinstance(value, Tensor) or value.is_meta:
            return value
        if id(value) not in self._shadows:
            # The value is kept as well: another tensor might get its id.
            self._shadows[id(value)] = (self._made(value), value)
        return self._shadows[id(value)][0]

    def _made(self, value: Tensor) -> Tensor:
        if value.layout is not torch.strided:
            return value.to("meta")
        key = key_of(value)
        memory = self._memories.get(key)
        if memory is None:
            size = value.untyped_storage().nbytes() // value.element_size()
            memory = self._memories[key] = torch.empty(size, dtype=value.dtype, device="meta")
        if memory.dtype != value.dtype:
            return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
        return memory.as_strided(value.shape, value.stride(), value.storage_offset())


def memory_of(tensor: Tensor) -> int:
    """Return the bytes that a tensor lies in, those of others in the same memory counted."""
    if tensor.is_sparse:
        with torch._C._DisableTorchDispatch():  # to ask for the number of values is an operation
            return int(tensor._nnz() * (tensor.element_size() + 8 * tensor.sparse_dim()))
    try:
        return tensor.untyped_storage().nbytes()
    except NotImplementedError:
        return tensor.numel() * tensor.element_size()


def laid_out(tensor: Tensor) -> tuple[object, ...]:
    """Return what tells a tensor from others in the same memory: those of equal layout are the same values."""
    if tensor.layout is not torch.strided:
        return (id(tensor),)
    return (tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), tensor.dtype)


def apart(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors in the same memory have no value in common, if that is easy to see."""
    if one.layout is not torch.strided or other.layout is not torch.strided or one.dtype != other.dtype:
        return False
    (first, last), (start, end) = _extent(one), _extent(other)
    return last < start or end < first


def _extent(tensor: Tensor) -> tuple[int, int]:
    first = int(tensor.storage_offset())
    reach = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return first, first + reach if tensor.numel() else first - 1
