"""Sparse files, such as a machine's memory: their holes are neither read nor written."""

from __future__ import annotations

import concurrent.futures
import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from lab.util import digests, reading, waiting

#: Files are read and copied in pieces of this many bytes.
PIECE = 1 << 20
_ZEROS = bytes(PIECE)
#: How many pieces are hashed at once: hashlib lets other threads run meanwhile.
THREADS = min(4, os.cpu_count() or 1)


def copy(source: Path, target: Path) -> None:
    """Copy a file. Pieces of zeros become holes. Only this user may read the copy (mode 0600):
    a machine's memory holds whatever was typed into it."""
    with reading.binary(source) as reader, os.fdopen(_made(target), "wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        os.ftruncate(writer.fileno(), size)
        for at in _pieces(reader.fileno(), size):
            waiting.go_on()
            data = os.pread(reader.fileno(), PIECE, at)
            if data != _ZEROS[: len(data)]:
                os.pwrite(writer.fileno(), data, at)


def _made(target: Path) -> int:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.fchmod(handle, 0o600)  # it may have been there before
    return handle


def digest(path: Path) -> str:
    """The identity of a file's bytes: the sha256 over its size and its pieces that hold data.

    A piece of zeros is left out, whether it is a hole or was written.

    Raises:
        OSError: the file cannot be read, or is a symbolic link (``ELOOP``).
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link")
    with reading.binary(path) as file:
        return digests.of("sparse", file.fileno(), lambda: _digest(file.fileno()))


def _digest(handle: int) -> str:
    size = os.fstat(handle).st_size
    own = threading.local()  # a thread reads every piece into the same memory, which is faster

    def begin() -> None:
        own.memory = bytearray(PIECE)

    def piece(at: int) -> str:
        count = os.preadv(handle, [own.memory], at)
        data = own.memory if count == PIECE else own.memory[:count]
        if data == _ZEROS[: len(data)]:
            return ""
        return f"{at} {hashlib.sha256(data).hexdigest()}\n"

    lines = []
    with concurrent.futures.ThreadPoolExecutor(THREADS, initializer=begin) as pool:
        try:
            for line in pool.map(piece, _pieces(handle, size)):
                waiting.go_on()
                lines.append(line)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return hashlib.sha256((f"{size}\n" + "".join(lines)).encode()).hexdigest()


def _pieces(handle: int, size: int) -> Iterator[int]:
    """The offsets of the pieces that may hold data (lseek(2), ``SEEK_DATA``)."""
    at = 0
    while at < size:
        try:
            at = os.lseek(handle, at, os.SEEK_DATA) // PIECE * PIECE
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        yield at
        at += PIECE
