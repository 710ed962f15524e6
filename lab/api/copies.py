"""Many labs from one template; and the templates themselves."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from lab import rundir
from lab.api.context import Context, Up, clean
from lab.api.starting import boot_up, make_plan, prepare, up
from lab.errors import UsageError
from lab.machine import template
from lab.machine.template import Template
from lab.model import Plan
from lab.progress import Progress, Stage
from lab.run import booting, fingerprint, lifecycle, live
from lab.util import signals
from lab.util.deadline import Deadline
from lab.workshop.prepare import Prepared

#: So many labs at once are surely a slip of the finger.
MOST = 256
#: So many are being started at a time: each watches files in two ways then, and the kernel
#: gives a user 128 of these (fs.inotify.max_user_instances). More would not be sooner.
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
    with contextlib.ExitStack() as stack:  # others see meanwhile that these labs are prepared
        for one in names:
            stack.enter_context(_claimed(context, one))
        prepared = prepare(context, plans[0])
        stored = None if cold else _stored(plans[0], prepared, context.progress)
    with contextlib.ExitStack() as stack:
        first = []
        if stored is None and not cold:
            first = [up(context, names[0])]
            stack.push(_undone(context, names[0]))
            plans = plans[1:]
            stored = _stored(plans[0], prepared, context.progress) if plans else None
        rest = _together(context, plans, prepared, stored, stack, cold=cold)
        with context.progress.stage("labs") as stage:
            return first + signals.run(_all(rest, stage))


def template_list() -> list[dict[str, Any]]:
    """The templates: key, of which lab and clock, with its guests or not, bytes on the disk."""
    return [
        {
            "key": one.key,
            "lab": str(one.about.get("lab", "")),
            "clock": str(one.about.get("clock", "")),
            "guests": "paused" in one.about,
            "size": template.occupied(one.path),
            "path": one.path,
            "made_of": one.about.get("made of", {}),
        }
        for one in template.everything(booting.root())
    ]


def template_clean() -> int:
    """Remove all templates; how many bytes they had. Labs that run keep what they use."""
    return template.clean(booting.root())


def _claimed(context: Context, name: str) -> contextlib.AbstractContextManager[int]:
    return live.claimed(context.lab_dir(name), name, "lab.up", context.progress)


def _stored(plan: Plan, prepared: Prepared, say: Progress) -> Template | None:
    """With its guests if that is stored, else with dom0 alone."""
    alone = fingerprint.key(booting.parts_of(plan, prepared))
    keys = [key for key in (booting.with_guests(plan, prepared), alone) if key]
    return next((one for key in keys if (one := booting.usable(key, say.say))), None)


def _together(
    context: Context,
    plans: list[Plan],
    prepared: Prepared,
    stored: Template | None,
    stack: contextlib.ExitStack,
    *,
    cold: bool,
) -> list[Coroutine[Any, Any, Up]]:
    gate = asyncio.Semaphore(AT_ONCE)
    quiet = Context(context.file, context.door, Progress(quiet=True), context.force, context.locked)
    waiting = []
    for plan in plans:
        lab = context.lab_dir(plan.lab.name)
        lock = stack.enter_context(_claimed(context, plan.lab.name))
        run = rundir.new_run(context.runs, plan.lab.name)
        stack.enter_context(lifecycle.starting(plan, prepared, lab, run, kept=True))
        clock = Deadline(0)
        how = quiet, plan, prepared, lock, run, clock
        start = functools.partial(boot_up, *how, cold=cold, stored=stored, ask=False)
        waiting.append(_in_turn(gate, start))
    return waiting


async def _in_turn(gate: asyncio.Semaphore, start: Callable[[], Coroutine[Any, Any, Up]]) -> Up:
    async with gate:
        return await start()


async def _all(waiting: list[Coroutine[Any, Any, Up]], stage: Stage) -> list[Up]:
    tasks = [asyncio.ensure_future(one) for one in waiting]

    def note(_: object) -> None:
        stage.note(f"{sum(task.done() for task in tasks)} of {len(tasks)} are up")

    for task in tasks:
        task.add_done_callback(note)
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _undone(context: Context, name: str) -> Any:
    def leave(kind: Any, *_: object) -> bool:
        if kind is not None:
            lifecycle.stop(context.lab_dir(name), rundir.FINISHED)
        return False

    return leave
