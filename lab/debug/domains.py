"""Which domains exist, where each has its memory and its vCPUs: out of Xen's own memory.

Xen's symbols are not needed: Debian's Xen has none. Xen allocates a ``struct domain`` and a
``struct vcpu`` on pages of their own, in its heap (alloc_domain_struct, alloc_vcpu_struct; common
to Xen 4.17 to 4.22). Variables in its image point at domains, and each domain at the next one
(xen/common/domain.c, ``domain_list``). A domain begins with its number and how many vCPUs it may
have; soon the pointer to the table of its vCPUs follows, in newer Xen behind a number that is never
used again (xen/include/xen/sched.h). Somewhere in it is
``struct p2m_domain``, with the VMID and, behind it, the value of VTTBR, whose upper 16 bits are the
VMID again (arch/arm/include/asm/p2m.h). A vCPU points at its domain, and has two pointers side by
side: to its stack and to the ``struct cpu_info`` at its end (arch/arm/include/asm/domain.h).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from lab.debug import mapping
from lab.debug.mapping import Dump
from lab.debug.processor import PAGE, Tables
from lab.debug.registers import NARROW
from lab.debug.stopped import Stopped
from lab.errors import MachineError

#: Xen's image begins at a multiple of this, and has at most so many bytes (XEN_VIRT_SIZE).
IMAGE_ALIGNED, IMAGE_SIZE = 2 << 20, 8 << 20
#: The largest number of a domain that is not one of Xen's own (public/xen.h, DOMID_FIRST_RESERVED).
RESERVED = 0x7FF0
#: Numbers of vCPUs and PCPUs are smaller than this (MAX_VIRT_CPUS; NR_CPUS, which is 128).
MOST = 129
#: A vCPU has the pointer to its domain among its first bytes; a domain that to its vCPUs' table.
NEAR, TABLE_BEFORE = 64, 32
#: Pages of memory in a domain have smaller numbers than this.
FRAMES = 1 << 24
DOM0 = "dom0"


@dataclass(frozen=True)
class Vcpu:
    """A vCPU.

    Attributes:
        address: the physical address of its ``struct vcpu``.
        frame: the physical address of the registers with which it goes on when it runs again.
    """

    domain: int
    number: int
    address: int
    frame: int

    async def processor(self, stopped: Stopped) -> int:
        """The PCPU that it runs on, last ran on, or waits for; they count from 0."""
        return int.from_bytes(await stopped.physical(self.address + 4, 4), "little")

    async def registers(self, stopped: Stopped) -> dict[str, int]:
        """The registers with which it goes on."""
        frame = await stopped.physical(self.frame, stopped.arch.info)
        return stopped.arch.saved(frame)


@dataclass(frozen=True)
class DomainFound:
    """A domain.

    Attributes:
        vttbr: its tables (stage 2), and its VMID in the upper 16 bits.
        narrow: it is one of 32 bits on a processor of 64.
    """

    number: int
    name: str
    vttbr: int
    vcpus: tuple[Vcpu, ...] = ()
    narrow: bool = False

    @property
    def vmid(self) -> int:
        return self.vttbr >> 48


async def find(stopped: Stopped, dump: Dump, names: Mapping[int, str]) -> list[DomainFound]:
    """The domains that exist, by their numbers. ``names``: those that are known.

    Raises:
        MachineError: none is found.
    """
    search = _Search(stopped, await stopped.hyp(), names)
    waiting = [one async for one in _of_image(search, dump)]
    seen: set[int] = set()
    found: dict[int, DomainFound] = {}
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        page = await search.page_of_domain(address)
        if page and (vttbr := vttbr_of(page)):
            one = await search.domain(address, page, vttbr)
            found[one.number] = one
            waiting += search.pointers(page)
    if not found:
        raise MachineError(
            "no domain was found in Xen's memory",
            hint="Xen may not have started dom0 yet, or is of an unknown version",
        )
    return [found[number] for number in sorted(found)]


async def _of_image(search: _Search, dump: Dump) -> AsyncIterator[int]:
    """The pointers in Xen's image."""
    stopped, arch = search.stopped, search.stopped.arch
    vectors = await stopped.register(arch.vectors, stopped.threads[0])
    first = max(0, vectors - vectors % IMAGE_ALIGNED - IMAGE_ALIGNED)
    within = range(first, first + IMAGE_SIZE + IMAGE_ALIGNED)
    for one in await mapping.of_xen(stopped, search.tables, within):
        for address in search.pointers(await mapping.read(stopped, dump, one)):
            yield address


