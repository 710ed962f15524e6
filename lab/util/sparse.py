"""Reads the data of a large file; its holes and its blocks of zeros are left out."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

from lab.util import waiting

#: A block, in bytes: zeros are left out if they fill one.
BLOCK = 64 << 10
#: The most bytes of a piece.
MOST = 8 << 20
_ZEROS = bytes(BLOCK)


@dataclass(frozen=True)
class Piece:
    """Bytes of a file, from the offset ``at`` on."""

    at: int
    data: bytes


class Identity:
    """The identity of a file's bytes: a sha256 over its size and its pieces.

    A block of zeros is left out, whether it is a hole or was written. ``data``: the bytes of the
    pieces so far.
    """

    def __init__(self) -> None:
        self.data = 0
        self._digest = hashlib.sha256()

    def add(self, piece: Piece) -> None:
        self.data += len(piece.data)
        self._digest.update(f"{piece.at} {hashlib.sha256(piece.data).hexdigest()}\n".encode())

    def of(self, size: int) -> str:
        """The identity of a file of ``size`` bytes, all pieces of which were added."""
        digest = self._digest.copy()
        digest.update(f"{size}\n".encode())
        return digest.hexdigest()


def size(file: io.BufferedReader) -> int:
    """The size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


def pieces(file: io.BufferedReader) -> Iterator[Piece]:
    """The data of an open file, in order. No piece touches the next one, unless it has ``MOST``
    bytes."""
    start, found = 0, bytearray()
    for at, data in _blocks(file.fileno(), size(file)):
        if found and (start + len(found) != at or len(found) + len(data) > MOST):
            yield Piece(start, bytes(found))
            found.clear()
        if not found:
            start = at
        found += data
    if found:
        yield Piece(start, bytes(found))


def _blocks(handle: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The blocks that are not all zeros, with their offsets (lseek(2), ``SEEK_DATA``)."""
    at = 0
    while at < end:
        waiting.go_on()
        try:
            at = os.lseek(handle, at, os.SEEK_DATA) // BLOCK * BLOCK
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        data = os.pread(handle, BLOCK, at)
        if data != _ZEROS[: len(data)]:
            yield at, data
        at += BLOCK
