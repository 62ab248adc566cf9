"""Data: where it is found, how damage is told, and the downloader against a mirror that misbehaves."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import write_mnist
from stepladder import data
from stepladder.data import MNIST, Catalog, download, idx
from stepladder.errors import DataError

NAMES = [name for name, _ in MNIST.files.values()]


# --- the file format -------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 255), min_size=1, max_size=50))
def test_idx_reads_what_it_writes(values: list[int]) -> None:
    array = numpy.array(values, dtype=numpy.uint8)
    assert (idx.decode(idx.encode(array), 1, "x") == array).all()
    assert (idx.decode(gzip.compress(idx.encode(array)), 1, "x") == array).all()


_GOOD = idx.encode(numpy.zeros((3, 28, 28), dtype=numpy.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(_GOOD)[:-20], "cut off or corrupt"),
        (gzip.compress(_GOOD)[:30] + b"\x55" * 40, "cut off or corrupt"),
        (b"\x00\x00\x0d\x03" + _GOOD[4:], "magic number"),
        (idx.encode(numpy.zeros(3, dtype=numpy.uint8)), "magic number"),
        (b"", "magic number"),
        (_GOOD[:10], "ends inside its header"),
        (_GOOD[:-1], "does not match its header"),
        (_GOOD + b"\x00", "does not match its header"),
        (b"<!DOCTYPE html><html>please log in</html>", "web page"),
    ],
)
def test_damaged_files_are_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        idx.decode(content, 3, "train-images")


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["mnist", "MNIST/raw", "."])
@pytest.mark.parametrize("compress", [True, False])
def test_a_folder_is_read_in_any_layout(
    tmp_path: Path, inner: str, compress: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path / inner, compress=compress)
    dataset = data.load(data_dir=tmp_path)
    assert dataset.train.images.shape == (300, 1, 28, 28)
    assert dataset.train.images.dtype == numpy.uint8
    assert len(dataset.test) == 100
    monkeypatch.setenv("STEPLADDER_DATA", str(tmp_path))
    assert data.load().fingerprint == dataset.fingerprint


def test_the_images_cannot_be_changed_by_accident(tmp_path: Path) -> None:
    dataset = data.load(data_dir=write_mnist(tmp_path))
    with pytest.raises(ValueError, match="read-only"):
        dataset.train.images[0] = 0


def test_a_folder_without_the_data_says_what_is_missing(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / NAMES[1]).unlink()
    with pytest.raises(DataError, match=f"{NAMES[1]} missing"):
        data.load(data_dir=tmp_path)
    with pytest.raises(DataError, match="not there"):
        data.load(data_dir=tmp_path / "nowhere")


def _replace(folder: Path, name: str, array: numpy.ndarray) -> None:
    (folder / name).write_bytes(gzip.compress(idx.encode(array.astype(numpy.uint8))))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (NAMES[1], numpy.zeros(299), "not equally many"),
        (NAMES[1], numpy.full(300, 10), "out of range 0 to 9"),
        (NAMES[0], numpy.zeros((300, 27, 28)), "not 28×28"),
        (NAMES[0], numpy.zeros((0, 28, 28)), "not equally many"),
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path: Path, name: str, array: numpy.ndarray, message: str) -> None:
    _replace(write_mnist(tmp_path), name, array)
    with pytest.raises(DataError, match=message):
        data.load(data_dir=tmp_path)


def test_a_folder_in_a_files_place(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / NAMES[0]).unlink()
    (tmp_path / NAMES[0]).mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        data.load(data_dir=tmp_path)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'mnist'"):
        data.load("mnits")


# --- the sample ------------------------------------------------------------------------------------------------------


def test_without_a_network_the_sample_stands_in_and_one_line_says_so() -> None:
    lines: list[str] = []
    dataset = data.load(notify=lines.append)
    assert dataset.title == "MNIST sample (5,000 images)"
    assert dataset.is_sample
    assert len(lines) == 1
    assert "not comparable" in lines[0]
    assert "\n" not in lines[0]


def test_the_sample_is_split_once_and_for_ever() -> None:
    dataset = data.load("mnist-sample")
    assert numpy.bincount(dataset.train.labels).tolist() == [400] * 10
    assert numpy.bincount(dataset.test.labels).tolist() == [100] * 10
    assert dataset.fingerprint == "e1150fd8b650a515470e32dd42fc28233362941d459d4dd5aa8cf7716745a15b"


# --- splits and statistics -------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), min_size=2, max_size=200), st.data(), st.integers(0, 9))
def test_a_holdout_is_stratified_and_fixed(labels: list[int], draw: st.DataObject, seed: int) -> None:
    array = numpy.array(labels)
    size = draw.draw(st.integers(1, len(labels) - 1))
    kept, held = data.split_holdout(array, size=size, seed=seed)
    assert len(held) == size
    assert sorted([*kept, *held]) == list(range(len(labels)))
    for label in set(labels):
        share = (array == label).sum() * size / len(labels)
        assert abs((array[held] == label).sum() - share) <= 1
    again = data.split_holdout(array, size=size, seed=seed)
    assert (again[0] == kept).all()
    assert (again[1] == held).all()


def test_statistics_are_those_of_the_scaled_pixels() -> None:
    images = numpy.random.Generator(numpy.random.PCG64(1)).integers(0, 256, (50, 3, 5, 7)).astype(numpy.uint8)
    means, deviations = data.statistics(images)
    scaled = images / 255
    assert means == pytest.approx(scaled.mean((0, 2, 3)))
    assert deviations == pytest.approx(scaled.std((0, 2, 3)))


# --- the downloader --------------------------------------------------------------------------------------------------


class _Mirror(http.server.BaseHTTPRequestHandler):
    """Serves one folder in a manner that the first part of the path names: /good/file, /truncated/file, …"""

    folder: Path

    def do_GET(self) -> None:
        _, manner, name = self.path.split("/")
        content = (self.folder / name).read_bytes()
        if manner == "missing":
            self.send_error(404)
            return
        if manner == "slow":
            time.sleep(1.5)
        answers = {
            "wrong": content[:-1] + b"x",
            "html": b"<!DOCTYPE html><html><body>Please log in to the network</body></html>",
        }
        body = answers.get(manner, content)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body[: len(body) // 2] if manner == "truncated" else body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client gave up, as it should with a slow mirror

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Catalog]]:
    """A mirror on loopback, and a catalogue with the digests of the small files that it serves."""
    folder = write_mnist(tmp_path / "served")
    handler = type("Mirror", (_Mirror,), {"folder": folder})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    files = {
        role: (name, hashlib.sha256((folder / name).read_bytes()).hexdigest())
        for role, (name, _) in MNIST.files.items()
    }
    yield f"http://127.0.0.1:{server.server_port}", dataclasses.replace(MNIST, files=files, timeout=0.5)
    server.shutdown()
    server.server_close()


def _load(address: str, catalog: Catalog, *manners: str, **options: object) -> data.Dataset:
    mirrors = tuple(f"{address}/{manner}" for manner in manners)
    return data.load(catalog=dataclasses.replace(catalog, mirrors=mirrors), offline=False, **options)  # type: ignore[arg-type]


def _cached() -> list[str]:
    folder = data.catalog.cache_folder() / "mnist"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_download_lands_in_the_cache_and_serves_offline_afterwards(mirror: tuple[str, Catalog]) -> None:
    seen: list[tuple[str, int, int | None]] = []
    dataset = _load(*mirror, "good", progress=lambda *step: seen.append(step))
    assert not dataset.is_sample
    assert _cached() == sorted(NAMES)
    assert {name for name, _, _ in seen} == set(NAMES)
    assert all(so_far <= (total or 0) for _, so_far, total in seen)
    offline = data.load(catalog=mirror[1], offline=True)
    assert offline.fingerprint == dataset.fingerprint


@pytest.mark.parametrize("manner", ["truncated", "wrong", "html", "missing", "slow"])
def test_the_next_mirror_is_tried_when_one_fails(mirror: tuple[str, Catalog], manner: str) -> None:
    assert not _load(*mirror, manner, "good").is_sample
    assert _cached() == sorted(NAMES)


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("truncated", "stopped after"),
        ("wrong", "SHA-256 differs"),
        ("html", "a web page instead of the file"),
        ("missing", "answered 404"),
    ],
)
def test_one_clear_error_and_a_clean_cache_when_no_mirror_serves_the_file(
    mirror: tuple[str, Catalog], manner: str, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        _load(*mirror, manner)
    assert _cached() == []


def test_an_unreachable_mirror_means_no_network() -> None:
    lines: list[str] = []
    catalog = dataclasses.replace(MNIST, mirrors=("http://127.0.0.1:9",), timeout=0.5)
    assert data.load(catalog=catalog, offline=False, notify=lines.append).is_sample
    assert "no network" in lines[0]


def test_offline_never_asks_a_mirror(mirror: tuple[str, Catalog], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(download.urllib.request, "urlopen", fail)
    assert data.load(catalog=mirror[1]).is_sample  # STEPLADDER_OFFLINE=1 is set for all tests


def test_a_damaged_file_in_the_cache_is_downloaded_again(mirror: tuple[str, Catalog]) -> None:
    first = _load(*mirror, "good")
    path = data.catalog.cache_folder() / "mnist" / NAMES[0]
    path.write_bytes(path.read_bytes()[:100])
    assert _load(*mirror, "good").fingerprint == first.fingerprint


def test_a_full_disk_leaves_nothing_behind(mirror: tuple[str, Catalog], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        _load(*mirror, "good")
    assert _cached() == []


def test_mirrors_can_be_named_in_the_environment(mirror: tuple[str, Catalog], monkeypatch: pytest.MonkeyPatch) -> None:
    address, catalog = mirror
    monkeypatch.setenv("STEPLADDER_MIRRORS", f"{address}/missing, {address}/good/")
    assert not data.load(catalog=catalog, offline=False).is_sample


# --- the full set ----------------------------------------------------------------------------------------------------


@pytest.mark.full_mnist
def test_the_full_mnist(full_mnist: Path) -> None:
    dataset = data.load(data_dir=full_mnist)
    assert (len(dataset.train), len(dataset.test)) == (60_000, 10_000)
    (mean,), (deviation,) = data.statistics(dataset.train.images)
    assert mean == pytest.approx(0.1307, abs=1e-4)
    assert deviation == pytest.approx(0.3081, abs=1e-4)
    tests = {image.tobytes() for image in dataset.test.images}
    sample = data.load("mnist-sample")
    assert not any(image.tobytes() in tests for image in [*sample.train.images, *sample.test.images])