class _Search:
    """Looks at Xen's heap. ``tables``: Xen's own."""

    def __init__(self, stopped: Stopped, tables: Tables, names: Mapping[int, str]) -> None:
        self.stopped = stopped
        self.tables = tables
        self._names = names

    def pointers(self, data: bytes) -> list[int]:
        """The addresses of pages in Xen's heap that are in some memory, in order."""
        import numpy as np

        arch = self.stopped.arch
        words = np.frombuffer(data, dtype=f"<u{arch.word}")
        here = (words >= arch.heap.start) & (words < arch.heap.stop) & (words % PAGE == 0)
        return [int(one) for one in np.unique(words[here])]

    async def page_of_domain(self, address: int) -> bytes:
        """The page at an address, if a domain may be there; else nothing."""
        begin = await self.read(address, 8)
        number, vcpus = struct.unpack("<II", begin) if len(begin) == 8 else (RESERVED, 0)
        if number >= RESERVED or vcpus >= MOST:
            return b""
        return await self.read(address, PAGE)

    async def domain(self, address: int, page: bytes, vttbr: int) -> DomainFound:
        """The domain that is on a page."""
        number, count = struct.unpack_from("<II", page)
        vcpus: list[Vcpu] = []
        for table in self._words(page[8:TABLE_BEFORE]):
            vcpus = vcpus or [one async for one in self._vcpus(number, address, table, count)]
        name = self._names.get(number, DOM0 if number == 0 else f"domain {number}")
        narrow = self.stopped.arch.word == 8 and any([await self._is_narrow(one) for one in vcpus])
        return DomainFound(number, name, vttbr, tuple(vcpus), narrow)

    async def _vcpus(
        self, domain: int, address: int, table: int, count: int
    ) -> AsyncIterator[Vcpu]:
        """The vCPUs of a domain, if their table is at this address."""
        word = self.stopped.arch.word
        for at in self._words(await self.read(table, count * word)):
            data = await self.read(at, PAGE)
            if len(data) == PAGE and (vcpu := await self._vcpu(domain, address, at, data)):
                yield vcpu

    async def _vcpu(self, domain: int, address: int, at: int, data: bytes) -> Vcpu | None:
        arch = self.stopped.arch
        number = int.from_bytes(data[:4], "little")
        near = [*self._words(data[:NEAR])]
        words = [*self._words(data)]
        if number >= MOST or address not in near:
            return None
        for stack, info in itertools.pairwise(words):
            if info - stack == arch.stack - arch.info and stack in arch.heap:
                place = await self.stopped.translate(self.tables, at)
                frame = await self.stopped.translate(self.tables, info)
                if place is not None and frame is not None:
                    return Vcpu(domain, number, place, frame)
        return None

    async def _is_narrow(self, vcpu: Vcpu) -> bool:
        return bool((await vcpu.registers(self.stopped))["cpsr"] & NARROW)

    def _words(self, data: bytes) -> Iterator[int]:
        word = self.stopped.arch.word
        return (one for (one,) in struct.iter_unpack("<I" if word == 4 else "<Q", data))

    async def read(self, address: int, size: int) -> bytes:
        """Xen's memory; shorter if some is not mapped."""
        if address not in self.stopped.arch.heap:
            return b""
        return await self.stopped.read_through(self.tables, address, size)


def vttbr_of(page: bytes) -> int:
    """The value of VTTBR that a domain has in its page; 0 if it has none.

    The domain's VMID stands before it, and the numbers of its last and of its first page behind it.
    """
    words: tuple[int, ...] = struct.unpack(f"<{len(page) // 4}I", page)
    for at in range(2, len(words) - 4, 2):
        low, high = words[at], words[at + 1]
        vmid = high >> 16
        named = vmid in (words[at - 1], words[at - 2])
        if vmid and named and low and not low % PAGE and high & 0xFFFF < 1 << 8:
            last, above = words[at + 2], words[at + 3]
            if last < FRAMES and above < FRAMES:
                return low | high << 32
    return 0
