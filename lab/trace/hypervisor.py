"""What Xen's scheduler did: who ran where, which vCPU was in which state, who was woken.

It is built from runstate changes. Each says the old and the new state of one vCPU. So a vCPU's
history is a chain, and a PCPU runs the vCPU whose change to "running" it recorded last. Where
records were lost nothing is known: a state ends with the first lost record, and then is
unknown until the vCPU's next change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lab.trace import xentrace
from lab.trace.events import Reading, Runstate, XenEventKind, XenEvents
from lab.trace.spans import Spans, spans, union

#: The domain of the vCPUs that run when nobody else does (DOMID_IDLE of Xen's xen.h).
IDLE = 0x7FFF
#: The most that are read. A damaged file may name more.
MAX_VCPUS, MAX_PCPUS = 128, 64


def vcpu_id(domain: int, vcpu: int) -> int:
    """A vCPU as one number."""
    return domain << 16 | vcpu


@dataclass(frozen=True)
class States:
    """Stretches of vCPUs' runstates, by vCPU and time; columns of one length.

    Attributes:
        vcpu: uint32, see :func:`vcpu_id`. state: :class:`Runstate`, uint8.
        start, end: counters, int64. pcpu: where the change was recorded, uint16.
    """

    vcpu: npt.NDArray[np.uint32]
    state: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    pcpu: npt.NDArray[np.uint16]

    def spans(self, vcpu: int, *states: Runstate) -> Spans:
        """When a vCPU was in one of these states."""
        chosen = (self.vcpu == vcpu) & np.isin(self.state, states)
        return union(spans(self.start[chosen], self.end[chosen]))


@dataclass(frozen=True)
class SchedulerTrace:
    """One trace of Xen. ``gaps``: int64[n, 4], see :class:`lab.trace.events.Reading`."""

    events: XenEvents
    states: States
    gaps: npt.NDArray[np.int64]
    reading: Reading

    @property
    def first(self) -> int:
        """Counter of the first event; 0 if there is none."""
        return int(self.events.counter[0]) if len(self.events) else 0

    @property
    def last(self) -> int:
        return int(self.events.counter[-1]) if len(self.events) else 0

    @cached_property
    def vcpus(self) -> list[int]:
        """Every vCPU whose state is known at some time; idle ones last."""
        return [int(one) for one in np.unique(self.states.vcpu)[:MAX_VCPUS]]

    @cached_property
    def pcpus(self) -> list[int]:
        return [int(one) for one in np.unique(self.events.pcpu)[:MAX_PCPUS]]

    def ran(self, pcpu: int) -> tuple[Spans, npt.NDArray[np.uint32]]:
        """Who ran on a PCPU: spans in order, and the vCPU of each."""
        states = self.states
        chosen = np.flatnonzero((states.pcpu == pcpu) & (states.state == Runstate.RUNNING))
        chosen = chosen[np.argsort(states.start[chosen], kind="stable")]
        starts, ends = states.start[chosen], states.end[chosen]
        # Xen stamps "stops" before "starts", but on a damaged trace they may overlap.
        ends = np.minimum(ends, np.concatenate([starts[1:], ends[-1:]]))
        kept = ends > starts
        return spans(starts[kept], ends[kept]), states.vcpu[chosen][kept]

    def wakes(self, vcpu: int) -> npt.NDArray[np.int64]:
        """Counters at which Xen woke a vCPU that was blocked."""
        states = self.states
        mine = np.flatnonzero(states.vcpu == vcpu)
        after = mine[1:][
            (states.state[mine[1:]] == Runstate.RUNNABLE)
            & (states.state[mine[:-1]] == Runstate.BLOCKED)
            & (states.end[mine[:-1]] == states.start[mine[1:]])
        ]
        return np.asarray(states.start[after], np.int64)


def load(path: Path) -> SchedulerTrace:
    """Read a raw trace of Xen.

    Raises:
        OSError: it cannot be read.
    """
    return build(*xentrace.load(path))


def build(events: XenEvents, reading: Reading) -> SchedulerTrace:
    """Make states from events, which are in time order."""
    gaps = np.concatenate([np.zeros((0, 4), np.int64), *reading.gaps])
    return SchedulerTrace(events, _cut(_states(events), gaps), gaps, reading)


def _states(events: XenEvents) -> States:
    """Chain each vCPU's changes; the state before the first one holds from the beginning."""
    changes = np.flatnonzero(
        (events.kind == XenEventKind.RUNSTATE) | (events.kind == XenEventKind.CONTINUE)
    )
    changes = changes[np.argsort(events.vcpu[changes], kind="stable")]
    if not len(changes):
        return States(*(np.zeros(0, t) for t in ("u4", "u1", "i8", "i8", "u2")))
    vcpu, when = events.vcpu[changes], events.counter[changes]
    detail = np.where(events.kind[changes] == XenEventKind.RUNSTATE, events.detail[changes], 0)
    first = np.concatenate([[True], vcpu[1:] != vcpu[:-1]])
    last = np.concatenate([first[1:], [True]])
    began, ended = int(events.counter[0]), int(events.counter[-1])
    ends = np.where(last, ended, np.concatenate([when[1:], [ended]]))
    heads = np.flatnonzero(first)
    everything = States(
        np.concatenate([vcpu[heads], vcpu]),
        np.concatenate([detail[heads] >> 4, detail & 15]).astype(np.uint8),
        np.concatenate([np.full(len(heads), began), when]),
        np.concatenate([when[heads], ends]),
        np.concatenate([events.pcpu[changes][heads], events.pcpu[changes]]),
    )
    return _joined(everything)


def _joined(states: States) -> States:
    """Sorted by vCPU and time, without empty stretches; equal neighbours become one."""
    kept = np.flatnonzero(states.end > states.start)
    kept = kept[np.lexsort((states.start[kept], states.vcpu[kept]))]
    vcpu, state, start = states.vcpu[kept], states.state[kept], states.start[kept]
    end, pcpu = states.end[kept], states.pcpu[kept]
    running = state == Runstate.RUNNING
    same = (vcpu[1:] == vcpu[:-1]) & (state[1:] == state[:-1]) & (end[:-1] == start[1:])
    same &= ~running[1:] | (pcpu[1:] == pcpu[:-1])
    heads = np.flatnonzero(np.concatenate([np.ones(min(1, len(kept)), bool), ~same]))
    tails = np.concatenate([heads[1:] - 1, [len(kept) - 1]])[: len(heads)].astype(np.int64)
    return States(vcpu[heads], state[heads], start[heads], end[tails], pcpu[heads])


def _cut(states: States, gaps: npt.NDArray[np.int64]) -> States:
    """End every state that reaches into a gap of any PCPU; from there it is unknown."""
    if not len(gaps) or not len(states.vcpu):
        return states
    lost = union(spans(gaps[:, 1], gaps[:, 2] + 1))
    index = np.searchsorted(lost[:, 1], states.start, side="right")
    known = np.concatenate([lost[:, 0], [np.iinfo(np.int64).max]])[index]
    cut = np.flatnonzero(known < states.end)
    middle = np.maximum(known[cut], states.start[cut])
    end = states.end.copy()
    end[cut] = middle
    unknown = np.full(len(cut), Runstate.UNKNOWN, np.uint8)
    return _joined(
        States(
            np.concatenate([states.vcpu, states.vcpu[cut]]),
            np.concatenate([states.state, unknown]),
            np.concatenate([states.start, middle]),
            np.concatenate([end, states.end[cut]]),
            np.concatenate([states.pcpu, states.pcpu[cut]]),
        )
    )
