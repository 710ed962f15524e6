"""A lab of your own, for as long as a block or a process needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict, Unpack

from lab import scenario
from lab.api.context import Context, clean
from lab.api.plans import intent, make_plan
from lab.api.running_lab import RunningLab
from lab.config import units
from lab.errors import BusyError, UsageError
from lab.run import live, slots
from lab.run.boot import boot
from lab.run.session import Session
from lab.run.slots import Room
from lab.run.start import Intent, Start, started
from lab.util import signals

#: Seconds that a lab waits for room on this machine.
WAIT = 600.0
#: The most labs of one name that may run at once.
MOST = 256


@dataclass(frozen=True)
class Limit:
    """How much room labs may take together on this machine; how many seconds one waits for it."""

    room: Room
    within: float = WAIT


def limit(cpus: str = "", memory: str = "", within: str = "") -> Limit:
    """A limit as people write it: ``4``, ``6G``, ``90s``. What is empty has its default.

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


class LabOptions(TypedDict, total=False):
    """How :func:`lab` and :func:`start_lab` start a lab.

    Attributes:
        cold: really boot it, even if there is a template (default: no).
        numbered: start a further lab like it, under the first free name of ``NAME-1``,
            ``NAME-2``, … (default: no).
        limit: wait until this machine has room (default: do not wait).
        owner: whose lab it is, in words for others who want it (default: ``a program``).
    """

    cold: bool
    numbered: bool
    limit: Limit | None
    owner: str


@dataclass(frozen=True)
class _Wanted:
    """:class:`LabOptions` with their defaults."""

    cold: bool = False
    numbered: bool = False
    limit: Limit | None = None
    owner: str = "a program"


@contextlib.contextmanager
def lab(
    name: str, context: Context | None = None, **options: Unpack[LabOptions]
) -> Iterator[RunningLab]:
    """A lab of labs.yaml that runs as long as the block does; its run folder stays.

    ``options``: ``cold``, ``numbered``, ``limit``, ``owner``; see :class:`LabOptions`.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong.
        BusyError: the lab runs already, or there was no room for it.
        LabError: of the layer that failed; ``run`` is its run folder. Nothing is left running.
    """
    running = start_lab(name, context or Context(), **options)
    try:
        yield running
    finally:
        running.close()


def start_lab(name: str, context: Context, **options: Unpack[LabOptions]) -> RunningLab:
    """The same without a block: it runs until :meth:`RunningLab.close`."""
    wanted = _Wanted(**options)
    clean(context)
    plan = make_plan(context, name, first=True)
    with contextlib.ExitStack() as stack:
        if limit := wanted.limit:
            room = Room(plan.lab.cpus, plan.lab.memory)
            what, waits = f"lab {name} ({wanted.owner})", _waits_for_room(context)
            stack.enter_context(slots.taken(room, limit.room, what, limit.within, waits))
        first = intent(context, plan, wanted.owner, kept=False)
        intents = _numbered(context, first) if wanted.numbered else [first]
        start = stack.enter_context(started(intents))
        runner = stack.enter_context(signals.new_runner())
        signals.run_in(runner, _boot(start, cold=wanted.cold))
        found = live.running(start.lab, start.plan.lab.name)
        return RunningLab(context, found, runner, stack, scenario.tolerated(start.plan.lab))


async def _boot(start: Start, *, cold: bool) -> None:
    async with Session(start.lab, start.run) as session:
        await boot(session, start, cold=cold)


def _waits_for_room(context: Context) -> slots.Waits:
    @contextlib.contextmanager
    def stage(holders: str) -> Iterator[None]:
        with context.progress.stage("waiting for room on this machine") as found:
            found.note(f"taken by {holders}")
            yield

    return stage


def _numbered(context: Context, first: Intent) -> Iterator[Intent]:
    """Labs like the first, with numbers; labs.yaml may have some of these names for others.

    Raises:
        BusyError: there are no more.
    """
    known, name = context.labs().labs, first.plan.lab.name
    for number in range(1, MOST + 1):
        if (one := f"{name}-{number}") not in known:
            plan = make_plan(context, one, first=True)
            yield intent(context, plan, first.owner, kept=first.kept)
    raise BusyError(f"{MOST} labs like {name} run already", hint=f"./inv lab.down '{name}-*'")
