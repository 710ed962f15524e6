"""Finds the record of a guest's trace that a person names.

Two forms are understood: ``job 17 of fast begins``, and a record as ``trace.diff`` shows it, such
as ``periodic: JOB_BEGIN fast 17``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from lab.errors import UsageError
from lab.trace import jobs
from lab.trace.guest import GuestEvent, TracedGuest
from lab.trace.jobs import Jobs
from lab.trace.timeline import Timeline
from lab.util.suggest import nearest
from lab.util.terminal import quote

FORMS = (
    "'job 17 of fast begins' (or 'ends', 'is released'; of GUEST/TASK if several guests have such "
    "a task), or a record as trace.diff shows it, such as 'periodic: JOB_BEGIN fast 17'"
)
#: A job's moments, and the columns of :class:`Jobs` that have them.
MOMENTS = {"is released": "released", "begins": "began", "ends": "ended"}
_JOB = re.compile(rf"job (\d{{1,9}}) of (?:([^/]+)/)?(.+?) ({'|'.join(MOMENTS)})")
#: ``trace.diff`` writes the time first; that of another run does not matter.
_RECORD = re.compile(r"(?:[\d.]+ )?([^:]+): ([A-Z_]+) (.+) (\d{1,10})")


def counter_of(timeline: Timeline, words: str) -> int:
    """The counter of the first record that is meant.

    Raises:
        UsageError: it is not understood, or the trace has no such record.
    """
    if found := _JOB.fullmatch(words.strip()):
        number, guest, task, moment = found.groups()
        return _of_job(timeline, guest, task, int(number), moment)
    if found := _RECORD.fullmatch(words.strip()):
        return _of_record(timeline, *found.groups())
    raise UsageError(f"{quote(words)} names no record of a trace", hint=FORMS)


def _of_job(timeline: Timeline, guest: str | None, task: str, number: int, moment: str) -> int:
    known = dict(_periodic(timeline))
    fitting = {name: mine for name, mine in known.items() if _fits(name, guest, task)}
    if len(fitting) != 1:
        raise UsageError(_which(task, known, fitting), hint=FORMS)
    name, mine = fitting.popitem()
    rows = np.flatnonzero(mine.number == number)
    if not len(rows):
        last = int(np.max(mine.number))
        raise UsageError(f"{name} has no job {number} in this trace; its last one is {last}")
    counter = int(getattr(mine, MOMENTS[moment])[rows[0]])
    if counter < 0:
        raise UsageError(f"job {number} of {name} does not end in this trace")
    return counter


def _periodic(timeline: Timeline) -> Iterator[tuple[str, Jobs]]:
    """The periodic tasks, as ``GUEST/TASK``."""
    for guest in timeline.guests.values():
        for task, mine in jobs.find(guest, timeline.hypervisor).items():
            yield f"{guest.name}/{guest.task_name(task)}", mine


def _fits(name: str, guest: str | None, task: str) -> bool:
    return name == f"{guest}/{task}" if guest else name.endswith(f"/{task}")


def _which(task: str, known: Mapping[str, Jobs], fitting: Mapping[str, Jobs]) -> str:
    if fitting:
        return f"several guests have a task {quote(task)}: {', '.join(sorted(fitting))}"
    if not known:
        return "no task of this trace is periodic"
    names = {name.partition("/")[2] for name in known}
    return f"no periodic task is called {quote(task)}{nearest(task, names)}"


def _of_record(timeline: Timeline, name: str, event: str, task: str, argument: str) -> int:
    guest = timeline.guests.get(name)
    if guest is None:
        raise UsageError(f"no traced guest is called {quote(name)}{nearest(name, timeline.guests)}")
    kinds = GuestEvent.__members__
    if event not in kinds:
        raise UsageError(f"there is no record {quote(event)}{nearest(event, kinds)}")
    mine = guest.of(kinds[event])
    chosen = mine[
        np.isin(mine["task"], _numbers(guest, task)) & (mine["argument"] == int(argument))
    ]
    if not len(chosen):
        raise UsageError(f"{name} has no record {event} {task} {argument} in this trace")
    return int(chosen["counter"][0])


def _numbers(guest: TracedGuest, task: str) -> list[int]:
    """The numbers of the tasks of this name; 0 is none, as before the scheduler starts."""
    return [number for number in (0, *guest.tasks) if guest.task_name(number) == task]
