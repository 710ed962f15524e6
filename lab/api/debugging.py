"""GDB in a running lab."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lab import config
from lab.api.context import Context, attached
from lab.api.other_sessions import running
from lab.debug import dumping, guardian, launch, server, symbols
from lab.debug.launch import Session
from lab.debug.monitor import LabMonitor
from lab.debug.scope import EVERYWHERE, XEN
from lab.errors import LabError, UsageError
from lab.model import (
    Domain,
    FreeRtosApp,
    GuestSpec,
    HypervisorSpec,
    Project,
    Toolchain,
    guest_names,
)
from lab.progress import Progress
from lab.run import stands
from lab.run.live import Live
from lab.toolchain import open_toolchain
from lab.util import process, signals, waiting
from lab.util.resources import resource

#: The file beside a lab's runs that an editor starts as its GDB.
EDITOR_GDB = "debugger"


@dataclass(frozen=True)
class DebugOptions:
    """How GDB is used.

    Attributes:
        on: where breakpoints count; empty: in the lab's first guest.
        command: a file with commands of GDB's. ``batch``: leave when they are done.
        mi: speak GDB's machine interface on standard input and output.
        serve: start no GDB, but wait for those of an editor until we are interrupted.
        begin: GDB's arguments that connect it.
        branch: keep what is executed as a run of its own, which goes on to its verdict when GDB
            leaves. Only at a moment of a run.
        confined: GDB, whose commands can run programs, sees and uses no more than it needs.
    """

    on: str = ""
    command: Path | None = None
    batch: bool = False
    mi: bool = False
    serve: bool = False
    begin: tuple[str, ...] = ("-ex", launch.CONNECT)
    branch: bool = False
    confined: bool = False

    def arguments(self) -> list[str]:
        """GDB's arguments."""
        words = ["--batch"] if self.batch else []
        words += ["-i=mi", "-iex", "set mi-async on"] if self.mi else []  # for -exec-interrupt
        words += self.begin
        return words + (["-x", str(self.command.absolute())] if self.command else [])


def debug(context: Context, name: str, options: DebugOptions) -> int:
    """Open GDB in a running lab; returns GDB's exit status. The lab goes on when GDB leaves.

    Raises:
        UsageError: the lab does not run, there is no such place, a file of symbols has changed.
        BusyError: another debugger has the lab. MachineError: the machine ended meanwhile.
        ToolchainError: there is no GDB.
    """
    if options.command and not options.command.is_file():
        raise UsageError(f"there is no file {options.command}")
    found = running(context, name, standing_too=True)
    known = symbols.of_run(found.run, iter(sources(context, name)))
    toolchain = toolchain_of(context)
    stood = stands.domains(found.lab)
    domains = (
        signals.run(_domains(found, context.progress.say)) if not stands.why(found.lab) else []
    )
    names = stood or guest_names(domains)
    on = options.on or next((one for one in names.values() if one in found.guests), EVERYWHERE)
    _check_place(on, domains)
    session = Session(found.lab, found.run, known, on)
    attend = partial(_attend, context, toolchain, session, options)
    with guardian.watching(found.lab) as holding:
        return signals.run(_debug(found, names, attend, holding))


async def _debug(
    found: Live, names: Mapping[int, str], attend: Callable[[LabMonitor], Awaitable[int]],
    holding: Callable[[bool], None],
) -> int:  # fmt: skip
    async with server.attached(found.lab, holding=holding) as stub:
        from lab.machine import qmp

        dump = dumping.through(partial(qmp.connected, found.lab.qmp_socket), found.lab)
        monitor = await server.look(stub, dump, names)
        try:
            return await attend(monitor)
        finally:
            if stands.why(found.lab):
                stands.note(found.lab, "", {})  # it goes on now


