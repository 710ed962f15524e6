"""The output of consoles for one reader, out of their log files.

Each reader has a position of its own in each log. So a reader that is slow or absent holds up
neither the machine nor another reader. What a console prints faster than :data:`RATE` is left out,
and the reader is told how much.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.machine import shared_console
from lab.util import reading

#: Bytes of earlier output that a new reader gets.
BEFORE = 32 << 10
#: The most bytes that are sent at a time.
PORTION = 32 << 10
#: Bytes a second that a console sends to a reader, and how many it may send at once.
RATE, BURST = 256 << 10, 1 << 20
#: A reader that is behind by more than ``BEHIND`` bytes gets only the last ``LAST`` of them.
BEHIND, LAST = 1 << 20, 64 << 10

Clock = Callable[[], float]


@dataclass(frozen=True)
class Piece:
    """Output of a console; ``end``: the position in its log behind it."""

    data: bytes
    end: int


class Allowance:
    """How many bytes may be sent now: at most ``burst``, and ``rate`` more each second."""

    def __init__(self, rate: int = RATE, burst: int = BURST, clock: Clock = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left = float(burst)
        self._seen = clock()

    def left(self) -> int:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        return int(self._left)

    def take(self, count: int) -> None:
        self._left -= count

    def wait(self) -> float:
        """Seconds until a whole portion may be sent."""
        return max(0.0, (PORTION - self.left()) / self._rate)


class ConsoleReader:
    """One reader of one console. ``at``: the position to go on from; ``None``: near the end."""

    def __init__(self, log: Path, at: int | None = None, clock: Clock = time.monotonic) -> None:
        self._log = log
        self._stream = reading.binary(log)
        self._allowance = Allowance(clock=clock)
        self._stream.seek(self._start(at))

    def close(self) -> None:
        self._stream.close()

    def next(self) -> Piece | None:
        """What comes next; ``None`` if there is nothing, or nothing may be sent now."""
        shared_console.bring(self._log.parent)
        behind = self._size() - self._stream.tell()
        allowed = self._allowance.left()
        if behind <= 0 or allowed < min(behind, PORTION):
            return None
        notice = self._skip(behind) if behind > BEHIND else b""
        data = self._stream.read(PORTION)
        self._allowance.take(len(data))
        return Piece(notice + data, self._stream.tell())

    def wait(self) -> float | None:
        """Seconds after which to ask again; ``None``: when the log has grown."""
        return self._allowance.wait() if self._size() > self._stream.tell() else None

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
