"""Xen's memory with domains and vCPUs, laid out as Xen 4.17 does on each architecture."""

from __future__ import annotations

import struct

from debug.fake_stub import FakeStub
from lab.debug.processor import ARM32, PAGE, Arch

#: Where the heap is in physical memory, and its size: one block.
BASE, SIZE = 0x7C00_0000, 2 << 20
#: Where Xen's own tables are, the first one at its level; behind them is its image.
TABLES, IMAGE = 0x4A00_0000, 0x4A10_0000
#: An address in Xen's image: that of its vectors.
VECTORS = 0x25_6F20
#: Bits of entries: a table or a page, a block, and memory of Xen's (the attribute of index 7).
NEXT, BLOCK, XENS = 3, 1, 7 << 2


class FakeXen:
    """Attributes: ``heap``, its content."""

    def __init__(self, arch: Arch = ARM32) -> None:
        self.arch = arch
        self.heap = bytearray(SIZE)
        self._free = 16 * PAGE
        self._newest = 0

    def domain(self, number: int, vttbr: int, registers: dict[int, int]) -> None:
        """Add a domain with one vCPU that goes on with these registers, by the index of the word
        in ``struct cpu_user_regs``. It points at the domain that was added before it."""
        start = self.arch.heap.start
        domain, vcpu, table, stack = (self._free + n * PAGE for n in (0, 1, 2, 8))
        self._free += 16 * PAGE
        struct.pack_into("<II", self.heap, domain, number, 1)
        self._words(domain + 8, start + table + 16)
        self._words(domain + 0x200, self._newest)
        self._newest = start + domain
        self._words(table + 16, start + vcpu)
        struct.pack_into("<QQII", self.heap, domain + 0x400, vttbr >> 48, vttbr, 0x8FFFF, 0)
        self._words(vcpu + 16, start + domain)
        info = stack + self.arch.stack - self.arch.info
        self._words(vcpu + 0x200, start + stack, start + info)
        for index, value in registers.items():
            self._words(info + self.arch.word * index, value)

    def _words(self, at: int, *values: int) -> None:
        code = "I" if self.arch.word == 4 else "Q"
        struct.pack_into(f"<{len(values)}{code}", self.heap, at, *values)

    def lay(self, stub: FakeStub) -> None:
        """Put the heap and Xen's image into physical memory, and the tables that map both. The
        image has a pointer to the newest domain."""
        first, tables = self.arch.heap.start, [TABLES]
        _link(stub, tables, self.arch, first, BASE | BLOCK | XENS, 2)
        _link(stub, tables, self.arch, VECTORS, IMAGE | NEXT | XENS, 3)
        stub.lay(IMAGE + 0x100, self._newest.to_bytes(self.arch.word, "little"))
        stub.lay(BASE, bytes(self.heap[: self._free]))
        for pcpu in stub.pcpus:
            pcpu[self.arch.hyp_tables] = TABLES
            pcpu[self.arch.vectors] = VECTORS


def _link(
    stub: FakeStub, tables: list[int], arch: Arch, address: int, entry: int, last: int
) -> None:
    """Map an address of Xen's; the entry is of the level ``last``."""
    table = TABLES
    for level in range(arch.hyp_level, last):
        at = table + 8 * (address >> 12 + 9 * (3 - level) & 511)
        known = int.from_bytes(stub.physical(at, 8), "little")
        if not known:
            tables.append(tables[-1] + PAGE)
            known = tables[-1] | NEXT
            stub.lay(at, struct.pack("<Q", known))
        table = known & ~0xFFF
    stub.lay(table + 8 * (address >> 12 + 9 * (3 - last) & 511), struct.pack("<Q", entry))


def map_guest(stub: FakeStub, vttbr: int, address: int, place: int, level: int = 1) -> None:
    """Map one page of a guest (stage 2), whose tables begin at this level."""
    table = vttbr & 0xFF_FFFF_F000
    for one in range(level, 4):
        shift = 12 + 9 * (3 - one)
        following = place if one == 3 else table + (2 if one == level else 1) * PAGE
        stub.lay(table + 8 * (address >> shift & 511), struct.pack("<Q", following | 3))
        table = following
