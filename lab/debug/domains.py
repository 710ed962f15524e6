"""Which domains exist, where each has its memory and its vCPUs: out of Xen's own memory.

Xen's symbols are not needed: Debian's Xen has none. Xen allocates a ``struct domain`` and a
``struct vcpu`` on pages of their own, in its heap (alloc_domain_struct, alloc_vcpu_struct; common
to Xen 4.17 to 4.22). A domain begins with its number. Somewhere in it is ``struct p2m_domain``,
with the VMID and, behind it, the value of VTTBR, whose upper 16 bits are the VMID again
(arch/arm/include/asm/p2m.h). A vCPU points at its domain, and has two pointers side by side: to its
stack and to the ``struct cpu_info`` at the stack's end (arch/arm/include/asm/domain.h).
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.debug import processor
from lab.debug.processor import PAGE
from lab.debug.stopped import Stopped
from lab.errors import MachineError

#: Reads physical memory (address, size) at once, faster than the gdbstub does.
Dump = Callable[[int, int], Awaitable[bytes]]
#: The largest heap that is searched, in bytes. Xen's on arm32 has 32 MB at 1 GB of memory.
LARGEST = 256 << 20
#: A block of Xen's tables at level 2, in bytes: the heap consists of them.
BLOCK = 2 << 20
#: The largest number of a domain that is not one of Xen's own (public/xen.h, DOMID_FIRST_RESERVED).
RESERVED = 0x7FF0
#: Numbers of vCPUs and PCPUs are smaller than this (MAX_VIRT_CPUS, NR_CPUS on arm32).
MOST = 129
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
        return processor.guest_registers(frame)


@dataclass(frozen=True)
class DomainFound:
    """A domain. ``vttbr``: its tables (stage 2), and its VMID in the upper 16 bits."""

    number: int
    name: str
    vttbr: int
    vcpus: tuple[Vcpu, ...] = ()

    @property
    def vmid(self) -> int:
        return self.vttbr >> 48


async def find(stopped: Stopped, dump: Dump, names: Mapping[int, str]) -> list[DomainFound]:
    """The domains that exist, by their numbers. ``names``: those that are known.

    Raises:
        MachineError: Xen's heap cannot be found.
    """
    base, data = await heap(stopped, dump)
    pages = _Heap(data, base, stopped.arch)
    found = []
    for number, vttbr, address in sorted(pages.domains()):
        vcpus = tuple(sorted(pages.vcpus(number, address), key=lambda v: v.number))
        name = names.get(number, DOM0 if number == 0 else f"domain {number}")
        found.append(DomainFound(number, name, vttbr, vcpus))
    if not found:
        raise MachineError(
            f"no domain was found in Xen's heap at {base:#x}",
            hint="Xen may not have started dom0 yet, or is of an unknown version",
        )
    return found


async def heap(stopped: Stopped, dump: Dump) -> tuple[int, bytes]:
    """Xen's heap: its physical address and its content."""
    arch = stopped.arch
    tables = await stopped.register(arch.hyp_tables, stopped.threads[0])
    base = await stopped.translate(tables, arch.heap)
    if base is None:
        raise MachineError("Xen's heap is not mapped", hint="Xen may still be booting")
    size, level_1 = 0, await stopped.entry(tables, 1, arch.heap)
    level_2 = await stopped.physical(level_1 & processor.ADDRESS, PAGE)
    first = arch.heap >> 21 & 511
    for entry in struct.unpack("<512Q", level_2)[first:]:
        address = arch.heap + size
        if processor.entry_address(entry, 2, address) != base + size or size >= LARGEST:
            break
        size += BLOCK
    return base, await dump(base, size)


class _Heap:
    """The content of Xen's heap, which begins at the physical address ``base``."""

    def __init__(self, data: bytes, base: int, arch: processor.Arch) -> None:
        import numpy as np

        self._size = len(data)
        self._base = base
        self._arch = arch
        self._pages = np.frombuffer(data, dtype="<u4").reshape(-1, PAGE // 4)

    def domains(self) -> Iterator[tuple[int, int, int]]:
        """Each domain: its number, VTTBR, and its address in Xen."""
        import numpy as np

        low, high = self._pages[:, 2:-2:2], self._pages[:, 3:-2:2]
        vmid = high >> 16
        named = (self._pages[:, 1:-3:2] == vmid) | (self._pages[:, 0:-4:2] == vmid)
        is_base = (low != 0) & (low % PAGE == 0) & (high & 0xFFFF < 1 << 8)
        frames = (self._pages[:, 4::2] < 1 << 24) & (self._pages[:, 5::2] < 1 << 24)
        here = (vmid != 0) & named & is_base & frames
        first = self._pages[:, 0] & 0xFFFF
        for page in np.flatnonzero(here.any(axis=1) & (first < RESERVED)):
            place = int(here[page].argmax())
            vttbr = int(low[page, place]) | int(high[page, place]) << 32
            yield int(first[page]), vttbr, self._arch.heap + int(page) * PAGE

    def vcpus(self, domain: int, address: int) -> Iterator[Vcpu]:
        import numpy as np

        for page in np.flatnonzero(self._pages[:, 3] == address):
            words = self._pages[page]
            place = self._cpu_info(words) if max(words[:2]) < MOST else None
            if place is not None:
                yield Vcpu(domain, int(words[0]), self._base + int(page) * PAGE, place)

    def _cpu_info(self, words: Any) -> int | None:
        """The physical address of a vCPU's ``struct cpu_info``; ``None`` if the page is no
        vCPU."""
        stacks, infos, arch = words[:-1], words[1:], self._arch
        found = (infos - stacks == arch.stack - arch.info) & (stacks >= arch.heap)
        for info in infos[found]:
            if int(info) - arch.heap + arch.info <= self._size:
                return self._base + int(info) - arch.heap
        return None
