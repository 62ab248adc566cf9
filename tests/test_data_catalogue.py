"""The catalogue: archives of the same form as the originals, from a server on the loopback interface."""

import dataclasses
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest

from stepladder import data
from stepladder.data import DOWNLOADED, NAMES, Catalog, idx
from stepladder.data.archives import members
from stepladder.errors import DataError
from test_data_load import Served, cache, serve  # noqa: F401 (fixtures)

NUMBERS = numpy.random.default_rng(3)
TRAIN, TEST = 60, 40


def content_of(catalog: Catalog) -> tuple[dict[str, bytes], dict[str, numpy.ndarray]]:
    """Return files of the form that the data set has, few images in them, and what they hold as it should come out."""
    count = len(catalog.classes)
    shape = (catalog.channels, *catalog.image_size)
    held, inner = {}, {}
    for part, number in (("train", TRAIN), ("test", TEST)):
        images = NUMBERS.integers(0, 256, (number, *shape), dtype=numpy.uint8)
        labels = (numpy.arange(number) % count).astype(numpy.uint8)
        held[f"{part}_images"], held[f"{part}_labels"] = images, labels
        stored = images[:, 0].swapaxes(1, 2) if catalog.is_transposed else images[:, 0]
        inner[f"{part}_images"] = idx.encode(stored)
        inner[f"{part}_labels"] = idx.encode(labels + catalog.first_label)
        if catalog.wide_labels:
            wide = numpy.zeros((number, 8), dtype=">i4")
            wide[:, 0] = labels
            header = bytes([0, 0, 0x0C, 2]) + number.to_bytes(4, "big") + (8).to_bytes(4, "big")
            inner[f"{part}_labels"] = header + wide.tobytes()
    if catalog.form == "files":
        return {catalog.files[role][0]: gzip.compress(content) for role, content in inner.items()}, held
    stream = io.BytesIO()
    if catalog.form == "zip of files":
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("../outside", b"nothing is unpacked")
            for role, (name,) in catalog.members.items():
                archive.writestr(name, gzip.compress(inner[role]))
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for role, names in catalog.members.items():
                labels = held[role.replace("images", "labels")]
                table = numpy.concatenate([labels[:, None], held[role].reshape(len(labels), -1)], axis=1)
                for name, piece in zip(names, numpy.array_split(table, len(names)), strict=True):
                    entry = tarfile.TarInfo(name)
                    entry.size = piece.size
                    tar.addfile(entry, io.BytesIO(piece.tobytes()))
    return {catalog.files["archive"][0]: stream.getvalue()}, held


def small(catalog: Catalog, files: dict[str, bytes], address: str) -> Catalog:
    """Return the data set with the digests of these files, from one mirror."""
    digests = {}
    for role, (name, digest) in catalog.files.items():
        hashed = hashlib.md5(files[name]) if len(digest) == 32 else hashlib.sha256(files[name])
        digests[role] = (name, hashed.hexdigest())
    return dataclasses.replace(catalog, files=digests, mirrors=(address,))


@pytest.mark.parametrize("name", DOWNLOADED)
def test_download_cache_and_folder(name: str, serve: Callable[[Served], str], tmp_path: Path) -> None:  # noqa: F811
    files, held = content_of(DOWNLOADED[name])
    catalog = small(DOWNLOADED[name], files, serve({**files}))
    downloaded = data.load(name, catalog=catalog)
    cached = data.load(name, catalog=dataclasses.replace(catalog, mirrors=()), offline=True)
    folder = tmp_path / "data" / catalog.folders[0]
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    found = data.load(name, catalog=catalog, data_dir=tmp_path / "data", offline=True)
    for dataset in (downloaded, cached, found):
        assert (dataset.train.images == held["train_images"]).all()
        assert dataset.test.labels.tolist() == held["test_labels"].tolist()
        assert (dataset.classes, dataset.title) == (catalog.classes, catalog.title)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", [name for name in DOWNLOADED if name != "mnist"])
def test_only_mnist_has_a_stand_in(name: str) -> None:
    with pytest.raises(DataError, match="is not reachable") as caught:
        data.load(name, offline=True)
    assert "digits" in caught.value.repair


def test_other_bytes_are_refused(serve: Callable[[Served], str]) -> None:  # noqa: F811
    files, _ = content_of(DOWNLOADED["qmnist"])
    catalog = small(DOWNLOADED["qmnist"], files, serve(dict.fromkeys(files, b"other bytes")))
    with pytest.raises(DataError, match="MD5 differs"):
        data.load("qmnist", catalog=catalog)


def test_entries_are_whole() -> None:
    assert set(NAMES) == {*DOWNLOADED, "mnist-sample", "digits"}
    digests = [digest for catalog in DOWNLOADED.values() for _, digest in catalog.files.values()]
    assert all(len(digest) in (32, 64) and int(digest, 16) for digest in digests)
    assert len(set(digests)) == len(digests) - 1  # both EMNIST sets lie in one archive
    for name, catalog in DOWNLOADED.items():
        assert (catalog.name, len(set(catalog.classes))) == (name, len(catalog.classes))
        assert catalog.licence
        assert catalog.page.startswith("http")
    assert len(DOWNLOADED["emnist-letters"].classes) == 26
    assert len(DOWNLOADED["emnist-balanced"].classes) == 47


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    ours, theirs = data.load("digits"), load_digits()
    pixels = {(image.tobytes(), int(label)) for part in (ours.train, ours.test) for image, label in _pairs(part)}
    scaled = numpy.floor(theirs.images * 255 / 16 + 0.5).astype(numpy.uint8)
    assert pixels == {(image.tobytes(), int(label)) for image, label in zip(scaled, theirs.target, strict=True)}
    assert (len(ours.train), len(ours.test), ours.input_shape) == (1437, 360, (1, 8, 8))
    larger = data.load("digits@28")
    assert (larger.name, larger.input_shape) == ("digits@28x28", (1, 28, 28))


def _pairs(part: data.Split) -> Iterator[tuple[numpy.ndarray, numpy.ndarray]]:
    yield from zip(part.images, part.labels, strict=True)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_give_named_regular_files_of_bounded_size(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"archive.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", b"content")
            archive.writestr("bomb", bytes(1 << 20))
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name, size in (("a", 7), ("bomb", 1 << 20)):
                entry = tarfile.TarInfo(name)
                entry.size = size
                tar.addfile(entry, io.BytesIO(b"content" if size == 7 else bytes(size)))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    assert members(path, ["a"], most=100) == {"a": b"content"}
    with pytest.raises(DataError, match="larger than it can be"):
        members(path, ["bomb"], most=100)
    with pytest.raises(DataError, match="lacks files"):
        members(path, ["a", "link"], most=100)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="damaged"):
        members(path, ["a", "bomb"], most=1 << 30)
