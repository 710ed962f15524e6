"""All memory of a domain: the pages that its stage 2 tables map as normal memory."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

from lab.debug import processor
from lab.debug.core_file import Piece
from lab.debug.domains import DomainFound, Dump
from lab.debug.processor import ADDRESS, PAGE, TABLE, VALID
from lab.debug.stopped import LEVELS, Stopped
from lab.errors import MachineError

#: Level 1 of stage 2 has two tables side by side, for 40 bits (arch/arm/p2m.c, setup_virt_paging).
ROOTS = 2
#: MemAttr of an entry of stage 2 for memory that is no device (Arm ARM, "Stage 2 memory region
#: type and Cacheability attributes").
NORMAL = 0xF
#: The most memory of a domain that is kept, in bytes.
MOST = 512 << 20


async def pieces(stopped: Stopped, domain: DomainFound, dump: Dump) -> list[Piece]:
    """The domain's memory. Pages that lie side by side in both address spaces are one piece.

    Raises:
        MachineError: it has more than :data:`MOST` bytes.
    """
    found: list[tuple[int, int, int]] = []
    async for address, place, size in _mapped(stopped, domain.vttbr & ADDRESS, 1, 0):
        if found and sum(found[-1][::2]) == address and found[-1][1] + found[-1][2] == place:
            found[-1] = found[-1][0], found[-1][1], found[-1][2] + size
        else:
            found.append((address, place, size))
    if sum(size for _, _, size in found) > MOST:
        raise MachineError(f"{domain.name} has more than {MOST >> 20} MiB")
    return [Piece(address, await _read(stopped, dump, place, size))
            for address, place, size in found]  # fmt: skip


async def _read(stopped: Stopped, dump: Dump, place: int, size: int) -> bytes:
    few = 4 * PAGE
    return await (stopped.physical(place, size) if size <= few else dump(place, size))


async def _mapped(
    stopped: Stopped, table: int, level: int, first: int
) -> AsyncIterator[tuple[int, int, int]]:
    """Each mapped range: its address in the domain, its physical address, its size."""
    size = PAGE << 9 * (LEVELS - level)
    count = 512 * (ROOTS if level == 1 else 1)
    entries = struct.unpack(f"<{count}Q", await stopped.physical(table, 8 * count))
    for number, entry in enumerate(entries):
        address = first + number * size
        if not entry & VALID:
            continue
        if entry & TABLE and level < LEVELS:
            async for one in _mapped(stopped, entry & ADDRESS, level + 1, address):
                yield one
        elif entry >> 2 & NORMAL == NORMAL:
            place = processor.entry_address(entry, level, address)
            if place is not None:
                yield address, place, size
