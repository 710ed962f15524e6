"""A machine that stands still, as QEMU's gdbstub shows it: PCPUs, registers, memory.

QEMU has a thread for each PCPU. It numbers them from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.debug import processor
from lab.debug.processor import ADDRESS, ARM32, PAGE, Arch
from lab.errors import MachineError
from lab.machine.gdbstub import Stub

#: Asks for one part of a target description, and the most bytes of an answer.
_PART = b"qXfer:features:read:%s:%x,ffb"
#: From now on addresses of memory are virtual. QEMU keeps this from one client to the next.
VIRTUALLY = b"Qqemu.PhyMemMode:0"
#: The levels of a table.
LEVELS = 3


@dataclass(frozen=True)
class Place:
    """Where a PCPU stands. ``vmid``: the domain whose memory it sees, which Xen may keep."""

    thread: int
    pc: int
    hyp: bool
    vmid: int


class Stopped:
    """The machine's state. All numbers are of the machine that stands still now.

    Attributes:
        description: the parts of the target description, by name.
        core: the names of the registers in a ``g`` packet, in order.
        selected: the thread that QEMU's next answers are about.
    """

    def __init__(self, stub: Stub, arch: Arch = ARM32) -> None:
        self.stub = stub
        self.arch = arch
        self.description: dict[str, bytes] = {}
        self.core: list[str] = []
        self.threads: list[int] = []
        self.selected = 0
        self._numbers: dict[str, tuple[int, int]] = {}
        self._pages: dict[tuple[int, int], int | None] = {}
        self._physically = False

    async def learn(self) -> None:
        """Ask which registers and which PCPUs there are."""
        await self.stub.ask(VIRTUALLY)
        await self._describe("target.xml")
        for name in re.findall(rb'<xi:include href="([^"]+)"', self.description["target.xml"]):
            await self._describe(name.decode())
        following = 0
        for name, text in self.description.items():
            if name != "target.xml":
                found = processor.numbers(text.decode("utf-8", "replace"), following)
                self._numbers = found | self._numbers
                self.core = self.core or list(found)
                following = max(number for number, _ in self._numbers.values()) + 1
        answer = await self.stub.ask(b"qfThreadInfo")
        while answer[:1] == b"m":
            self.threads += [thread_of(one) for one in answer[1:].split(b",")]
            answer = await self.stub.ask(b"qsThreadInfo")

    async def _describe(self, name: str) -> None:
        found = b""
        while True:
            answer = await self.stub.ask(_PART % (name.encode(), len(found)))
            if answer[:1] not in (b"m", b"l"):
                raise MachineError(f"QEMU's gdbstub does not describe its registers: {name}")
            found += answer[1:]
            if answer[:1] == b"l":
                break
        self.description[name] = found

    async def select(self, thread: int) -> None:
        """From now on registers and memory are those of this PCPU."""
        if thread != self.selected:
            await self.stub.ask(b"Hg%x" % thread)
            self.selected = thread

    def size_of(self, number: int) -> int:
        """The size in bytes of the register that gdb numbers so; 0 if there is none."""
        return next((size for one, size in self._numbers.values() if one == number), 0)

    async def register(self, name: str, thread: int) -> int:
        await self.select(thread)
        return await self.stub.register(self._numbers[name][0])

    async def place(self, thread: int) -> Place:
        """Where a PCPU stands."""
        pc = await self.register("pc", thread)
        hyp = self.arch.in_hyp(await self.register("cpsr", thread))
        return Place(thread, pc, hyp, await self.register(self.arch.vttbr, thread) >> 48)

    async def places(self) -> list[Place]:
        return [await self.place(one) for one in self.threads]

    async def physical(self, address: int, size: int) -> bytes:
        """Physical memory.

        Raises:
            MachineError: nothing is there.
        """
        await self._address_physically(True)
        return await self.stub.read(address, size)

    async def write_physical(self, address: int, data: bytes) -> None:
        await self._address_physically(True)
        await self.stub.write(address, data)

    async def virtual(self) -> Stub:
        """The stub, whose memory is as the selected PCPU sees it."""
        await self._address_physically(False)
        return self.stub

    async def _address_physically(self, wanted: bool) -> None:
        """From now on QEMU takes addresses of memory for physical ones, or for virtual ones."""
        if wanted != self._physically:
            await self.stub.ask(b"Qqemu.PhyMemMode:%d" % wanted)
            self._physically = wanted

    async def leave(self, thread: int) -> None:
        """Leave the gdbstub as the lab expects it, with this PCPU selected."""
        await self.virtual()
        await self.select(thread)

    def moved(self) -> None:
        """The machine ran: forget what was read."""
        self._pages.clear()
        self.selected = 0

    async def translate(self, table: int, address: int) -> int | None:
        """The physical address that tables in memory give to an address; ``None`` if none.

        ``table`` is the base of level 1; the tables of stage 2 may lie side by side.
        """
        page = table, address // PAGE
        if page not in self._pages:
            self._pages[page] = await self._walk(table, address - address % PAGE)
        found = self._pages[page]
        return None if found is None else found + address % PAGE

    async def _walk(self, table: int, address: int) -> int | None:
        for level in range(1, LEVELS + 1):
            entry = await self.entry(table, level, address)
            found = processor.entry_address(entry, level, address)
            if found is not None or not entry & processor.VALID:
                return found
            table = entry & ADDRESS
        return None

    async def entry(self, table: int, level: int, address: int) -> int:
        """The entry for an address in a table of this level."""
        index = address >> (12 + 9 * (LEVELS - level))
        at = (table & ADDRESS) + 8 * (index if level == 1 else index & 511)
        return int.from_bytes(await self.physical(at, 8), "little")

    async def read_through(self, table: int, address: int, size: int) -> bytes:
        """Memory through tables; shorter if a page is not mapped."""
        found = bytearray()
        while len(found) < size:
            here = address + len(found)
            place = await self.translate(table, here)
            if place is None:
                break
            found += await self.physical(place, min(size - len(found), PAGE - here % PAGE))
        return bytes(found)


def thread_of(word: bytes) -> int:
    """The number of a thread: ``01``, or ``p01.01`` if a client spoke of processes before."""
    return int(word.rpartition(b".")[2], 16)
