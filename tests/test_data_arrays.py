"""One's own images in arrays: .npz, .npy and IDX files, whatever the order of axes and the kind of numbers."""

import gzip
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder import data
from stepladder.data import idx
from stepladder.data.arrays import read_npz
from stepladder.errors import DataError

NUMBERS = numpy.random.default_rng(1)
IMAGES = NUMBERS.integers(0, 256, (30, 6, 8), dtype=numpy.uint8)
LABELS = numpy.arange(30) % 3 + 4


@given(
    count=st.integers(1, 5),
    side=st.integers(2, 6),
    channels=st.sampled_from([0, 1, 3]),
    last=st.booleans(),
    kind=st.sampled_from(["uint8", "int64", "float32", "float64", "unit"]),
)
def test_arrays_come_back(
    count: int, side: int, channels: int, last: bool, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape = (count, channels or 1, side + 4, side + 5)
    pixels = numpy.random.default_rng(count).integers(0, 256, shape, dtype=numpy.uint8)
    pixels[0, 0, 0, 0] = 255
    stored = pixels[:, 0] if not channels else pixels.transpose(0, 2, 3, 1) if last else pixels
    path = tmp_path_factory.mktemp("arrays") / "data.npz"
    values = stored / 255 if kind == "unit" else stored.astype(kind)
    numpy.savez(path, images=values, labels=numpy.zeros(count, dtype=numpy.uint8))
    assert (read_npz(path).images == pixels).all()


def test_an_image_knows_its_place_in_the_array_when_others_were_set_aside(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "mine.npz", images=IMAGES, labels=LABELS)
    dataset = data.load(str(tmp_path / "mine.npz"))  # a fifth of each class is for the test
    assert dataset.origins is not None
    for index, image in enumerate(dataset.train.images[:, 0]):
        file, place = dataset.origins[index].split(":images[")
        assert Path(file) == tmp_path / "mine.npz"
        assert (image == IMAGES[int(place.removesuffix("]"))]).all()


@pytest.mark.parametrize("keys", ["x_train y_train x_test y_test", "train_images train_labels test_images test_labels"])
def test_npz_with_splits(keys: str, tmp_path: Path) -> None:
    arrays = (IMAGES[:20], LABELS[:20], IMAGES[20:], LABELS[20:, None])
    numpy.savez_compressed(tmp_path / "data.npz", **dict(zip(keys.split(), arrays, strict=True)))
    dataset = data.load(str(tmp_path / "data.npz"))
    assert (dataset.classes, dataset.input_shape) == (("4", "5", "6"), (1, 6, 8))
    assert (dataset.train.images[:, 0] == IMAGES[:20]).all()
    assert dataset.test.labels.tolist() == (LABELS[20:] - 4).tolist()
    assert data.load(str(tmp_path / "data.npz"), size=(12, 16)).input_shape == (1, 12, 16)


def test_floats_that_overshoot_do_not_darken_the_others(tmp_path: Path) -> None:
    values = IMAGES / 255
    values[25, 0, 0] = 1.0000002  # in the test split alone
    numpy.savez(tmp_path / "data.npz", x_train=values[:20], y_train=LABELS[:20], x_test=values[20:], y_test=LABELS[20:])
    found = read_npz(tmp_path / "data.npz").images[:, 0]
    expected = IMAGES.copy()
    expected[25, 0, 0] = 255
    assert (found == expected).all()


def test_every_split_has_the_same_white(tmp_path: Path) -> None:
    deep = IMAGES.astype(numpy.uint16) * 257
    deep[20:] //= 512  # none exceeds 255: taken alone, this split would be eight bits deep
    numpy.savez(tmp_path / "data.npz", x_train=deep[:20], y_train=LABELS[:20], x_test=deep[20:], y_test=LABELS[20:])
    found = read_npz(tmp_path / "data.npz").images[:, 0]
    assert (found[:20] == IMAGES[:20]).all()
    assert found[20:].max() <= 1


def test_images_that_come_out_nearly_black_are_told_of(tmp_path: Path) -> None:
    told: list[str] = []
    numpy.savez(tmp_path / "data.npz", images=IMAGES // 128, labels=LABELS)
    data.load(str(tmp_path / "data.npz"), notify=told.append)
    assert any("nearly black: their brightest pixel is 1 of 255" in line for line in told)


def test_npz_without_splits_and_words_as_labels(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "data.npz", images=IMAGES, labels=numpy.array(["cat", "dog", "ape"] * 10))
    dataset = data.load(str(tmp_path / "data.npz"))
    assert dataset.classes == ("ape", "cat", "dog")
    assert numpy.bincount(dataset.test.labels).tolist() == [2, 2, 2]


def test_images_without_labels_are_left_out_and_said(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "data.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:5])
    told: list[str] = []
    data.load(str(tmp_path / "data.npz"), notify=told.append)
    assert any("images without labels" in line and line.endswith(": x_test") for line in told)


@pytest.mark.parametrize("by", ["folder", "file"])
def test_npy_pair(by: str, tmp_path: Path) -> None:
    numpy.save(tmp_path / "images.npy", IMAGES / 255)
    numpy.save(tmp_path / "labels.npy", LABELS.astype(numpy.float32))
    dataset = data.load(str(tmp_path if by == "folder" else tmp_path / "images.npy"))
    assert (dataset.classes, len(dataset.train), len(dataset.test)) == (("4", "5", "6"), 24, 6)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_of_any_name(zipped: bool, tmp_path: Path) -> None:
    for part, chosen in (("train", slice(0, 20)), ("test", slice(20, 30))):
        for what, array, axes in (("images", IMAGES, 3), ("labels", LABELS.astype(numpy.uint8), 1)):
            content = idx.encode(array[chosen])
            name = f"mine-{part}-{what}-idx{axes}-ubyte" + (".gz" if zipped else "")
            (tmp_path / name).write_bytes(gzip.compress(content) if zipped else content)
    dataset = data.load(str(tmp_path))
    assert (len(dataset.train), len(dataset.test), dataset.classes) == (20, 10, ("4", "5", "6"))
    assert (dataset.test.images[:, 0] == IMAGES[20:]).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": IMAGES}, "no arrays of images and labels"),
        ({"images": IMAGES, "labels": LABELS[:9]}, "not equally many"),
        ({"images": IMAGES, "labels": numpy.eye(3)[LABELS - 4]}, "not equally many"),
        ({"images": IMAGES - 128.0, "labels": LABELS}, "from 0 up"),
        ({"images": numpy.where(IMAGES > 9, numpy.nan, 0), "labels": LABELS}, "from 0 up"),
        ({"images": IMAGES[:, 0], "labels": LABELS}, "need the shape"),
        ({"images": numpy.zeros((30, 6, 8, 4)), "labels": LABELS}, "alpha"),
        ({"images": IMAGES.astype(str), "labels": LABELS}, "need numbers"),
        ({"images": IMAGES, "labels": LABELS + 0.5}, "whole numbers or words"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "one class only"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:, :5], "y_test": LABELS}, "different shapes"),
    ],
)
def test_arrays_that_are_no_data_set(arrays: dict[str, numpy.ndarray], message: str, tmp_path: Path) -> None:
    numpy.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=message):
        data.load(str(tmp_path / "data.npz"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    words = numpy.array([{"a": 1}] * 30, dtype=object)
    numpy.savez(tmp_path / "data.npz", images=IMAGES, labels=words)
    with pytest.raises(DataError, match="pickled objects, which are not opened"):
        data.load(str(tmp_path / "data.npz"))
    numpy.save(tmp_path / "images.npy", IMAGES)
    numpy.save(tmp_path / "labels.npy", words)
    with pytest.raises(DataError, match="pickled objects, which are not opened"):
        data.load(str(tmp_path / "images.npy"))


def test_damaged_arrays(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS)
    whole = (tmp_path / "data.npz").read_bytes()
    for content in (b"", whole[:200], whole[:100] + b"\xff" + whole[101:]):
        (tmp_path / "data.npz").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            data.load(str(tmp_path / "data.npz"))
    numpy.save(tmp_path / "images.npy", IMAGES)
    with pytest.raises(DataError, match="need labels beside them"):
        data.load(str(tmp_path / "images.npy"))
