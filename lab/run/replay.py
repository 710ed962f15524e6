"""A machine that replays a recording, to wherever somebody wants to look at it.

It can only go forwards. So going back means to begin anew: at a place that was stored on the way,
or at the template (docs/internals/going-back.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from lab.debug.storable import Storable
from lab.errors import MachineError
from lab.machine import template
from lab.machine.gdbstub import MODE, Stub
from lab.machine.qmp import AT_BREAKPOINT, Qmp
from lab.machine.recording import Change, executed
from lab.machine.replayed_state import Unfit
from lab.machine.template import Template
from lab.progress import Progress
from lab.run import places, templates
from lab.run.places import Place, Places
from lab.run.session import Session
from lab.run.start import Start
from lab.util import waiting

#: Seconds of the host from one change to the next, at most. A replay that is not the recording may
#: wait for ever for what had happened then.
PATIENCE = 300.0
#: How many instructions take longer than to begin anew at a place behind them.
JUMP = 160_000_000
#: How many instructions, and how many interrupts, are searched for a place at which the machine can
#: be stored.
SEARCHED, INTERRUPTS = 40_000_000, 100
#: The state of a machine that a replay has stopped where it was to stop (qapi/run-state.json).
PAUSED = "paused"


class Replay:
    """The machine of a recording (``start.recording``), which has ended.

    Attributes:
        now: how many instructions it has executed where it stands.
        begin: how many when it was restored from the template.
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
        self._origin = self._template()
        self._places = Places(self._start, self._origin)
        self.now = self.begin = 0
        self.starts = 0

    def _template(self) -> Template:
        key = str(self._start.run.manifest().get("template"))
        stored = template.find(templates.root(), key)
        if stored is None:
            raise MachineError("the template of this run is gone", hint="leave, and begin anew")
        return stored

    async def aclose(self) -> None:
        """End the machine, and remove what was stored."""
        await self._end()
        await waiting.in_thread(self._places.clear)

    async def _end(self) -> None:
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

    async def stand_at(self, at: int, wish: asyncio.Event | None = None) -> None:
        """Stand where so many instructions have been executed. No breakpoint may be set.

        What was changed at this place is changed already. ``wish``: stop on the way there.

        Raises:
            MachineError: the replay is not the recording, or QEMU failed.
        """
        place = self._places.nearest(at)
        if self._session is None or at < self.now or (place and place.at > self.now + JUMP):
            await self._begin(place)
        while self.now < at and not (wish and wish.is_set()):
            async with self._towards(at) as control, _stopping(control, wish):
                if wish and wish.is_set():  # while we connected: the machine stands still
                    break
                await self.session.guarded(control.run_to_stop(PAUSED), PATIENCE, _late)
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

    async def explore(self, at: int, wish: asyncio.Event) -> None:
        """Stand there for the first time. Places on the way are stored, if the disk has room.

        ``wish``: stop on the way.
        """
        try:
            await self._begin(None, own=bool(self._places.wanted(0, at)))
            for wanted in self._places.wanted(self.begin, at):
                if wanted > self.now:  # else the search for the one before has passed it
                    await self.stand_at(wanted, wish)
                    await self._store(min(at, wanted + SEARCHED), wish)
        except OSError:  # the disk has no room, after all
            if not self.begin:
                await self._end()
        await self.stand_at(at, wish)

    async def _store(self, end: int, wish: asyncio.Event) -> None:
        """Store the next place that can be, before ``end``.

        Raises:
            OSError: the disk has no room.
        """
        storable = await Storable.of(self.stub)
        for _ in range(INTERRUPTS):
            if self.now >= end or wish.is_set() or not await self._meets(storable, end):
                break
            if await storable.here():
                with contextlib.suppress(Unfit):
                    await self._places.store(self.session, self.now, self._made)
                break
            await self.stand_at(self.now + 1)

    async def _meets(self, storable: Storable, end: int) -> bool:
        """Run to the next of these breakpoints; ``False``: it stands at ``end`` instead."""
        await storable.arm(True)
        try:
            while self.now < end:
                async with self._towards(end) as control:
                    step = control.run_to_stop(PAUSED, AT_BREAKPOINT)
                    why = await self.session.guarded(step, PATIENCE, _late)
                if why == AT_BREAKPOINT:
                    return True
        finally:
            await storable.arm(False)
        return False

    async def _begin(self, place: Place | None, *, own: bool = False) -> None:
        """Restore the machine at a place, or else at the template. ``own``: with memory of its own,
        so that it can be stored."""
        await self._end()
        stored = place.stored if place else self._origin
        self._session = Session(self._start.lab, self._start.run)
        self.starts += 1
        await templates.restore(self._session, self._start, stored, own=own)
        if place:
            await waiting.in_thread(places.fill_window, self._session, place)
        self._made = place.changes if place else 0
        async with self.session.sockets.control() as control:
            self.now = await executed(control)
        if place is None:
            self.begin = self.now
        elif self.now != place.at:
            raise MachineError("the replay is not the recording: it begins at another place")

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


@contextlib.asynccontextmanager
async def _stopping(control: Qmp, wish: asyncio.Event | None) -> AsyncIterator[None]:
    """While the block runs, stop the machine as soon as somebody wishes it."""

    async def stop(wish: asyncio.Event) -> None:
        await wish.wait()
        await control.execute("stop")

    stopping = asyncio.create_task(stop(wish)) if wish else None
    try:
        yield
    finally:
        if stopping and not (wish and wish.is_set()):  # else it ends by itself
            stopping.cancel()
        if stopping:
            await asyncio.gather(stopping, return_exceptions=True)


def _late(seconds: float) -> MachineError:
    return MachineError(
        f"the replay did not come to its place within {seconds:g} s",
        hint="is the machine very busy? What is typed on the consoles of Xen and dom0 is not "
        "recorded, so a run with that cannot be replayed",
    )
