"""Folders of images for tests, made from real pictures: the bundled MNIST sample and three photographs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import matplotlib
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
    numbers = numpy.random.default_rng(0)
    for name in ("china", "flower"):
        picture = _photograph(name)
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(each):
            left, top = numbers.integers(0, picture.width - side), numbers.integers(0, picture.height - side)
            picture.crop((left, top, left + side, top + side)).save(root / name / f"{index:03}.png")
    return root


SCENES = {
    "flag": ("hopper", [(0, 0, 144, 340)]),
    "leaves": ("flower", [(0, 64, 144, 330), (464, 0, 640, 400)]),
    "petals": ("flower", [(208, 116, 416, 324)]),
    "sky": ("china", [(336, 0, 640, 192), (0, 0, 96, 128)]),
    "temple": ("china", [(96, 96, 320, 352)]),
    "trees": ("china", [(384, 320, 640, 427), (0, 344, 200, 427), (576, 224, 640, 320)]),
    "uniform": ("hopper", [(48, 400, 224, 600), (300, 384, 492, 600)]),
}
"""What stands where on the photographs: left, top, right, bottom, in pixels."""


def scene_folder(root: Path, side: int = 16) -> Path:
    """Write patches of three photographs, a subfolder for what they show, below train/, val/ and test/.

    Patches do not overlap. The columns of patches of each part are shared out from left to right, and one is left out
    between two splits, so that no image has a neighbour in another split.
    """
    for name, (photograph, parts) in SCENES.items():
        picture = _photograph(photograph)
        for part, (left, top, right, bottom) in enumerate(parts):
            columns, rows = (right - left) // side, (bottom - top) // side
            trained = round(0.6 * columns)
            shares = {
                "train": range(trained),
                "val": range(trained + 1, (trained + columns) // 2),
                "test": range((trained + columns) // 2 + 1, columns),
            }
            for split, chosen in shares.items():
                folder = root / split / name
                folder.mkdir(parents=True, exist_ok=True)
                for column in chosen:
                    for row in range(rows):
                        x, y = left + column * side, top + row * side
                        picture.crop((x, y, x + side, y + side)).save(folder / f"{part}-{column:02}-{row:02}.png")
    return root


def _photograph(name: str) -> Image.Image:
    """Return one of scikit-learn's two photographs, or the portrait of Grace Hopper that matplotlib brings."""
    if name == "hopper":
        path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    else:
        spec = importlib.util.find_spec("sklearn")
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin).parent / "datasets" / "images" / f"{name}.jpg"
    with Image.open(path) as whole:
        return whole.convert("RGB")
