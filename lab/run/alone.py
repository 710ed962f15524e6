"""Labs without dom0: Xen boots their guests from the device tree, and nobody can be asked.

There is nothing to wait for but Xen itself, so such a lab boots sooner than a template could be
restored, and none is made. Under the virtual clock the machine runs freely, and what it says is
shown up to moments of virtual time (:mod:`lab.machine.shared_console`): Xen stamps every line. So
it does not matter how far the machine has come meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import MachineError
from lab.machine import rtc, shared_console
from lab.machine.console import Follower
from lab.machine.qemu_command import Memory
from lab.model import Clock, Lab, State
from lab.run import traces, virtual_time
from lab.run.session import Session
from lab.run.start import Start
from lab.run.virtual_time import AFTERMATH, PATIENCE, VirtualStage
from lab.scenario.player import Player, Script
from lab.scenario.report import Report, StepResult

#: Seconds of the host after which the machine's clock is looked at, if no console says anything.
LOOK = 0.05


async def boot(session: Session, start: Start) -> None:
    """From off to guests that run, or are about to: nobody says when Xen is done."""
    plan, say = start.plan, start.progress
    with say.stage("machine"):
        await session.power_on(start, memory=Memory.ANONYMOUS)
    if plan.machine.clock is Clock.VIRTUAL:
        shared_console.limit(session.run.console_dir, 0.0)
        await _go(session)
        session.state = State.DOM0
    else:
        await _go(session)
        with say.stage("Xen"):
            await session.wait_xen()
        await session.let_run()
    session.guests_run()


async def _go(session: Session) -> None:
    """Let the machine run."""
    traces.note_start(session.run, time.time(), time.time())
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
