"""Augmentation: one affine map a sample, drawn and applied for a whole batch at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from stepladder.spec import Augmentation


def affine_maps(
    augmentation: Augmentation,
    count: int,
    size: tuple[int, int],
    generator: torch.Generator | Sequence[torch.Generator],
) -> torch.Tensor:
    """Return ``count`` affine maps, shape (count, 2, 3), from output to input positions in [-1, 1].

    Each sample draws its own rotation, shear, scale and shift, uniformly within the augmentation's limits, and
    whether it is flipped. The image is flipped, sheared, scaled and rotated about its centre, then shifted; what is
    returned is the inverse of that map, as sampling needs it.

    Args:
        augmentation: the limits; an angle of 7 means from -7 to 7 degrees.
        count: how many maps.
        size: rows and columns of the images, to turn pixels into the unit square (and for images that are not
            square, to keep a rotation a rotation).
        generator: where the numbers come from; it decides the device. Several share the maps evenly, in their order.
    """
    generators = [generator] if isinstance(generator, torch.Generator) else generator
    device, share = generators[0].device, count // len(generators)
    # Five numbers a sample, always, so that turning one kind on or off leaves the draws of the others alone. Those of
    # the flips come after all of these, and only where they are asked for, for the same reason.
    draws = torch.cat([torch.rand((share, 5), generator=one, device=device) for one in generators]).mul_(2).sub_(1)
    angle = draws[:, 0] * math.radians(augmentation.rotation)
    shear = torch.tan(draws[:, 1] * math.radians(augmentation.shear))
    scale = 1 + draws[:, 2] * augmentation.scale
    rows, columns = size
    shift_x = draws[:, 3] * augmentation.shift
    shift_y = draws[:, 4] * augmentation.shift

    # Forward: p' = R S H p + t in pixels from the centre. Inverse: p = H⁻¹ S⁻¹ R⁻¹ (p' - t).
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    xx, xy = cosine + shear * sine, sine - shear * cosine
    yx, yy = -sine, cosine
    aspect = columns / rows
    maps = torch.empty((count, 2, 3), device=device)
    maps[:, 0, 0] = xx
    maps[:, 0, 1] = xy / aspect
    maps[:, 0, 2] = -(xx * shift_x + xy * shift_y) * 2 / columns
    maps[:, 1, 0] = yx * aspect
    maps[:, 1, 1] = yy
    maps[:, 1, 2] = -(yx * shift_x + yy * shift_y) * 2 / rows
    probabilities = (augmentation.horizontal_flip, augmentation.vertical_flip)
    if any(probabilities):
        chances = torch.cat([torch.rand((share, 2), generator=one, device=device) for one in generators])
        for axis, probability in enumerate(probabilities):
            # A position's sign is its side of the centre.
            maps[:, axis] *= torch.where(chances[:, axis] < probability, -1.0, 1.0).unsqueeze(1)
    return maps


def augment(
    images: torch.Tensor, augmentation: Augmentation, generator: torch.Generator | Sequence[torch.Generator]
) -> torch.Tensor:
    """Return augmented copies of the images; the same tensor when the augmentation does nothing.

    Args:
        images: floats of shape (N, C, H, W) whose background is 0: what moves in from outside is 0.
        augmentation: the limits of each kind.
        generator: where the numbers come from, on the device of the images. Several share the images evenly, in their
            order.
    """
    if augmentation.is_none:
        return images
    rows, columns = images.shape[-2:]
    maps = affine_maps(augmentation, len(images), (rows, columns), generator)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
