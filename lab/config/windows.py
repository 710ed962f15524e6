"""The schedule of Xen's scheduler arinc653: which vCPU runs in which window of the major frame.

The scheduler follows one schedule on one CPU (xen/common/sched/arinc653.c). On a machine with one
CPU dom0 is in the schedule, too. On a larger machine the last CPU is a CPU pool of its own for the
guests, and dom0 has the others, under credit2.
"""

from __future__ import annotations

import dataclasses

from lab.config.units import show_time
from lab.config.yaml_source import Loc, Source
from lab.model import Lab, Schedule, Scheduling, Window
from lab.util.suggest import nearest
from lab.util.terminal import quote

NAME = "arinc653"
#: The most windows of a schedule (ARINC653_MAX_DOMAINS_PER_SCHEDULE in public/sysctl.h).
MOST = 64
#: The shortest window, in seconds. An emulated Xen needs some 10 µs of it to change domains.
LEAST = 50e-6
#: The longest frame with a window of dom0, in seconds: dom0 must answer in time.
LONGEST = 2.0


def settle(source: Source, at: Loc, lab: Lab, name: str) -> Lab:
    """The lab, whose guests know their CPU pool. The schedule is checked.

    ``at``: the lab's place. ``name``: the scheduler that the lab runs.
    """
    at = (*at, "scheduler")
    if lab.schedule is None:
        if name == NAME and lab.guests:
            text = (
                f"lab '{lab.name}': under arinc653 guests do not run until a schedule is set: add "
                "'frame' and 'windows', or leave 'guests' out and set it in dom0 (lab-arinc653)"
            )
            source.add(at, text)
        return lab
    if name != NAME:
        key = "frame" if lab.schedule.frame else "windows"
        text = f"'{key}' is no parameter of the scheduler {name} of lab '{lab.name}'"
        source.add((*at, key), f"{text}; it belongs to arinc653", key=True)
        return dataclasses.replace(lab, schedule=None)
    _check_schedule(source, at, lab, lab.schedule)
    _check_cpus(source, at, lab, lab.schedule)
    guests = tuple(dataclasses.replace(one, scheduler=share(lab)) for one in lab.guests)
    return dataclasses.replace(lab, guests=guests)


def share(lab: Lab) -> Scheduling:
    """What ``xl`` is told about each guest of a lab with a schedule."""
    return Scheduling(NAME, pool=None if lab.pool_cpu is None else NAME)


def without(lab: Lab, guest: str, vcpus: int) -> str:
    """Words for the vCPUs of a guest that have no window, and so would never run; or empty."""
    if lab.schedule is None:
        return ""
    there = {(one.domain, one.vcpu) for one in lab.schedule.windows}
    lacking = [str(vcpu) for vcpu in range(vcpus) if (guest, vcpu) not in there]
    which = f"vCPU {', '.join(lacking)} of {guest}" if vcpus > 1 else guest
    return f"{which} has no window and would never run" if lacking else ""


def _check_schedule(source: Source, at: Loc, lab: Lab, schedule: Schedule) -> None:
    for key, given in (("frame", schedule.frame), ("windows", schedule.windows)):
        if not given:
            source.add(at, f"'{key}' is missing: arinc653 needs a frame and its windows")
            return
    if lab.pool_cpu is None and schedule.frame > LONGEST:
        text = f"'frame': at most {show_time(LONGEST)}, because dom0 waits for its window in it"
        source.add((*at, "frame"), text)
    if len(schedule.windows) > MOST:
        source.add((*at, "windows", MOST), f"'windows': Xen takes at most {MOST}")
    for i, window in enumerate(schedule.windows):
        _check_window(source, (*at, "windows", i), lab, window)
    total = sum(_nanoseconds(window.runtime) for window in schedule.windows)
    if total > _nanoseconds(schedule.frame):
        text = f"the windows take {show_time(total / 1e9)}, more than the frame"
        source.add((*at, "windows"), f"{text} of {show_time(schedule.frame)}")
    for guest in lab.guests:
        if text := without(lab, guest.name, guest.vcpus):
            source.add((*at, "windows"), f"lab '{lab.name}': {text}")


def _check_window(source: Source, at: Loc, lab: Lab, window: Window) -> None:
    if _nanoseconds(window.runtime) < _nanoseconds(LEAST):
        source.add((*at, "runtime"), f"'runtime': at least {show_time(LEAST)}")
    vcpus = {one.name: one.vcpus for one in (*lab.guests, *lab.later)} | {"dom0": 1}
    if window.domain not in vcpus:
        text = f"lab '{lab.name}' has no domain {quote(window.domain)}"
        source.add((*at, "domain"), f"{text}{nearest(window.domain, vcpus)}")
    elif window.vcpu >= vcpus[window.domain]:
        there = vcpus[window.domain]
        text = f"{window.domain} has no vCPU {window.vcpu}: it has {there}, counted from 0"
        source.add((*at, "vcpu"), text)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _check_cpus(source: Source, at: Loc, lab: Lab, schedule: Schedule) -> None:
    if lab.pool_cpu is None:
        if schedule.windows and not lab.without_dom0 and without(lab, "dom0", 1):
            text = f"lab '{lab.name}' has one CPU, so dom0 needs a window, too"
            source.add((*at, "windows"), text)
        return
    for i, window in enumerate(schedule.windows):
        if window.domain == "dom0":
            text = (
                f"lab '{lab.name}' has {lab.cpus} CPUs: the schedule is for the last one, and dom0 "
                "has the others; leave this window out, or take 'cpus: 1'"
            )
            source.add((*at, "windows", i, "domain"), text)
    if max(lab.dom0.vcpus or 1, len(lab.dom0.cpus)) > lab.pool_cpu:
        key = "vcpus" if lab.dom0.vcpus else "cpus"
        text = f"under arinc653 the last of the {lab.cpus} CPUs of lab '{lab.name}' is not dom0's"
        source.add((*at[:-1], "dom0", key), text)
    for guest in (*lab.guests, *lab.later):
        if guest.cpus and lab.pool_cpu not in guest.cpus:
            text = f"under arinc653 the guests of lab '{lab.name}' run on CPU {lab.pool_cpu}"
            source.add(("guests", guest.name, "cpus"), text)
