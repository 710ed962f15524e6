"""All that the tables of an address space map."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from lab.debug import processor
from lab.debug.core_file import Piece
from lab.debug.processor import ADDRESS, LAST, PAGE, TABLE, VALID, Tables
from lab.debug.stopped import Stopped
from lab.errors import MachineError

#: Reads physical memory (address, size) at once, faster than the gdbstub does.
Dump = Callable[[int, int], Awaitable[bytes]]
#: Pieces of few pages are read through the gdbstub: a file for each would take longer.
FEW = 4 * PAGE
#: The most memory that a core file keeps, in bytes.
MOST = 512 << 20
#: AttrIndx of an entry (Arm ARM, "VMSAv8-32 translation table format descriptors"), and Xen's
#: index for its own memory (arch/arm/include/asm/page.h, MT_NORMAL).
INDEX, XENS = 0b111 << 2, 7 << 2
#: MemAttr of an entry of stage 2 for memory that is no device (Arm ARM, "Stage 2 memory region
#: type and Cacheability attributes").
ATTRIBUTES, NORMAL = 0b1111 << 2, 0xF << 2


@dataclass(frozen=True)
class Mapped:
    """A range of memory.

    Attributes:
        address: where it is in the address space. ``place``: its physical address.
        size: its size in bytes.
        entry: what the table says of it (Arm ARM, "block and page descriptors").
    """

    address: int
    place: int
    size: int
    entry: int


async def of_xen(stopped: Stopped, tables: Tables, within: range) -> list[Mapped]:
    """What tables of Xen's map as memory at these addresses."""
    found = [one async for one in _mapped(stopped, tables, within) if one.entry & INDEX == XENS]
    return joined(found)


async def of_domain(stopped: Stopped, tables: Tables) -> list[Mapped]:
    """What a domain's tables (stage 2) map as memory."""
    every = range(1 << tables.bits)
    found = [one async for one in _mapped(stopped, tables, every)
             if one.entry & ATTRIBUTES == NORMAL]  # fmt: skip
    return joined(found)


async def _mapped(stopped: Stopped, tables: Tables, within: range) -> AsyncIterator[Mapped]:
    """Each block and each page, by their addresses."""
    waiting = [(tables.base, tables.level, 0, tables.count)]
    while waiting:
        table, level, first, count = waiting.pop()
        size = 1 << processor.shift(level)
        entries = struct.unpack(f"<{count}Q", await stopped.physical(table, 8 * count))
        below = []
        for number, entry in enumerate(entries):
            address = first + number * size
            if not entry & VALID or address + size <= within.start or address >= within.stop:
                continue
            place = processor.entry_address(entry, level, address)
            if place is not None:
                yield Mapped(address, place, size, entry)
            elif entry & TABLE and level < LAST:
                below.append((entry & ADDRESS, level + 1, address, 512))
        waiting += reversed(below)


def joined(ranges: Iterable[Mapped]) -> list[Mapped]:
    """The same with one range for those that lie side by side in both address spaces."""
    found: list[Mapped] = []
    for one in sorted(ranges, key=lambda each: each.address):
        last = found[-1] if found else None
        if last and (last.address + last.size, last.place + last.size) == (one.address, one.place):
            found[-1] = replace(last, size=last.size + one.size)
        else:
            found.append(one)
    return found


async def pieces(stopped: Stopped, dump: Dump, found: Sequence[Mapped], whose: str) -> list[Piece]:
    """The memory in some ranges, for a core file.

    Raises:
        MachineError: ``whose`` memory has more than :data:`MOST` bytes.
    """
    if sum(one.size for one in found) > MOST:
        raise MachineError(f"{whose} has more than {MOST >> 20} MiB")
    return [Piece(one.address, await read(stopped, dump, one)) for one in found]


async def read(stopped: Stopped, dump: Dump, one: Mapped) -> bytes:
    """What is in a range."""
    few = one.size <= FEW
    return await (stopped.physical(one.place, one.size) if few else dump(one.place, one.size))
