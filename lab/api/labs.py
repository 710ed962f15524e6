"""Starts labs that keep running, and stops them."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from lab import config, rundir
from lab.api import other_sessions
from lab.api.context import Context, clean
from lab.api.listing import name_order
from lab.api.lives import here, name_of
from lab.api.plans import intent, make_plan
from lab.api.results import LabStatus, Up
from lab.errors import UsageError
from lab.machine.console_text import FIRST_LINES, MORE_LINES, first_lines
from lab.machine.template import Template
from lab.model import State
from lab.run import claim, collecting, commands, crash_cores, ending, live, stands
from lab.run.boot import boot
from lab.run.session import Session
from lab.run.start import Start, started
from lab.rundir import LabDir
from lab.util import signals
from lab.util.deadline import Deadline

#: If a name has one of these characters, it is a pattern for several labs.
_PATTERN = frozenset("*?[")


def up(context: Context, name: str, *, cold: bool = False) -> Up:
    """Boot a lab and create its guests. It keeps running when this returns.

    ``cold``: boot it even if there is a template.

    Raises:
        ConfigError, UsageError, BusyError: labs.yaml or the name is wrong; it runs already.
        LabError: of the layer that failed; nothing is left running then.
    """
    clock = Deadline(0)
    clean(context)
    plan = make_plan(context, name, first=True)  # labs.yaml's clock is that of its runs
    with started([intent(context, plan, "lab.up", kept=True)]) as start:
        return signals.run(boot_up(start, clock, cold=cold))


async def boot_up(
    start: Start, clock: Deadline, *, cold: bool, stored: Template | None = None, ask: bool = True
) -> Up:
    """From off to guests that have said something.

    Without ``ask`` dom0 is not asked for its domains: QEMU would have to translate much code, and
    other labs that are being started would wait for that.
    """
    plan, run = start.plan, start.run
    async with Session(start.lab, run) as session:
        async with crash_cores.of_xen(session, start, Path(commands.LABS)):
            await boot(session, start, cold=cold, stored=stored)
        with start.progress.stage("first lines"):
            starts = {guest.name: 0 for guest in plan.guests}
            await session.guarded(first_lines(run, starts, FIRST_LINES))
            session.mark("first line")
            domains = await session.domains() if ask else []
            lines = await first_lines(run, starts, MORE_LINES, least=3)
        session.mark("listed")
    return Up(plan.lab.name, run.path, domains, lines, session.marks, clock.elapsed())


def down(context: Context, name: str) -> LabStatus | None:
    """Stop a lab; ``None`` if it does not run. Its run folder stays.

    A command that is still starting or running it is interrupted first. If several runs of it are
    under way, all end, and the first one is returned.
    """
    return next(iter(down_lives(context, name)), None)


def down_lives(context: Context, name: str) -> list[LabStatus]:
    """The same; returns all that were stopped."""
    first = context.lab_dir(name)
    others = [lab for each, lab in here(context) if each == name and lab.id != first.id]
    stopped = [_down(lab, name) for lab in (first, *others)]
    clean(context)
    found = [one for one in stopped if one]
    if not found and rundir.latest_run(context.runs, name) is None:
        config.find_lab(context.labs(), name)
    return found


def is_pattern(name: str) -> bool:
    """Whether a name stands for several labs, as a shell's pattern for files does."""
    return bool(_PATTERN & set(name))


def down_matching(context: Context, pattern: str) -> list[LabStatus]:
    """Stop the labs of this session and this labs.yaml whose names match, such as ``hello-*``.

    Raises:
        UsageError: no lab that runs matches; the hint names those that run.
    """
    found = here(context)
    chosen = [one for one in found if fnmatch.fnmatchcase(one[0], pattern)]
    if not chosen:
        there = ", ".join(sorted({name for name, _ in found}, key=name_order)) or "none"
        raise UsageError(f"no running lab is named {pattern}", hint=f"labs that run: {there}")
    return _stop(context, chosen)


def down_all(context: Context | None = None, *, everywhere: bool = False) -> list[LabStatus]:
    """Stop every lab of this session and this labs.yaml, and remove what dead commands left.

    ``everywhere``: every lab of this user instead, of other sessions and labs.yaml too.
    """
    context = context or Context()
    if not everywhere:
        return _stop(context, here(context))
    known = [
        *live.of_session(),
        *(lab for lab, _ in other_sessions.labs()),
    ]
    found = [_down(lab, name_of(lab)) for lab in known]
    clean(context)
    return sorted((one for one in found if one), key=lambda one: name_order(one.name))


def _stop(context: Context, labs: list[tuple[str, LabDir]]) -> list[LabStatus]:
    found = [_down(lab, name) for name, lab in sorted(labs, key=lambda one: name_order(one[0]))]
    clean(context)
    return [one for one in found if one]


def _down(lab: LabDir, name: str) -> LabStatus | None:
    found = live.find(lab)
    interrupted = claim.interrupt(lab, "lab.down")
    if found is None and not interrupted:
        return None
    if found is not None:
        lab.record(ending=True)
        if found.running and not interrupted and not stands.why(lab):
            collecting.collect_late(found)
    uptime = found.uptime if found and found.running else 0.0
    with live.sweeping():
        ending.stop(lab, rundir.FINISHED)
    words = str(interrupted) if interrupted else ""
    if found is None:
        return LabStatus(name, State.OFF, interrupted=words)
    return LabStatus(found.name, State.OFF, uptime, found.run.path, interrupted=words)
