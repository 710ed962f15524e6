"""All memory of a domain: the pages that its stage 2 tables map as normal memory."""

from __future__ import annotations

from lab.debug import mapping
from lab.debug.core_file import Piece
from lab.debug.domains import DomainFound
from lab.debug.mapping import Dump
from lab.debug.stopped import Stopped
from lab.errors import MachineError

#: The most memory of a domain that is kept, in bytes.
MOST = 512 << 20


async def pieces(stopped: Stopped, domain: DomainFound, dump: Dump) -> list[Piece]:
    """The domain's memory. Pages that lie side by side in both address spaces are one piece.

    Raises:
        MachineError: it has more than :data:`MOST` bytes.
    """
    found = await mapping.of_domain(stopped, await stopped.of_domain(domain.vttbr))
    if sum(one.size for one in found) > MOST:
        raise MachineError(f"{domain.name} has more than {MOST >> 20} MiB")
    return [Piece(one.address, await mapping.read(stopped, dump, one)) for one in found]
