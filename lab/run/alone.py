"""Labs without dom0: Xen boots their guests from the device tree, and nobody can be asked.

On the host's clock such a lab is stored as a template when Xen has booted: the guests have begun to
run, and what they said by then is in the template. QEMU does not restore a machine exactly
(:mod:`lab.machine.device_state`), and no program in the machine makes up for it in the same way
every time. So under the virtual clock the machine is stored when it was switched on, with all files
in its memory, before the first instruction. A run out of a template is then the same as any other.

Under the virtual clock the machine runs freely, and what it says is shown up to moments of virtual
time (:mod:`lab.machine.shared_console`): Xen stamps every line. So it does not matter how far the
machine has come meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import MachineError
from lab.machine import rtc, shared_console
from lab.machine.console import AwaitedLine, Follower, WaitEnd
from lab.machine.qemu_command import Memory
from lab.machine.template import Template
from lab.model import Clock, Lab, State
from lab.run import templates, traces, virtual_time
from lab.run.session import XEN, Session
from lab.run.start import Start
from lab.run.virtual_time import AFTERMATH, PATIENCE, VirtualStage
from lab.scenario.player import Player, Script
from lab.scenario.report import Report, StepResult
from lab.util.deadline import Deadline

#: What Xen prints right before it lets its guests run (``free_init_memory`` in
#: xen/arch/arm), and what the first of them says.
BOOTED = re.compile(r"Freed \d+kB init memory|\bDOM\d+: ")
#: Seconds of the host after which the machine's clock is looked at, if no console says anything.
LOOK = 0.05


async def boot(
    session: Session, start: Start, *, cold: bool = False, stored: Template | None = None
) -> None:
    """From off to guests that run, or are about to. ``stored``: out of this template.

    ``cold``: no template is used or stored.
    """
    plan, say = start.plan, start.progress
    virtual = plan.machine.clock is Clock.VIRTUAL
    if not cold and stored is None:
        stored = await templates.find_first(start)
    if stored:
        await templates.restore(session, start, stored)
    else:
        with say.stage("machine"):
            await session.power_on(start, memory=Memory.ANONYMOUS if cold else Memory.OWN)
        traces.note_start(session.run, time.time(), time.time())
    make = not cold and stored is None
    storing: list[asyncio.Task[None]] = []
    try:
        if virtual:
            if make:
                await _store(session, start, storing, booted=False)
            shared_console.limit(session.run.console_dir, 0.0)
            await _go(session)
            session.state = State.DOM0
        else:
            await _to_guests(session, start, storing, make=make)
    except asyncio.CancelledError:
        for one in storing:
            one.cancel()
        raise
    finally:
        await asyncio.gather(*storing, return_exceptions=True)
    session.guests_run()


async def _store(
    session: Session, start: Start, storing: list[asyncio.Task[None]], *, booted: bool
) -> None:
    """Begin to store the machine, which stands still. Without a template the lab runs, too."""
    try:
        storing.append(await templates.store_alone(session, start, booted=booted))
    except MachineError as error:
        start.progress.say(f"no template is stored: {error.message}")


async def _to_guests(
    session: Session, start: Start, storing: list[asyncio.Task[None]], *, make: bool
) -> None:
    """Let the machine run on the host's clock until its guests do, and ``make`` a template.

    ``storing`` gets the task that stores it.
    """
    await _go(session)
    with start.progress.stage("Xen"):
        await session.wait_xen()
        booted = make and await _has_booted(session)
    if booted:
        async with session.sockets.control() as control:
            await session.guarded(control.execute("stop"))
        await _store(session, start, storing, booted=True)
        await _go(session)
    elif make:
        start.progress.say("no template is stored: Xen did not say that it has booted")
    await session.let_run()


async def _has_booted(session: Session) -> bool:
    """Wait until Xen lets its guests run; whether it said so."""
    with Follower({"xen": session.run.console("xen")}) as follower:
        wait = follower.wait_for(AwaitedLine("xen", BOOTED), Deadline(XEN), session.ended)
        return (await session.guarded(wait)).outcome is WaitEnd.SEEN


async def _go(session: Session) -> None:
    """Let the machine run."""
    async with session.sockets.control() as control:
        await session.guarded(control.execute("cont"))


async def _seconds(session: Session) -> int:
    """The machine's own time in whole seconds."""
    async with session.sockets.control() as control:
        return await session.guarded(rtc.seconds(control))


class AloneStage(VirtualStage):
    """A machine that runs freely. Times are Xen's: seconds since it was switched on."""

    def __init__(self, session: Session, follower: Follower, files: Mapping[str, Path]) -> None:
        super().__init__(files)
        self._session = session
        self._follower = follower
        self._consoles = session.run.console_dir
        self._over = False

    def ended(self) -> bool:
        return self._over

    async def wait(self, until: float, done: asyncio.Future[Any] | None) -> None:
        del done  # no step of such a lab acts
        await self._to_next(until)

    async def aftermath(self, *, alive: bool) -> None:
        del alive
        await self._to(self._at + AFTERMATH)

    async def _to(self, at: float) -> None:
        """Show all that was said up to this time, once the machine is beyond it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._is_beyond(at):
                    if self._session.ended.is_set():
                        self._over = True
                        break
                    await self._follower.change(LOOK, self._session.ended)
        except TimeoutError as error:
            raise MachineError(f"the machine did not reach {at:g} s of its own time") from error
        self._at = at
        shared_console.limit(self._consoles, None if self._over else at)

    async def _is_beyond(self, at: float) -> bool:
        if shared_console.last_stamp(self._consoles) > at:
            return True
        # Xen's time begins some milliseconds after the machine's, which is known in seconds.
        return not self._session.ended.is_set() and await _seconds(self._session) >= at + 1


async def watch(
    session: Session, lab: Lab, note: Callable[[StepResult], None], file: str
) -> Report:
    """Play the lab's scenario until it is decided. All times are virtual."""
    files = session.run.consoles()
    with Follower(files) as follower:
        stage = AloneStage(session, follower, files)
        try:
            report = await Player(Script(lab, files, file), stage, None, note).play()
        finally:
            stage.close()
    results = virtual_time.dated(session.run, report.results, 0.0)
    return replace(report, results=tuple(results))
