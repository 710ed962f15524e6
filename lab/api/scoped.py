"""Starting a lab of one's own, for as long as a block or a process needs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from lab import rundir, scenario
from lab.api.context import Context, clean
from lab.api.handle import RunningLab
from lab.api.starting import make_plan, prepare
from lab.config import units
from lab.errors import BusyError, LabError, UsageError
from lab.model import Plan
from lab.run import lifecycle, live, slots
from lab.run.session import Session
from lab.run.slots import Room
from lab.rundir import RunDir
from lab.util import signals
from lab.workshop.prepare import Prepared

#: Seconds that a lab waits for room on this machine.
WAIT = 600.0
#: So many labs of one name may run at once.
MOST = 256


@dataclass(frozen=True)
class Limit:
    """What labs may take together on this machine, and how many seconds one waits for room."""

    room: Room
    within: float = WAIT


def limit(cpus: str = "", memory: str = "", within: str = "") -> Limit:
    """A limit as people write it: ``4``, ``6G``, ``90s``; of what is empty, the default.

    Raises:
        UsageError: one of them is not understood.
    """
    here = slots.machine()
    try:
        room = Room(
            units.count(1, MOST)(cpus) if cpus else here.cpus,
            units.size(memory) if memory else here.memory,
        )
        return Limit(room, units.seconds(within) if within else WAIT)
    except ValueError as error:
        raise UsageError(f"the limit on labs: {error}") from error


@contextlib.contextmanager
def lab(
    name: str,
    context: Context | None = None,
    *,
    cold: bool = False,
    numbered: bool = False,
    limit: Limit | None = None,
    owner: str = "a program",
) -> Iterator[RunningLab]:
    """A lab of labs.yaml that runs as long as the block does; its run folder stays.

    ``cold``: really boot it, even if there is a template. ``numbered``: a further one like it,
    ``NAME-1``, ``NAME-2``, …, whichever is free. ``limit``: wait for room on this machine.
    ``owner``: whose it is, in words for others who want it.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong.
        BusyError: the lab runs already, or there was no room for it.
        LabError: of the layer that failed; ``run`` is its run folder. Nothing is left running.
    """
    running = start_lab(
        name, context or Context(), cold=cold, numbered=numbered, limit=limit, owner=owner
    )
    try:
        yield running
    finally:
        running.close()


def start_lab(
    name: str,
    context: Context,
    *,
    cold: bool = False,
    numbered: bool = False,
    limit: Limit | None = None,
    owner: str = "a program",
) -> RunningLab:
    """The same without a block: it runs until :meth:`RunningLab.close`."""
    clean(context)
    wanted = make_plan(context, name, first=True).lab
    with contextlib.ExitStack() as stack:
        if limit:
            room = Room(wanted.cpus, wanted.memory)
            what, waits = f"lab {name} ({owner})", _waits_for_room(context)
            stack.enter_context(slots.taken(room, limit.room, what, limit.within, waits))
        own, lock = _claim(stack, context, name, owner, numbered=numbered)
        plan = make_plan(context, own, first=True)
        prepared = prepare(context, plan)
        run = rundir.new_run(context.runs, own)
        runner = _boot(stack, context, plan, prepared, lock, run, cold=cold)
        found = live.running(context.lab_dir(own), own)
        return RunningLab(context, found, runner, stack, scenario.tolerated(plan.lab))


def _waits_for_room(context: Context) -> slots.Waits:
    @contextlib.contextmanager
    def stage(holders: str) -> Iterator[None]:
        with context.progress.stage("waiting for room on this machine") as found:
            found.note(f"taken by {holders}")
            yield

    return stage


def _claim(
    stack: contextlib.ExitStack, context: Context, name: str, owner: str, *, numbered: bool
) -> tuple[str, int]:
    """Hold the lab's lock, or that of the first free one like it; its name and the lock."""
    known = context.labs().labs
    names = [f"{name}-{number}" for number in range(1, MOST + 1)] if numbered else [name]
    for own in names:
        if numbered and own in known:
            continue
        try:
            lock = stack.enter_context(
                live.claimed(context.lab_dir(own), own, owner, context.progress)
            )
        except BusyError:
            if not numbered:
                raise
            continue
        return own, lock
    raise BusyError(f"{MOST} labs like {name} run already", hint=f"./inv lab.down '{name}-*'")


def _boot(
    stack: contextlib.ExitStack,
    context: Context,
    plan: Plan,
    prepared: Prepared,
    lock: int,
    run: RunDir,
    *,
    cold: bool,
) -> asyncio.Runner:
    folder = context.lab_dir(plan.lab.name)

    async def boot() -> None:
        async with Session(folder, run) as session:
            await lifecycle.boot(session, plan, prepared, lock, context.progress, cold=cold)

    stack.enter_context(lifecycle.starting(plan, prepared, folder, run, kept=False))
    runner = stack.enter_context(asyncio.Runner())
    try:
        signals.run_in(runner, boot())
    except LabError as error:
        error.run = run.path
        raise
    return runner
