"""Guests of labs.yaml: built alone, or built and created in a lab that runs."""

from __future__ import annotations

from collections.abc import Callable

from lab import config
from lab import plan as planning
from lab.api import drift
from lab.api.context import Context, attached, clean
from lab.api.other_sessions import running
from lab.api.results import Up
from lab.config.arch import too_wide
from lab.machine.console_text import FIRST_LINES, first_lines
from lab.model import ARCHITECTURES, Architecture, GuestImage, GuestSpec
from lab.run import guests, manifest
from lab.run.channel import no_dom0
from lab.run.live import Live, without_dom0
from lab.run.session import Session
from lab.util import signals
from lab.util.deadline import Deadline


def guest_build(context: Context, name: str) -> GuestImage:
    """Build a guest of labs.yaml. If the context has no architecture, for that of the labs which
    have the guest, else for the first one that runs it.

    Raises:
        GuestError: it does not compile. ConfigError: it is too wide for the architecture.
    """
    clean(context)
    spec = config.find_guest(context.labs(), name, arch=context.arch)
    workshop = context.workshop(arch=context.arch or _usual(context, spec))
    built = workshop.guests([spec])[name]
    drift.tell(context, workshop)
    return built


def inject(context: Context, name: str, guest: str) -> Up:
    """Build a guest if needed, and create it in a running lab; a guest of its name is replaced.

    Raises:
        UsageError: there is no such guest or lab, the lab has no dom0, or dom0 has no room.
        GuestError: it does not build. ToolstackError: xl refuses it.
        Dom0Error: dom0 does not answer.
    """
    clock = Deadline(0)
    found = running(context, name)
    spec, image = ready(context, found, guest)
    if lab := context.labs().labs.get(name):
        guests.check_room(context.file.absolute(), lab, {guest: image})

    async def go() -> Up:
        async with attached(found) as session:
            with context.progress.stage(f"guest {guest}") as stage:
                start = await create(session, spec, image, stage.note)
            lines = await first_lines(found.run, {guest: start}, FIRST_LINES)
            domains = await session.domains()
            return Up(name, found.run.path, domains, lines, session.marks, clock.elapsed())

    return signals.run(go())


def ready(context: Context, found: Live, guest: str) -> tuple[GuestSpec, GuestImage]:
    """A guest for a lab that runs: built if needed. The run keeps its symbols.

    Raises:
        UsageError: there is no such guest, or the lab has no dom0. ConfigError: it is too wide for
            the lab's architecture. GuestError: it does not build.
    """
    if without_dom0(found.lab):
        raise no_dom0()
    arch = found.arch
    labs = context.labs()
    spec = config.find_guest(labs, guest, into=found.name, arch=arch)
    lab = labs.labs.get(found.name)
    beside = lab.hypervisor if lab else None
    image = context.workshop(found.door, arch).guests([spec], beside)[guest]
    manifest.keep_elf(found.run, image)
    return spec, image


def _usual(context: Context, spec: GuestSpec) -> Architecture:
    """The architecture of all labs that have a guest; if they differ, the first that runs it."""
    labs = context.labs().labs.values()
    users = {lab.arch for lab in labs for one in (*lab.guests, *lab.later) if one.name == spec.name}
    fit = [one for one in ARCHITECTURES if not too_wide([spec], one)]
    used = [one for one in fit if one in users]
    return used[0] if len(used) == 1 else fit[0]


async def create(
    session: Session,
    spec: GuestSpec,
    image: GuestImage,
    seen: Callable[[str], None] = lambda _: None,
) -> int:
    """Create a guest with its own console and trace; returns where in the log its lines begin.

    ``seen`` hears what is being done. A domain that is replaced may print until it is gone.
    """
    log, begin = session.run.console(spec.name), 0

    def step(what: str) -> None:
        nonlocal begin
        begin = log.stat().st_size  # the last step is that xl creates the domain
        seen(what)

    for console in spec.consoles:
        await session.add_console(console)
    if spec.trace:
        await session.add_trace(spec.name)
    await session.inject(planning.guest_plan(spec), image, step)
    return begin
