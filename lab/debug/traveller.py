"""Lets a run stand in the middle for GDB, and go on.

The run itself is played as always. Only where a breakpoint stops the machine it waits, for as long
as GDB looks. GDB's own breakpoints are among those: when GDB continues, the run goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lab.debug.stopped import Stopped
from lab.debug.targets import Target
from lab.machine.gdbstub import Stub
from lab.model import STEPS_ADDRESS, STEPS_APART

#: The instructions at which dom0 makes the machine's own stops.
STOPS = (STEPS_ADDRESS, STEPS_ADDRESS + STEPS_APART)
#: Decides whether a stop at an address counts for GDB.
Judge = Callable[[Stopped, int], Awaitable[bool]]


async def _never(stopped: Stopped, thread: int) -> bool:
    del stopped, thread
    return False


class Traveller:
    """Traps of one execution of a run (:class:`lab.dom0.steps.Traps`).

    Attributes:
        target: where to stand next; ``None``: only at GDB's breakpoints.
        judge: whether a stop counts for GDB.
        hits: how many stops counted for GDB so far.
        stand_at: stand only when so many did; 0: never for GDB; ``None``: at each.
        points: addresses that the machine stops at all the time, besides the target's.
        wish: stand at the machine's next own stop.
    """

    def __init__(self, target: Target | None) -> None:
        self.target = target
        self.judge: Judge = _never
        self.hits = 0
        self.stand_at: int | None = None
        self.points: set[int] = set()
        self.wish = False
        self.stopped: Stopped | None = None
        self.thread = 1
        self._stands = asyncio.Event()
        self._goes_on = asyncio.Event()
        self._set: set[int] = set()

    async def until_it_stands(self, play: asyncio.Task[object]) -> bool:
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

    async def arm(self, stub: Stub, until: float) -> None:
        """Set the target's breakpoints if it may come before the next stop."""
        if self.stopped is None:
            self.stopped = Stopped(stub)
            await self.stopped.learn()
            if self.target:
                await self.target.learn(self.stopped)
        wanted = set(self.points)
        if self.target and self.target.needed(until):
            wanted |= set(self.target.addresses)
        for address in wanted - self._set:
            await stub.set_breakpoint(address)
        for address in self._set - wanted:
            await stub.clear_breakpoint(address)
        self._set = wanted
        await self.stopped.virtual()

    def takes(self, address: int) -> bool:
        """Whether this stop is for us: every one is that the lab did not ask for."""
        del address
        return True

    async def hit(self, stub: Stub, address: int) -> None:
        """Stand here if this is the moment or a breakpoint of GDB's; else go on."""
        assert self.stopped
        self.stopped.moved()
        places = await self.stopped.places()
        thread = next((one.thread for one in places if one.pc == address), places[0].thread)
        if await self._is_here(address, thread) or await self._counts(thread):
            self.thread = thread
            await self._forget_points(stub)
            await self._stand()
            await self.arm(stub, 0.0)
        await self.stopped.virtual()
        if await self.stopped.register("pc", thread) == address:
            await stub.step(thread)

    async def _forget_points(self, stub: Stub) -> None:
        """From now on GDB itself sets breakpoints."""
        for address in self.points & self._set:
            await stub.clear_breakpoint(address)
        self._set -= self.points
        self.points, self.stand_at = set(), None

    async def _is_here(self, address: int, thread: int) -> bool:
        assert self.stopped
        if self.target is None or address not in self.target.addresses:
            return False
        return await self.target.reached(self.stopped, thread)

    async def _counts(self, thread: int) -> bool:
        assert self.stopped
        found = await self.judge(self.stopped, thread)
        self.hits += found
        return found and self.stand_at in (None, self.hits)

    async def came(self, now: float) -> None:
        """Stand at a stop of the machine's own, if the moment is over or GDB wants it."""
        if self.wish or (self.target and self.target.over(now)):
            assert self.stopped
            self.stopped.moved()
            places = await self.stopped.places()
            own = [one.thread for one in places if one.pc in STOPS]
            self.thread = own[0] if own else places[0].thread
            await self._stand()
            await self.stopped.virtual()
            await self.stopped.select(self.thread)
