"""What inspection works out itself is what torch says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stepladder.inspection.shortcuts import shortcut

aten = torch.ops.aten
SIZES = st.integers(1, 9)
SMALL = st.integers(0, 3)
TYPES = st.sampled_from([torch.float32, torch.float16, torch.float64])


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def told(result: Any) -> Any:
    """Everything that can be known of tensors without values."""
    if isinstance(result, tuple):
        return tuple(told(one) for one in result)
    return tuple(result.shape), result.stride(), result.dtype, result.device.type


def same(call: Any, *args: Any) -> bool:
    """Whether the shortcut was taken; it then has to give what torch gives."""
    found = shortcut(call, args, {})
    if found is None:
        return False
    assert told(found) == told(call(*args))
    return True


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 3))

    def each(numbers: st.SearchStrategy[int]) -> list[int]:
        return data.draw(st.lists(numbers, min_size=axes, max_size=axes))

    groups = data.draw(st.integers(1, 3))
    weight = empty(groups * data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), *each(st.integers(1, 4)))
    x = empty(data.draw(SIZES), groups * weight.shape[1], *each(SIZES))
    bias = data.draw(st.sampled_from([None, empty(weight.shape[0])]))
    stride, padding, dilation = each(st.integers(1, 3)), each(SMALL), each(st.integers(1, 3))
    args = (x, weight, bias, stride, padding, dilation, False, [0] * axes, groups)
    if not same(aten.convolution.default, *args):
        with pytest.raises(RuntimeError):  # torch refuses, too: the kernel is larger than the map
            aten.convolution.default(*args)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_pooling(data: st.DataObject) -> None:
    x = empty(data.draw(SIZES), data.draw(SIZES), data.draw(SIZES), data.draw(SIZES))
    numbers = st.lists(st.integers(1, 4), min_size=1, max_size=2)
    kernel, stride, dilation = data.draw(numbers), data.draw(numbers | st.just([])), data.draw(numbers)
    padding = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=2))
    args = (x, kernel, stride, padding, dilation)
    if not same(aten.max_pool2d_with_indices.default, *args):
        with pytest.raises(RuntimeError):
            aten.max_pool2d_with_indices.default(*args)


@given(st.lists(SIZES, min_size=1, max_size=5), TYPES)
@settings(deadline=None)
def test_operations_on_each_value(shape: list[int], dtype: torch.dtype) -> None:
    x, y = empty(*shape, dtype=dtype), empty(*shape, dtype=dtype)
    for name in (
        "relu",
        "gelu",
        "silu",
        "sigmoid",
        "tanh",
        "hardswish",
        "hardsigmoid",
        "hardtanh",
        "leaky_relu",
        "elu",
    ):
        assert same(getattr(aten, name).default, x)
    assert same(aten.add.Tensor, x, y)
    assert same(aten.mul.Tensor, x, y)


def test_what_is_written_into_is_what_is_given() -> None:
    x = empty(2, 3)
    assert shortcut(aten.relu_.default, (x,), {}) is x
    assert shortcut(aten.add_.Tensor, (x, empty(2, 3)), {}) is x


@given(st.lists(SIZES, min_size=2, max_size=5), st.data())
@settings(deadline=None)
def test_means(shape: list[int], data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
    axes = [axis - len(shape) * data.draw(st.integers(0, 1)) for axis in axes]
    assert same(aten.mean.dim, empty(*shape), axes, data.draw(st.booleans()))


@given(st.lists(SIZES, min_size=2, max_size=5))
@settings(deadline=None)
def test_batch_norm_in_evaluation(shape: list[int]) -> None:
    held = [empty(shape[1]) for _ in range(4)]
    assert same(aten.native_batch_norm.default, empty(*shape), *held, False, 0.1, 1e-5)
    assert not same(aten.native_batch_norm.default, empty(*shape), *held, True, 0.1, 1e-5)
    # In half precision its statistics are single.
    half = [one.half() for one in (empty(*shape), *held)]
    assert not same(aten.native_batch_norm.default, *half, False, 0.1, 1e-5)


@given(SIZES, SIZES, SIZES)
@settings(deadline=None)
def test_products(rows: int, inner: int, columns: int) -> None:
    x, y = empty(rows, inner), empty(columns, inner).t()
    assert same(aten.mm.default, x, y)
    assert same(aten.addmm.default, empty(columns), x, y)


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (aten.add.Tensor, (empty(2, 3), empty(3))),
        (aten.add.Tensor, (empty(2, 3), 1)),
        (aten.add.Tensor, (empty(2, 3), empty(2, 3, dtype=torch.float64))),
        (aten.relu.default, (empty(2, 3).t(),)),
        (aten.relu.default, (empty(2, 3, dtype=torch.int64),)),
        (aten.relu.default, (torch.zeros(2, 3),)),
        (aten.mm.default, (empty(2, 3), empty(4, 5))),
        (aten.mean.dim, (empty(2, 3), None)),
        (aten.mean.dim, (empty(2, 3), [2])),
        (aten.native_batch_norm.default, (empty(2, 3, 4), empty(5), empty(5), empty(5), empty(5), False, 0.1, 1e-5)),
        (aten.convolution.default, (empty(1, 2, 8), empty(3, 4, 3), None, [1], [0], [1], False, [0], 1)),
        (aten.convolution.default, (empty(1, 2, 8), empty(2, 3, 3), None, [1], [0], [1], True, [0], 1)),
        (aten.exp.default, (empty(2),)),
    ],
)
def test_torch_is_asked_where_it_is_not_plain(call: Any, args: tuple[Any, ...]) -> None:
    assert shortcut(call, args, {}) is None
