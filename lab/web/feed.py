"""The output of consoles for one reader, out of their log files.

Each reader has a position of its own in each log. So a reader that is slow or absent holds up
neither the machine nor another reader. What a console prints faster than :data:`RATE` is left out,
and the reader is told how much.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from lab.util import reading
from lab.web.allowance import Allowance, Clock

#: Bytes of earlier output that a new reader gets.
BEFORE = 32 << 10
#: The most bytes that are sent at a time.
PORTION = 32 << 10
#: Bytes a second that a console sends to a reader, and how many it may send at once.
RATE, BURST = 256 << 10, 1 << 20
#: A reader that is behind by more than ``BEHIND`` bytes gets only the last ``LAST`` of them.
BEHIND, LAST = 1 << 20, 64 << 10


@dataclass(frozen=True)
class Piece:
    """Output of a console; ``end``: the position in its log behind it."""

    data: bytes
    end: int


class ConsoleReader:
    """One reader of one console. ``at``: the position to go on from; ``None``: near the end.

    Logs that are made of Xen's own must have been brought up to date (lab.machine.shared_console).
    """

    def __init__(self, log: Path, at: int | None = None, clock: Clock = time.monotonic) -> None:
        self._stream = reading.binary(log)
        self._allowance = Allowance(RATE, BURST, clock)
        self._at = self._stream.seek(self._start(at))

    def is_of(self, log: Path) -> bool:
        """Whether this is still the file of that name: another one may have taken its place."""
        try:
            return os.path.samestat(log.stat(), os.fstat(self._stream.fileno()))
        except OSError:
            return False

    def close(self) -> None:
        self._stream.close()

    def next(self) -> Piece | None:
        """What comes next; ``None`` if there is nothing, or nothing may be sent now."""
        behind = self._size() - self._at
        if behind <= 0 or self._allowance.left() < min(behind, PORTION):
            return None
        notice = self._skip(behind) if behind > BEHIND else b""
        data = self._stream.read(PORTION)
        self._allowance.take(len(data))
        self._at = self._stream.tell()
        return Piece(notice + data, self._at)

    def wait(self) -> float | None:
        """Seconds after which to ask again; ``None``: when the log has grown."""
        return self._allowance.wait(PORTION) if self._size() > self._at else None

    def _start(self, at: int | None) -> int:
        size = self._size()
        if at is not None and 0 <= at <= size:
            return at
        start = max(0, size - BEFORE)
        if start:
            self._stream.seek(start)
            start += len(self._stream.readline(PORTION))
        return start

    def _skip(self, behind: int) -> bytes:
        """Leave out all but the last output, from the beginning of a line on."""
        self._stream.seek(behind - LAST, os.SEEK_CUR)
        left_out = behind - LAST + len(self._stream.readline(PORTION))
        return f"\r\n[{left_out} bytes are not shown; the log has them]\r\n".encode()

    def _size(self) -> int:
        return os.fstat(self._stream.fileno()).st_size
