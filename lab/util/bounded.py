"""Keeps the beginning and the end of what a program writes, however much it is."""

from __future__ import annotations

import subprocess
import threading
from collections import deque
from typing import IO

#: Bytes that are read at a time.
_PORTION = 64 << 10
#: Seconds to read the rest when a program has ended: what it left running may still write.
_REST = 5.0


class Kept:
    """The first and the last ``most / 2`` bytes of a stream."""

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._first = bytearray()
        self._last: deque[bytes] = deque()
        self._size = self._left_out = 0

    def add(self, data: bytes) -> None:
        """The stream goes on with these bytes."""
        room = self._half - len(self._first)
        self._first += data[:room]
        if rest := data[room:]:
            self._last.append(rest)
            self._size += len(rest)
        while self._last and self._size - len(self._last[0]) >= self._half:
            self._size -= len(self._last[0])
            self._left_out += len(self._last.popleft())

    def data(self) -> bytes:
        """What was kept. A line says how much is left out."""
        notice = f"\n[{self._left_out} bytes are left out]\n".encode() if self._left_out else b""
        return bytes(self._first) + notice + b"".join(self._last)


def communicate(process: subprocess.Popen[bytes], timeout: float, most: int) -> tuple[bytes, bytes]:
    """What a program without input writes to its two pipes until it ends, each bounded.

    Raises:
        TimeoutExpired: it did not end in time. It has what was written until then.
    """
    kept = Kept(most), Kept(most)
    readers = []
    for stream, to in zip((process.stdout, process.stderr), kept, strict=True):
        if stream:
            readers.append(threading.Thread(target=_read, args=(stream, to), daemon=True))
            readers[-1].start()
    process.stdout = process.stderr = None  # Popen must not read them, too
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired as late:
        late.output, late.stderr = (one.data() for one in kept)
        raise
    for reader in readers:
        reader.join(_REST)
    return kept[0].data(), kept[1].data()


def _read(stream: IO[bytes], to: Kept) -> None:
    with stream:
        while data := stream.read1(_PORTION):  # type: ignore[attr-defined]
            to.add(data)
