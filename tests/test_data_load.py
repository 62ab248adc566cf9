"""MNIST by name: from the cache, and from mirrors on the loopback interface."""

import dataclasses
import errno
import gzip
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy
import pytest

from stepladder.data import MNIST, Catalog, Dataset, download, idx, load
from stepladder.errors import DataError

Served = dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]]
HTML = b"<!DOCTYPE html><html><title>Welcome to our network</title></html>"


def arrays() -> dict[str, numpy.ndarray]:
    generator = numpy.random.default_rng(7)
    return {
        "train_images": generator.integers(0, 256, (20, 28, 28), dtype=numpy.uint8),
        "train_labels": numpy.arange(20, dtype=numpy.uint8) % 10,
        "test_images": generator.integers(0, 256, (10, 28, 28), dtype=numpy.uint8),
        "test_labels": numpy.arange(10, dtype=numpy.uint8),
    }


NAMES = {role: name for role, (name, _) in MNIST.files.items()}
FILES = {NAMES[role]: gzip.compress(idx.encode(array), mtime=0) for role, array in arrays().items()}
FIRST = NAMES["train_images"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STEPLADDER_DATA", "STEPLADDER_OFFLINE", "STEPLADDER_MIRRORS", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def serve() -> Iterator[Callable[[Served], str]]:
    """Return a function that starts a mirror with the given answers and returns its address."""
    servers = []

    def start(served: Served) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = served.get(self.path.removeprefix("/"))
                if answer is None:
                    self.send_error(404)
                elif isinstance(answer, bytes):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                else:
                    answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def tiny(*mirrors: str, timeout: float = 5.0) -> Catalog:
    files = {role: (name, hashlib.sha256(FILES[name]).hexdigest()) for role, name in NAMES.items()}
    return dataclasses.replace(MNIST, files=files, mirrors=mirrors, timeout=timeout)


def fill(folder: Path, **changed: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for role, name in NAMES.items():
        (folder / name).write_bytes(changed.get(role, FILES[name]))
    return folder


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def assert_tiny(dataset: Dataset) -> None:
    expected = arrays()
    assert numpy.array_equal(dataset.train.images[:, 0], expected["train_images"])
    assert numpy.array_equal(dataset.test.labels, expected["test_labels"])
    for split in (dataset.train, dataset.test):
        assert split.images.flags.c_contiguous
        assert not split.images.flags.writeable
        assert not split.labels.flags.writeable
        assert split.labels.dtype == numpy.int64
    assert (dataset.title, dataset.is_sample, dataset.input_shape) == ("MNIST", False, (1, 28, 28))


def test_download_then_cache(serve: Callable[[Served], str], cache: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    catalog = tiny(serve({**FILES}))
    assert_tiny(load(catalog=catalog, progress=lambda *step: seen.append(step)))
    assert listing(cache) == sorted(FILES)
    assert [step for step in seen if step[1] == step[2]] == [
        (name, len(FILES[name]), len(FILES[name])) for name in FILES
    ]
    assert_tiny(load(catalog=dataclasses.replace(catalog, mirrors=()), offline=True))


def _cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(FILES[FIRST][:100])


def _silent(handler: BaseHTTPRequestHandler) -> None:
    _cut_off(handler)
    time.sleep(0.6)


def _gibberish(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"gibberish\r\n\r\n")


BAD = [
    (None, "404"),
    (b"other bytes", "SHA-256 differs"),
    (HTML, "web page"),
    (_cut_off, "stopped after 100 of 5,000 bytes"),
    (_silent, "fell silent after 100 bytes"),
    (_gibberish, "gibberish"),
]


@pytest.mark.parametrize(("answer", "reason"), BAD)
def test_bad_mirror(answer: object, reason: str, serve: Callable[[Served], str], cache: Path) -> None:
    bad = serve({**FILES, FIRST: answer} if answer else {})  # type: ignore[dict-item]
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        load(catalog=tiny(bad, timeout=0.3))
    assert reason in caught.value.given
    assert bad in caught.value.given
    assert listing(cache) == []
    assert_tiny(load(catalog=tiny(bad, serve({**FILES}), timeout=0.3)))
    assert listing(cache) == sorted(FILES)


def test_mirrors_from_the_environment(serve: Callable[[Served], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPLADDER_MIRRORS", f"{serve({})}, {serve({**FILES})},")
    assert_tiny(load(catalog=tiny()))
    monkeypatch.setenv("STEPLADDER_MIRRORS", "file:///etc")
    with pytest.raises(DataError, match="not a web address"):
        load(catalog=tiny())


@pytest.mark.parametrize("how", ["argument", "environment", "no network"])
def test_unreachable_is_the_sample(how: str, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    if how == "environment":
        monkeypatch.setenv("STEPLADDER_OFFLINE", "1")
    lines: list[str] = []
    # Nothing listens on port 9 of the loopback interface.
    dataset = load(catalog=tiny("http://127.0.0.1:9"), offline=how == "argument" or None, notify=lines.append)
    assert dataset.is_sample
    assert dataset.title == "MNIST sample (5,000 images)"
    assert len(lines) == 1
    assert "using the MNIST sample" in lines[0]
    assert ("no network" if how == "no network" else "offline") in lines[0]
    assert "\n" not in lines[0]
    assert listing(cache) == []


def test_damaged_cache(serve: Callable[[Served], str], cache: Path) -> None:
    fill(cache, train_images=FILES[FIRST][:-30])
    assert_tiny(load(catalog=tiny(serve({**FILES}))))
    for catalog, offline in ((tiny(), True), (tiny("http://127.0.0.1:9"), False)):
        fill(cache, train_images=b"rubbish")
        with pytest.raises(DataError, match="damaged and has been removed"):
            load(catalog=catalog, offline=offline)
        assert listing(cache) == sorted(set(FILES) - {FIRST})
    fill(cache, train_images=b"rubbish")
    with pytest.raises(DataError, match="could not be downloaded"):
        load(catalog=tiny(serve({})))
    assert listing(cache) == sorted(set(FILES) - {FIRST})


def test_folder_in_the_cache(cache: Path) -> None:
    (cache / FIRST).mkdir(parents=True)
    with pytest.raises(DataError, match="in the cache cannot be read"):
        load(catalog=tiny(), offline=True)


@pytest.mark.parametrize("call", ["fsync", "mkstemp"])
def test_full_disk(call: str, serve: Callable[[Served], str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download.os if call == "fsync" else download.tempfile, call, full)
    with pytest.raises(DataError, match="cannot be written") as caught:
        load(catalog=tiny(serve({**FILES})))
    assert "No space left" in caught.value.given
    assert listing(cache) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_in_write_and_close(
    serve: Callable[[Served], str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fdopen = os.fdopen

    def onto_full_disk(descriptor: int, mode: str) -> object:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, descriptor)
        os.close(full)
        return fdopen(descriptor, mode)

    monkeypatch.setattr(download.os, "fdopen", onto_full_disk)
    with pytest.raises(DataError, match="cannot be written"):
        load(catalog=tiny(serve({**FILES})))
    assert listing(cache) == []


def test_interrupted_download_leaves_nothing(serve: Callable[[Served], str], cache: Path) -> None:
    def interrupt(*step: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(catalog=tiny(serve({**FILES})), progress=interrupt)
    assert listing(cache) == []


def test_two_at_once(serve: Callable[[Served], str], cache: Path) -> None:
    catalog, together, results = tiny(serve({**FILES})), threading.Barrier(4), []

    def one() -> None:
        together.wait()
        results.append(load(catalog=catalog).fingerprint)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results)) == 1
    assert listing(cache) == sorted(FILES)
