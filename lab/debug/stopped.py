"""A machine that stands still, as QEMU's gdbstub shows it: PCPUs, registers, memory.

QEMU has a thread for each PCPU. It numbers them from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.debug import processor, registers
from lab.debug.processor import ADDRESS, LAST, PAGE, Arch, Tables
from lab.errors import MachineError
from lab.machine.gdbstub import Stub

#: Asks for one part of a target description, and the most bytes of an answer.
_PART = b"qXfer:features:read:%s:%x,ffb"
#: From now on addresses of memory are virtual. QEMU keeps this from one client to the next.
VIRTUALLY = b"Qqemu.PhyMemMode:0"
#: The command of QEMU's monitor that shows the registers of all PCPUs.
REGISTERS = "info registers -a"


@dataclass(frozen=True)
class Place:
    """Where a PCPU stands.

    Attributes:
        vmid: the domain whose memory it sees, which Xen may keep.
        cpsr: its state.
        narrow: it executes A32 on a processor of 64 bits. QEMU's gdbstub shows old registers then.
    """

    thread: int
    pc: int
    hyp: bool
    vmid: int
    cpsr: int = 0
    narrow: bool = False


class Stopped:
    """The machine's state. All numbers are of the machine that stands still now.

    Attributes:
        arch: the processor. It is known as soon as :meth:`learn` was called.
        description: the parts of the target description, by name.
        selected: the thread that QEMU's next answers are about.
    """

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.arch: Arch = processor.ARM32
        self.description: dict[str, bytes] = {}
        self.threads: list[int] = []
        self.selected = 0
        self._numbers: dict[str, tuple[int, int]] = {}
        self._pages: dict[tuple[Tables, int], int | None] = {}
        self._narrow: dict[int, dict[str, int]] | None = None
        self._physically = False

    @property
    def core(self) -> list[str]:
        """The names of the registers in a ``g`` packet, in order."""
        return list(self.arch.own.sizes)

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
                following = max(number for number, _ in self._numbers.values()) + 1
        self.arch = processor.of_description(self._numbers)
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
        vmid = await self.register(self.arch.vttbr, thread) >> 48
        if own := await self._of_narrow(thread):
            return Place(thread, own["pc"], False, vmid, own["cpsr"], narrow=True)
        cpsr = await self.register("cpsr", thread)
        pc = await self.register("pc", thread)
        return Place(thread, pc, self.arch.in_hyp(cpsr), vmid, cpsr)

    async def registers(self, thread: int) -> dict[str, int]:
        """The general registers of a PCPU, by the names of what it executes."""
        if own := await self._of_narrow(thread):
            return own
        return {name: await self.register(name, thread) for name in self.core}

    async def _of_narrow(self, thread: int) -> dict[str, int]:
        """The registers of a PCPU that executes A32 on a processor of 64 bits; empty if it does
        not. QEMU keeps those of A32 elsewhere, and only its monitor shows them."""
        width = self.arch.width
        if not width or await self.register(width, thread) & processor.WIDE_GUEST:
            return {}
        if self._narrow is None:
            self._narrow = registers.of_monitor(await self.stub.monitor(REGISTERS))
        return self._narrow.get(thread - 1, {})

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
        self._narrow = None
        self.selected = 0

    async def hyp(self, thread: int = 0) -> Tables:
        """Xen's own tables, as a PCPU uses them; each PCPU may have some of its own."""
        found = await self.register(self.arch.hyp_tables, thread or self.threads[0])
        return Tables(found & ADDRESS, self.arch.hyp_level, self.arch.hyp_bits)

    async def of_domain(self, vttbr: int) -> Tables:
        """A domain's tables (stage 2)."""
        control = await self.register(self.arch.vtcr, self.threads[0])
        return processor.stage2(self.arch, vttbr, control)

    async def translate(self, tables: Tables, address: int) -> int | None:
        """The physical address that tables in memory give to an address; ``None`` if none."""
        page = tables, address // PAGE
        if page not in self._pages:
            self._pages[page] = await self._walk(tables, address - address % PAGE)
        found = self._pages[page]
        return None if found is None else found + address % PAGE

    async def _walk(self, tables: Tables, address: int) -> int | None:
        if address >> tables.bits:
            return None
        at = tables.base + 8 * (address >> processor.shift(tables.level))
        for level in range(tables.level, LAST + 1):
            entry = int.from_bytes(await self.physical(at, 8), "little")
            found = processor.entry_address(entry, level, address)
            if found is not None or not entry & processor.VALID or level == LAST:
                return found
            at = (entry & ADDRESS) + 8 * (address >> processor.shift(level + 1) & 511)
        return None

    async def read_through(self, tables: Tables, address: int, size: int) -> bytes:
        """Memory through tables; shorter if a page is not mapped."""
        found = bytearray()
        while len(found) < size:
            here = address + len(found)
            place = await self.translate(tables, here)
            if place is None:
                break
            found += await self.physical(place, min(size - len(found), PAGE - here % PAGE))
        return bytes(found)


def thread_of(word: bytes) -> int:
    """The number of a thread: ``01``, or ``p01.01`` if a client spoke of processes before."""
    return int(word.rpartition(b".")[2], 16)
