"""Convolutions, pooling and padding: what slides windows over maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.nn.modules import padding

from stepladder.inspection.misfits.given import Given, Misfit, count, pair, same_type, torch_name
from stepladder.layers import Shape

_AXES = {1: ("positions",), 2: ("rows", "columns"), 3: ("slices", "rows", "columns")}


def convolution(module: Any, given: Given) -> Misfit | None:
    """Convolutions, transposed ones too: axes, channels, the kernel within the padded map, the type of the values."""
    axes, shape = len(module.kernel_size), given.first
    names = _AXES[axes]
    channels = module.in_channels
    if len(shape) not in (axes + 1, axes + 2):
        return Misfit(f"maps: {channels}×{'×'.join(names)}", _maps_again(shape, channels, axes))
    if len(shape) == axes + 1 and shape[0] != channels:
        wanted = (given.batch or 1, channels, *shape[-axes:])
        return Misfit(
            f"maps: {channels}×{'×'.join(names)}",
            f"give the channels as well: {given.option(wanted)}" if given.outside else "keep the axis of the channels",
        )
    found = shape[-axes - 1]
    if found != channels:
        if shape[-1] == channels and len(shape) == axes + 2:
            order = ", ".join(map(str, (0, axes + 1, *range(1, axes + 1))))
            repair = f"the channels come last here: x.permute({order}) before it"
        elif given.outside:
            repair = f"say in_channels={found}, or give {given.option((*shape[: -axes - 1], channels, *shape[-axes:]))}"
        else:
            repair = f"say in_channels={found}, or let what comes before it give {count(channels, 'channel')}"
        return Misfit(f"{count(channels, 'channel')} (in_channels={channels})", repair, count(found, "channel"))
    return _window(module, given) or same_type(module, given)


def _maps_again(shape: Shape, channels: int, axes: int) -> str:
    if len(shape) > axes + 2:
        return f"use nn.Conv{len(shape) - 2}d, or merge axes before it" if len(shape) <= 5 else "merge axes before it"
    sizes = ", ".join(["-1", str(channels), *_AXES[axes]])
    return f"leave out what flattens before it, or shape maps again: x.view({sizes})"


def _window(module: Any, given: Given) -> Misfit | None:
    """Return what is wrong if a kernel does not fit into its padded input."""
    if module.transposed:
        return None
    axes = len(module.kernel_size)
    sizes = given.first[-axes:]
    reach = [d * (k - 1) + 1 for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    if isinstance(module.padding, str):
        if module.padding == "same":
            return None
        pads: Sequence[int] = (0,) * axes
    else:
        pads = module.padding
    limit = {"reflect": -1, "circular": 0}.get(module.padding_mode)
    if limit is not None and any(pad > size + limit for pad, size in zip(pads, sizes, strict=True)):
        return _too_much_padding(pads, sizes, module.padding_mode)
    if all(size + 2 * pad >= one for size, pad, one in zip(sizes, pads, reach, strict=True)):
        return None
    same = pair([(one - 1) // 2 for one in reach])
    return Misfit(
        f"at least {_least(reach, pads)}, for a window of {'×'.join(map(str, reach))} with padding {pair(pads)}",
        f"pad it (padding={same}), use a smaller kernel, shrink the maps less before it" + _larger(given),
    )


def _too_much_padding(pads: Sequence[int], sizes: Sequence[int], mode: str) -> Misfit:
    most = min(sizes) - (mode != "circular")
    return Misfit(
        f"more than {max(pads)} rows and columns for a {mode} padding of {pair(pads)}",
        f"pad by {most} at most, or with zeros" if most > 0 else "pad with zeros",
    )


def _larger(given: Given) -> str:
    return ", or give a larger image" if not given.outside else ", or give a larger image with --input"


def _least(reach: Sequence[int], pads: Sequence[int]) -> str:
    sizes = [max(one - 2 * pad, 1) for one, pad in zip(reach, pads, strict=True)]
    return " × ".join(f"{size} {name}" for size, name in zip(sizes, _AXES[len(sizes)], strict=True))


def pool(module: Any, given: Given) -> Misfit | None:
    """Pooling: axes, padding, and the kernel within the padded map."""
    axes, shape = int(torch_name(module)[-2]), given.first
    if len(shape) not in (axes + 1, axes + 2):
        return Misfit(
            f"maps: channels×{'×'.join(_AXES[axes])}", "leave out what flattens before it, or leave out this pooling"
        )
    kernel, pads = _tuple(module.kernel_size, axes), _tuple(module.padding, axes)
    dilation = _tuple(getattr(module, "dilation", 1), axes)
    if any(pad > size // 2 for pad, size in zip(pads, kernel, strict=True)):
        return Misfit(
            f"a padding of at most half its kernel: {pair([size // 2 for size in kernel])}",
            f"say padding={pair([size // 2 for size in kernel])}, or pad by itself before it",
            f"a padding of {pair(pads)}",
        )
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    sizes = shape[-axes:]
    if module.ceil_mode or all(size + 2 * pad >= one for size, pad, one in zip(sizes, pads, reach, strict=True)):
        return None
    return Misfit(
        f"at least {_least(reach, pads)}, for windows of {'×'.join(map(str, reach))}",
        f"leave it out, pool less before it, or use nn.AdaptiveAvgPool{axes}d(1)" + _larger(given),
    )


def adaptive(module: Any, given: Given) -> Misfit | None:
    """Adaptive pooling: axes."""
    axes = int(torch_name(module)[-2])
    if len(given.first) in (axes + 1, axes + 2):
        return None
    return Misfit(f"maps: channels×{'×'.join(_AXES[axes])}", "leave out what flattens before it, or leave out this one")


def shuffle(module: Any, given: Given) -> Misfit | None:
    """Pixel shuffling: channels that become positions."""
    factor, shape = module.upscale_factor, given.first
    if len(shape) < 3 or shape[-3] % factor**2 == 0:
        return None
    return Misfit(
        f"channels that {factor}² = {factor**2} divides",
        f"let what comes before it give {-(-shape[-3] // factor**2) * factor**2} channels",
        count(shape[-3], "channel"),
    )


def padded(module: Any, given: Given) -> Misfit | None:
    """Reflecting and circular padding, which copies what is there: no more than there is."""
    axes = int(torch_name(module)[-2])
    pads, sizes = module.padding, given.first[-axes:]
    mode = "reflect" if isinstance(module, padding._ReflectionPadNd) else "circular"
    # Padding is told from the last axis on, two numbers each.
    most = [max(pads[2 * (axes - 1 - axis) : 2 * (axes - axis)]) for axis in range(axes)]
    if len(sizes) < axes or all(pad <= size - (mode == "reflect") for pad, size in zip(most, sizes, strict=True)):
        return None
    return _too_much_padding(most, sizes, mode)


def _tuple(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value) * (axes if len(value) == 1 else 1)
