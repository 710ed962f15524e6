"""Xen's trace as ``xentrace`` wrote it: scheduling events of all PCPUs in time order.

The file is a chain of windows. Each begins with a record TRC_TRACE_CPU_CHANGE (no time; words:
the PCPU, the bytes that follow), and has records of that PCPU in time order; see
:mod:`lab.trace.record_headers` for a record. Formats and numbers are from Xen's
``xen/include/public/trace.h``. ``xen/common/sched`` and ``xen/common/trace.c`` show what the words
of an event mean.

``xentrace`` visits the PCPUs in rounds, and writes a window for each PCPU that has records.
When it begins a new round, all that is still to come is later than everything that it wrote two
rounds ago. So that much can be put in order and handed on. Memory is bounded by what lies
between, whatever the size of the file.

A file that is cut off or damaged is read up to that place. Nothing in it can make us read
outside of it or keep more than a portion of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lab.trace.event_order import EventOrder
from lab.trace.events import EMPTY, MAX_COUNTER, Reading, XenEventKind, XenEvents
from lab.trace.record_headers import LONGEST, Positions, RecordFinder, Words
from lab.util.reading import binary

#: The file is read in portions of this many words.
PORTION = 1 << 18
CPU_CHANGE = 0x2001F003
#: A larger PCPU number, or a window larger than this (bytes), is damage.
MAX_PCPU = 4095
MAX_WINDOW = 1 << 30


def _kinds() -> npt.NDArray[np.uint8]:
    """The kind for each value of a header's low 16 bits: TRC_SCHED_* and TRC_LOST_RECORDS."""
    table = np.zeros(1 << 16, np.uint8)
    table[0xF001] = XenEventKind.LOST
    for old in range(4):
        for new in range(4):
            table[0x1001 | old << 8 | new << 4] = XenEventKind.RUNSTATE
    table[0x1002] = XenEventKind.CONTINUE
    others = {
        0x8003: XenEventKind.SLEEP,
        0x8004: XenEventKind.WAKE,
        0x8005: XenEventKind.YIELD,
        0x8006: XenEventKind.BLOCK,
        0x800A: XenEventKind.SWITCH,
    }
    for low, kind in others.items():
        table[low] = kind
    return table


_KINDS = _kinds()
#: How many words of payload each kind must have.
_NEEDED = np.array([9, 1, 1, 4, 2, 2, 2, 2, 4], np.uint32)
_GENERAL, _SCHEDULER = np.uint32(1), np.uint32(2)


class ByteSource(Protocol):
    """What can be read from: a file that was opened unbuffered."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


def read(path: Path, reading: Reading | None = None) -> Iterator[XenEvents]:
    """All scheduling events of a file in time order, portion by portion.

    ``reading`` is filled as it goes and is complete when the iterator has ended.

    Raises:
        OSError: the file cannot be read.
    """
    with binary(path) as file:
        yield from read_stream(file, reading or Reading())


def load(path: Path) -> tuple[XenEvents, Reading]:
    """All scheduling events of a file at once, in time order. Each takes 19 bytes."""
    reading = Reading()
    events = XenEvents.join(list(read(path, reading)))
    if reading.disordered:
        events = events.take(np.argsort(events.counter, kind="stable"))
    return events, reading


def read_stream(file: ByteSource, reading: Reading) -> Iterator[XenEvents]:
    """All scheduling events of an open file; see :func:`read`."""
    walker, order = _Walker(reading), EventOrder(reading)
    room = np.empty(PORTION + LONGEST, "<u4")
    kept = 0
    while not reading.damage and (got := _fill(file, room, kept)):
        words = room[: kept + got // 4]
        used = walker.walk(words)
        yield from order.put(*walker.found)
        kept = len(words) - used
        if got % 4 or kept > LONGEST:
            break
        room[:kept] = words[used:].copy()
    if not reading.damage and (kept or walker.left or got % 4):
        reading.damage = "cut off"
    yield from order.rest()


def _fill(file: ByteSource, room: Words, kept: int) -> int:
    """Read one portion to behind the ``kept`` words. Returns how many bytes were read."""
    view = memoryview(room.data).cast("B")[kept * 4 : PORTION * 4]
    total = 0
    while total < len(view) and (got := file.readinto(view[total:])):
        total += got
    return total


class _Walker:
    """Goes through the windows of a file, portion by portion.

    Attributes:
        left: words of the open window that are still to come.
        found: the last portion's events, the PCPU of each of its windows (the first window is
            the one that was open before), and the index of each window's first event.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._finder = RecordFinder()
        self._pcpu = 0
        self.left = 0
        self.found: tuple[XenEvents, list[int], list[int]] = (EMPTY, [], [])

    def walk(self, words: Words) -> int:
        """Find the events of a portion. Returns how many words are finished."""
        starts, pcpus, limit, close = self._windows(words)
        places, end = self._finder.find(words[:limit], starts)
        places, end = self._check(places, end, starts, limit if limit == close else -1)
        at, events = _events(words, places)
        pcpus = [self._pcpu, *pcpus]
        bounds = np.searchsorted(at, np.array([0, *starts, len(words)]))
        events.pcpu[:] = np.repeat(np.array(pcpus, np.uint16), np.diff(bounds))
        if (events.kind == XenEventKind.LOST).any():
            kept = np.flatnonzero(events.kind != XenEventKind.LOST)
            self._reading.gaps.append(_gaps(words, at, events))
            at, events = at[kept], events.take(kept)
            bounds = np.searchsorted(at, np.array([0, *starts, len(words)]))
        self.found = events, pcpus, bounds[:-1].tolist()
        self._pcpu = pcpus[-1]
        self.left = close - end
        self._reading.records += len(places)
        self._reading.end += 4 * end
        return end

    def _windows(self, words: Words) -> tuple[list[int], list[int], int, int]:
        """Where windows begin, their PCPUs, where known words end, where the last window ends."""
        starts: list[int] = []
        pcpus: list[int] = []
        here = self.left
        while here + 3 <= len(words):
            header, pcpu, size = words[here : here + 3].tolist()
            if header != CPU_CHANGE or pcpu > MAX_PCPU or size % 4 or size > MAX_WINDOW:
                self._reading.damage = "no record of a PCPU's window where one must be"
                break
            starts.append(here)
            pcpus.append(pcpu)
            here += 3 + size // 4
        return starts, pcpus, min(here, len(words)), here

    def _check(
        self, places: Positions, end: int, starts: list[int], close: int
    ) -> tuple[Positions, int]:
        """The records before the first one that reaches over the end of its window."""
        inside = np.array([start for start in starts if start < end], np.int64)
        index = np.searchsorted(places, inside)
        wrong = np.flatnonzero(places[np.minimum(index, len(places) - 1)] != inside)
        if len(wrong):
            count = int(index[wrong[0]]) - 1
            places, end = places[:count], int(places[count])
        elif close < 0 or end == close:
            return places, end
        self._reading.damage = "a record reaches over the end of its PCPU's window"
        return places, end


