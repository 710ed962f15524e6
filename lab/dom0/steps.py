"""Talks to dom0's program lab-steps while the machine stands still.

The machine runs only while dom0 carries out an order. Then it stops at the next of two known
instructions. So it does not matter when the host gives an order. Under the virtual clock
everything that a run asks of dom0 goes this way. The questions are the same as those to the
agent (:class:`lab.dom0.agent.Agent`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from lab.dom0 import window
from lab.dom0.agent import ProgramResult
from lab.dom0.window import Window
from lab.errors import Dom0Error, UsageError
from lab.model import ARM32, STEPS_ADDRESS, STEPS_APART, Architecture
from lab.util.terminal import quote

MAGIC = 0x5453424C
#: ``struct mailbox`` of images/dom0/src/lab-steps.c, by the bytes of a pointer in dom0.
MAILBOXES = {4: struct.Struct("<IIIIIIiIQQII"), 8: struct.Struct("<IIQI4xQIiI4xQQII")}
MAILBOX = MAILBOXES[ARM32.word]
#: Bytes of entropy that make a dom0 differ from its template.
ENTROPY = 64
#: The most bytes of a program's output (images/dom0/src/lab-steps.c).
MOST_SAID = 64 << 20
#: The exit status of a program that lab-steps could not execute.
NOT_EXECUTED = 127


class Order(IntEnum):
    """The orders of lab-steps."""

    LEAVE = 0
    PUT = 1
    GET = 2
    RUN = 3
    SLEEP = 4
    DIFFER = 5
    UNPAUSE = 6


class Machine(Protocol):
    """A machine that stops at breakpoints (:class:`lab.machine.gdbstub.Stub`)."""

    async def set_breakpoint(self, address: int) -> None: ...
    async def clear_breakpoint(self, address: int) -> None: ...
    async def go(self) -> None: ...
    async def turn_to(self, number: int, value: int) -> None: ...
    async def register(self, number: int) -> int: ...
    async def read(self, address: int, size: int) -> bytes: ...
    async def write(self, address: int, data: bytes) -> None: ...
    async def leave(self) -> None: ...


class Traps(Protocol):
    """Instructions at which somebody wants to look at the machine."""

    async def arm(self, stub: Any) -> None:
        """Set breakpoints, or remove them, before the machine runs."""

    def latest(self) -> float | None:
        """When the machine must stop at the latest, in seconds of dom0's counter."""

    def takes(self, address: int) -> bool:
        """Whether this instruction, which has stopped the machine, is one of these."""

    async def hit(self, stub: Any, address: int) -> bool:
        """Look at the machine, which stands at the instruction, and have it executed.

        Returns whether the machine stands at another breakpoint now.
        """

    async def came(self, now: float) -> None:
        """The machine has made a stop of its own; ``now``: seconds of dom0's counter."""


class StepGuard(Protocol):
    """Runs ``step``, and ends it with an error if the machine fails or ``within`` seconds pass.

    ``what``: what the lab waits for, in words.
    """

    def __call__(self, step: Awaitable[None], within: float, what: str) -> Awaitable[None]: ...


@dataclass
class Mailbox:
    """What lab-steps says at a stop. ``counter`` counts at ``frequency`` Hz."""

    magic: int
    order: int
    data: int
    size: int
    more: int
    more_size: int
    status: int
    frequency: int
    counter: int
    until: int
    window: int
    hold: int


