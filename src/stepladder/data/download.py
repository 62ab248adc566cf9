"""Fetch a file from the first mirror that serves the right bytes."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import ssl
import tempfile
import urllib.error
from collections.abc import Callable, Sequence
from pathlib import Path

from stepladder.data.connection import open_address
from stepladder.data.idx import looks_like_html
from stepladder.errors import DataError

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes so far and, where the mirror tells, the bytes in all."""

LOOKING, DECODING = READING = ("looking at files", "reading images")
"""What is told as a name where not bytes of a download but files of one's own are counted."""

_CHUNK = 1 << 16


class UnreachableError(DataError):
    """No mirror could be reached at all: there is no network."""


class UntrustedError(UnreachableError):
    """Something answers, but its certificate cannot be verified: no bytes were exchanged."""


def fetch(
    name: str,
    digest: str,
    folder: Path,
    mirrors: Sequence[str],
    *,
    timeout: float = 5.0,
    progress: Progress | None = None,
) -> Path:
    """Return the path of the downloaded file, which has the right digest or is not there at all.

    Args:
        name: the file's name, in the folder and on every mirror.
        digest: its SHA-256, or, of 32 digits, its MD5, where no other is published.
        folder: where it goes.
        mirrors: base addresses, tried in order.
        timeout: seconds to wait for a connection, and for each further piece.
        progress: told how far the download is.

    Raises:
        UnreachableError: if no mirror answered; UntrustedError if one would have, under a certificate that this
            machine does not trust.
        DataError: if a mirror answered but none served the right bytes, or the file cannot be written.
    """
    reasons = []
    answered = untrusted = False
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{name}"
        try:
            return _fetch_one(address, name, digest, folder, timeout, progress)
        except _WrongAnswerError as error:
            answered = True
            reasons.append(f"{address}: {error}")
        except (OSError, http.client.HTTPException) as error:
            # A server that hangs up without a word is no answer; one that speaks something else than HTTP is.
            answered |= not isinstance(error, OSError)
            reason = getattr(error, "reason", error)
            untrusted |= isinstance(reason, ssl.SSLCertVerificationError)
            reasons.append(f"{address}: {reason or type(error).__name__}")
    kind = DataError if answered else UntrustedError if untrusted else UnreachableError
    raise kind(
        f"{name} could not be downloaded",
        given="; ".join(reasons),
        repair="try again later, or put the files in a folder and name it with --data-dir",
    )


def hasher_of(digest: str) -> hashlib._Hash:
    """Return what computes digests of this one's kind: MD5 for 32 hexadecimal digits, else SHA-256."""
    return hashlib.md5(usedforsecurity=False) if len(digest) == 32 else hashlib.sha256()


class _WrongAnswerError(Exception):
    """A mirror answered with something other than the file."""


def _fetch_one(address: str, name: str, digest: str, folder: Path, timeout: float, progress: Progress | None) -> Path:
    try:
        response = open_address(address, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        raise _WrongAnswerError(f"answered {error.code} {error.reason}") from None
    except ValueError as error:
        raise _WrongAnswerError(f"is or points to an address that cannot be opened ({error})") from None
    with response:
        announced = response.headers.get("Content-Length") or ""
        total = int(announced) if announced.isdecimal() else None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
        except OSError as error:
            raise _cannot_write(folder, error) from None
        try:
            seen, start = hasher_of(digest), b""
            # Every OSError in here is the disk's: _read gives its own another type. A full disk may show as late as
            # the flush or the close.
            with os.fdopen(descriptor, "wb") as stream:
                so_far = 0
                while chunk := _read(response, so_far, total):
                    start = start or chunk
                    seen.update(chunk)
                    so_far += len(chunk)
                    stream.write(chunk)
                    if progress is not None:
                        progress(name, so_far, total)
                stream.flush()
                os.fsync(stream.fileno())
            if looks_like_html(start):
                raise _WrongAnswerError("served a web page instead of the file (a login page of the network?)")
            if seen.hexdigest() != digest:
                kind = seen.name.upper().replace("SHA256", "SHA-256")
                raise _WrongAnswerError(f"served other bytes than the original's ({kind} differs)")
            target = folder / name
            # Temporary files are made for their owner alone; a cache may be a whole class's.
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
            return target
        except OSError as error:
            raise _cannot_write(folder, error) from None
        finally:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _read(response: http.client.HTTPResponse, so_far: int, total: int | None) -> bytes:
    try:
        # What has come, not a full piece: a slow mirror is seen to move.
        chunk = response.read1(_CHUNK)
    except http.client.IncompleteRead as error:
        raise _WrongAnswerError(f"stopped after {so_far + len(error.partial):,} bytes") from None
    except TimeoutError:
        raise _WrongAnswerError(f"fell silent after {so_far:,} bytes") from None
    except (OSError, http.client.HTTPException) as error:
        raise _WrongAnswerError(f"broke off after {so_far:,} bytes ({error})") from None
    if not chunk and total is not None and so_far < total:
        raise _WrongAnswerError(f"stopped after {so_far:,} of {total:,} bytes")
    return chunk


def _cannot_write(folder: Path, error: OSError) -> DataError:
    return DataError(
        "the download cannot be written",
        given=f"{folder} ({error.strerror})",
        repair="make room there, or name another folder with STEPLADDER_CACHE",
    )
