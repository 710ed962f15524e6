"""A heap of Xen with domains and vCPUs, laid out as Xen 4.17 does on arm32."""

from __future__ import annotations

import struct

from debug.fake_stub import FakeStub
from lab.debug.processor import ARM32, PAGE

#: Where the heap is in physical memory, and its size: one block.
BASE, SIZE = 0x7C00_0000, 2 << 20
#: Where Xen's own tables are: level 1 and level 2.
TABLES = 0x4A00_0000


class FakeXen:
    """Attributes: ``heap``, its content."""

    def __init__(self) -> None:
        self.heap = bytearray(SIZE)
        self._free = 16 * PAGE

    def domain(self, number: int, vttbr: int, registers: dict[int, int]) -> None:
        """Add a domain with one vCPU that goes on with these registers, by the index of the word
        in ``struct cpu_user_regs``."""
        domain, vcpu, stack = (self._free + n * PAGE for n in (0, 1, 8))
        self._free += 16 * PAGE
        self._words(domain, number)
        vmid = vttbr >> 48
        self._words(domain + 0x400, vmid, 0, vttbr & 0xFFFF_FFFF, vttbr >> 32, 0x8FFFF, 0x100)
        self._words(vcpu, 0, 0, 0, ARM32.heap + domain, 0)
        info = stack + ARM32.stack - ARM32.info
        self._words(vcpu + 0x200, ARM32.heap + stack, ARM32.heap + info)
        for index, value in registers.items():
            self._words(info + 4 * index, value)

    def _words(self, at: int, *values: int) -> None:
        struct.pack_into(f"<{len(values)}I", self.heap, at, *values)

    def lay(self, stub: FakeStub) -> None:
        """Put the heap into physical memory, and Xen's tables that map it."""
        index = ARM32.heap >> 30
        stub.lay(TABLES + 8 * index, struct.pack("<Q", TABLES + PAGE | 3))
        stub.lay(TABLES + PAGE, struct.pack("<Q", BASE | 1))
        stub.lay(BASE, bytes(self.heap[: self._free]))
        for pcpu in stub.pcpus:
            pcpu["HTTBR"] = TABLES


def map_guest(stub: FakeStub, vttbr: int, address: int, place: int) -> None:
    """Map one page of a guest (stage 2)."""
    table = vttbr & 0xFF_FFFF_F000
    stub.lay(table + 8 * (address >> 30), struct.pack("<Q", table + 2 * PAGE | 3))
    stub.lay(table + 2 * PAGE + 8 * (address >> 21 & 511), struct.pack("<Q", table + 3 * PAGE | 3))
    stub.lay(table + 3 * PAGE + 8 * (address >> 12 & 511), struct.pack("<Q", place | 3))
