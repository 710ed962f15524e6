"""All memory of Xen: the pages that its own tables (stage 1) map as normal memory."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

from lab.debug import processor
from lab.debug.core_file import Piece
from lab.debug.domains import Dump
from lab.debug.processor import ADDRESS, PAGE, TABLE, VALID
from lab.debug.stopped import LEVELS, Stopped
from lab.errors import MachineError

#: AttrIndx of an entry (Arm ARM, "VMSAv8-32 translation table format descriptors"), and Xen's
#: index for its own memory (arch/arm/include/asm/page.h, MT_NORMAL).
INDEX, NORMAL = 0b111 << 2, 7 << 2
#: From here on Xen maps memory of domains while it looks at it (arch/arm/include/asm/config.h,
#: DOMHEAP_VIRT_START): that is left out.
DOMAINS = 0x8000_0000
#: The most memory that is kept, in bytes.
MOST = 512 << 20
#: Pieces of few pages are read through the gdbstub: a file for each would take longer.
FEW = 4 * PAGE


async def pieces(stopped: Stopped, thread: int, dump: Dump) -> list[Piece]:
    """Xen's memory as the PCPU with this thread maps it.

    Raises:
        MachineError: no table is found, or the memory has more than :data:`MOST` bytes.
    """
    table = await stopped.register(stopped.arch.hyp_tables, thread) & ADDRESS
    found: list[tuple[int, int, int]] = []
    async for address, place, size in _mapped(stopped, table, 1, 0):
        if found and sum(found[-1][::2]) == address and found[-1][1] + found[-1][2] == place:
            found[-1] = found[-1][0], found[-1][1], found[-1][2] + size
        else:
            found.append((address, place, size))
    if not found:
        raise MachineError("Xen's own memory was not found", hint="Xen may still be booting")
    if sum(size for _, _, size in found) > MOST:
        raise MachineError(f"Xen has more than {MOST >> 20} MiB")
    return [
        Piece(at, await (stopped.physical(place, size) if size <= FEW else dump(place, size)))
        for at, place, size in found
    ]


async def _mapped(
    stopped: Stopped, table: int, level: int, first: int
) -> AsyncIterator[tuple[int, int, int]]:
    """Each mapped range: Xen's address, its physical address, its size."""
    size = PAGE << 9 * (LEVELS - level)
    count = 4 if level == 1 else 512
    entries = struct.unpack(f"<{count}Q", await stopped.physical(table, 8 * count))
    for number, entry in enumerate(entries):
        address = first + number * size
        if not entry & VALID or address >= DOMAINS:
            continue
        if entry & TABLE and level < LEVELS:
            async for one in _mapped(stopped, entry & ADDRESS, level + 1, address):
                yield one
        elif entry & INDEX == NORMAL:
            place = processor.entry_address(entry, level, address)
            if place is not None:
                yield address, place, size