def _events(words: Words, places: Positions) -> tuple[Positions, XenEvents]:
    """The scheduling events among records, and their places; ``pcpu`` is not yet set."""
    headers = words[places]
    kind = _KINDS[headers & np.uint32(0xFFFF)]
    chosen = np.flatnonzero(kind)
    at, headers, kind = places[chosen], headers[chosen], kind[chosen]
    low, high = words.take(at + 1, mode="clip"), words.take(at + 2, mode="clip")
    right = _right(headers, kind, high)
    if not right.all():
        at, headers, kind = at[right], headers[right], kind[right]
        low, high = low[right], high[right]
    counter = high.astype(np.int64)
    counter <<= 32
    counter |= low
    vcpu = words.take(at + 3, mode="clip")
    pairs = np.flatnonzero(kind > XenEventKind.CONTINUE)
    vcpu[pairs] = _pair(words, at[pairs] + 3)
    detail = headers >> np.uint32(4) & np.uint32(0x33)
    detail[kind != XenEventKind.RUNSTATE] = 0
    switches = np.flatnonzero(kind == XenEventKind.SWITCH)
    detail[switches] = vcpu[switches]
    vcpu[switches] = _pair(words, at[switches] + 5)
    return at, XenEvents(counter, kind, np.zeros(len(at), np.uint16), vcpu, detail)


def _right(headers: Words, kind: npt.NDArray[np.uint8], high: Words) -> npt.NDArray[np.bool_]:
    """Which headers have the right class, time and length for the kind that they look like."""
    family = headers >> np.uint32(16) & np.uint32(0xFFF)
    extra = headers >> np.uint32(28) & np.uint32(7)
    right: npt.NDArray[np.bool_] = family == np.where(
        kind == XenEventKind.LOST, _GENERAL, _SCHEDULER
    )
    right &= headers >= np.uint32(1 << 31)
    right &= extra >= _NEEDED[kind]
    right &= high < np.uint32(MAX_COUNTER >> 32)
    return right


def _pair(words: Words, at: Positions) -> Words:
    """Domain and vCPU, one word each, as domain << 16 | vCPU."""
    domain = words.take(at, mode="clip") << np.uint32(16)
    return domain | words.take(at + 1, mode="clip") & np.uint32(0xFFFF)


def _gaps(words: Words, at: Positions, events: XenEvents) -> npt.NDArray[np.int64]:
    """Gaps from TRC_LOST_RECORDS: how many were lost, who ran, the first one's time (2 words)."""
    here = np.flatnonzero(events.kind == XenEventKind.LOST)
    at = at[here]
    until = events.counter[here]
    first = words.take(at + 6, mode="clip").astype(np.int64) << 32
    first |= words.take(at + 5, mode="clip")
    first = np.clip(first, 0, until)
    count = words.take(at + 3, mode="clip").astype(np.int64)
    return np.stack([events.pcpu[here].astype(np.int64), first, until, count], axis=1)
