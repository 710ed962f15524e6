"""Lines out of the raw logs of consoles, whatever is in them.

What is a line here is what a person would call one: ends of any kind are taken off, and a
line without end is cut into pieces. The bytes stay as they were;
:func:`lab.util.terminal.escape` makes them harmless to show.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lab.machine import shared_console
from lab.machine.explain import explainer
from lab.util import reading
from lab.util.terminal import escape_lines

#: A longer line is cut into pieces of this many bytes.
MAX_LINE = 16 << 10
#: A crash dump of Xen's is shorter (xen/arch/arm/traps.c, show_execution_state).
DUMP_LINES = 80
#: Bytes of a log that is read at all: no machine writes so much.
LARGEST = 64 << 30
#: At most so much of one file is read at a time.
CHUNK = 1 << 20


@dataclass(frozen=True)
class Line:
    """A line of a console. ``offset`` is where in the file it begins."""

    console: str
    raw: bytes
    offset: int = 0

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "replace")


class LineSplitter:
    """Bytes in any portions → lines. Never holds more than :data:`MAX_LINE` bytes back."""

    def __init__(self, console: str, offset: int = 0) -> None:
        self._console = console
        self._rest = b""
        self._offset = offset

    def feed(self, data: bytes) -> list[Line]:
        """The lines that are complete with these bytes."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [line for raw in whole for line in self._cut(raw, 1)]
        while len(self._rest) > MAX_LINE:
            lines.append(self._line(self._rest[:MAX_LINE], 0))
            self._rest = self._rest[MAX_LINE:]
        return lines

    @property
    def partial(self) -> Line | None:
        """The line that has no end yet."""
        raw = self._rest.strip(b"\r")
        return Line(self._console, raw, self._offset) if raw else None

    def _cut(self, raw: bytes, end: int) -> Iterable[Line]:
        while len(raw) > MAX_LINE:
            yield self._line(raw[:MAX_LINE], 0)
            raw = raw[MAX_LINE:]
        yield self._line(raw, end)

    def _line(self, raw: bytes, end: int) -> Line:
        line = Line(self._console, raw.strip(b"\r"), self._offset)
        self._offset += len(raw) + end
        return line


class LogReader:
    """One console's file from ``offset`` on. The file may come later."""

    def __init__(self, console: str, path: Path, offset: int = 0) -> None:
        self.path = path
        self._offset = offset
        self._splitter = LineSplitter(console, offset)
        self._file: BinaryIO | None = None

    def read(self) -> list[Line]:
        """The lines that were completed since; empty when there is nothing new."""
        shared_console.bring(self.path.parent)
        if self._file is None:
            try:
                self._file = reading.binary(self.path, LARGEST)
            except FileNotFoundError:
                return []
            self._file.seek(self._offset)
        lines: list[Line] = []
        while not lines and (data := self._file.read(CHUNK)):
            lines = self._splitter.feed(data)
        return lines

    @property
    def partial(self) -> Line | None:
        return self._splitter.partial

    def close(self) -> None:
        if self._file:
            self._file.close()


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, escaped and explained; empty if there is no log.

    Of Xen's log: the whole dump of a crash, if it ends with one.
    """
    shared_console.bring(path.parent)
    try:
        with reading.binary(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024))
            raw = file.read()
    except OSError:
        return ""
    found = escape_lines(raw, last=max(lines, _crash(raw) if path.name == "xen.log" else 0))
    return "\n".join(map(explainer(path), found.split("\n")))


def _crash(raw: bytes) -> int:
    """How many lines the dump of a crash takes at the end of Xen's log; 0: there is none."""
    start = raw.rfind(b"----[ Xen-")
    count = raw.count(b"\n", start) + 1
    return count if start >= 0 and count <= DUMP_LINES else 0
