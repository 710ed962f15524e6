"""Finds the places at which a replay can be stored.

QEMU does not store when the timer of EL2 is due, which Xen uses (:mod:`lab.machine.device_state`).
A replay must not have it any earlier or later than the recording. So it is stored where that timer
is not set: Xen enters its handler for the timer's interrupt, and sets it anew only afterwards.
"""

from __future__ import annotations

from lab.debug.stopped import Stopped
from lab.machine.device_state import ENABLE, PENDING
from lab.machine.gdbstub import Stub

#: The register that says whether the timer is set.
TIMER = "CNTHP_CTL_EL2"


class Storable:
    """Breakpoints at Xen's handlers of interrupts."""

    def __init__(self, stopped: Stopped, base: int) -> None:
        self._stopped = stopped
        self._addresses = [base + one for one in stopped.arch.interrupts]

    @classmethod
    async def of(cls, stub: Stub) -> Storable:
        """Those of the machine that stands there."""
        stopped = Stopped(stub)
        await stopped.learn()
        return cls(stopped, await stopped.register(stopped.arch.vectors, stopped.threads[0]))

    async def arm(self, wanted: bool) -> None:
        """Set the breakpoints, or remove them."""
        for address in self._addresses:
            if wanted:
                await self._stopped.stub.set_breakpoint(address)
            else:
                await self._stopped.stub.clear_breakpoint(address)

    async def here(self) -> bool:
        """Whether the machine can be stored where it stands now."""
        self._stopped.moved()
        timer = await self._stopped.register(TIMER, self._stopped.threads[0])
        return not timer & ENABLE or bool(timer & PENDING)
