"""A machine that replays a recording, to wherever somebody wants to look at it.

It can only go forwards. So going back means to begin anew, from the template. QEMU's own way back,
from states that it has stored, does not work for these machines (docs/internals/going-back.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from lab.errors import MachineError
from lab.machine import template
from lab.machine.gdbstub import MODE, Stub
from lab.machine.qmp import Qmp
from lab.machine.recording import Change, executed
from lab.progress import Progress
from lab.run import templates
from lab.run.session import Session
from lab.run.start import Start

#: The state of a machine that a replay has stopped where it was to stop (qapi/run-state.json).
PAUSED = "paused"


class Replay:
    """The machine of a recording (``start.recording``), which has ended.

    Attributes:
        now: how many instructions it has executed where it stands.
        begin: how many when it was restored.
        starts: how often it was begun.
    """

    def __init__(self, start: Start) -> None:
        assert start.recording
        self._start = replace(
            start, recording=replace(start.recording, replays=True), progress=Progress(quiet=True)
        )
        self._changes = list(start.recording.changes.made)
        self._made = 0
        self._session: Session | None = None
        self.now = self.begin = 0
        self.starts = 0

    async def aclose(self) -> None:
        """End the machine."""
        if self._session:
            await self._session.power_off()
        self._session = None

    @property
    def session(self) -> Session:
        """The session of the machine that stands."""
        assert self._session
        return self._session

    @property
    def stub(self) -> Stub:
        found: Stub = self.session.at_stop.machine
        return found

    async def stand_at(self, at: int) -> None:
        """Stand where so many instructions have been executed. No breakpoint may be set.

        What was changed at this place is changed already.

        Raises:
            MachineError: the replay is not the recording, or QEMU failed.
        """
        if self._session is None or at < self.now:
            await self._restore()
        while self.now < at:
            async with self._towards(at) as control:
                await self.session.guarded(control.run_to_stop(PAUSED))
        await self._change()

    async def run_to(self, at: int, wish: asyncio.Event) -> bytes:
        """Run until a breakpoint stops the machine; returns the gdbstub's report of that.

        Empty: nothing has stopped it before ``at``, where it stands. ``wish``: stop it.
        """
        while self.now < at:
            async with self._towards(at):
                report = await self.stub.resume(b"vCont;c", wish)
            if self.now < self._stop or wish.is_set():
                return report
        await self._change()
        return b""

    async def _restore(self) -> None:
        await self.aclose()
        start = self._start
        stored = template.find(templates.root(), str(start.run.manifest().get("template")))
        if stored is None:
            raise MachineError("the template of this run is gone", hint="leave, and begin anew")
        self._session = Session(start.lab, start.run)
        self._made = 0
        self.starts += 1
        await templates.restore(self._session, start, stored)
        async with self.session.sockets.control() as control:
            self.now = self.begin = await executed(control)

    @contextlib.asynccontextmanager
    async def _towards(self, at: int) -> AsyncIterator[Qmp]:
        """Make the changes that are due here. The block lets the machine run, to ``at`` or to the
        next change at most."""
        await self._change()
        ahead = [one.at for one in self._changes[self._made :]]
        self._stop = min([at, *ahead])
        async with self.session.sockets.control() as control:
            await control.execute("replay-break", {"icount": self._stop})
            try:
                yield control
            finally:
                self.now = await executed(control)
                await control.execute("replay-delete-break")

    async def _change(self) -> None:
        while self._made < len(self._changes) and self._changes[self._made].at <= self.now:
            await self._make(self._changes[self._made])
            self._made += 1

    async def _make(self, change: Change) -> None:
        if change.at != self.now:
            raise MachineError("the replay is not the recording: it has passed a stop")
        for at, data in change.window:
            self.session.at_stop.window.write(at, data)
        before = self.stub.physically
        for physically, packet in change.packets:
            await self.stub.ask(b"%s%d" % (MODE, physically))
            if await self.stub.ask(packet) != b"OK":
                raise MachineError("the replay is not the recording: a stop differs")
        await self.stub.ask(b"%s%d" % (MODE, before))
