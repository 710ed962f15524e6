"""What can be done with a lab that runs, or ran."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab import config, lifecycle, live, rundir
from lab import plan as planning
from lab.api.context import Context, Status, Up, attached, clean, running
from lab.dom0.agent import Result
from lab.errors import LabError, UsageError
from lab.live import Live
from lab.machine import interactive, quota
from lab.machine.lines import tail
from lab.machine.logs import FIRST_LINES, first_lines, follow, lines_of, merged
from lab.model import Domain, GuestImage, GuestSpec, Lab, State
from lab.rundir import RunDir
from lab.session import Session
from lab.toolchain import adopt
from lab.util import refusals
from lab.util.deadline import Deadline


def status(context: Context, name: str | None = None) -> list[Status]:
    """The lab ``name``, or all labs of this user that run.

    Of all labs, one whose dom0 does not answer has a ``problem``; the others are not concerned.

    Raises:
        LabError: dom0 of the lab ``name`` does not answer.
    """
    clean(context)
    if name is None:
        found = [live.find(lab) for lab in rundir.all_lab_dirs()]
        return [_any_status(one) for one in found if one]
    one = live.find(context.lab_dir(name))
    if one:
        return [_status(one)]
    last = rundir.latest_run(context.runs, name)
    if last is None:
        config.find_lab(context.labs(), name)
    return [Status(name, State.OFF, run=last.path if last else None)]


def list_labs(context: Context) -> list[Status]:
    """The labs of labs.yaml, with their state."""
    clean(context)
    return [_listed(context, lab) for lab in context.labs().labs.values()]


def execute(context: Context, name: str, line: str, within: float = 60.0) -> Result:
    """Run a command line in dom0; it is split into words as a shell does, without a shell."""
    try:
        argv = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the command cannot be split into words: {error}") from error
    if not argv:
        raise UsageError("the command is empty", hint='for example: lab.exec hello "xl list"')
    found = running(context, name)

    async def go() -> Result:
        async with attached(found) as session:
            return await session.execute(argv, within)

    return asyncio.run(go())


def inject(context: Context, name: str, guest: str) -> Up:
    """Build a guest if needed and create it in a running lab; one of its name is replaced."""
    clock = Deadline(0)
    found = running(context, name)
    spec = config.find_guest(context.labs(), guest, into=name)
    workshop = context.workshop(found.door)
    image = workshop.guests([spec])[guest]
    lifecycle.keep_elf(found.run, image)

    async def go() -> Up:
        async with attached(found) as session:
            with context.progress.stage(f"guest {guest}") as stage:
                start = await create(session, spec, image, stage.note)
            lines = await first_lines(found.run, {guest: start}, FIRST_LINES)
            domains = await session.domains()
            return Up(name, found.run.path, domains, lines, session.marks, clock.elapsed())

    return asyncio.run(go())


async def create(
    session: Session,
    spec: GuestSpec,
    image: GuestImage,
    seen: Callable[[str], None] = lambda _: None,
) -> int:
    """Create a guest, with a console and a trace of its own; where in the log its lines begin."""
    await session.add_console(spec.name)
    if spec.trace:
        await session.add_trace(spec.name)
    start = session.run.console(spec.name).stat().st_size
    await session.inject(planning.guest_plan(spec), image, seen)
    return start


def logs(context: Context, name: str, on: str | None, following: bool = False) -> Iterator[str]:
    """The consoles of the lab's newest run, escaped: one, or all in time order."""
    clean(context)
    folder = _run_of(context, name)
    found = folder.consoles()
    for loud, count in quota.lost(folder).items():
        context.progress.say(f"{loud} said at least {count} bytes more than its log may hold")
    if on is not None:
        if on not in found:
            known = ", ".join(found) or "none"
            raise UsageError(f"run {folder.path} has no console {on}", hint=f"there are: {known}")
        found = {on: found[on]}
    if following:
        lab = live.find(context.lab_dir(name))
        return follow(found, adopt(lab.record) if lab and lab.record else None)
    return lines_of(found[on]) if on else merged(found, folder.times_file)


def tails(run: Path, lines: int = 25) -> dict[str, str]:
    """The last lines of every console of a run folder, escaped, by the console's name."""
    return {name: tail(log, lines) for name, log in RunDir(run).consoles().items()}


def console(context: Context, name: str, on: str | None) -> None:
    """A person's terminal on a console, until they leave."""
    found = running(context, name)
    known = list(found.run.consoles())
    chosen = on or next((one for one in known if one not in ("xen", "dom0")), "dom0")
    if chosen not in known:
        raise UsageError(f"lab {name} has no console {chosen}", hint=f"one of: {', '.join(known)}")
    if found.record is None:
        raise UsageError(f"nothing is recorded of the machine of lab {name}")
    log = found.run.console(chosen)
    interactive.attach(chosen, found.lab.path, log, adopt(found.record))


def _status(found: Live) -> Status:
    uptime = max(0.0, time.time() - float(found.run.manifest().get("started") or time.time()))

    async def domains() -> list[Domain]:
        async with attached(found) as session:
            return await session.domains()

    seen = asyncio.run(domains()) if found.running else []
    return Status(found.name, found.state, uptime, found.run.path, seen)


def _any_status(found: Live) -> Status:
    try:
        return _status(found)
    except LabError as error:
        return Status(found.name, found.state, run=found.run.path, problem=error.message)


def _listed(context: Context, lab: Lab) -> Status:
    found = live.find(context.lab_dir(lab.name))
    refused = [one for guest in (*lab.guests, *lab.later) for one in guest.refused]
    return Status(
        lab.name,
        found.state if found else State.OFF,
        run=found.run.path if found else None,
        guests=[guest.name for guest in lab.guests],
        description=lab.description,
        problem=str(refusals.refusal(refused)) if refused else "",
    )


def _run_of(context: Context, name: str) -> RunDir:
    found = live.find(context.lab_dir(name))
    folder = found.run if found else rundir.latest_run(context.runs, name)
    if folder is None:
        config.find_lab(context.labs(), name)
        raise UsageError(f"lab {name} never ran", hint=f"start it: ./inv lab.up {name}")
    return folder
