"""Who delayed whom: how long each vCPU and task waited, and who ran instead.

A runnable vCPU waits for the PCPU on which it runs next. Whoever runs there meanwhile delays
it. A task with a job to do is delayed by the other tasks of its guest, by the guest's
interrupts, and by whoever delays its vCPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lab.trace.events import Runstate
from lab.trace.guest import TracedGuest
from lab.trace.hypervisor import IDLE, SchedulerTrace
from lab.trace.jobs import Jobs, Lives
from lab.trace.spans import Spans, intersect, length, spans, subtract, union
from lab.trace.timeline import Timeline

#: The name of the delay while nobody ran on the PCPU that the vCPU then got: Xen was deciding.
XEN = "Xen"
#: The culprit where records were lost.
UNKNOWN = "unknown"
INTERRUPTS = "interrupts"


@dataclass(frozen=True)
class Delay:
    """``victim`` waited for ``culprit``, ``seconds`` in all."""

    victim: str
    culprit: str
    seconds: float


def of_vcpus(timeline: Timeline) -> list[Delay]:
    """Delays between vCPUs; for each victim the largest first."""
    hypervisor = timeline.hypervisor
    if hypervisor is None:
        return []
    found = []
    for vcpu in hypervisor.vcpus:
        if vcpu >> 16 != IDLE:
            everybody = instead(hypervisor, vcpu)
            found += _ranked(timeline, timeline.vcpu_name(vcpu), everybody)
    return found


def of_tasks(
    timeline: Timeline, guest: TracedGuest, jobs: dict[int, Jobs], life: Lives, vcpu: int
) -> list[Delay]:
    """Delays of a guest's periodic tasks, while each had a job to do."""
    hypervisor = timeline.hypervisor
    others = instead(hypervisor, vcpu) if hypervisor else {}
    found = []
    for task, mine in jobs.items():
        busy = union(spans(mine.released[mine.done], mine.ended[mine.done]))
        handled = intersect(intersect(life.ran, life.handlers), busy)
        own = subtract(intersect(life.ran, busy), handled)
        victim = f"{guest.name}/{guest.task_name(task)}"
        spent = {
            f"{guest.name}/{guest.task_name(int(other))}": intersect(life.of(int(other)), own)
            for other in np.unique(life.who)
            if other != task
        }
        spent[INTERRUPTS] = handled
        found += _named(timeline, victim, spent)
        waited = {who: intersect(when, busy) for who, when in others.items()}
        found += _ranked(timeline, victim, waited)
    return found


def instead(hypervisor: SchedulerTrace, vcpu: int) -> dict[int, Spans]:
    """Who ran, while a vCPU was runnable, on the PCPU that it then got. -1: records lost."""
    states = hypervisor.states
    mine = np.flatnonzero(states.vcpu == vcpu)
    waiting = mine[:-1][states.state[mine[:-1]] == Runstate.RUNNABLE]
    unknown = states.spans(vcpu, Runstate.UNKNOWN)
    found: dict[int, Spans] = {-1: unknown} if len(unknown) else {}
    parts: dict[int, list[Spans]] = {}
    for pcpu in hypervisor.pcpus:
        here = waiting[states.pcpu[waiting + 1] == pcpu]
        window = union(spans(states.start[here], states.end[here]))
        for other, when in _by_vcpu(hypervisor, pcpu):
            parts.setdefault(other, []).append(intersect(window, when))
    return found | {other: union(*several) for other, several in parts.items()}


def _by_vcpu(hypervisor: SchedulerTrace, pcpu: int) -> Iterator[tuple[int, Spans]]:
    ran, who = hypervisor.ran(pcpu)
    for other in np.unique(who).tolist():
        yield int(other), ran[who == other]


def _ranked(timeline: Timeline, victim: str, spent: dict[int, Spans]) -> list[Delay]:
    named: dict[str, Spans] = {}
    for who, when in spent.items():
        name = XEN if who >> 16 == IDLE else timeline.vcpu_name(who)
        name = UNKNOWN if who < 0 else name
        named[name] = union(named.get(name, spans([], [])), when)
    return _named(timeline, victim, named)


def _named(timeline: Timeline, victim: str, spent: dict[str, Spans]) -> list[Delay]:
    frequency = timeline.clock.frequency
    rows = [
        Delay(victim, who, round(length(when) / frequency, 9))
        for who, when in spent.items()
        if length(when)
    ]
    return sorted(rows, key=lambda row: (-row.seconds, row.culprit))
