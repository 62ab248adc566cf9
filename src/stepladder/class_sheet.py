"""Inputs of each class as a net is given them, with labels and counts: plain values, small enough for a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy
import torch
from PIL import Image
from torch.nn import functional

from stepladder.data import Dataset
from stepladder.few_steps import image_order
from stepladder.passes import PlainPasses
from stepladder.spec import Experiment
from stepladder.train import Materials, prepare

Facts = dict[str, Any]

MOST_CLASSES = 20
"""Classes that are shown one by one: the smallest and the largest, where there are more."""
MOST_CHARACTERS = 40_000
"""Of all pictures together, as they stand in a page."""
_SIZES = (*((side, each) for side in (96, 48, 32, 16) for each in (6, 4, 3)), (16, 2), (16, 1))
"""The longest side, in pixels, and images of each class: the first that are small enough are taken."""
_GAP_SHADE = 127
_QUALITY = 85


def class_sheet(experiment: Experiment, dataset: Dataset) -> Facts:
    """Return a few inputs of each class, augmented and normalised as in a run, and how many images are trained on.

    Equal calls give equal values, whatever device a run uses. Held-out and test images are not looked at.

    "classes" has a row a class with its "name", "count" and "strip", the address of a picture of its inputs side by
    side ("" where it has none), in the order of the data; of more than ``MOST_CLASSES`` the smallest and the largest,
    and "others" says how many are left out, and between which counts they lie. "low" and "high" are what black and
    white stand for, "shrunk" by how much the pictures are smaller than what the net is given.

    Raises:
        SpecError: if the holdout asked for is larger than the training set allows.
    """
    materials = prepare(experiment, dataset, torch.device("cpu"))
    labels = materials.training.labels
    counts = torch.bincount(labels, minlength=len(dataset.classes)).tolist()
    shown, left = _shown(counts)
    order = image_order(experiment.seed, 0, len(labels))
    found = [order[labels[order] == label][: _SIZES[0][1]] for label in shown]
    inputs = [_inputs(experiment, materials, chosen) for chosen in found]
    everything = numpy.concatenate([one for one in inputs if len(one)])
    low, high = float(everything.min()), float(everything.max())
    strips, shrunk = _small_enough(inputs, low, high)
    return {
        "classes": [
            {"name": dataset.classes[label], "count": counts[label], "strip": strip}
            for label, strip in zip(shown, strips, strict=True)
        ],
        "others": {"classes": len(left), "least": min(left), "most": max(left)} if left else None,
        "low": low,
        "high": high,
        "shrunk": shrunk,
    }


def _shown(counts: list[int]) -> tuple[list[int], list[int]]:
    """Return the classes that are shown, in their order, and the counts of the others."""
    if len(counts) <= MOST_CLASSES:
        return list(range(len(counts))), []
    ranked = sorted(range(len(counts)), key=lambda label: (counts[label], label))
    half = MOST_CLASSES // 2
    return sorted(ranked[:half] + ranked[-half:]), [counts[label] for label in ranked[half:-half]]


def _inputs(experiment: Experiment, materials: Materials, chosen: torch.Tensor) -> numpy.ndarray:
    """Return images as the net is given them, floats of shape (N, C, H, W), C one or three."""
    recipe, training = experiment.recipe, materials.training
    passes = PlainPasses(torch.nn.Identity(), [], recipe, training, materials.normalisation, experiment.seed)
    values = passes.prepare(chosen, 0, 0) if len(chosen) else training.pixels[chosen].to(torch.float32)
    return numpy.asarray((values if values.shape[1] == 3 else values[:, :1]).numpy())


def _small_enough(inputs: list[numpy.ndarray], low: float, high: float) -> tuple[list[str], int]:
    """Return a picture of each class's inputs, all together small enough, and by how much they are shrunk."""
    strips, shrunk = [""] * len(inputs), 1
    longest = max(inputs[0].shape[2:])
    for side, each in _SIZES:
        shrunk = -(-longest // side)
        strips = [_strip(one[:each], low, high, shrunk) for one in inputs]
        if sum(map(len, strips)) <= MOST_CHARACTERS:
            break
    return strips, shrunk


def _strip(values: numpy.ndarray, low: float, high: float, shrunk: int) -> str:
    if not len(values):
        return ""
    shades = (torch.tensor(values) - low) / max(high - low, 1e-12) * 255
    pixels = functional.avg_pool2d(shades, shrunk, ceil_mode=True).round().to(torch.uint8).numpy()
    count, channels, rows, columns = pixels.shape
    gap = 1
    strip = numpy.full((channels, rows, count * (columns + gap) - gap), _GAP_SHADE, dtype=numpy.uint8)
    for number, image in enumerate(pixels):
        left = number * (columns + gap)
        strip[:, :, left : left + columns] = image
    stream = io.BytesIO()
    # Photographs are a third of the size as JPEG; of strokes it would make a smear.
    kind = "png" if channels == 1 else "jpeg"
    picture = Image.fromarray(strip[0] if channels == 1 else strip.transpose(1, 2, 0))
    picture.save(stream, format=kind.upper(), **({"optimize": True} if channels == 1 else {"quality": _QUALITY}))
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
