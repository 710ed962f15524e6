"""Moments of a run at which it is to stand: a time, before a text, before a crash.

A moment must be the same instruction each time the run is executed. So a machine stops only at
breakpoints. A time is reached at the first interrupt that enters Xen at or after it: an expired
timer says then what time it is at least.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lab.debug import processor
from lab.debug.crashes import END, FAULT
from lab.debug.stopped import Place, Stopped
from lab.errors import UsageError
from lab.util import symbols

#: The register with the address of Xen's vectors, and the entry for interrupts (Arm ARM, "Hyp mode
#: vector table").
VECTORS, INTERRUPT = "VBAR_EL2", 0x18
#: Timers: control, compare value, and what is added to get the physical counter's value.
_TIMERS = (("CNTHP_CTL_EL2", "CNTHP_CVAL", ""), ("CNTV_CTL", "CNTV_CVAL", "CNTVOFF"))
#: The bits of a control register: enabled, and expired (ISTATUS).
EXPIRED = 5
#: Whether a PCPU executes the guest that is meant.
IsGuest = Callable[[Stopped, Place], Awaitable[bool]]
#: What our port calls with everything that it prints (images/freertos/port/console.c).
PRINT = "console_write"


class Target(Protocol):
    """A moment. ``addresses``: the instructions at which it may be reached."""

    addresses: list[int]

    async def learn(self, stopped: Stopped) -> None:
        """Find the addresses, while the machine stands in dom0."""

    def needed(self, until: float) -> bool:
        """Whether the moment may come before ``until`` (seconds of dom0's counter)."""

    async def reached(self, stopped: Stopped, thread: int) -> bool:
        """Whether this is the moment. The PCPU ``thread`` stands at one of the addresses."""

    def over(self, now: float) -> bool:
        """Whether the moment has come at the latest now (seconds of dom0's counter)."""


@dataclass
class AtTime:
    """``after``: seconds since the guests began. ``began``: when that was, in seconds of dom0's
    counter; ``None`` before that. ``frequency``: the counter's, in Hz.
    """

    after: float
    began: Callable[[], float | None]
    frequency: int
    addresses: list[int] = field(default_factory=list)
    _offset: int = 0

    async def learn(self, stopped: Stopped) -> None:
        """See :class:`Target`."""
        first = stopped.threads[0]
        self.addresses = [await stopped.register(VECTORS, first) + INTERRUPT]
        self._offset = await stopped.register("CNTVOFF", first)

    def needed(self, until: float) -> bool:
        """See :class:`Target`."""
        at = self._at()
        return at is not None and until >= at

    async def reached(self, stopped: Stopped, thread: int) -> bool:
        """See :class:`Target`."""
        wanted = (self._at() or 0.0) * self.frequency + self._offset
        for control, compare, offset in _TIMERS:
            if await stopped.register(control, thread) & EXPIRED == EXPIRED:
                added = await stopped.register(offset, thread) if offset else 0
                if await stopped.register(compare, thread) + added >= wanted:
                    return True
        return False

    def over(self, now: float) -> bool:
        """See :class:`Target`."""
        at = self._at()
        return at is not None and now >= at

    def _at(self) -> float | None:
        began = self.began()
        return None if began is None else began + self.after


@dataclass
class BeforeText:
    """Before a guest of our port prints a line with this text."""

    text: str
    elf: Path
    guest: IsGuest
    addresses: list[int] = field(default_factory=list)
    _line: str = ""

    async def learn(self, stopped: Stopped) -> None:
        """See :class:`Target`."""
        del stopped
        self.addresses = [address_of(self.elf, PRINT)]

    def needed(self, until: float) -> bool:
        """See :class:`Target`."""
        del until
        return True

    async def reached(self, stopped: Stopped, thread: int) -> bool:
        """See :class:`Target`."""
        if not await self.guest(stopped, await stopped.place(thread)):
            return False
        start, size = [await stopped.register(name, thread) for name in ("r1", "r2")]
        await stopped.select(thread)
        data = await (await stopped.virtual()).read(start, min(size, processor.PAGE))
        self._line += data.decode("utf-8", "replace")
        if self.text in self._line.replace("\r", ""):
            return True
        self._line = self._line.rpartition("\n")[2]
        return False

    def over(self, now: float) -> bool:
        """See :class:`Target`."""
        del now
        return False


@dataclass
class BeforeCrash:
    """Where a guest of our port begins to crash. ``pc``: of the fault; ``None``: it was none."""

    pc: int | None
    elf: Path
    guest: IsGuest
    addresses: list[int] = field(default_factory=list)

    async def learn(self, stopped: Stopped) -> None:
        """See :class:`Target`."""
        del stopped
        self.addresses = [address_of(self.elf, END if self.pc is None else FAULT)]

    def needed(self, until: float) -> bool:
        """See :class:`Target`."""
        del until
        return True

    async def reached(self, stopped: Stopped, thread: int) -> bool:
        """See :class:`Target`."""
        if not await self.guest(stopped, await stopped.place(thread)):
            return False
        if self.pc is None:
            return True
        start = await stopped.register("r1", thread)
        await stopped.select(thread)
        frame = await (await stopped.virtual()).read(start, processor.FAULT_FRAME)
        registers: Mapping[str, int] = processor.fault_registers(frame)
        return registers["pc"] == self.pc

    def over(self, now: float) -> bool:
        """See :class:`Target`."""
        del now
        return False


def address_of(elf: Path, name: str) -> int:
    """The address of a function.

    Raises:
        UsageError: the file has none of that name.
    """
    known = symbols.read(elf)
    if name not in known.names:
        raise UsageError(f"{elf.name} has no function {name}, so it is no guest of the lab's port")
    return known.starts[known.names.index(name)]
