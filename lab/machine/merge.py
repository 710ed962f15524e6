"""All consoles of a run in time order, on Xen's clock: seconds since Xen booted.

Xen and Linux stamp their lines. A guest's bytes have none: an index file says at which value
of dom0's counter they arrived in dom0, which is when xenconsoled passed them on and so a
little after the guest wrote them. dom0's two zeros are taken from Xen's log: its counter
starts with its domain, its stamps when its kernel runs (really some tenths of a second
later, after the kernel has unpacked itself). So: order is exact on one console, approximate
between consoles.

The index: a header line that holds the counter's frequency in Hz and no other number, then
lines ``<name> <offset> <counter>``: from this byte of this guest's log on, this counter.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.machine.lines import Line, LogReader
from lab.machine.shared_console import TIMES
from lab.util.terminal import escape

_XEN_STAMP = re.compile(rb"^\((?:XEN|d\d+)\) \[ *(\d+\.\d+)\] ?")
_LINUX_STAMP = re.compile(rb"^(?:<\d+>)?\[ *(\d+\.\d+)\] ?")
_BUILT = b"*** LOADING DOMAIN"
_STARTED = re.compile(rb"\*\*\* Serial input to DOM0|Freed \d+kB init memory")
_AWAKE = b"d0v0: vGICD:"
#: Where to look for dom0's start; it is never further into Xen's log.
_XEN_HEAD = 5000
#: Seconds: a stamp from here on is no time at which dom0 was made.
_LATEST = 1e6


@dataclass(frozen=True)
class Zeros:
    """When dom0's counter and dom0's kernel began, in seconds of Xen's clock."""

    counter: float = 0.0
    kernel: float = 0.0


@dataclass(frozen=True)
class Merged:
    """A line with its time; ``None`` when nothing says when."""

    time: float | None
    line: Line

    def show(self, width: int = 8, explain: Callable[[str], str] = str) -> str:
        """For a terminal: time, console, text as ``explain`` has it; harmless."""
        stamp = " " * 12 if self.time is None else f"{self.time:12.6f}"
        return f"[{stamp}] {self.line.console:<{width}} | {explain(escape(self.line.raw))}"


def merge(
    files: Mapping[str, Path], times: Path | None = None, zeros: Zeros | None = None
) -> Iterator[Merged]:
    """All lines in time order; consoles are ``xen``, ``dom0`` and guests.

    Reads the files as it goes, so their size does not matter. Lines that nothing dates
    (guests without an index) come last. ``zeros`` are looked for in Xen's log unless given.
    """
    zeros = zeros or (find_zeros(files["xen"]) if "xen" in files else Zeros())
    streams = []
    for name, path in files.items():
        if name == "xen":
            # dom0's lines come here too when its console is Xen's (hvc0).
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
    """Look in Xen's log for the moments at which it built and started dom0."""
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
    """Between which two of its lines (seconds on Xen's clock) Xen made dom0, and so started its
    counter; ``None`` if the log does not tell."""
    before: float | None = None
    with contextlib.suppress(OSError):
        for line in itertools.islice(_lines("xen", xen_log), _XEN_HEAD):
            stamp = _XEN_STAMP.match(line.raw)
            now = float(stamp[1]) if stamp else before
            if stamp and now is not None and before is not None and _BUILT in line.raw:
                return (before, max(before, now)) if now < _LATEST else None
            before = now
    return None


def _lines(name: str, path: Path) -> Iterator[Line]:
    reader = LogReader(name, path)
    try:
        while lines := reader.read():
            yield from lines
        if reader.partial:
            yield reader.partial
    finally:
        reader.close()


def _stamped(
    lines: Iterator[Line], stamps: Sequence[tuple[re.Pattern[bytes], float]]
) -> Iterator[Merged]:
    """Lines without a stamp have the one before's; time never runs backwards."""
    now = stamps[0][1]
    for line in lines:
        for stamp, zero in stamps:
            if match := stamp.match(line.raw):
                now = max(now, float(match[1]) + zero)
        yield Merged(now, line)


def _indexed(lines: Iterator[Line], index: Iterator[tuple[int, float]]) -> Iterator[Merged]:
    now: float | None = None
    coming = next(index, None)
    for line in lines:
        while coming and coming[0] <= line.offset:
            now = coming[1] if now is None else max(now, coming[1])
            coming = next(index, None)
        yield Merged(now, line)


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
