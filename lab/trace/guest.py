"""Decodes the records that a FreeRTOS guest's kernel wrote about itself.

A record is 16 bytes, little-endian: counter (CNTPCT, 64 bits), event (16), task (16),
argument (32). ``<guest>.records`` holds them in order; ``<guest>.json`` beside it holds
``frequency`` (Hz), ``tick_hz``, ``tasks`` (number → name and priority), ``domain``, ``lost``
and ``complete``. The guest wrote all of it, so nothing is trusted: names are made printable
and short, and records that are out of order are dropped and counted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.model import ARM32
from lab.trace.events import MAX_COUNTER
from lab.trace.spans import Spans, spans, subtract, union
from lab.util import reading
from lab.util.terminal import escape

RECORD = np.dtype([("counter", "<u8"), ("event", "<u2"), ("task", "<u2"), ("argument", "<u4")])
#: The most records of a guest that are read: 256 MB.
MAX_RECORDS = 1 << 24
#: The most tasks that are read, and the most characters of a name.
MAX_TASKS, MAX_NAME = 256, 32
MAX_META = 8 << 20


class GuestEvent(IntEnum):
    """What happened. The comments have a record's argument in brackets."""

    SWITCH_IN = 1  # (priority)
    SWITCH_OUT = 2
    READY = 3  # the task is the one that became ready
    DELAY = 4  # (ticks)
    DELAY_UNTIL = 5  # (tick of the wake-up)
    TASK_CREATE = 6  # (priority)
    TASK_DELETE = 7
    QUEUE_SEND = 8  # (queue's address), as the next three
    QUEUE_SEND_BLOCK = 9
    QUEUE_RECEIVE = 10
    QUEUE_RECEIVE_BLOCK = 11
    SEM_GIVE = 12
    SEM_TAKE = 13
    SEM_TAKE_BLOCK = 14
    MUTEX_INHERIT = 15  # (new priority)
    MUTEX_DISINHERIT = 16
    TICK = 17  # (tick count)
    IRQ_ENTER = 18  # (interrupt)
    IRQ_EXIT = 19  # (interrupt)
    NOTIFY = 20
    NOTIFY_TAKE_BLOCK = 21
    MARK = 32  # (the user's value)
    PERIOD = 33  # (microseconds), written once by a periodic task
    DEADLINE = 34  # (microseconds after the release; if never written, the period)
    JOB_BEGIN = 35  # (job number)
    JOB_END = 36  # (job number)
    RELEASE = 37  # (job number); the counter is the nominal time, not the time of writing
    LOST = 65535  # (records lost just before), written by whoever read the ring


@dataclass(frozen=True)
class TracedTask:
    """A task: its number in records, its name (escaped), and its priority if known."""

    number: int
    name: str
    priority: int = 0


@dataclass(frozen=True)
class TracedGuest:
    """One guest's records, in the order of their counters except RELEASE.

    Attributes:
        records: structured array of :data:`RECORD`. tasks: by number.
        domain: Xen's number of the domain, -1 if unknown. tick_hz: 0 if unknown.
        lost: how many records were overwritten before they were read. dropped: how many
            cannot be right.
        damage: why the records end early; empty if they do not.
    """

    name: str
    records: npt.NDArray[Any]
    tasks: dict[int, TracedTask]
    frequency: int
    domain: int = -1
    tick_hz: int = 0
    lost: int = 0
    dropped: int = 0
    damage: str = ""

    def of(self, *events: GuestEvent) -> npt.NDArray[Any]:
        """The records of some events."""
        return self.records[np.isin(self.records["event"], events)]

    def task_name(self, number: int) -> str:
        return self.tasks[number].name if number in self.tasks else f"task {number}"


