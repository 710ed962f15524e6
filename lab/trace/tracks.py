"""A timeline as tracks with labelled slices and marks, which exports and the report draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lab.trace import guest as guests
from lab.trace import jobs
from lab.trace.events import Runstate
from lab.trace.guest import GuestEvent, TracedGuest
from lab.trace.hypervisor import IDLE, SchedulerTrace, vcpu_id
from lab.trace.jobs import Jobs, Lives
from lab.trace.spans import NONE, Spans, Times, intersect, spans, subtract
from lab.trace.timeline import Timeline

#: The most interrupt numbers that are drawn.
MAX_INTERRUPTS = 256
NO_TIMES: Times = np.zeros(0, np.int64)
NO_LABELS: npt.NDArray[np.int32] = np.zeros(0, np.int32)


@dataclass(frozen=True)
class Track:
    """Slices that do not overlap, in order, and marks; counters.

    Attributes:
        key: a name that no other track has. kind: ``pcpu``, ``vcpu``, ``task``, ``jobs``,
            ``interrupts``, ``ticks`` or ``console``. group: the group it belongs to.
        slices: int64[n, 2]. labels: int32[n], which of ``words`` each is.
        marks: int64[m]. mark_labels: int32[m], of ``words`` too.
    """

    key: str
    kind: str
    group: str
    name: str
    words: tuple[str, ...] = ()
    slices: Spans = field(default_factory=lambda: NONE)
    labels: npt.NDArray[np.int32] = field(default_factory=lambda: NO_LABELS)
    marks: Times = field(default_factory=lambda: NO_TIMES)
    mark_labels: npt.NDArray[np.int32] = field(default_factory=lambda: NO_LABELS)


@dataclass(frozen=True)
class Flow:
    """Arrows from slice ``source[i]`` of one track to slice ``target[i]`` of another."""

    source_key: str
    target_key: str
    source: Times
    target: Times


@dataclass(frozen=True)
class Tracks:
    """All that is drawn. ``waiting``: times, and how many vCPUs are runnable from each on."""

    tracks: tuple[Track, ...]
    flows: tuple[Flow, ...] = ()
    waiting: tuple[Times, Times] = (NO_TIMES, NO_TIMES)


def build(timeline: Timeline) -> Tracks:
    """All tracks of a timeline: PCPUs, vCPUs, each guest's tasks, consoles, the session."""
    tracks: list[Track] = []
    flows: list[Flow] = []
    xen = timeline.hypervisor
    if xen:
        tracks += _pcpus(timeline, xen)
        tracks += [_vcpu(timeline, xen, vcpu) for vcpu in xen.vcpus if vcpu >> 16 != IDLE]
    for guest in timeline.guests.values():
        mine = list(_guest(guest, xen))
        flows += _flows(guest, xen, [*tracks, *mine]) if xen else []
        tracks += mine
    tracks += _lines(timeline)
    return Tracks(tuple(tracks), tuple(flows), _waiting(xen) if xen else (NO_TIMES, NO_TIMES))


def _track(key: str, kind: str, group: str, name: str, parts: list[tuple[str, Spans]]) -> Track:
    """A track whose words have one array of spans each."""
    slices = np.concatenate([NONE, *(part for _, part in parts)])
    labels = np.concatenate(
        [NO_LABELS, *(np.full(len(part), i, np.int32) for i, (_, part) in enumerate(parts))]
    )
    order = np.argsort(slices[:, 0], kind="stable")
    words = tuple(word for word, _ in parts)
    return Track(key, kind, group, name, words, slices[order], labels[order])


def _pcpus(timeline: Timeline, xen: SchedulerTrace) -> Iterator[Track]:
    for pcpu in xen.pcpus:
        ran, who = xen.ran(pcpu)
        parts = [
            (timeline.vcpu_name(int(vcpu)), ran[who == vcpu])
            for vcpu in np.unique(who).tolist()
            if vcpu >> 16 != IDLE
        ]
        lost = xen.gaps[xen.gaps[:, 0] == pcpu]
        parts.append(("records lost", spans(lost[:, 1], lost[:, 2])))
        yield _track(f"pcpu/{pcpu}", "pcpu", "CPUs", f"CPU {pcpu}", parts)


def _vcpu(timeline: Timeline, xen: SchedulerTrace, vcpu: int) -> Track:
    name = timeline.vcpu_name(vcpu)
    shown = [state for state in Runstate if state is not Runstate.BLOCKED]
    parts = [(state.name.lower(), xen.states.spans(vcpu, state)) for state in shown]
    return _track(vcpu_key(vcpu), "vcpu", "vCPUs", name, parts)


def of_guest(guest: TracedGuest) -> str:
    """The group of a guest's own tracks."""
    return f"guest {guest.name}"


def vcpu_key(vcpu: int) -> str:
    return f"vcpu/{vcpu >> 16}.{vcpu & 0xFFFF}"


def _guest(guest: TracedGuest, xen: SchedulerTrace | None) -> Iterator[Track]:
    life = jobs.lives(guest, xen)
    periodic = jobs.find(guest, xen)
    for task in sorted(guest.tasks.values(), key=lambda task: (-task.priority, task.number)):
        yield _task(guest, task.number, life)
        if task.number in periodic:
            yield _jobs_track(guest, periodic[task.number])
    handled, numbers = guests.interrupts(guest)
    parts = [
        (f"interrupt {number}", handled[numbers == number])
        for number in np.unique(numbers)[:MAX_INTERRUPTS].tolist()
    ]
    parts.append(("records lost", subtract(guests.lost(guest), handled)))
    yield _track(f"interrupts/{guest.name}", "interrupts", of_guest(guest), "interrupts", parts)
    ticks = guest.of(GuestEvent.TICK)["counter"].astype(np.int64)
    labels = np.zeros(len(ticks), np.int32)
    yield Track(f"ticks/{guest.name}", "ticks", of_guest(guest), "ticks", ("tick",),
                marks=ticks, mark_labels=labels)  # fmt: skip


