"""What can be done with a lab that runs, or ran."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from lab import config, rundir
from lab import plan as planning
from lab.api.context import Context, Up, attached, clean
from lab.api.other_sessions import running
from lab.dom0.agent import ProgramResult
from lab.errors import UsageError
from lab.machine import pulse, quota, stamps
from lab.machine.lines import tail
from lab.machine.logs import FIRST_LINES, first_lines, follow, lines_of, merged
from lab.model import GuestImage, GuestSpec
from lab.run import claim, guests, lifecycle, live
from lab.run.session import Session
from lab.rundir import RunDir
from lab.toolchain import adopt
from lab.util import signals
from lab.util.deadline import Deadline


def execute(context: Context, name: str, line: str, within: float = 60.0) -> ProgramResult:
    """Run a command line in dom0; it is split into words as a shell does, without a shell."""
    try:
        argv = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the command cannot be split into words: {error}") from error
    if not argv:
        raise UsageError("the command is empty", hint='for example: lab.exec hello "xl list"')
    found = running(context, name)

    async def go() -> ProgramResult:
        async with attached(found) as session:
            return await session.execute(argv, within)

    return signals.run(go())


def inject(context: Context, name: str, guest: str) -> Up:
    """Build a guest if needed and create it in a running lab; one of its name is replaced."""
    clock = Deadline(0)
    found = running(context, name)
    spec = config.find_guest(context.labs(), guest, into=name)
    workshop = context.workshop(found.door)
    image = workshop.guests([spec])[guest]
    if lab := context.labs().labs.get(name):
        guests.check_room(context.file.absolute(), lab, {guest: image})
    lifecycle.keep_elf(found.run, image)

    async def go() -> Up:
        async with attached(found) as session:
            with context.progress.stage(f"guest {guest}") as stage:
                start = await create(session, spec, image, stage.note)
            lines = await first_lines(found.run, {guest: start}, FIRST_LINES)
            domains = await session.domains()
            return Up(name, found.run.path, domains, lines, session.marks, clock.elapsed())

    return signals.run(go())


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
    if on in (None, "xen") and "xen" in found and stamps.are_wrong(found["xen"]):
        context.progress.say(stamps.NOTICE)
    if on is not None:
        if on not in found:
            known = ", ".join(found) or "none"
            raise UsageError(f"run {folder.path} has no console {on}", hint=f"there are: {known}")
        found = {on: found[on]}
    if following:
        if why := pulse.why_stopped(context.lab_dir(name).tag):
            context.progress.say(f"{why.message}; {why.hint}")
        lab = live.find(context.lab_dir(name))
        return follow(found, adopt(lab.record) if lab and lab.record else None)
    return lines_of(found[on]) if on else merged(found, folder.times_file)


def tails(run: Path, lines: int = 25) -> dict[str, str]:
    """The last lines of every console of a run folder, escaped, by the console's name."""
    return {name: tail(log, lines) for name, log in RunDir(run).consoles().items()}


def _run_of(context: Context, name: str) -> RunDir:
    found = live.find(context.lab_dir(name))
    folder = found.run if found else rundir.latest_run(context.runs, name)
    if folder is None:
        config.find_lab(context.labs(), name)
        if command := claim.maker(context.lab_dir(name)):
            raise UsageError(f"lab {name} is being prepared by {command}",
                             hint="it says nothing yet; wait for it to boot")  # fmt: skip
        raise UsageError(f"lab {name} never ran", hint=f"start it: ./inv lab.up {name}")
    return folder
