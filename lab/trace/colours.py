"""What a domain and a task look like in the report: their colours' names, and a task's title.

The style sheet has the colours, for light and dark; ``tests/unit/tracing/test_colours.py`` holds
that people can tell them apart, also those who see fewer colours.
"""

from __future__ import annotations

from collections import Counter

from lab.trace.guest import Guest
from lab.trace.timeline import Timeline

#: How many colours there are: ``d0`` to ``d7`` of domains, ``t0`` to ``t7`` of tasks.
COLOURS = 8
IDLE = "IDLE"


def domains(timeline: Timeline) -> set[int]:
    """The numbers of all domains of which a trace tells."""
    xen = timeline.hypervisor
    known = {vcpu >> 16 for vcpu in xen.vcpus} if xen else set()
    return (known | {guest.domain for guest in timeline.guests.values()}) - {0x7FFF, -1}


def colour(timeline: Timeline, domain: int) -> str:
    """A domain's colour: dom0's is the first, guests take the others in turn."""
    if domain == 0:
        return "d0"
    known = sorted(number for number in domains(timeline) if number)
    return f"d{known.index(domain) % (COLOURS - 1) + 1}" if domain in known else "none"


def in_order(guest: Guest) -> list[int]:
    """A guest's tasks by number, the most urgent first."""
    tasks = sorted(guest.tasks.values(), key=lambda task: (-task.priority, task.number))
    return [task.number for task in tasks]


def task_colour(guest: Guest, number: int) -> str:
    """A task's colour: tasks take them in turn, so that a program looks the same each time."""
    known = [one for one in in_order(guest) if guest.task_name(one) != IDLE]
    return f"t{known.index(number) % COLOURS}" if number in known else "none"


def task_title(guest: Guest, number: int) -> str:
    """A task's name; with its number if another one of the guest has the same name, or none."""
    names = Counter(guest.task_name(one) for one in guest.tasks)
    name = guest.task_name(number)
    return name if names[name] < 2 and name else f"{name} #{number}".strip()
