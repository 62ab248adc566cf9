"""Functions of torch by name, with the shapes that they were given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod

import torch

from stepladder.inspection.misfits.given import Given, Misfit, count
from stepladder.layers import Shape


def of_function(
    name: str, given: Given, arguments: Sequence[object] = (), keywords: Mapping[str, object] | None = None
) -> Misfit | None:
    """Return why a function cannot take what it is given; None if that fits or nothing is known about it.

    Args:
        name: as torch calls it: ``add``, ``__iadd__``, ``conv2d``, ``aten.add.Tensor``.
        given: shapes and dtypes of all its tensors, in order.
        arguments: by position; tensors among them are passed over.
        keywords: by name.
    """
    rule = _RULES.get(_plain(name))
    if rule is None or not given.shapes:
        return None
    return rule(given, _numbers(arguments), keywords or {})


def elementwise(
    given: Given, numbers: Sequence[object] = (), keywords: Mapping[str, object] | None = None
) -> Misfit | None:
    """Additions, products and the like: shapes that can be broadcast to one."""
    if len(given.shapes) < 2:
        return None
    left, right = given.shapes[0], next((one for one in given.shapes[1:] if not _fit(given.first, one)), None)
    if right is None:
        return None
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    if len(longer) > 2 and len(shorter) == 2 and shorter[1] == longer[1]:
        return Misfit(
            "a number a channel in the axis of the channels",
            f"give it axes for the positions: x[:, :{', None' * (len(longer) - 2)}]",
        )
    if len(left) != len(right):
        return Misfit(
            "shapes that match from the last axis on: each size the same, or 1",
            "bring both to the same axes: flatten or pool the maps, or give the smaller one axes of size 1 with None",
        )
    return _different(left, right)


def _different(left: Shape, right: Shape) -> Misfit:
    """Return what is wrong with two shapes of as many axes that should be equal, such as a branch and its shortcut."""
    if len(left) < 3:
        return Misfit(
            "equal sizes, or 1, in each axis",
            f"make both branches give {left[-1]} values: nn.Linear({right[-1]}, {left[-1]}) on the second",
        )
    channels = left[1] != right[1] and 1 not in (left[1], right[1])
    sizes = any(one != other and 1 not in (one, other) for one, other in zip(left[2:], right[2:], strict=True))
    if len(left) == 3:
        if not channels:
            return Misfit(
                "equal sizes in each axis",
                f"make both give {left[2]} values a position: nn.Linear({right[2]}, {left[2]}) on the second",
            )
        return Misfit("equal sizes in each axis", "pad the convolutions of one branch, or leave out positions")
    kind = f"nn.Conv{len(left) - 2}d"
    stride = _stride(left[2:], right[2:])
    one = (
        f"{kind}({right[1]}, {left[1]}, 1" if prod(right[2:]) >= prod(left[2:]) else f"{kind}({left[1]}, {right[1]}, 1"
    )
    which = "second" if prod(right[2:]) >= prod(left[2:]) else "first"
    if channels and not sizes:
        return Misfit("as many channels in both", f"put a 1×1 convolution on the shortcut: {one})")
    same = "pad the convolutions of one branch by (kernel - 1) / 2 so that they keep the size"
    if stride:
        repair = f"use the same strides in both branches: a 1×1 convolution with the stride on the {which}, {one}, "
        repair += f"stride={stride})" + ("" if channels else ", or a pooling")
    elif channels:
        repair = f"{same}, and put a 1×1 convolution on the shortcut: {one})"
    else:
        repair = f"{same}, use the same strides in both, or crop the larger one"
    return Misfit("as many rows and columns" + (" and channels" if channels else "") + " in both", repair)


def _stride(left: Shape, right: Shape) -> int:
    """Return the stride that takes the larger maps to the size of the smaller; 0 if none does."""
    large, small = (left, right) if prod(left) >= prod(right) else (right, left)
    strides = {round(a / b) for a, b in zip(large, small, strict=True)}
    stride = strides.pop() if len(strides) == 1 else 0
    fits = stride > 1 and all(-(-a // stride) == b for a, b in zip(large, small, strict=True))
    return stride if fits else 0


def concatenation(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """Concatenation: equal sizes in all axes but one."""
    first = given.first
    axis = keywords.get("dim", keywords.get("axis", numbers[0] if numbers else 0))
    if not isinstance(axis, int):
        return None
    others = [one for one in given.shapes[1:] if one != (0,)]
    if any(len(one) != len(first) for one in others):
        return Misfit("as many axes in all of them", "flatten all of them before it, or none")
    if not -len(first) <= axis < len(first):
        return Misfit(f"an axis below {len(first)}", f"say dim={min(1, len(first) - 1)}", f"dim={axis}")
    axis %= len(first)
    for other in others:
        differing = [at for at in range(len(first)) if at != axis and first[at] != other[at]]
        if not differing:
            continue
        if differing == [1]:
            return Misfit(f"equal sizes in all axes but {axis}", "join them along the channels: dim=1")
        if len(first) < 4:
            return Misfit(f"equal sizes in all axes but {axis}", f"say dim={differing[0]}, or make the others equal")
        stride = _stride(first[2:], other[2:])
        repair = "pad the convolutions of each branch by (kernel - 1) / 2, and use the same strides in all"
        if stride:
            repair = (
                f"use the same strides in all branches (one has {stride} times as many rows), or enlarge the smaller"
            )
        return Misfit(f"equal sizes in all axes but {axis}", f"{repair} maps with nn.Upsample" if stride else repair)
    return None


def stacking(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """Stacking: equal shapes."""
    if all(one == given.first for one in given.shapes):
        return None
    return Misfit("equal shapes", "make them equal, or join them along an axis that differs: torch.cat")


def reshaping(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """View and reshape: as many values after as before."""
    shape = given.first
    wanted = [one for one in _flat([*numbers, *keywords.values()]) if isinstance(one, int)]
    known = prod(one for one in wanted if one != -1)
    total = prod(shape)
    if not wanted or known < 1 or (known == total if -1 not in wanted else total % known == 0):
        return None
    each = prod(shape[1:])
    asked = f"({', '.join(map(str, wanted))})"
    if len(wanted) == 2:
        repair = f"flatten whatever comes: x.flatten(1), which gives {each:,} values here"
        if wanted[1] not in (-1, each):
            repair += f", and say in_features={each} in the linear layer after it"
    else:
        repair = f"ask for sizes whose product is {total:,}, or for -1 in one of them"
    return Misfit(f"a shape of {total:,} values", repair, f"to become {asked}")


def product(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """Matrix products: the last axis of the left as long as the last but one of the right."""
    # An addmm or baddbmm has what is added in front.
    left, right = given.shapes[-2:] if len(given.shapes) >= 2 else ((), ())
    if not left or not right:
        return None
    inner = right[-2] if len(right) > 1 else right[-1]
    if left[-1] == inner:
        return None if _fit(left[:-2], right[:-2]) else Misfit("equal batches", "bring both to the same first axes")
    if len(right) > 1 and left[-1] == right[-1]:
        repair = "transpose the second: b.transpose(-2, -1)"
    elif len(left) > 1 and left[-2] == inner:
        repair = "transpose the first: a.transpose(-2, -1)"
    else:
        repair = "make the last axis of the first as long as the last but one of the second"
    return Misfit(
        "the last axis of the first as long as the last but one of the second", repair, f"{left[-1]} and {inner}"
    )


def linear(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """F.linear: the last axis as long as the weight's."""
    if len(given.shapes) < 2 or not given.first or given.first[-1] == given.shapes[1][-1]:
        return None
    return Misfit(
        f"{count(given.shapes[1][-1], 'value')} in the last axis, as its weight has",
        f"give the weight {given.first[-1]} columns, or flatten or pool what comes before it",
        count(given.first[-1], "value"),
    )


