"""What GDB may ask of a run that is replayed: by instructions or to breakpoints, both ways.

If breakpoints count in a domain, an instruction is one of that domain. Before the first one after
Xen let it run again comes the last one before Xen was entered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from lab.debug import passing
from lab.debug.machine_view import TASK, MachineView
from lab.debug.rewinding import Breakpoints, Rewinder, Stop

#: GDB's packets that go back by one instruction, and to the last breakpoint.
STEP_BACK, GO_BACK = b"bs", b"bc"
BACK = STEP_BACK, GO_BACK


class History:
    """A run that is replayed, as GDB looks at it.

    ``look``: makes ``view`` show the machine that stands now, which may be another one than before.
    ``points``: GDB's breakpoints.
    """

    def __init__(self, view: MachineView, look: Callable[[], Awaitable[None]], rewinder: Rewinder,
                 points: Breakpoints) -> None:  # fmt: skip
        self.rewinder = rewinder
        self._view = view
        self._look = look
        self._points = points

    async def move(self, packet: bytes, thread: int, wish: asyncio.Event) -> Stop | None:
        """Do what a packet asks for. ``thread``: the one that is to make a step; 0: all run.

        ``None``: the replay ends or begins before that.
        """
        if packet == STEP_BACK:
            return await self._step_back(wish)
        if packet == GO_BACK:
            return await self.rewinder.go_back(self._points, wish)
        if not thread:
            return await self.rewinder.go_on(self._points, wish)
        return await self._step(thread, wish)

    async def _step(self, thread: int, wish: asyncio.Event) -> Stop | None:
        """One instruction; if the thread does not run now, come to where it goes on."""
        saved, on = await self._view.saved(thread), await self._view.pcpu(thread)
        if saved and not on and thread < TASK:
            return await self.rewinder.go_on(self._here([saved["pc"]]), wish)
        following = await self._after(on) if on and self._view.scope.domain else []
        stop = await self.rewinder.step()
        if stop and following and not await self._runs():
            return await self.rewinder.go_on(self._here(following), wish)  # Xen has it now
        return stop

    async def _after(self, pcpu: int) -> list[int]:
        """Where a domain may go on after Xen has handled what its instruction wants."""
        pc = (await self._view.stopped.place(pcpu)).pc
        return [pc + 2, pc + 4, *await passing.after(self._view.stopped, pcpu)]

    async def _step_back(self, wish: asyncio.Event) -> Stop | None:
        stop = await self.rewinder.step_back(wish)
        while stop and not stop.wished and self._view.scope.domain and not await self._runs():
            stopped = self._view.stopped
            base = await stopped.register(stopped.arch.vectors, stopped.threads[0])
            entries = self._here([base + one for one in stopped.arch.entries], inside=False)
            stop = await self.rewinder.go_back(entries, wish)
            if stop and not stop.wished:
                stop = await self.rewinder.step_back(wish)
        return stop

    async def _runs(self) -> bool:
        """Whether the domain runs where the machine stands now."""
        await self._look()
        return any(map(self._view.scope.has, await self._view.places()))

    def _here(self, addresses: Iterable[int], *, inside: bool = True) -> Breakpoints:
        """Breakpoints of our own. They count where the domain runs; if not ``inside``, where Xen
        was entered while the domain was the last that ran."""
        packets = [b"1,%x,4" % one for one in addresses]
        domain = self._view.scope.domain

        async def arm(wanted: bool) -> None:
            await self._look()
            for packet in packets:
                await self._view.stopped.stub.ask((b"Z" if wanted else b"z") + packet)

        async def counts(report: bytes) -> bool:
            del report
            if inside:
                return await self._runs()
            await self._look()
            places = await self._view.places()
            return any(domain is not None and one.vmid == domain.vmid for one in places)

        return Breakpoints(arm, counts)
