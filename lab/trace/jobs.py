"""The jobs of periodic tasks: when each was released, began and ended, and what it waited for.

A task may say so itself (PERIOD, DEADLINE, RELEASE, JOB_BEGIN, JOB_END). If it does not, its
calls of ``vTaskDelayUntil`` tell. Then a job is released at the tick up to which the task
delayed itself, begins when the task is switched in next, and ends when it delays itself again.

A job's response time, from its release to its end, has parts that add up:

- execution: the vCPU ran, the task was switched in and no interrupt was being handled;
- interrupts: the vCPU ran and handled an interrupt;
- own: the vCPU ran, but something else of the guest was switched in;
- hypervisor: the vCPU did not run although it wanted to (or nobody knows whether it did);
- blocked: the vCPU had nothing to do, because the job's timer had not fired yet;
- backlog: the task was still busy with an earlier job.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lab.trace import guest as guests
from lab.trace.events import Runstate
from lab.trace.guest import GuestEvent, TracedGuest
from lab.trace.hypervisor import SchedulerTrace, vcpu_id
from lab.trace.spans import NONE, Spans, Times, intersect, overlap, spans, subtract

#: The parts of a response time.
PARTS = ("execution", "interrupts", "own", "hypervisor", "blocked", "backlog")


@dataclass(frozen=True)
class Lives:
    """When a guest's vCPU ran, when it wanted to run, and which task it ran.

    Without a trace of Xen the vCPU counts as running all the time.
    """

    ran: Spans
    waited: Spans
    tasks: Spans
    who: Times
    handlers: Spans

    def of(self, task: int) -> Spans:
        """When the guest had switched a task in, whether or not the vCPU ran."""
        found: Spans = self.tasks[self.who == task]
        return found


@dataclass(frozen=True)
class Jobs:
    """The jobs of one task, as columns of one length, in order of release; counters.

    Attributes:
        number: job numbers. released, began, ended: counters; ended is -1 for a job that
            had not ended when the trace did.
        parts: parts of the response time, by their name in :data:`PARTS`; 0 for a job without end.
        deadline: counters after the release; 0 if there is none. period: counters.
    """

    task: int
    number: Times
    released: Times
    began: Times
    ended: Times
    parts: dict[str, Times]
    period: int
    deadline: int
    observed: int

    @property
    def done(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.ended >= 0, bool)

    @property
    def missed(self) -> npt.NDArray[np.bool_]:
        """Jobs whose deadline passed before they ended, as far as the trace goes."""
        if not self.deadline:
            return np.zeros(len(self.released), bool)
        due = self.released + self.deadline
        return np.asarray(np.where(self.done, self.ended > due, due < self.observed), bool)


def lives(guest: TracedGuest, hypervisor: SchedulerTrace | None) -> Lives:
    """Put a guest's own view and Xen's view of its first vCPU side by side."""
    tasks, who = guests.running(guest)
    handlers, _ = guests.interrupts(guest)
    if hypervisor is None or guest.domain < 0:
        everything = spans([guests.first(guest)], [guests.last(guest) + 1])
        return Lives(everything, NONE, tasks, who, handlers)
    vcpu = vcpu_id(guest.domain, 0)
    states = hypervisor.states
    ran = states.spans(vcpu, Runstate.RUNNING)
    waited = states.spans(vcpu, Runstate.RUNNABLE, Runstate.OFFLINE, Runstate.UNKNOWN)
    return Lives(ran, waited, tasks, who, handlers)


def find(guest: TracedGuest, hypervisor: SchedulerTrace | None = None) -> dict[int, Jobs]:
    """The jobs of every periodic task, by task number."""
    life = lives(guest, hypervisor)
    found = {}
    for task in guest.tasks:
        mine = guest.records[guest.records["task"] == task]
        rows = _said(mine) if (mine["event"] == GuestEvent.JOB_BEGIN).any() else None
        rows = rows if rows is not None else _guessed(guest, mine, life.of(task))
        if rows is not None and len(rows):
            found[task] = _jobs(guest, task, mine, rows, life)
    return found


def _jobs(
    guest: TracedGuest, task: int, mine: npt.NDArray[np.void], rows: Times, life: Lives
) -> Jobs:
    rows = rows[np.argsort(rows[:, 1], kind="stable")]
    number, released, began, ended = rows[_told(guest, rows)].T
    per_us = guest.frequency / 1e6
    period = round(_said_once(mine, GuestEvent.PERIOD) * per_us) or _typical(released)
    deadline = round(_said_once(mine, GuestEvent.DEADLINE) * per_us) or period
    parts = _parts(life, task, released, np.maximum(ended, released))
    return Jobs(
        task, number, released, began, ended, parts, period, deadline, guests.last(guest)
    )  # fmt: skip


def _told(guest: TracedGuest, rows: Times) -> npt.NDArray[np.bool_]:
    """Jobs whose end the trace shows, or would show: no record was lost after they began."""
    observed = np.full(len(rows), guests.last(guest), np.int64)
    missing = overlap(guests.lost(guest), np.minimum(rows[:, 2], observed), observed)
    return np.asarray((rows[:, 3] >= 0) | (missing == 0), bool)


def _parts(life: Lives, task: int, start: Times, end: Times) -> dict[str, Times]:
    before = np.concatenate([[0], np.maximum.accumulate(end)[:-1]])
    nominal, start = start, np.clip(before, start, end)
    handlers = intersect(life.ran, life.handlers)
    mine = subtract(intersect(life.of(task), life.ran), handlers)
    executed, handled = overlap(mine, start, end), overlap(handlers, start, end)
    ran, waited = overlap(life.ran, start, end), overlap(life.waited, start, end)
    own, blocked = ran - executed - handled, end - start - ran - waited
    found = executed, handled, own, waited, blocked, start - nominal
    return dict(zip(PARTS, found, strict=True))


def _said(mine: npt.NDArray[np.void]) -> Times | None:
    """Rows of job number, release, begin, end (-1: none) as the task wrote them."""
    begins, ends, releases = (
        _by_number(mine, event)
        for event in (GuestEvent.JOB_BEGIN, GuestEvent.JOB_END, GuestEvent.RELEASE)
    )
    if not releases:
        return None
    rows = [
        (number, releases[number], began, ends.get(number, -1))
        for number, began in begins.items()
        if number in releases and ends.get(number, began) >= began
    ]
    return np.array(rows, np.int64).reshape(-1, 4)


def _by_number(mine: npt.NDArray[np.void], event: GuestEvent) -> dict[int, int]:
    chosen = mine[mine["event"] == event]
    return dict(zip(chosen["argument"].tolist(), chosen["counter"].tolist(), strict=True))


def _guessed(guest: TracedGuest, mine: npt.NDArray[np.void], switched_in: Spans) -> Times | None:
    """Rows as :func:`_said`, from the ticks up to which the task delayed itself."""
    delays = mine[mine["event"] == GuestEvent.DELAY_UNTIL]
    zero = _tick_zero(guest)
    if len(delays) < 2 or zero is None or not len(switched_in):
        return None
    tick = guest.frequency / guest.tick_hz
    released = (zero + delays["argument"][:-1].astype(np.float64) * tick).astype(np.int64)
    ended = delays["counter"][1:].astype(np.int64)
    asleep = delays["counter"][:-1].astype(np.int64)
    index = np.searchsorted(switched_in[:, 0], np.maximum(released, asleep))
    began = np.concatenate([switched_in[:, 0], [-1]])[index]
    right = (began >= released) & (began <= ended)
    rows = np.stack([np.arange(len(released)), released, began, ended], axis=1)
    return np.asarray(rows[right], np.int64)


def _tick_zero(guest: TracedGuest) -> float | None:
    """The counter at tick 0, computed from the tick that came with the least delay."""
    ticks = guest.of(GuestEvent.TICK)
    if not len(ticks) or not guest.tick_hz:
        return None
    tick = guest.frequency / guest.tick_hz
    return float(np.min(ticks["counter"] - ticks["argument"].astype(np.float64) * tick))


def _said_once(mine: npt.NDArray[np.void], event: GuestEvent) -> int:
    found = mine[mine["event"] == event]["argument"]
    return int(found[-1]) if len(found) else 0


def _typical(released: Times) -> int:
    return int(np.median(np.diff(released))) if len(released) > 1 else 0
