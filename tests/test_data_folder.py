"""MNIST by name: from a folder that the user names."""

import dataclasses
import gzip
from pathlib import Path

import numpy
import pytest

from stepladder.data import idx, load
from stepladder.data.entries import DOWNLOADED, FASHION_MNIST
from stepladder.errors import DataError
from test_data_load import FILES, FIRST, HTML, NAMES, assert_tiny, fill, tiny


@pytest.mark.parametrize("layout", ["mnist", "MNIST/raw", "."])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("named", [True, False])
def test_folder(layout: str, zipped: bool, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    (folder / layout).mkdir(parents=True)
    for name, content in FILES.items():
        target, held = (name, content) if zipped else (name.removesuffix(".gz"), gzip.decompress(content))
        (folder / layout / target).write_bytes(held)
    if not named:
        monkeypatch.setenv("STEPLADDER_DATA", str(folder))
    dataset = load("mnist", data_dir=folder if named else None, offline=True)
    assert_tiny(dataset)
    assert dataset.source == str(folder)
    assert dataset.fingerprint == load("mnist", data_dir=folder).fingerprint


def test_files_that_are_not_the_original_ones_are_told_of(tmp_path: Path) -> None:
    folder, lines = fill(tmp_path / "mnist"), []
    dataset = load("mnist", data_dir=tmp_path, notify=lines.append)
    assert len(lines) == 1
    assert FIRST in lines[0]
    assert "not the original ones" in lines[0]
    assert dataset.notes == tuple(lines)
    load(data_dir=folder, catalog=tiny(), notify=lines.append)  # of whose digests they are
    assert len(lines) == 1


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_a_relative_are_not_mnists(zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / ("mine" if zipped else "FashionMNIST/raw"))
    if zipped:
        monkeypatch.setitem(DOWNLOADED, "fashion-mnist", dataclasses.replace(FASHION_MNIST, files=tiny().files))
    else:
        for path in list(folder.iterdir()):
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    with pytest.raises(DataError, match="these files are Fashion-MNIST's, not MNIST's") as caught:
        load("mnist", data_dir=folder if zipped else folder.parent)
    assert "--data fashion-mnist" in caught.value.repair
    if not zipped:
        assert load("fashion-mnist", data_dir=tmp_path).title == "Fashion-MNIST"


def test_incomplete_folder_never_falls_back(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data" / "mnist")
    (folder / FIRST).unlink()
    with pytest.raises(DataError, match=FIRST) as caught:
        load("mnist", data_dir=folder.parent)
    assert "MNIST/raw" in caught.value.given
    with pytest.raises(DataError, match="is not there"):
        load("mnist", data_dir=tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder"):
        load("mnist", data_dir=tmp_path / "file")


@pytest.mark.parametrize(
    ("role", "content", "message"),
    [
        ("train_images", FILES[FIRST][:-30], "cut off or corrupt"),
        ("train_images", HTML, "web page"),
        ("test_labels", idx.encode(numpy.zeros(9, dtype=numpy.uint8)), "not equally many"),
        ("test_labels", idx.encode(numpy.arange(1, 11, dtype=numpy.uint8)), "out of range"),
        ("test_images", idx.encode(numpy.zeros((10, 27, 28), dtype=numpy.uint8)), "not 28×28"),
        ("test_images", idx.encode(numpy.zeros((10, 28), dtype=numpy.uint8)), "magic number"),
    ],
)
def test_damaged_folder(role: str, content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", data_dir=fill(tmp_path / "data", **{role: content}))
    assert NAMES[role] in caught.value.given


def test_folder_in_a_files_place(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data")
    (folder / FIRST).unlink()
    (folder / FIRST).mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        load("mnist", data_dir=folder)


def test_unknown_name() -> None:
    with pytest.raises(DataError, match="did you mean 'mnist-sample'") as caught:
        load("mnist-sampel")
    assert caught.value.given == "mnist-sampel"
