"""Where two runs begin to differ: the first event that differs, and how the figures differ.

Events are Xen's scheduling decisions and the guests' records, in the order of time. They are
compared twice. First with their counters: two runs under the virtual clock should agree in
these. Then by their order alone: two runs on the host's clock may agree in it for a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.trace.events import Runstate, XenEventKind, XenEvents
from lab.trace.guest import GuestEvent, TracedGuest
from lab.trace.stats import MEASURES, figures
from lab.trace.timeline import Timeline

#: How many common events are shown before the first difference, and how many of each run after.
BEFORE, AFTER = 3, 4
#: Columns of an event: counter, source (0: Xen, else a guest), kind, who, detail.
Rows = npt.NDArray[np.int64]
_STATES = {state.value: state.name.lower() for state in Runstate}


def compare(one: Timeline, other: Timeline) -> dict[str, Any]:
    """Compare two runs.

    Returns:
        ``same``: neither an event nor a figure differs. ``exact`` and ``order``: ``same``,
        ``events`` (how many the shorter run has), ``index`` of the first that differs, what
        both had ``before`` it, and what ``one`` and ``other`` have from there on, in words.
        ``figures``: rows of ``what``, ``one``, ``other``, ``change``, for figures that differ.
        Figures that are times are in seconds.
    """
    names = sorted({*one.guests, *other.guests})
    a, b = _rows(one, names), _rows(other, names)
    exact = _part(a, b, 0, (one, other), names)
    changes = list(_changes(figures(one), figures(other)))
    return {
        "one": one.run,
        "other": other.run,
        "same": exact["same"] and not changes,
        "exact": exact,
        "order": _part(a, b, 1, (one, other), names),
        "figures": changes,
    }


def _rows(timeline: Timeline, names: list[str]) -> Rows:
    """All events of a run as int64[n, 5], in the order of time; at one time Xen's come first."""
    parts = [np.zeros((0, 5), np.int64)]
    if timeline.hypervisor:
        parts.append(_of_xen(timeline.hypervisor.events))
    for number, name in enumerate(names):
        if name in timeline.guests:
            parts.append(_of_guest(timeline.guests[name], number + 1))
    rows = np.concatenate(parts)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _of_xen(events: XenEvents) -> Rows:
    return np.stack(
        [events.counter, np.zeros(len(events), np.int64), events.kind.astype(np.int64),
         events.pcpu.astype(np.int64) << 32 | events.vcpu, events.detail.astype(np.int64)], axis=1,
    )  # fmt: skip


def _of_guest(guest: TracedGuest, number: int) -> Rows:
    records = guest.records[guest.records["event"] != GuestEvent.RELEASE]
    columns = [records[name].astype(np.int64) for name in ("event", "task", "argument")]
    source = np.full(len(records), number, np.int64)
    return np.stack([records["counter"].astype(np.int64), source, *columns], axis=1)


def _part(
    a: Rows, b: Rows, first: int, both: tuple[Timeline, Timeline], names: list[str]
) -> dict[str, Any]:
    """Compare from column ``first`` on."""
    length = min(len(a), len(b))
    differ = np.flatnonzero((a[:length, first:] != b[:length, first:]).any(axis=1))
    index = int(differ[0]) if len(differ) else length
    same = index == len(a) == len(b)
    shown = slice(index, index + AFTER)
    return {
        "same": same,
        "events": length,
        "index": index,
        "before": [_words(row, both[0], names) for row in a[max(0, index - BEFORE) : index]],
        "one": [] if same else [_words(row, both[0], names) for row in a[shown]],
        "other": [] if same else [_words(row, both[1], names) for row in b[shown]],
    }


def _words(row: npt.NDArray[np.int64], timeline: Timeline, names: list[str]) -> str:
    counter, source, kind, who, detail = row.tolist()
    when = f"{timeline.clock.seconds(counter):.9f}"
    if source:
        guest = timeline.guests[names[source - 1]]
        name = GuestEvent(kind).name if kind in GuestEvent._value2member_map_ else f"event {kind}"
        return f"{when} {guest.name}: {name} {guest.task_name(who)} {detail}"
    vcpu = timeline.vcpu_name(who & 0xFFFFFFFF)
    what = f"{XenEventKind(kind).name} {vcpu}"
    if kind == XenEventKind.RUNSTATE:
        what += f" {_STATES[detail >> 4]} → {_STATES[detail & 15]}"
    elif kind == XenEventKind.SWITCH:
        what += f" after {timeline.vcpu_name(detail)}"
    return f"{when} CPU {who >> 32}: {what}"


def _changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    a, b = dict(_flat(one)), dict(_flat(other))
    for what in dict.fromkeys([*a, *b]):
        x, y = a.get(what), b.get(what)
        if x != y:
            change = round(y - x, 9) if x is not None and y is not None else None
            yield {"what": what, "one": x, "other": y, "change": change}


def _flat(found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures of tasks and vCPUs, by name."""
    for row in found["tasks"]:
        name = f"{row['guest']}/{row['task']}"
        for count in ("jobs", "misses", "unfinished"):
            yield f"{name} {count}", row[count]
        for measure in MEASURES:
            for key, value in (row[measure] or {}).items():
                if key != "count":
                    yield f"{name} {measure} {key}", value
    for row in found["vcpus"]:
        for state in ("running", "runnable", "blocked"):
            yield f"vCPU {row['name']} {state}", row[state]["seconds"]
