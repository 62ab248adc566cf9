"""Linear layers, normalisation, embeddings, recurrence and attention: what takes so many values or channels."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import nn
from torch.nn.modules import instancenorm, rnn

from stepladder.inspection.misfits.given import Given, Misfit, count, pair, same_type, torch_name


def linear(module: Any, given: Given) -> Misfit | None:
    """Linear layers: the size of the last axis, and what it takes for maps to become vectors."""
    shape, wanted = given.first, module.in_features
    if not shape or shape[-1] == wanted:
        return same_type(module, given) if shape else None
    found, inner = shape[-1], shape[1:]
    needs = f"{count(wanted, 'value')} in the last axis (in_features={wanted})"
    if len(shape) >= 4:
        pool = f"nn.AdaptiveAvgPool{len(inner) - 1}d(1)" if len(inner) <= 4 else "an average over the positions"
        if prod(inner) == wanted:
            repair = f"put nn.Flatten() before it: {'×'.join(map(str, inner))} are the {wanted:,} values that it takes"
        elif inner[0] == wanted:
            repair = f"put global average pooling before it: {pool} and nn.Flatten() leave its {wanted:,} values"
        else:
            repair = (
                f"put nn.Flatten() before it and say in_features={prod(inner)}, or global average pooling ({pool}, "
                f"nn.Flatten()) and in_features={inner[0]}"
            )
    elif len(shape) == 3 and prod(inner) == wanted:
        repair = f"put nn.Flatten() before it: {'×'.join(map(str, inner))} are the {wanted:,} values that it takes"
    elif len(shape) == 3 and inner[0] == wanted:
        repair = f"swap the axes before it: x.transpose(1, 2); or say in_features={found}"
    elif given.outside:
        repair = f"say in_features={found}, or give {given.option((*shape[:-1], wanted))}"
    else:
        repair = (
            f"say in_features={found}, or give the net an input of the size that it is made for; adaptive pooling "
            "before what flattens makes a net take any size"
        )
    return Misfit(needs, repair, count(found, "value") if len(shape) <= 2 else "")


_NORM_AXES = {"1d": (2, 3), "2d": (4,), "3d": (5,)}


def norm(module: Any, given: Given) -> Misfit | None:
    """Batch, instance and group normalisation: so many channels."""
    shape, instance = given.first, isinstance(module, instancenorm._InstanceNorm)
    argument = "num_channels" if isinstance(module, nn.GroupNorm) else "num_features"
    wanted = getattr(module, argument)
    name = torch_name(module)
    allowed = _NORM_AXES.get(name[-2:])
    if instance and allowed:
        allowed = (allowed[-1] - 1, allowed[-1])
    if allowed and len(shape) not in allowed:
        right = {2: "1d", 3: "1d", 4: "2d", 5: "3d"}.get(len(shape))
        return Misfit(
            f"{'maps' if allowed[-1] > 3 else 'vectors or sequences'} of {count(wanted, 'channel')}",
            f"use nn.{name[:-2]}{right}" if right else f"give it {allowed[-1]} axes with the batch",
        )
    axis = 0 if instance and allowed and len(shape) == allowed[0] else 1
    unread = instance and not module.affine and not module.track_running_stats
    if len(shape) < 2 or shape[axis] == wanted or unread:
        return None
    if len(shape) > 2 and shape[-1] == wanted:
        order = ", ".join(map(str, (0, len(shape) - 1, *range(1, len(shape) - 1))))
        repair = f"the channels come last here: x.permute({order}) before it, or nn.LayerNorm({wanted})"
    else:
        repair = f"say {argument}={shape[axis]}, or let what comes before it give {count(wanted, 'channel')}"
    return Misfit(f"{count(wanted, 'channel')} ({argument}={wanted})", repair, count(shape[axis], "channel"))


def layer_norm(module: Any, given: Given) -> Misfit | None:
    """Layer and root-mean-square normalisation: the sizes of the last axes."""
    shape, wanted = given.first, tuple(module.normalized_shape)
    if shape[-len(wanted) :] == wanted:
        return None
    repair = f"say normalized_shape={pair(shape[-len(wanted) :])}"
    if len(shape) >= 3 and shape[1:2] == wanted:
        order = ", ".join(map(str, (0, *range(2, len(shape)), 1)))
        repair = f"the channels come first here: x.permute({order}) before it, or nn.GroupNorm(1, {wanted[0]})"
    needs = (
        f"{'×'.join(map(str, wanted))} in its last axes" if len(wanted) > 1 else f"{wanted[0]} values in its last axis"
    )
    return Misfit(needs, repair)


def prelu(module: Any, given: Given) -> Misfit | None:
    """Leaky units with a slope a channel."""
    wanted, shape = module.num_parameters, given.first
    if wanted == 1 or len(shape) < 2 or shape[1] == wanted:
        return None
    return Misfit(
        f"{count(wanted, 'channel')} (num_parameters={wanted})",
        f"say num_parameters={shape[1]}, or 1 for all channels",
        count(shape[1], "channel"),
    )


def embedding(module: Any, given: Given) -> Misfit | None:
    """Embeddings: whole numbers."""
    if not given.dtypes or given.dtypes[0] in ("int64", "int32"):
        return None
    return Misfit(
        f"whole numbers from 0 to {module.num_embeddings - 1}",
        f"give {given.option(given.first, 'int64')}" if given.outside else "convert them before: x.long()",
        f"{given.dtypes[0]} values",
    )


def recurrent(module: Any, given: Given) -> Misfit | None:
    """Recurrent layers and cells: values a step."""
    shape, cell = given.first, isinstance(module, rnn.RNNCellBase)
    most = 2 if cell else 3
    if not most - 1 <= len(shape) <= most:
        sequence = "one step" if cell else "a sequence"
        return Misfit(
            f"{sequence} of {count(module.input_size, 'value')}" + ("" if cell else " a step"),
            f"give it {most} axes with the batch"
            + ("" if cell or len(shape) < 4 else ": maps become one with x.flatten(2).transpose(1, 2)"),
        )
    if shape[-1] == module.input_size:
        return same_type(module, given)
    repair = f"say input_size={shape[-1]}"
    if len(shape) == 3 and shape[1] == module.input_size:
        repair += ", or swap the axes before it: x.transpose(1, 2)"
    return Misfit(
        f"{count(module.input_size, 'value')} a step (input_size={module.input_size})",
        repair,
        f"{count(shape[-1], 'value')} a step",
    )


def attention(module: Any, given: Given) -> Misfit | None:
    """Multi-head attention: values a position, for queries, keys and values."""
    names = (("query", "embed_dim"), ("key", "kdim"), ("value", "vdim"))
    for shape, (role, argument) in zip(given.shapes, names, strict=False):
        if len(shape) not in (2, 3):
            return Misfit(
                f"a sequence of {count(module.embed_dim, 'value')} a position",
                "make tokens of maps before it: x.flatten(2).transpose(1, 2)"
                if len(shape) > 3
                else "give it 3 axes with the batch",
            )
        wanted = getattr(module, argument)
        if shape[-1] == wanted:
            continue
        repair = f"say {argument}={shape[-1]}, or put nn.Linear({shape[-1]}, {wanted}) before it"
        if len(shape) == 3 and shape[1] == wanted:
            repair = f"swap the axes before it: x.transpose(1, 2); or say {argument}={shape[-1]}"
        return Misfit(
            f"{count(wanted, 'value')} a position ({argument}={wanted})",
            repair,
            f"a {role} of {count(shape[-1], 'value')} a position",
        )
    return same_type(module, given)


def bilinear(module: Any, given: Given) -> Misfit | None:
    """Bilinear layers: two sizes."""
    for shape, argument in zip(given.shapes, ("in1_features", "in2_features"), strict=False):
        wanted = getattr(module, argument)
        if shape and shape[-1] != wanted:
            return Misfit(f"{count(wanted, 'value')} ({argument}={wanted})", f"say {argument}={shape[-1]}")
    return None


def flatten(module: Any, given: Given) -> Misfit | None:
    """Flatten: the axes must be there."""
    axes = len(given.first)
    if -axes <= module.start_dim < axes and -axes <= module.end_dim < axes:
        return None
    return Misfit(f"more than {max(module.start_dim, module.end_dim)} axes with the batch", "leave it out")
