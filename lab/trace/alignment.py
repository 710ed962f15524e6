"""Checks that the traces of Xen and of a guest agree, at every wake-up and every record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lab.trace import guest as guests
from lab.trace.events import Runstate
from lab.trace.guest import GuestEvent, TracedGuest
from lab.trace.hypervisor import SchedulerTrace, vcpu_id
from lab.trace.spans import Spans, Times, intersect, overlap, spans, subtract


@dataclass(frozen=True)
class Violation:
    """Two things in the wrong order. All are counters; ``record`` is the guest's record."""

    what: str
    wake: int
    switch: int
    record: int


@dataclass(frozen=True)
class Alignment:
    """The result of a check.

    Attributes:
        compared: how many wake-ups were compared.
        longest: the longest time from Xen's switch to the guest's first record (counters).
        violations: what was wrong; at most :data:`SHOWN` of each kind.
    """

    compared: int
    longest: int
    violations: tuple[Violation, ...]


#: The most violations of each kind that are listed.
SHOWN = 100


def check(hypervisor: SchedulerTrace, guest: TracedGuest, bound: float) -> Alignment:
    """Compare every wake-up of a guest's first vCPU with the guest's records.

    For each: Xen's wake ≤ Xen's switch to the vCPU ≤ the guest's first record after the wake
    ≤ that switch + ``bound`` seconds. And there must be no record while the vCPU did not run.
    Wake-ups for which either side lost records are skipped.
    """
    vcpu = vcpu_id(guest.domain, 0)
    ran = hypervisor.states.spans(vcpu, Runstate.RUNNING)
    wakes = hypervisor.wakes(vcpu)
    stamps = guest.records["counter"][guest.records["event"] != GuestEvent.RELEASE].astype(np.int64)
    if not len(ran) or not len(stamps):
        return Alignment(0, 0, ())
    unknown = hypervisor.states.spans(vcpu, Runstate.UNKNOWN)
    whole = subtract(intersect(guests.known(guest), _seen(hypervisor)), unknown)
    switch = _next(ran[:, 0], wakes)
    record = _next(stamps, wakes)
    until = np.maximum(switch, record)
    right = (switch >= 0) & (record >= 0)
    right &= overlap(whole, wakes, until) == until - wakes
    wakes, switch, record = wakes[right], switch[right], record[right]
    late = record - switch
    limit = round(bound * guest.frequency)
    wrong = [
        *_listed("the guest wrote before Xen switched to it", late < 0, wakes, switch, record),
        *_listed("the guest wrote too late", late > limit, wakes, switch, record),
        *_outside(stamps, ran, whole),
    ]
    return Alignment(len(wakes), int(np.max(late)) if len(late) else 0, tuple(wrong))


def _seen(hypervisor: SchedulerTrace) -> Spans:
    return spans([hypervisor.first], [hypervisor.last])


def _next(
    times: Times,
    after: Times,
) -> Times:
    """The first of ``times`` at or after each; -1 if there is none."""
    padded = np.concatenate([times, [-1]])
    return np.asarray(padded[np.searchsorted(times, after)], np.int64)


def _listed(
    what: str,
    wrong: npt.NDArray[np.bool_],
    *columns: Times,
) -> list[Violation]:
    rows = np.flatnonzero(wrong)[:SHOWN]
    return [Violation(what, *(int(column[row]) for column in columns)) for row in rows]


def _outside(
    stamps: Times,
    ran: Spans,
    whole: Spans,
) -> list[Violation]:
    """Records while the vCPU did not run. Its first and last moment count as running."""
    known = overlap(whole, stamps, stamps + 1) > 0
    index = np.searchsorted(ran[:, 0], stamps, side="right") - 1
    inside = (index >= 0) & (stamps <= ran[np.maximum(index, 0), 1])
    what = "the guest wrote while Xen did not run it"
    before = ran[np.maximum(index, 0), 1]
    return _listed(what, known & ~inside, before, before, stamps)
