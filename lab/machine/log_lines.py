"""Splits the raw logs of consoles into lines, whatever bytes they hold.

A line is what a person would call one. The characters at its end are removed, and a line without
an end is cut into pieces. The other bytes stay as they are; :func:`lab.util.terminal.escape`
makes them harmless to show.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lab.machine import shared_console
from lab.machine.crash_symbols import explainer
from lab.util import reading
from lab.util.terminal import escape, escape_lines

#: A longer line is cut into pieces of this many bytes.
MAX_LINE = 16 << 10
#: No crash dump of Xen's has more lines (xen/arch/arm/traps.c, show_execution_state).
DUMP_LINES = 80
#: The largest log that is read, in bytes; no machine writes so much.
LARGEST = 64 << 30
#: The most bytes of one file that are read at a time.
CHUNK = 1 << 20
#: How much of a log's end is looked at, in bytes.
LAST = 64 << 10
#: How much of it is looked at for its last line alone.
LAST_LINE = 4 << 10
#: The most lines that are handed over at a time (pieces of long lines not counted), so that
#: whoever searches them looks at the clock in between.
MOST_LINES = 4096


@dataclass(frozen=True)
class RawLine:
    """A line of a console, as in its log. ``offset``: the byte of the log at which it begins."""

    console: str
    raw: bytes
    offset: int = 0

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "replace")


class LineSplitter:
    """Makes lines from bytes in portions of any size. Holds back at most :data:`MAX_LINE` bytes."""

    def __init__(self, console: str, offset: int = 0) -> None:
        self._console = console
        self._rest = b""
        self._offset = offset

    def feed(self, data: bytes) -> list[RawLine]:
        """The lines that are complete with these bytes."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [line for raw in whole for line in self._cut(raw, 1)]
        while len(self._rest) > MAX_LINE:
            lines.append(self._line(self._rest[:MAX_LINE], 0))
            self._rest = self._rest[MAX_LINE:]
        return lines

    @property
    def partial(self) -> RawLine | None:
        """The line that has no end yet."""
        raw = self._rest.strip(b"\r")
        return RawLine(self._console, raw, self._offset) if raw else None

    def _cut(self, raw: bytes, end: int) -> Iterable[RawLine]:
        while len(raw) > MAX_LINE:
            yield self._line(raw[:MAX_LINE], 0)
            raw = raw[MAX_LINE:]
        yield self._line(raw, end)

    def _line(self, raw: bytes, end: int) -> RawLine:
        line = RawLine(self._console, raw.strip(b"\r"), self._offset)
        self._offset += len(raw) + end
        return line


class LogReader:
    """Reads one console's log from byte ``offset`` on. The log need not exist yet."""

    def __init__(self, console: str, path: Path, offset: int = 0) -> None:
        self.path = path
        self._offset = offset
        self._splitter = LineSplitter(console, offset)
        self._file: BinaryIO | None = None
        self._held = b""

    def read(self) -> list[RawLine]:
        """The next complete lines, at most one portion of them; empty if there is none."""
        shared_console.bring(self.path.parent)
        if self._file is None:
            try:
                self._file = reading.binary(self.path, LARGEST)
            except FileNotFoundError:
                return []
            self._file.seek(self._offset)
        lines: list[RawLine] = []
        while not lines and (data := self._held or self._file.read(CHUNK)):
            end = _end_of_lines(data, MOST_LINES)
            data, self._held = data[:end], data[end:]
            lines = self._splitter.feed(data)
        return lines

    @property
    def partial(self) -> RawLine | None:
        return self._splitter.partial

    def close(self) -> None:
        if self._file:
            self._file.close()


def _end_of_lines(data: bytes, most: int) -> int:
    """Where the first ``most`` lines of ``data`` end; its size if it has no more."""
    if data.count(b"\n") <= most:
        return len(data)
    end = 0
    for _ in range(most):
        end = data.index(b"\n", end) + 1
    return end


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, escaped and explained; empty if there is no log.

    If Xen's log ends with the dump of a crash, these are all lines of the dump.
    """
    if not (raw := _last(path)):
        return ""
    found = escape_lines(raw, last=max(lines, _crash(raw) if path.name == "xen.log" else 0))
    return "\n".join(map(explainer(path), found.split("\n")))


def last_line(path: Path) -> str:
    """The last line of a log that is not blank, escaped; empty if there is none in its last
    :data:`LAST_LINE` bytes. That is quick enough to ask again after each output."""
    for line in reversed(_last(path, LAST_LINE).splitlines()):
        if found := escape(line).strip():
            return found
    return ""


def last_lines(console: str, log: Path) -> list[RawLine]:
    """The lines at the end of a console's log, also one without an end; empty without a log."""
    splitter = LineSplitter(console)
    lines = splitter.feed(_last(log))
    return [*lines, splitter.partial] if splitter.partial else lines


def _last(path: Path, most: int = LAST) -> bytes:
    """The last ``most`` bytes of a log, brought up to date; empty if there is none."""
    shared_console.bring(path.parent)
    with contextlib.suppress(OSError), reading.binary(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return file.read()
    return b""


def _crash(raw: bytes) -> int:
    """How many lines the crash dump at the end of Xen's log has; 0 if there is none."""
    start = raw.rfind(b"----[ Xen-")
    count = raw.count(b"\n", start) + 1
    return count if start >= 0 and count <= DUMP_LINES else 0
