"""Puts the events of several PCPUs in the order of time while they come in.

``xentrace`` visits the PCPUs in rounds, and writes a window for each PCPU that has records.
Whatever comes after the start of a round was recorded after the round before the last one was
written. So events up to the newest one of that round can be handed on. The rest is held back.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lab.trace.events import EMPTY, Reading, XenEvents


class EventOrder:
    """Puts events in order, and counts in ``reading`` those that come too late for that."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._held = EMPTY
        self._pcpu = 1 << 30
        self._newest = -1
        self._before = -1
        self._safe = -1
        self._handed = -1

    def put(self, events: XenEvents, pcpus: list[int], firsts: list[int]) -> Iterator[XenEvents]:
        """Take a portion, and hand on the events before which nothing can come any more.

        Args:
            pcpus: the PCPU of each window of the portion, as they come.
            firsts: the index of each window's first event.
        """
        self._rounds(events, pcpus, firsts)
        held = XenEvents.join([self._held, events]) if len(self._held) else events
        held = held.take(np.argsort(held.counter, kind="stable"))
        cut = int(np.searchsorted(held.counter, self._safe, side="right"))
        self._held = held.take(slice(cut, None))
        yield from self._hand_on(held.take(slice(0, cut)))

    def rest(self) -> Iterator[XenEvents]:
        """The events that were held back, at the end of the file."""
        held, self._held = self._held, EMPTY
        yield from self._hand_on(held)

    def _rounds(self, events: XenEvents, pcpus: list[int], firsts: list[int]) -> None:
        begins = []
        for pcpu, first in zip(pcpus[1:], firsts[1:], strict=True):
            if pcpu <= self._pcpu:
                begins.append(first)
            self._pcpu = pcpu
        done = 0
        for first in begins[-2:]:
            self._newest = max(self._newest, _latest(events, done, first))
            self._safe, self._before, done = self._before, self._newest, first
        self._newest = max(self._newest, _latest(events, done, len(events)))

    def _hand_on(self, events: XenEvents) -> Iterator[XenEvents]:
        if not len(events):
            return
        late = int(np.searchsorted(events.counter, self._handed))
        self._reading.disordered += late
        self._handed = max(self._handed, int(events.counter[-1]))
        yield events


def _latest(events: XenEvents, start: int, end: int) -> int:
    return int(np.max(events.counter[start:end])) if end > start else -1
