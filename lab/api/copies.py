"""Starts many copies of one lab from one template."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType

from lab import rundir
from lab.api.context import Context, clean
from lab.api.labs import boot_up, up
from lab.api.plans import intent, make_plan, prepare
from lab.api.results import Up
from lab.errors import UsageError
from lab.explore.executor import Here
from lab.machine.template import Template
from lab.model import Plan
from lab.progress import Progress
from lab.run import ending, live, templates
from lab.run.start import Start, started
from lab.util.deadline import Deadline
from lab.workshop.prepare import Prepared

#: More labs at once are surely a typing mistake.
MOST = 256
#: The most that start at a time. A lab that starts has two inotify instances, and Linux gives
#: a user 128 (fs.inotify.max_user_instances). More at a time would not be sooner.
AT_ONCE = 32


def up_several(context: Context, name: str, count: int, *, cold: bool = False) -> list[Up]:
    """Start ``count`` labs alike, ``NAME-1`` to ``NAME-count``, at once; they run on.

    Without a template the first is booted alone, and leaves one for the others.

    Raises:
        UsageError: the count is not sensible.
        LabError: one of them failed; none is left running then.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"{count} labs cannot be started", hint=f"1 to {MOST}")
    clean(context)
    names = [f"{name}-{number}" for number in range(1, count + 1)]
    plans = [make_plan(context, one, first=True) for one in names]
    prepared = _prepared(context, plans)
    say = context.progress.say
    stored = None if cold else templates.newest_stage(plans[0], prepared, say)
    with contextlib.ExitStack() as stack:
        first = []
        if stored is None and not cold:
            first = [up(context, names[0])]
            stack.push(functools.partial(_down_on_error, context, names[0]))
            plans = plans[1:]
            stored = templates.newest_stage(plans[0], prepared, say) if plans else None
        starts = [stack.enter_context(_started(context, plan, prepared)) for plan in plans]
        return first + _all_up(context, starts, stored, cold=cold)


def _prepared(context: Context, plans: Sequence[Plan]) -> Prepared:
    """Make what all copies need. Meanwhile other commands see that they are being prepared."""
    with contextlib.ExitStack() as stack:
        for plan in plans:
            name = plan.lab.name
            held = live.claimed(context.lab_dir(name), name, "lab.up", context.progress)
            stack.enter_context(held)
        return prepare(context, plans[0])


def _started(
    context: Context, plan: Plan, prepared: Prepared
) -> contextlib.AbstractContextManager[Start]:
    wanted = intent(context, plan, "lab.up", kept=True)
    return started([replace(wanted, prepare=lambda _: prepared)])


def _all_up(
    context: Context, starts: Sequence[Start], stored: Template | None, *, cold: bool
) -> list[Up]:
    """Boot the copies. The progress line says how many are up, not how far each one is."""
    quiet = [replace(start, progress=Progress(quiet=True)) for start in starts]
    clock = Deadline(0)
    jobs = [
        functools.partial(boot_up, start, clock, cold=cold, stored=stored, ask=False)
        for start in quiet
    ]
    with context.progress.stage("labs") as stage:
        return Here(AT_ONCE).together(
            jobs, lambda done: stage.note(f"{done} of {len(jobs)} are up")
        )


def _down_on_error(
    context: Context,
    name: str,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> bool:
    """The exit of a context manager that takes a lab down if its block failed."""
    del error, trace
    if kind is not None:
        ending.stop(context.lab_dir(name), rundir.FINISHED)
    return False
