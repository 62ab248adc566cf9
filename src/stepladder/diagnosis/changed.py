"""What each kind of augmentation alone does: whether the net knows its images, and whose class they look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, radians, sin, tan

import numpy
import torch
from torch.nn import functional

from stepladder.diagnosis import neighbours
from stepladder.diagnosis.values import AugmentationEffect, Confusion
from stepladder.inputs import Images
from stepladder.spec import Augmentation

_IMAGES = 1_000
_LOOKALIKE = 7


def effects(
    augmentation: Augmentation,
    images: Images,
    classes: Sequence[str],
    predicted: Callable[[torch.Tensor], torch.Tensor | None],
) -> tuple[AugmentationEffect, ...]:
    """Return what each kind in use does alone, at its limit, to up to 1,000 of the images.

    Args:
        augmentation: the limits.
        images: of the training set, as they are.
        classes: their names.
        predicted: gives the net's classes for pixels; None if there is no net.
    """
    step = max(1, len(images) // _IMAGES)
    some = Images(images.pixels[::step], images.labels[::step])
    reference = neighbours.features(images.pixels)
    found = []
    for kind, (limit, text) in augmentation.limits().items():
        pixels = at_limit(kind, limit, some.pixels)
        answers = predicted(pixels)
        votes = neighbours.votes(reference, images.labels, neighbours.features(pixels), len(classes), own=False)
        other = (votes.winner != some.labels) & (votes.count >= _LOOKALIKE)
        found.append(
            AugmentationEffect(
                kind=kind,
                limit=text,
                accuracy=0.0 if answers is None else 100 * float((answers == some.labels).float().mean()),
                neighbours=100 * float((votes.winner == some.labels).float().mean()),
                lookalike=float(other.float().mean()),
                confusions=_pairs(votes.winner[other], some.labels[other], some.labels, classes),
            )
        )
    return tuple(found)


def at_limit(kind: str, limit: float, pixels: torch.Tensor) -> torch.Tensor:
    """Return images, uint8 of shape (N, C, H, W), changed by one kind as far as it goes: one way, then the other.

    Flips are made, whatever their probability. What moves in from outside is 0.
    """
    if kind == "horizontal_flip":
        return pixels.flip(-1)
    if kind == "vertical_flip":
        return pixels.flip(-2)
    rows, columns = pixels.shape[-2:]
    ways = torch.stack([_map(kind, limit, rows, columns), _map(kind, -limit, rows, columns)])
    maps = ways[torch.arange(len(pixels)) % 2]
    grid = functional.affine_grid(maps, list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(
        pixels.to(torch.float32), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return moved.round().clamp(0, 255).to(torch.uint8)


def _map(kind: str, amount: float, rows: int, columns: int) -> torch.Tensor:
    """Return the map from output to input positions in [-1, 1], shape (2, 3)."""
    xx, xy, yx, yy, x, y = 1.0, 0.0, 0.0, 1.0, 0.0, 0.0
    if kind == "rotation":
        xx, xy, yx, yy = (cos(radians(amount)), sin(radians(amount)), -sin(radians(amount)), cos(radians(amount)))
    elif kind == "scale":
        xx = yy = 1 / (1 + amount)
    elif kind == "shear":
        xy = tan(radians(amount))
    elif kind == "shift":
        x, y = -amount * 2 / columns, -amount * 2 / rows
    aspect = columns / rows
    return torch.tensor([[xx, xy / aspect, x], [yx * aspect, yy, y]])


def _pairs(
    winner: torch.Tensor, labels: torch.Tensor, every: torch.Tensor, classes: Sequence[str]
) -> tuple[Confusion, ...]:
    table = numpy.zeros((len(classes), len(classes)), dtype=int)
    numpy.add.at(table, (labels.numpy(), winner.numpy()), 1)
    counts = numpy.bincount(every.numpy(), minlength=len(classes))
    pairs = [(-int(table[a, b]), a, b) for a in range(len(classes)) for b in range(len(classes)) if table[a, b]]
    return tuple(Confusion(classes[a], classes[b], -count, int(counts[a])) for count, a, b in sorted(pairs)[:5])