def load(records: Path, meta: Path, name: str) -> TracedGuest:
    """Read a guest's records and their description, which may be missing.

    Raises:
        OSError: the records cannot be read.
    """
    described = _described(meta)
    with reading.binary(records) as file:
        size = os.fstat(file.fileno()).st_size
        raw = np.fromfile(file, RECORD, min(size // RECORD.itemsize, MAX_RECORDS))
    damage = "cut off" if size % RECORD.itemsize or described.get("complete") is False else ""
    if size // RECORD.itemsize > MAX_RECORDS:
        damage = f"only the first {MAX_RECORDS} records are read"
    return build(name, raw, described, damage)


def build(
    name: str, raw: npt.NDArray[Any], described: dict[str, Any], damage: str = ""
) -> TracedGuest:
    """A guest from records in memory. Records that cannot be right are dropped."""
    records = _in_order(raw)
    tasks = _tasks(described.get("tasks"), records)
    overrun = records[records["event"] == GuestEvent.LOST]["argument"]
    return TracedGuest(
        name, records, tasks, _whole(described, "frequency", ARM32.counter_hz, 1),
        domain=_whole(described, "domain", -1), tick_hz=_whole(described, "tick_hz", 0),
        lost=max(int(overrun.sum(dtype=np.int64)), _whole(described, "lost", 0)),
        dropped=len(raw) - len(records), damage=damage,
    )  # fmt: skip


def running(guest: TracedGuest) -> tuple[Spans, npt.NDArray[np.int64]]:
    """Which task the guest's kernel had switched in: spans in order, and the task of each.

    A span ends with the task's SWITCH_OUT, the next SWITCH_IN, or where records were lost.
    """
    switches, when = _timed(guest, GuestEvent.SWITCH_IN, GuestEvent.SWITCH_OUT)
    ends = np.concatenate([when[1:], [last(guest)]])[: len(when)]
    chosen = (switches["event"] == GuestEvent.SWITCH_IN) & (ends > when)
    return spans(when[chosen], ends[chosen]), switches["task"][chosen].astype(np.int64)


def interrupts(guest: TracedGuest) -> tuple[Spans, npt.NDArray[np.int64]]:
    """Interrupt handlers: spans in order, and their numbers. A nested one is part of the outer."""
    records, when = _timed(guest, GuestEvent.IRQ_ENTER, GuestEvent.IRQ_EXIT)
    step = np.full(len(records), -(1 << 30), np.int64)
    step[records["event"] == GuestEvent.IRQ_ENTER] = 1
    step[records["event"] == GuestEvent.IRQ_EXIT] = -1
    total = np.cumsum(step)
    depth = total - np.minimum.accumulate(np.minimum(total, 0))
    before = np.concatenate([[0], depth[:-1]])[: len(depth)]
    begun = np.flatnonzero((before == 0) & (depth == 1))
    ended = np.flatnonzero((before > 0) & (depth == 0))
    begun = begun[: len(ended)]
    right = (records["event"][ended] == GuestEvent.IRQ_EXIT) & (when[ended] > when[begun])
    begun, ended = begun[right], ended[right]
    return spans(when[begun], when[ended]), records["argument"][begun].astype(np.int64)


def _timed(
    guest: TracedGuest, *events: GuestEvent
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The records of some events, with those about lost records; and the counters of all."""
    chosen = guest.of(*events, GuestEvent.LOST)
    return chosen, chosen["counter"].astype(np.int64)


def first(guest: TracedGuest) -> int:
    """The counter of the first record that is stamped with its time of writing; 0 without one."""
    stamped = guest.records["counter"][_stamped(guest.records)]
    return int(stamped[0]) if len(stamped) else 0


def last(guest: TracedGuest) -> int:
    stamped = guest.records["counter"][_stamped(guest.records)]
    return int(stamped[-1]) if len(stamped) else 0


def known(guest: TracedGuest) -> Spans:
    """When records are complete: from the first to the last, except where some were lost."""
    when = guest.records["counter"].astype(np.int64)
    far = np.where(_stamped(guest.records), when, MAX_COUNTER)
    following = np.minimum.accumulate(far[::-1])[::-1]
    missing = guest.records["event"] == GuestEvent.LOST
    gaps = spans(when[missing], following[missing])
    return subtract(spans([first(guest)], [last(guest) + 1]), union(gaps))


def lost(guest: TracedGuest) -> Spans:
    """Where records are missing."""
    return subtract(spans([first(guest)], [last(guest)]), known(guest))


def _stamped(records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which records are stamped with the time at which they were written."""
    event = records["event"]
    return np.asarray((event != GuestEvent.RELEASE) & (event != GuestEvent.LOST), bool)


def _in_order(raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Drop records that break the order: either the early or the late ones, whichever are fewer.

    A LOST record gets the counter of the last record before the loss.
    """
    raw = raw[(raw["counter"] < MAX_COUNTER) | (raw["event"] == GuestEvent.LOST)]
    stamped = np.flatnonzero(_stamped(raw))
    ordered = raw["counter"][stamped].astype(np.int64)
    if len(ordered) and (ordered[1:] < ordered[:-1]).any():
        early = ordered >= np.maximum.accumulate(ordered)
        late = ordered <= np.minimum.accumulate(ordered[::-1])[::-1]
        kept = early if early.sum() >= late.sum() else late
        raw = raw[np.sort(np.concatenate([stamped[kept], np.flatnonzero(~_stamped(raw))]))]
    missing = np.flatnonzero(raw["event"] == GuestEvent.LOST)
    if len(missing):
        raw = raw.copy()
        before = np.maximum.accumulate(np.where(_stamped(raw), raw["counter"], 0))
        raw["counter"][missing] = before[missing]
    return raw


def _tasks(table: Any, records: npt.NDArray[Any]) -> dict[int, TracedTask]:
    found = {}
    for number in np.unique(records["task"])[:MAX_TASKS].tolist():
        entry = table.get(str(number)) if isinstance(table, dict) else None
        entry = entry if isinstance(entry, dict) else {}
        name = escape(str(entry.get("name") or ""), limit=MAX_NAME).strip()
        found[number] = TracedTask(number, name or f"task {number}", _whole(entry, "priority", 0))
    found.pop(0, None)
    return found


def _described(meta: Path) -> dict[str, Any]:
    try:
        found = reading.json_file(meta, MAX_META)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(data: dict[str, Any], key: str, default: int, least: int = -1) -> int:
    value = data.get(key)
    right = isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 40
    return int(value) if right else default  # type: ignore[arg-type]
