"""Which memory tensors lie in, and how: what writes into one of them may change others."""

from __future__ import annotations

import torch
from torch import Tensor


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
