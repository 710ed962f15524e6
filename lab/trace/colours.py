"""Colours of domains and tasks in the report, and titles of tasks.

These are names of colours. The style sheet has the colours, for light and dark mode.
``tests/unit/tracing/test_colours.py`` checks that people can tell them apart, also people who see
fewer colours.
"""

from __future__ import annotations

from collections import Counter

from lab.trace.guest import TracedGuest
from lab.trace.timeline import Timeline

#: The number of colours: ``d0`` to ``d7`` for domains, ``t0`` to ``t7`` for tasks.
COLOURS = 8
IDLE = "IDLE"


def domains(timeline: Timeline) -> set[int]:
    """The numbers of all domains in the traces."""
    xen = timeline.hypervisor
    known = {vcpu >> 16 for vcpu in xen.vcpus} if xen else set()
    return (known | {guest.domain for guest in timeline.guests.values()}) - {0x7FFF, -1}


def colour(timeline: Timeline, domain: int) -> str:
    """A domain's colour: dom0 has the first, guests have the others in turn."""
    if domain == 0:
        return "d0"
    known = sorted(number for number in domains(timeline) if number)
    return f"d{known.index(domain) % (COLOURS - 1) + 1}" if domain in known else "none"


def in_order(guest: TracedGuest) -> list[int]:
    """The numbers of a guest's tasks, the highest priority first."""
    tasks = sorted(guest.tasks.values(), key=lambda task: (-task.priority, task.number))
    return [task.number for task in tasks]


def task_colour(guest: TracedGuest, number: int) -> str:
    """A task's colour. Tasks have them in turn, so a program always looks the same."""
    known = [one for one in in_order(guest) if guest.task_name(one) != IDLE]
    return f"t{known.index(number) % COLOURS}" if number in known else "none"


def task_title(guest: TracedGuest, number: int) -> str:
    """A task's name, with its number if it has none or if another task has the same name."""
    names = Counter(guest.task_name(one) for one in guest.tasks)
    name = guest.task_name(number)
    return name if names[name] < 2 and name else f"{name} #{number}".strip()
