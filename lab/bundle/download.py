"""Fetches a layer of a registry into a file, and goes on where an earlier attempt was cut off.

What has come so far stays beside the file, as ``.NAME.DIGEST.part``. So nothing is fetched twice,
by this command or by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import requests
import urllib3

from lab.errors import BundleError
from lab.progress import current
from lab.util import files

#: Bytes that are read at once: a piece that is cut off is lost. And how often in a row a registry
#: may break off without sending anything to speak of.
PIECE, BREAKS = 16 << 10, 3
#: A registry that sends fewer bytes than ``LEAST`` in so many seconds breaks off, as it were.
LEAST, SLOW = 16 << 10, 60.0
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def fetch(registry: Any, place: Any, layer: dict[str, Any], file: Path) -> None:
    """Write a layer into a file, whole or not at all.

    Raises:
        requests.RequestException: the registry breaks off, again and again.
        BundleError: it has other bytes than the digest says, or another command fetches it.
        OSError: the file cannot be written.
    """
    digest, size = layer["digest"], layer["size"]
    part = file.with_name(f".{file.name}.{digest.rpartition(':')[2][:16]}.part")
    with _opened(part) as to:
        _check_room(file, size - to.seek(0, os.SEEK_END))
        with current().looking(lambda: f"{_size(part) >> 20} of {size >> 20} MB"):
            _all(registry, f"{registry.prefix}://{place.get_blob_url(digest)}", to, size)
        found = f"sha256:{files.sha256_file(part)}"
        if found != digest:
            part.unlink()
            words = f"{place} is {digest}, but the registry sent {found}"
            raise BundleError(words, hint="try again, or ask who runs the registry")
        part.replace(file)


def _all(registry: Any, address: str, to: IO[bytes], size: int) -> None:
    """Fetch what is missing. After a break it goes on, as long as something comes."""
    breaks = 0
    while (before := to.seek(0, os.SEEK_END)) < size:
        try:
            _more(registry, address, to, size)
            if to.seek(0, os.SEEK_END) < size:
                raise requests.exceptions.ConnectionError("it sent less than the whole layer")
        except requests.exceptions.RequestException as error:
            breaks = 0 if to.seek(0, os.SEEK_END) >= before + LEAST else breaks + 1
            if isinstance(error, requests.exceptions.HTTPError) or breaks == BREAKS:
                raise


def _more(registry: Any, address: str, to: IO[bytes], size: int) -> None:
    """Append to the file what follows its end. A registry without ranges sends all of it."""
    at = to.tell()
    headers = {"Range": f"bytes={at}-", "Accept-Encoding": "identity"}
    with registry.do_request(address, "GET", headers=headers, stream=True) as answer:
        answer.raise_for_status()
        if at and not _follows(answer, at):
            to.seek(0)
            to.truncate()
        for piece in _pieces(answer):
            to.write(piece)
            to.flush()
            if to.tell() > size:
                raise ValueError(f"it sent more than {size} bytes")


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """What a registry sends, as it comes.

    Raises:
        requests.ConnectionError: the connection breaks, or almost nothing comes.
    """
    since, came = time.monotonic(), 0
    try:
        while piece := answer.raw.read1(PIECE, decode_content=True):
            yield piece
            came += len(piece)
            if (took := time.monotonic() - since) >= SLOW:
                if came < LEAST:
                    words = f"it sent only {came} bytes in {took:.0f} seconds"
                    raise requests.exceptions.ConnectionError(words)
                since, came = time.monotonic(), 0
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(str(error)) from error


def _follows(answer: requests.Response, at: int) -> bool:
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return answer.status_code == requests.codes.partial_content and (
        found is not None and int(found[1]) == at
    )


@contextlib.contextmanager
def _opened(part: Path) -> Iterator[IO[bytes]]:
    """The file with what has come so far, for one command at a time. An empty one does not stay."""
    files.writable(part)
    with part.open("ab") as to:
        try:
            fcntl.flock(to, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = f"another command fetches this bundle into {part.parent}"
            raise BundleError(words, hint="wait for it") from None
        try:
            yield to
        finally:
            if _size(part) == 0:
                part.unlink(missing_ok=True)


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _check_room(file: Path, size: int) -> None:
    disk = os.statvfs(file.parent)
    if (free := disk.f_bavail * disk.f_frsize) < size:
        words = f"{file.parent} has {free >> 20} MB free, {(size >> 20) + 1} MB are needed"
        raise BundleError(f"too little disk for the bundle: {words}", hint="free disk space")
