"""The figures of a timeline: tasks, vCPUs, PCPUs and delays. Times are in seconds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.trace import delays, jobs
from lab.trace.events import Runstate
from lab.trace.guest import GuestEvent, TracedGuest
from lab.trace.histogram import summary
from lab.trace.hypervisor import IDLE, SchedulerTrace, vcpu_id
from lab.trace.jobs import PARTS, Jobs
from lab.trace.spans import Times, length
from lab.trace.timeline import Timeline

#: What is measured for each job besides the parts of its response time.
MEASURES = ("jitter", "response", *PARTS)


def figures(timeline: Timeline) -> dict[str, Any]:
    """All figures, ready for JSON: ``tasks``, ``vcpus``, ``pcpus``, ``delays``, ``trace``."""
    tasks: list[dict[str, Any]] = []
    found = delays.of_vcpus(timeline)
    for guest in timeline.guests.values():
        life = jobs.lives(guest, timeline.hypervisor)
        periodic = jobs.find(guest, timeline.hypervisor)
        tasks += [_task(guest, each) for each in periodic.values()]
        vcpu = vcpu_id(max(guest.domain, 0), 0)
        found += delays.of_tasks(timeline, guest, periodic, life, vcpu)
    hypervisor = timeline.hypervisor
    return {
        "run": timeline.run,
        "trace": _trace(timeline),
        "tasks": tasks,
        "wakeups": [row for guest in timeline.guests.values() for row in _wakeups(guest)],
        "vcpus": _vcpus(timeline, hypervisor) if hypervisor else [],
        "pcpus": _pcpus(timeline, hypervisor) if hypervisor else [],
        "delays": [asdict(row) for row in found],
    }


def values(guest: TracedGuest, mine: Jobs) -> dict[str, npt.NDArray[np.float64]]:
    """All measures of all jobs that ended, in seconds."""
    done, hertz = mine.done, guest.frequency
    found = {
        "jitter": (mine.began - mine.released)[done] / hertz,
        "response": (mine.ended - mine.released)[done] / hertz,
    }
    return found | {part: mine.parts[part][done] / hertz for part in PARTS}


def _trace(timeline: Timeline) -> dict[str, Any]:
    start, end = timeline.bounds
    xen = timeline.hypervisor
    return {
        "frequency": timeline.clock.frequency,
        "start": round(timeline.clock.seconds(start), 9),
        "seconds": round((end - start) / timeline.clock.frequency, 9),
        "xen_records": xen.reading.records if xen else 0,
        "xen_lost": xen.reading.lost if xen else 0,
        "guests": {
            name: {"records": len(g.records), "lost": g.lost, "dropped": g.dropped}
            for name, g in timeline.guests.items()
        },
        "notes": list(timeline.notes),
    }


def _task(guest: TracedGuest, mine: Jobs) -> dict[str, Any]:
    task = guest.tasks[mine.task]
    row: dict[str, Any] = {
        "guest": guest.name,
        "task": task.name,
        "number": task.number,
        "priority": task.priority,
        "period": round(mine.period / guest.frequency, 9),
        "deadline": round(mine.deadline / guest.frequency, 9),
        "jobs": int(mine.done.sum()),
        "unfinished": int((~mine.done).sum()),
        "misses": int(mine.missed.sum()),
    }
    return row | {name: summary(each) for name, each in values(guest, mine).items()}


def _wakeups(guest: TracedGuest) -> list[dict[str, Any]]:
    """How long tasks took from READY to SWITCH_IN, whenever they were not running."""
    rows = []
    for number, task in guest.tasks.items():
        mine = guest.records[guest.records["task"] == number]
        found = summary(ready_to_run(mine) / guest.frequency)
        if found:
            rows.append({"guest": guest.name, "task": task.name, "latency": found})
    return rows


def ready_to_run(mine: npt.NDArray[Any]) -> Times:
    """Counters from each READY of one task to its SWITCH_IN. Of several READY the first counts."""
    mine = mine[
        np.isin(mine["event"], (GuestEvent.READY, GuestEvent.SWITCH_IN, GuestEvent.SWITCH_OUT))
    ]
    ready = mine["event"] == GuestEvent.READY
    first = ready & ~np.concatenate([[False], ready[:-1]])
    begun = np.flatnonzero(first)
    following = np.flatnonzero(~ready)
    index = np.searchsorted(following, begun)
    begun = begun[index < len(following)]
    after = following[index[index < len(following)]]
    chosen = mine["event"][after] == GuestEvent.SWITCH_IN
    when = mine["counter"].astype(np.int64)
    return np.asarray((when[after] - when[begun])[chosen], np.int64)


def _vcpus(timeline: Timeline, hypervisor: SchedulerTrace) -> list[dict[str, Any]]:
    return [_vcpu(timeline, hypervisor, vcpu) for vcpu in hypervisor.vcpus if vcpu >> 16 != IDLE]


def _vcpu(timeline: Timeline, hypervisor: SchedulerTrace, vcpu: int) -> dict[str, Any]:
    whole = max(1, hypervisor.last - hypervisor.first)
    hertz = timeline.clock.frequency
    row: dict[str, Any] = {
        "name": timeline.vcpu_name(vcpu),
        "domain": vcpu >> 16,
        "vcpu": vcpu & 0xFFFF,
        "wakes": len(hypervisor.wakes(vcpu)),
    }
    for state in Runstate:
        when = hypervisor.states.spans(vcpu, state)
        row[state.name.lower()] = {
            "seconds": round(length(when) / hertz, 9),
            "share": round(length(when) / whole, 6),
            "each": summary((when[:, 1] - when[:, 0]) / hertz),
        }
    return row


def _pcpus(timeline: Timeline, hypervisor: SchedulerTrace) -> list[dict[str, Any]]:
    rows = []
    whole = max(1, hypervisor.last - hypervisor.first)
    for pcpu in hypervisor.pcpus:
        ran, who = hypervisor.ran(pcpu)
        shares = [(vcpu, length(ran[who == vcpu])) for vcpu in np.unique(who).tolist()]
        ranked = sorted(shares, key=lambda share: (-share[1], share[0]))
        ranked_rows = [
            {
                "name": timeline.vcpu_name(vcpu) if vcpu >> 16 != IDLE else "idle",
                "seconds": round(spent / timeline.clock.frequency, 9),
                "share": round(spent / whole, 6),
            }
            for vcpu, spent in ranked
        ]
        rows.append({"pcpu": pcpu, "switches": max(0, len(ran) - 1), "who": ranked_rows})
    return rows
