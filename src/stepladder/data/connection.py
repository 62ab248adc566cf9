"""Open web addresses without waiting long for a network that swallows what is sent to it."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.request
from typing import Any


def open_address(address: str, timeout: float) -> http.client.HTTPResponse:
    """Return the answer to a GET of a http or https address; proxies are those of the environment.

    Args:
        address: what to open.
        timeout: seconds to wait for a connection over IPv6, the same over IPv4, and for each further piece.

    Raises:
        urllib.error.HTTPError: if the answer is an error.
        OSError: if there is no answer (``urllib.error.URLError`` is one).
        http.client.HTTPException: if the answer is not HTTP.
        ValueError: if the address, or one that the answer points to, is none.
    """
    opener = urllib.request.build_opener(_PlainHandler, _SecureHandler)
    response: http.client.HTTPResponse = opener.open(address, timeout=timeout)
    return response


class _PlainHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_plain, request)


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_secure, request)


def _plain(host: str, **options: Any) -> http.client.HTTPConnection:
    return _bounded(http.client.HTTPConnection(host, **options))


def _secure(host: str, **options: Any) -> http.client.HTTPConnection:
    return _bounded(http.client.HTTPSConnection(host, **options))


def _bounded(connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
    # There is no public place for it. Where Python should drop this one, the standard waiting comes back, no more.
    connection._create_connection = _connect  # type: ignore[attr-defined]
    return connection


def _connect(address: tuple[str, int], timeout: float, source_address: object = None) -> socket.socket:
    """Return a socket connected to the first of a host's addresses that answers.

    ``socket.create_connection`` waits for the timeout at each of them, and the mirrors have eight and more: behind a
    firewall that drops packets that is minutes. Here all addresses of a family share it.
    """
    deadlines: dict[int, float] = {}
    failure: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        left = deadlines.setdefault(family, time.monotonic() + timeout) - time.monotonic()
        if left <= 0:
            continue
        try:
            connected = socket.socket(family, kind, protocol)
        except OSError as error:  # a family that this machine does not speak
            failure = error
            continue
        try:
            connected.settimeout(left)
            connected.connect(place)
        except OSError as error:
            connected.close()
            failure = error
        else:
            connected.settimeout(timeout)
            return connected
    raise failure
