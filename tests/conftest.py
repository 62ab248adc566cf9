"""What many tests share: a small data set, the guide's net, and an environment without network or cache."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy
import pytest
from hypothesis import settings

from stepladder.data import Dataset, Split, idx

# How long an example takes depends on who else is at work on the machine, and says nothing about what is tested.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

GUIDE_NET = "[BN ReLU D0.05] 8C3 16C3 MP2 8C1/BN/ReLU 12C3 16C3 20C3 GAP 16C1 10C1"


@pytest.fixture(scope="session")
def _machine_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for the engine's machine code."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(autouse=True)
def _no_network_and_no_cache(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    _machine_code: Path,
) -> None:
    if "full_mnist" not in request.keywords:
        monkeypatch.delenv("STEPLADDER_DATA", raising=False)
    monkeypatch.delenv("STEPLADDER_MIRRORS", raising=False)
    monkeypatch.setenv("STEPLADDER_OFFLINE", "1")
    cache = tmp_path_factory.mktemp("cache")
    # Machine code is the same in every test, and to write it again each time would take most of their time.
    (cache / "engine").symlink_to(_machine_code, target_is_directory=True)
    monkeypatch.setenv("STEPLADDER_CACHE", str(cache))
    # Workers are processes of their own; two cores are all there may be.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def full_mnist() -> Path:
    """The folder of the full MNIST; the test is skipped where there is none."""
    folder = os.environ.get("STEPLADDER_DATA")
    if not folder:
        pytest.skip("STEPLADDER_DATA names no folder with the full MNIST")
    return Path(folder)


def striped_images(count: int, seed: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return easy images: label k is a bright block at a place of its own, under noise."""
    numbers = numpy.random.Generator(numpy.random.PCG64(seed))
    labels = numpy.arange(count) % 10
    images = numbers.integers(0, 60, size=(count, 1, 28, 28)).astype(numpy.uint8)
    for index, label in enumerate(labels):
        row, column = divmod(int(label), 4)
        images[index, 0, 3 + 8 * row : 9 + 8 * row, 2 + 6 * column : 7 + 6 * column] += 180
    return images, labels.astype(numpy.int64)


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    """300 training and 100 test images that any net learns."""
    train, test = striped_images(300, 1), striped_images(100, 2)
    return Dataset("mnist", "tiny", tuple("0123456789"), Split(*train), Split(*test), "made for the tests")


def write_mnist(folder: Path, train: int = 300, test: int = 100, *, compress: bool = True) -> Path:
    """Write small IDX files under MNIST's names."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count, seed in (("train", train, 1), ("t10k", test, 2)):
        images, labels = striped_images(count, seed)
        contents = {f"{prefix}-images-idx3-ubyte": images[:, 0], f"{prefix}-labels-idx1-ubyte": labels}
        for name, array in contents.items():
            content = idx.encode(array.astype(numpy.uint8))
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (folder / name).write_bytes(content)
    return folder