def _task(guest: TracedGuest, number: int, life: Lives) -> Track:
    """A task's track. While the vCPU did not run, no task did, whatever the guest's trace says."""
    mine = life.of(number)
    parts = [("running", intersect(mine, life.ran)), ("held up", intersect(mine, life.waited))]
    track = _track(task_key(guest, number), "task", of_guest(guest), guest.task_name(number), parts)
    marks = guest.of(GuestEvent.MARK)
    marks = marks[marks["task"] == number]
    values, index = np.unique(marks["argument"], return_inverse=True)
    if len(values) > 4096:
        index, values = np.zeros(len(marks), np.int64), values[:1]
    words = track.words + tuple(f"mark {value}" for value in values.tolist())
    return Track(
        track.key, track.kind, track.group, track.name, words, track.slices, track.labels,
        marks["counter"].astype(np.int64), (index + len(track.words)).astype(np.int32),
    )  # fmt: skip


def task_key(guest: TracedGuest, number: int) -> str:
    return f"task/{guest.name}/{number}"


def _jobs_track(guest: TracedGuest, mine: Jobs) -> Track:
    """Jobs from release to end. A job that waited for an earlier one begins at the end of that."""
    done = mine.done
    ended, late = mine.ended[done], mine.missed[done]
    before = np.concatenate([NO_TIMES[:0], [0], np.maximum.accumulate(ended)])[: len(ended)]
    start = np.maximum(mine.released[done], before)
    parts = [
        ("job", spans(start[~late], ended[~late])),
        ("late job", spans(start[late], ended[late])),
    ]
    name = f"{guest.task_name(mine.task)}: jobs"
    return _track(f"jobs/{guest.name}/{mine.task}", "jobs", of_guest(guest), name, parts)


def _flows(guest: TracedGuest, xen: SchedulerTrace, tracks: list[Track]) -> Iterator[Flow]:
    """Arrows from each "runnable" that a wake-up began to the task that ran because of it.

    That is the task of the first SWITCH_IN after the wake-up, before the vCPU blocked again.
    """
    if guest.domain < 0:
        return
    vcpu = vcpu_id(guest.domain, 0)
    by_key = {track.key: track for track in tracks}
    source = by_key.get(vcpu_key(vcpu))
    wakes = xen.wakes(vcpu)
    switches = guest.of(GuestEvent.SWITCH_IN)
    when = switches["counter"].astype(np.int64)
    if source is None or not len(wakes) or not len(when):
        return
    index = np.searchsorted(when, wakes)
    following = np.concatenate([wakes[1:], [np.iinfo(np.int64).max]])
    when = np.concatenate([when, [np.iinfo(np.int64).max]])
    led = np.flatnonzero(when[index] < following)
    task = switches["task"][index[led]]
    for number in np.unique(task).tolist():
        target = by_key.get(task_key(guest, number))
        chosen = led[task == number]
        if target is not None:
            yield from _flow(source, target, wakes[chosen], when[index[chosen]])


def _flow(source: Track, target: Track, wakes: Times, switched: Times) -> Iterator[Flow]:
    """An arrow for each wake-up, if slices begin both at it and at its switch."""
    start = np.searchsorted(source.slices[:, 0], wakes)
    end = np.searchsorted(target.slices[:, 0], switched)
    known = (start < len(source.slices)) & (end < len(target.slices))
    start, end, wakes, switched = start[known], end[known], wakes[known], switched[known]
    known = (source.slices[start, 0] == wakes) & (target.slices[end, 0] == switched)
    if known.any():
        yield Flow(source.key, target.key, start[known], end[known])


def _lines(timeline: Timeline) -> Iterator[Track]:
    """Each console's lines and the session's events as marks."""
    said: dict[str, list[tuple[float, str]]] = {}
    for line in timeline.lines:
        if line.time is not None and line.text:
            said.setdefault(line.console, []).append((line.time, line.text))
    said["session"] = [
        (one.time, f"{one.name} {one.detail}".strip())
        for one in timeline.happenings
        if one.time is not None
    ]
    for name, rows in said.items():
        rows.sort(key=lambda row: row[0])
        marks = np.array([timeline.clock.counter(time) for time, _ in rows], np.int64)
        words = tuple(text for _, text in rows)
        labels = np.arange(len(rows), dtype=np.int32)
        yield Track(f"console/{name}", "console", "consoles", name, words,
                    marks=marks, mark_labels=labels)  # fmt: skip


def _waiting(xen: SchedulerTrace) -> tuple[Times, Times]:
    """How many vCPUs were runnable, at each time when that changed."""
    states = xen.states
    chosen = (states.state == Runstate.RUNNABLE) & (states.vcpu >> 16 != IDLE)
    when = np.concatenate([states.start[chosen], states.end[chosen]])
    step = np.repeat([1, -1], int(chosen.sum()))
    order = np.argsort(when, kind="stable")
    when, level = when[order], np.cumsum(step[order])
    last = np.concatenate([when[1:] != when[:-1], np.ones(min(1, len(when)), bool)])
    return when[last], level[last]
