"""Merges all consoles of a run in order of time, on Xen's clock: seconds since Xen booted.

Xen and Linux print a time before each line. A guest's output has none. Instead an index file
says at which value of dom0's counter it arrived in dom0. That is when xenconsoled passed it on,
a little after the guest wrote it.

dom0 has two zeros, which Xen's log tells. dom0's counter begins when Xen creates its domain. The
times of its kernel's lines begin when the kernel runs (in truth some tenths of a second later,
after the kernel has unpacked itself). So the order is exact on one console, and approximate
between consoles.

The index begins with a header line, in which the counter's frequency in Hz is the only number.
Lines ``<name> <offset> <counter>`` follow: from this byte of this guest's log on, this counter.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.machine.log_lines import LogReader, RawLine
from lab.machine.shared_console import TIMES
from lab.util.terminal import escape

_XEN_STAMP = re.compile(rb"^\((?:XEN|d\d+)\) \[ *(\d+\.\d+)\] ?")
_LINUX_STAMP = re.compile(rb"^(?:<\d+>)?\[ *(\d+\.\d+)\] ?")
_BUILT = b"*** LOADING DOMAIN"
_STARTED = re.compile(rb"\*\*\* Serial input to DOM0|Freed \d+kB init memory")
_AWAKE = b"d0v0: vGICD:"
#: dom0's start is among so many lines at the beginning of Xen's log.
_XEN_HEAD = 5000
#: A stamp of so many seconds is too late to be the creation of dom0.
_LATEST = 1e6


@dataclass(frozen=True)
class Zeros:
    """When dom0's counter and dom0's kernel began, in seconds of Xen's clock."""

    counter: float = 0.0
    kernel: float = 0.0


@dataclass(frozen=True)
class DatedLine:
    """A line with its time in seconds; ``None`` if nothing tells the time."""

    time: float | None
    line: RawLine

    def show(self, width: int = 8, explain: Callable[[str], str] = str) -> str:
        """The line for a terminal: time, console, and text that ``explain`` was applied to.

        The text is escaped.
        """
        stamp = " " * 12 if self.time is None else f"{self.time:12.6f}"
        return f"[{stamp}] {self.line.console:<{width}} | {explain(escape(self.line.raw))}"


def merge(
    files: Mapping[str, Path], times: Path | None = None, zeros: Zeros | None = None
) -> Iterator[DatedLine]:
    """All lines in order of time. The consoles are ``xen``, ``dom0`` and guests.

    Reads the files as it goes, so their size does not matter. Lines without a time (of guests
    without an index) come last. ``times`` is the index. Unless ``zeros`` are given, they are
    read from Xen's log.
    """
    zeros = zeros or (find_zeros(files["xen"]) if "xen" in files else Zeros())
    streams = []
    for name, path in files.items():
        if name == "xen":
            # dom0's lines come here too if its console is Xen's (hvc0).
            dated = _stamped(_lines(name, path), [(_XEN_STAMP, 0.0), (_LINUX_STAMP, zeros.kernel)])
        elif name == "dom0":
            dated = _stamped(_lines(name, path), [(_LINUX_STAMP, zeros.kernel)])
        elif (own := path.with_suffix(TIMES)).exists():  # Xen's console carries it
            dated = _indexed(_lines(name, path), _index(own, name, 0.0))
        else:
            dated = _indexed(_lines(name, path), _index(times, name, zeros.counter))
        streams.append(dated)
    return heapq.merge(
        *streams, key=lambda item: float("inf") if item.time is None else item.time
    )  # fmt: skip


def find_zeros(xen_log: Path) -> Zeros:
    """Find in Xen's log the moments at which Xen built and started dom0."""
    counter = kernel = 0.0
    for line in itertools.islice(_lines("xen", xen_log), _XEN_HEAD):
        stamp = _XEN_STAMP.match(line.raw)
        if stamp and not counter and _BUILT in line.raw:
            counter = kernel = float(stamp[1])
        if stamp and _STARTED.search(line.raw):
            kernel = float(stamp[1])
        if stamp and _AWAKE in line.raw:
            return Zeros(counter, float(stamp[1]))
    return Zeros(counter, kernel)


def dom0_began(xen_log: Path) -> tuple[float, float] | None:
    """The times (seconds on Xen's clock) of the two lines of Xen's between which it made dom0.

    dom0's counter began then. ``None`` if the log does not tell.
    """
    before: float | None = None
    with contextlib.suppress(OSError):
        for line in itertools.islice(_lines("xen", xen_log), _XEN_HEAD):
            stamp = _XEN_STAMP.match(line.raw)
            now = float(stamp[1]) if stamp else before
            if stamp and now is not None and before is not None and _BUILT in line.raw:
                return (before, max(before, now)) if now < _LATEST else None
            before = now
    return None


def _lines(name: str, path: Path) -> Iterator[RawLine]:
    reader = LogReader(name, path)
    try:
        while lines := reader.read():
            yield from lines
        if reader.partial:
            yield reader.partial
    finally:
        reader.close()


def _stamped(
    lines: Iterator[RawLine], stamps: Sequence[tuple[re.Pattern[bytes], float]]
) -> Iterator[DatedLine]:
    """A line without a stamp has the time of the line before. Time never runs backwards."""
    now = stamps[0][1]
    for line in lines:
        for stamp, zero in stamps:
            if match := stamp.match(line.raw):
                now = max(now, float(match[1]) + zero)
        yield DatedLine(now, line)


def _indexed(lines: Iterator[RawLine], index: Iterator[tuple[int, float]]) -> Iterator[DatedLine]:
    now: float | None = None
    coming = next(index, None)
    for line in lines:
        while coming and coming[0] <= line.offset:
            now = coming[1] if now is None else max(now, coming[1])
            coming = next(index, None)
        yield DatedLine(now, line)


def _index(times: Path | None, guest: str, zero: float) -> Iterator[tuple[int, float]]:
    """(offset, seconds) of one guest's bytes; a damaged line is passed over."""
    if times is None or not times.exists():
        return
    lines = _lines("times", times)
    header = next(lines, None)
    hertz = re.search(rb"\d{1,12}", header.raw) if header else None
    if not hertz or not int(hertz[0]):
        return
    entry = re.compile(re.escape(guest.encode()) + rb" (\d{1,18}) (\d{1,20})")
    for line in lines:
        if match := entry.fullmatch(line.raw):
            yield int(match[1]), int(match[2]) / int(hertz[0]) + zero
