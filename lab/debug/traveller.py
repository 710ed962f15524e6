"""Lets a run stand in the middle for GDB, and go on.

The run itself is played as always. Only where a breakpoint stops the machine it waits, for as long
as GDB looks. GDB's own breakpoints are among those: when GDB continues, the run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from lab.debug.passing import pass_on
from lab.debug.stopped import Place, Stopped
from lab.debug.targets import Target
from lab.machine.gdbstub import Stub
from lab.model import STEPS_ADDRESS, STEPS_APART

#: The instructions at which dom0 makes the machine's own stops.
STOPS = (STEPS_ADDRESS, STEPS_ADDRESS + STEPS_APART)
#: Seconds by which the machine may be early at a moment: the counter's resolution.
SOON = 1e-6
#: Decides whether a stop at an address counts for GDB.
Judge = Callable[[Stopped, int], Awaitable[bool]]


async def never(stopped: Stopped, thread: int) -> bool:
    """No stop counts."""
    del stopped, thread
    return False


class Traveller:
    """Traps of one execution of a run (:class:`lab.dom0.steps.Traps`).

    Attributes:
        target: where to stand next; ``None``: only at GDB's breakpoints.
        judge: whether a stop counts for GDB.
        trapped: it stands at a breakpoint, not at a stop of the machine's own.
        wish: stand at the machine's next own stop.
        others: the addresses of GDB's breakpoints.
    """

    def __init__(self, target: Target | None) -> None:
        self.target = target
        self.judge: Judge = never
        self.wish = False
        self.trapped = False
        self.others: Callable[[], set[int]] = set
        self.stopped: Stopped | None = None
        self.thread = 1
        self._stands = asyncio.Event()
        self._goes_on = asyncio.Event()
        self._set: set[int] = set()

    async def until_it_stands(self, play: asyncio.Task[Any]) -> bool:
        """Wait until the run stands; ``False`` if it ended instead."""
        standing = asyncio.create_task(self._stands.wait())
        try:
            await asyncio.wait([standing, play], return_when=asyncio.FIRST_COMPLETED)
            return self._stands.is_set()
        finally:
            standing.cancel()

    def go_on(self) -> None:
        """Let the run go on to its next stop."""
        self.wish = False
        self._stands.clear()
        self._goes_on.set()

    async def _stand(self) -> None:
        self.target = None
        self._stands.set()
        await self._goes_on.wait()
        self._goes_on.clear()

    # ------------------------------------------------------------ traps

    async def arm(self, stub: Stub) -> None:
        """Set the target's breakpoints, once in each machine."""
        if self.stopped is None or self.stopped.stub is not stub:
            self.stopped = Stopped(stub)
            await self.stopped.learn()
            self._set = set(self.target.addresses) if self.target else set()
            for address in self._set:
                await stub.set_breakpoint(address)
        await self.stopped.virtual()

    def latest(self) -> float | None:
        """When the machine must stop for the target, in seconds of dom0's counter."""
        return self.target.latest() if self.target else None

    def takes(self, address: int) -> bool:
        """Whether this stop is for us: every one is that the lab did not ask for."""
        del address
        return True

    async def hit(self, stub: Stub, address: int) -> bool:
        """Stand here if this is the moment or a breakpoint of GDB's; else go on."""
        assert self.stopped
        assert stub is self.stopped.stub
        self.stopped.moved()
        places = await self.stopped.places()
        place = next((one for one in places if one.pc == address), None) or self._hidden(places)
        address, thread = place.pc, place.thread
        if await self._is_here(address, thread) or await self.judge(self.stopped, thread):
            self.thread, self.trapped = thread, True
            await self._stand()
        await self.stopped.virtual()
        if address not in self._set | self.others() or await self._pc(thread) != address:
            return False
        return await pass_on(self.stopped, thread, address)

    def _hidden(self, places: Sequence[Place]) -> Place:
        """Where the machine stands, if the gdbstub's address is none of a PCPU: it is an old one
        while a guest of 32 bits runs on a machine of 64."""
        known = self._set | self.others()
        return next((one for one in places if one.pc in known), places[0])

    async def _pc(self, thread: int) -> int:
        assert self.stopped
        return (await self.stopped.place(thread)).pc

    async def _is_here(self, address: int, thread: int) -> bool:
        assert self.stopped
        if self.target is None or address not in self.target.addresses:
            return False
        return await self.target.reached(self.stopped, thread)

    async def came(self, now: float) -> None:
        """Stand at a stop of the machine's own, if the moment is over or GDB wants it."""
        latest = self.latest()
        if self.wish or (latest is not None and now >= latest - SOON):
            assert self.stopped
            self.stopped.moved()
            places = await self.stopped.places()
            own = [one.thread for one in places if one.pc in STOPS]
            self.thread, self.trapped = own[0] if own else places[0].thread, False
            await self._stand()
            await self.stopped.leave(self.thread)