def convolution(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """F.conv1d, conv2d and conv3d: as many channels as the weight takes."""
    if len(given.shapes) < 2 or len(given.first) < 2:
        return None
    weight, groups = given.shapes[1], keywords.get("groups", numbers[3] if len(numbers) > 3 else 1)
    axis = len(given.first) - len(weight) + 1
    if not isinstance(groups, int) or axis not in (0, 1) or given.first[axis] == weight[1] * groups:
        return None
    return Misfit(
        f"{count(weight[1] * groups, 'channel')}, as its weight of {'×'.join(map(str, weight))} takes",
        f"give the weight {given.first[axis]} input channels, or let what comes before it give {weight[1] * groups}",
        count(given.first[axis], "channel"),
    )


def embedding(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """F.embedding: whole numbers, told from the type of the values."""
    wrong = [dtype for dtype in given.dtypes[:1] if dtype not in ("int64", "int32")]
    if not wrong:
        return None
    option = given.option(given.first, "int64")
    return Misfit(
        "whole numbers", f"give {option}" if given.outside else "convert them before: x.long()", f"{wrong[0]} values"
    )


def attention(given: Given, numbers: Sequence[object], keywords: Mapping[str, object]) -> Misfit | None:
    """Scaled dot-product attention: queries as long as keys, and as many keys as values."""
    if len(given.shapes) < 3 or min(map(len, given.shapes[:3])) < 2:
        return None
    query, key, value = given.shapes[:3]
    if query[-1] != key[-1]:
        return Misfit("queries and keys of one size", "give both the same size a head", f"{query[-1]} and {key[-1]}")
    if key[-2] != value[-2]:
        return Misfit("as many keys as values", "make both from the same sequence", f"{key[-2]} and {value[-2]}")
    return None


def _plain(name: str) -> str:
    """Return a function's name without its home, its overload and what marks it as in place or reflected."""
    name = name.removeprefix("aten.").removeprefix("aten::").partition(".")[0]
    dunder = re.fullmatch(r"__[ir]?(add|sub|mul|truediv|floordiv|pow|matmul|and|or|xor|mod)__", name)
    return dunder[1] if dunder else name.strip("_")


def _numbers(arguments: Sequence[object]) -> list[object]:
    """Return the arguments that are neither tensors nor sequences of them."""
    return [
        one
        for one in arguments
        if not isinstance(one, torch.Tensor)
        and not (isinstance(one, list | tuple) and any(isinstance(inner, torch.Tensor) for inner in one))
    ]


def _flat(values: Sequence[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _fit(left: Shape, right: Shape) -> bool:
    """Return whether two shapes can be broadcast to one."""
    return all(a == b or 1 in (a, b) for a, b in zip(reversed(left), reversed(right), strict=False))


_Rule = Callable[[Given, Sequence[object], Mapping[str, object]], Misfit | None]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(
        ("add", "sub", "subtract", "mul", "multiply", "div", "divide", "truediv", "floordiv", "pow", "mod"),
        elementwise,
    ),
    **dict.fromkeys(("maximum", "minimum", "where", "lerp", "addcmul", "atan2", "and", "or", "xor"), elementwise),
    **dict.fromkeys(("cat", "concat", "concatenate"), concatenation),
    "stack": stacking,
    **dict.fromkeys(("view", "reshape", "unsafe_view", "view_copy"), reshaping),
    **dict.fromkeys(("matmul", "mm", "bmm", "addmm", "baddbmm"), product),
    "linear": linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    "embedding": embedding,
    **dict.fromkeys(("scaled_dot_product_attention",), attention),
}
