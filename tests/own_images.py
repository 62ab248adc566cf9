"""Folders of images for tests, made from real pictures: the bundled MNIST sample and scikit-learn's two photographs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy
from PIL import Image

from stepladder import data


def mnist_folder(root: Path, each: int = 8, *, splits: bool = True) -> Path:
    """Write digits 3, 5 and 8 of the sample as PNG files, ``each`` a class and split."""
    sample = data.load("mnist-sample")
    for split, part in (("train", sample.train), ("test", sample.test)):
        for label in (3, 5, 8):
            folder = root / (split if splits else "") / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            for index in numpy.flatnonzero(part.labels == label)[:each]:
                Image.fromarray(part.images[index, 0]).save(folder / f"{split}{index:04}.png")
    return root


def photo_folder(root: Path, each: int = 20, side: int = 32) -> Path:
    """Write crops of scikit-learn's photographs of China and of a flower, a subfolder a photograph."""
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    numbers = numpy.random.default_rng(0)
    for name in ("china", "flower"):
        with Image.open(Path(spec.origin).parent / "datasets" / "images" / f"{name}.jpg") as whole:
            picture = whole.convert("RGB")
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(each):
            left, top = numbers.integers(0, picture.width - side), numbers.integers(0, picture.height - side)
            picture.crop((left, top, left + side, top + side)).save(root / name / f"{index:03}.png")
    return root