class Steps:
    """dom0 at a stop. ``count``: how many stops dom0 has made since lab-steps began.

    ``hold``: dom0 pauses all guests shortly before each stop, and lets them run after it. A run
    on several CPUs that must be the same every time needs this: while QEMU stops dom0's CPU,
    another one executes some more instructions, and how many depends on the host.
    """

    def __init__(
        self, machine: Machine, guard: StepGuard, window: Window, arch: Architecture = ARM32,
        *, hold: bool = False,
    ) -> None:  # fmt: skip
        self._machine = machine
        self._guard = guard
        self.window = window
        self._hold = hold
        self._arch = arch
        self._mailbox = MAILBOXES[arch.word]
        self.traps: Traps | None = None
        self.count = 0
        self._address = 0
        self.box = Mailbox(*self._mailbox.unpack(bytes(self._mailbox.size)))

    async def arrive(self, within: float) -> None:
        """Let the machine run until lab-steps makes its next stop.

        Raises:
            Dom0Error: another program stopped there.
            LabError: the machine failed, or did not stop within ``within`` seconds.
        """
        place = STEPS_ADDRESS + self.count % 2 * STEPS_APART
        await self._machine.set_breakpoint(place)
        await self._guard(self._to(place), within, "dom0 to reach its next stop")
        await self._machine.clear_breakpoint(place)
        self.count += 1
        await self.look()

    async def return_to(self, count: int) -> None:
        """Be at the stop ``count``, at which a restored machine stands; 0: it stands elsewhere."""
        self.count = count
        if place := count and STEPS_ADDRESS + (count - 1) % 2 * STEPS_APART:
            await self._machine.turn_to(self._arch.program_counter, place)
            await self.look()

    async def _to(self, place: int) -> None:
        """Let the machine run to this instruction. Traps that it meets on the way are told."""
        await self._machine.go()
        while self.traps:
            address = await self._machine.register(self._arch.program_counter)
            if address == place or not self.traps.takes(address):
                return
            if not await self.traps.hit(self._machine, address):
                await self._machine.go()

    async def look(self) -> None:
        """Read what lab-steps says at this stop."""
        self._address = await self._machine.register(self._arch.first_argument)
        said = await self._machine.read(self._address, self._mailbox.size)
        self.box = Mailbox(*self._mailbox.unpack(said))
        if self.box.magic != MAGIC:
            raise Dom0Error("another program than lab-steps stopped the machine in dom0")
        if self.box.window != self.window.size:
            raise Dom0Error(
                f"dom0's window has {self.box.window} bytes, the host's has {self.window.size}"
            )
        if max(self.box.size, self.box.more_size) > MOST_SAID:
            raise Dom0Error(f"dom0 sends more than {MOST_SAID >> 20}M at once")

    def note(self, changes: Any) -> None:
        """From now on ``changes`` notes what is written into the machine."""
        self.machine.changes = changes
        self.window.heard = changes.window

    @property
    def machine(self) -> Any:
        """The machine, which stands still."""
        return self._machine

    @property
    def now(self) -> float:
        """The value of dom0's counter at this stop, in seconds."""
        return self.box.counter / self.box.frequency

    async def run(self, argv: Sequence[str], *, within: float = 60.0) -> ProgramResult:
        """Run a program in dom0 and wait for its end, at most ``within`` seconds of the host."""
        words = b"".join(word.encode() + b"\0" for word in argv)
        await self._order(Order.RUN, words, within=within)
        out = await self._machine.read(self.box.data, self.box.size)
        err = await self._machine.read(self.box.more, self.box.more_size)
        status = (
            os.waitstatus_to_exitcode(self.box.status) if self.box.status >= 0 else NOT_EXECUTED
        )
        if status == NOT_EXECUTED and not out and err.startswith(f"{argv[0]}: ".encode()):
            raise UsageError(f"dom0 has no program {quote(argv[0])}")
        return ProgramResult(tuple(argv), status, out, err)

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a file in dom0. Its folder must exist.

        Raises:
            Dom0Error: dom0 could not write it, for example because its memory is full.
        """
        piece = self.box.window - window.up(len(path.encode()) + 1)
        for at in range(0, max(len(data), 1), piece):
            await self.write_at(path, at, data[at : at + piece])

    async def write_at(self, path: str, at: int, data: bytes) -> None:
        """Write bytes of a file in dom0 from the offset ``at`` on; the file ends behind them.

        Raises:
            Dom0Error: dom0 could not write them, or the window is too small for them.
        """
        await self._order(Order.PUT, path.encode() + b"\0", data, until=at)
        self._check(f"write {path}")

    async def read_file(self, path: str, largest: int = 64 << 20) -> bytes:
        """Read the first ``largest`` bytes of a file in dom0."""
        found = bytearray()
        self.window.reserve()
        while len(found) < largest:
            await self._order(Order.GET, path.encode() + b"\0", until=len(found))
            self._check(f"read {path}")
            found += self.window.read(self.box.size)
            if self.box.size < self.box.window:
                break
        return bytes(found[:largest])

    async def differ(self, entropy: bytes, name: str, ident: str) -> None:
        """Give dom0 new entropy (64 bytes), a host name, and a machine id.

        ``ident`` has 32 hexadecimal digits (machine-id(5)).
        """
        assert len(entropy) == ENTROPY
        await self._order(Order.DIFFER, entropy + name.encode() + b"\0" + ident.encode() + b"\n")
        self._check("differ from its template")

    async def unpause(self, domains: Sequence[int]) -> None:
        """Let paused domains run, by their numbers. This is much faster than ``xl unpause``."""
        await self._order(Order.UNPAUSE, b"".join(struct.pack("<I", one) for one in domains))
        self._check(f"let its domains run ({', '.join(map(str, domains))})")

    async def sleep_until(self, now: float, within: float) -> None:
        """Let the machine run until :attr:`now` is this; ``within`` is seconds of the host."""
        while self.traps and (latest := self.traps.latest()) is not None and latest < now:
            await self._sleep(max(latest, self.now), within)
        await self._sleep(now, within)

    async def _sleep(self, now: float, within: float) -> None:
        until = round(now * self.box.frequency)
        await self._order(Order.SLEEP, b"", within=within, until=until)

    async def release(self) -> None:
        """End lab-steps. From now on the machine runs freely."""
        await self._say(Order.LEAVE)
        await self._machine.leave()

    async def _order(
        self,
        order: Order,
        words: bytes,
        content: bytes = b"",
        *,
        within: float = 30.0,
        until: int = 0,
    ) -> None:
        """Give dom0 an order and wait for the next stop.

        The words of the order go to the beginning of the window, and a file's content to the page
        after them.
        """
        start = window.up(len(words))
        if start + len(content) > self.box.window:
            raise Dom0Error(f"dom0 takes {self.box.window} bytes at once, not {len(words)}")
        self.window.write(0, words)
        self.window.write(start, content)
        await self._say(order, size=len(words), more_size=len(content), until=until)
        if self.traps:
            await self.traps.arm(self._machine)
        await self.arrive(within)
        if self.traps:
            await self.traps.came(self.now)

    async def _say(self, order: Order, **fields: int) -> None:
        empty = {"data": 0, "size": 0, "more": 0, "more_size": 0, "until": 0}
        box = vars(self.box) | empty | {"order": order, "hold": self._hold} | fields
        await self._machine.write(self._address, self._mailbox.pack(*box.values()))

    def _check(self, what: str) -> None:
        if self.box.status:
            raise window.refused(f"dom0 could not {what}", self.box.status)
