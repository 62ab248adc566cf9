"""Some images of every class, and the mean image of each, as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from stepladder.data.survey import Survey

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 10
"""Images of a class that are shown."""
MOST_CLASSES = 30
_SIDE, _GAP, _TOP, _LEAST_LEFT, _LETTER = 36.0, 4.0, 34.0, 40.0, 4.6


def sheet(survey: Survey) -> Figure:
    """Return training images of every class, a row a class, its mean image first; the mean of all in the last row.

    The images are spread evenly over those of the class, in their order. Of more than 30 classes the first 30 are
    shown. Bright strokes on black are shown dark on light, all else as it is.
    """
    from stepladder.pictures import style

    collection = survey.collection
    part = survey.parts.get("train", numpy.arange(len(collection.images)))
    labels = collection.labels[part]
    classes = [label for label in range(len(collection.classes)) if (labels == label).any()][:MOST_CLASSES]
    rows: list[tuple[str, list[numpy.ndarray]]] = []
    for label in classes:
        members = part[labels == label]
        places = numpy.linspace(0, len(members) - 1, min(COLUMNS, len(members))).round().astype(int)
        images = collection.images[members]
        rows.append((collection.classes[label], [mean_image(images), *images[places]]))
    rows.append(("all", [mean_image(collection.images[part])]))
    left = max(_LEAST_LEFT, 12 + _LETTER * max(len(name[:24]) for name, _ in rows))
    scale = _SIDE / max(collection.images.shape[2:])
    high, wide = collection.images.shape[2] * scale, collection.images.shape[3] * scale
    width = left + (COLUMNS + 1) * (wide + _GAP) + 12
    height = _TOP + len(rows) * (high + _GAP) + 8
    figure = style.blank(width, height)
    with style.context():
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        # A folder's name is no formula, whatever dollars are in it.
        title = survey.facts["title"][-60:]
        axes.text(8, 14, title, fontsize=9.5, weight="bold", color=style.INK, va="center", parse_math=False)
        axes.text(left, 27, "mean", fontsize=7, color=style.SOFT, va="center")
        axes.text(left + wide + _GAP, 27, "training images", fontsize=7, color=style.SOFT, va="center")
        for line, (name, images) in enumerate(rows):
            top = _TOP + line * (high + _GAP)
            axes.text(8, top + high / 2, name[:24], fontsize=7.5, color=style.INK, va="center", parse_math=False)
            for column, image in enumerate(images):
                at = left + column * (wide + _GAP)
                shown = _shown(image, survey.is_handwriting)
                axes.imshow(shown, extent=(at, at + wide, top + high, top), interpolation="none", aspect="auto")
    return figure


def mean_image(images: numpy.ndarray) -> numpy.ndarray:
    """Return the mean of images, uint8 of shape (N, C, H, W), rounded to uint8 of shape (C, H, W)."""
    total = numpy.zeros(images.shape[1:], dtype=numpy.int64)
    for image in images:  # image by image: no copy of all in a wider type
        total += image
    return numpy.asarray((2 * total + len(images)) // (2 * len(images))).astype(numpy.uint8)


def _shown(image: numpy.ndarray, inverted: bool) -> numpy.ndarray:
    if len(image) == 3:
        return image.transpose(1, 2, 0)
    grey = 255 - image[0] if inverted else image[0]
    return numpy.stack([grey] * 3, axis=-1)