async def _attend(
    context: Context, toolchain: Toolchain, session: Session, options: DebugOptions,
    monitor: LabMonitor,
) -> int:  # fmt: skip
    """Serve GDBs until ours has ended, or until we are interrupted."""
    async with server.listening(session.lab, monitor) as serving:
        if options.serve:
            await _serve(context, toolchain, session)
        status = await run_gdb(toolchain, session, options)
        if serving.failure:
            raise serving.failure
        return status


async def run_gdb(toolchain: Toolchain, session: Session, options: DebugOptions) -> int:
    """Run GDB on our terminal to its end; returns its exit status."""
    scripts = [options.command.absolute()] if options.command else []
    session = replace(session, confined=options.confined)
    line = launch.command_line(toolchain, session, options.arguments(), scripts)
    try:
        with process.on_terminal(line) as gdb:
            await waiting.ends(gdb.pid)
            return gdb.wait()
    finally:
        session.forget()


async def _serve(context: Context, toolchain: Toolchain, session: Session) -> None:
    """Write the GDB of an editor, and wait until we are interrupted."""
    script = context.runs / session.run.path.parent.name / EDITOR_GDB
    line = launch.editors_line(toolchain, session, context.file.absolute().parent)
    script.write_text(launch.script(line))
    script.chmod(0o755)
    context.progress.say(f"an editor's GDB: {script}")
    context.progress.say(f"it connects with: target remote {session.lab.path / server.SOCKET}")
    context.progress.say("the machine stands still until GDB continues it; Ctrl-C ends this")
    try:
        await asyncio.Event().wait()
    finally:
        script.unlink(missing_ok=True)
        session.forget()


async def _domains(found: Live, say: Callable[[str], None]) -> list[Domain]:
    """The domains, as dom0 knows them while it still runs; none if it does not answer."""
    try:
        async with attached(found) as session:
            return await session.domains()
    except LabError as error:
        say(f"domains have numbers here, as dom0 does not tell their names: {error.message}")
    return []


def toolchain_of(context: Context) -> Toolchain:
    """The toolchain that has GDB. A container's door has no terminal."""
    door = "rootfs" if context.door in (None, "docker") else str(context.door)
    return open_toolchain(door, progress=context.progress.say)


def _check_place(on: str, domains: list[Domain]) -> None:
    known = [XEN, *("dom0" if one.id == 0 else one.name for one in domains), EVERYWHERE]
    if domains and on not in known:
        raise UsageError(f"there is no {on} in this lab", hint=f"--on: one of {', '.join(known)}")


def sources(context: Context, name: str) -> Iterator[tuple[str, Path]]:
    """Where the sources of a lab's guests and of its Xen are: name in the ELF file → folder."""
    try:
        lab = config.find_lab(context.labs(), name)
    except LabError:  # labs.yaml has changed since
        return
    yield "port", resource("images", "freertos", "port")
    if named := os.environ.get("FREERTOS_KERNEL"):  # as when a guest is built
        yield "kernel", Path(named).absolute()
    elif any(isinstance(one.program, FreeRtosApp) and not one.program.kernel_tree
           for one in (*lab.guests, *lab.later)):  # fmt: skip
        with contextlib.suppress(LabError):  # without it the debugger works, too
            quiet = replace(context, progress=Progress(quiet=True))
            yield "kernel", quiet.workshop().kernel_source()
    for guest in (*lab.guests, *lab.later):
        yield from _of_guest(guest)
    yield from _of_xen(lab.hypervisor)


def _of_guest(guest: GuestSpec) -> Iterator[tuple[str, Path]]:
    if isinstance(guest.program, FreeRtosApp):
        yield "app", guest.program.app
        if guest.program.kernel_tree:
            yield "kernel", guest.program.kernel_tree
    if isinstance(guest.program, Project):
        yield "/build/project", guest.program.project


def _of_xen(hypervisor: HypervisorSpec) -> Iterator[tuple[str, Path]]:
    if hypervisor.source:
        yield "/build/xen/tree", hypervisor.source
