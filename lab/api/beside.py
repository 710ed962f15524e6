"""Runs of labs side by side: here, as many at a time as there is room for, or on a cluster."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from lab.api import far
from lab.api.context import Context, clean
from lab.api.results import Run
from lab.api.shared import Shared
from lab.errors import UsageError
from lab.explore.side_by_side import SideBySide, processors
from lab.model import Clock, Plan
from lab.progress import Progress, Within
from lab.run import slots
from lab.run.slots import Room

#: Seconds that a run waits for room on this machine.
WAIT = 3600.0
#: More at a time are surely a typing mistake.
MOST = 256
#: Under the virtual clock so many more run at a time than there are processors: while one is being
#: prepared or ends, no processor is idle.
MORE = 1
#: The limit if the user says how many run at a time.
_ANY = Room(1 << 30, 1 << 60)


#: So many runs whose sources are compiled first go on at a time on a cluster, at most.
COMPILED = 8


T = TypeVar("T")


@dataclass(frozen=True)
class Work(Generic[T]):
    """One run.

    Attributes:
        title: what people call it.
        plan: says how much room it takes.
        do: runs it, with the context that it is given.
        words: its result in words.
    """

    title: str
    plan: Plan
    do: Callable[[Context], T]
    words: Callable[[T], str]


def run_all(
    context: Context, works: Sequence[Work[T]], jobs: int = 0,
    done: Callable[[int, T], None] | None = None,
) -> list[T]:  # fmt: skip
    """Run all of them; the results come in their order.

    ``jobs``: how many at a time. 0: as many as keep this machine's processors busy, and each waits
    until the labs of all commands leave it room; on a cluster as many as keep its workers busy.
    ``done``: see :meth:`SideBySide.each`. If it raises an error, the other runs end.

    Raises:
        UsageError: ``jobs`` makes no sense. BusyError: there was no room within an hour.
    """
    if not 0 <= jobs <= MOST:
        raise UsageError(f"{jobs} runs cannot go on at once", hint=f"1 to {MOST}")
    limit = _ANY if jobs else _most(works)
    clean(context)
    with far.connected(replace(context, shared=context.shared or Shared())) as there:
        calls = [functools.partial(_one, there, work, limit) for work in works]
        at_once = there.far.at_once() if there.far else limit.cpus
        return SideBySide(min(jobs or at_once, len(works) or 1)).each(calls, done)


def compiled(context: Context) -> int:
    """How many runs whose sources are compiled first should go on at a time: here one for every two
    processors, because a compiler uses several; on a connected cluster one for each lab that it can
    run at a time, at most :data:`COMPILED`."""
    there = context.far
    return max(1, min(COMPILED, there.labs()) if there else processors() // 2)


def _most(works: Sequence[Work[T]]) -> Room:
    """The limit if the user does not say how many: on the host's clock, labs that share a processor
    would be late."""
    here = slots.machine()
    is_virtual = all(work.plan.machine.clock is Clock.VIRTUAL for work in works)
    return replace(here, cpus=here.cpus + MORE) if is_virtual else here


def _one(context: Context, work: Work[T], limit: Room) -> T:
    with context.progress.stage(work.title) as stage:
        progress = Within(context.progress, work.title)
        room = contextlib.nullcontext() if context.far else _room(work, limit, progress)
        with stage.looking(progress.words), room:
            result = work.do(replace(context, progress=progress))
        stage.note(work.words(result))
        return result


def verdict_words(result: Run) -> str:
    """``PASS``, or ``FAIL`` with the layer."""
    verdict = result.report.verdict
    return "PASS" if verdict.passed else f"FAIL {verdict.layer or 'usage'}"


def _room(
    work: Work[T], limit: Room, progress: Progress
) -> contextlib.AbstractContextManager[None]:
    @contextlib.contextmanager
    def waits(holders: str) -> Iterator[None]:
        with progress.stage("waiting for room on this machine") as stage:
            stage.note(f"taken by {holders}")
            yield

    lab = f"lab {work.plan.lab.name}"
    what = work.title if lab in work.title else f"{lab}, {work.title}"
    return slots.taken(room_of(work.plan), limit, what, WAIT, waits)


def room_of(plan: Plan) -> Room:
    """What a lab takes of this machine. Under the virtual clock QEMU has one thread for all of the
    lab's CPUs."""
    cpus = 1 if plan.machine.clock is Clock.VIRTUAL else plan.lab.cpus
    return Room(cpus, plan.lab.memory)
