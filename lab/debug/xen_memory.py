"""All memory of Xen: the pages that its own tables (stage 1) map as normal memory.

On arm64 Xen maps all memory of the machine (the direct map). Of that only the stacks are taken on
which the PCPUs are: the rest is mostly memory of domains.
"""

from __future__ import annotations

from lab.debug import mapping
from lab.debug.core_file import Piece
from lab.debug.mapping import Dump
from lab.debug.stopped import Stopped
from lab.errors import MachineError


async def pieces(stopped: Stopped, thread: int, dump: Dump) -> list[Piece]:
    """Xen's memory as the PCPU with this thread maps it.

    Raises:
        MachineError: no table is found, or there is too much memory (:func:`mapping.pieces`).
    """
    arch, tables = stopped.arch, await stopped.hyp(thread)
    # From the heap's end on Xen of arm32 maps memory of domains while it looks at it.
    own = range(arch.heap.start if arch.direct else arch.heap.stop)
    found = await mapping.of_xen(stopped, tables, own)
    if not found:
        raise MachineError("Xen's own memory was not found", hint="Xen may still be booting")
    ranges = await mapping.pieces(stopped, dump, found, "Xen")
    return [*ranges, *(await _stacks(stopped) if arch.direct else [])]


async def _stacks(stopped: Stopped) -> list[Piece]:
    """The stacks of the PCPUs, each of which begins at a multiple of its size."""
    arch = stopped.arch
    found = {}
    for thread in stopped.threads:
        sp = await stopped.register("sp", thread)
        if sp in arch.heap:
            first = sp - sp % arch.stack
            tables = await stopped.hyp(thread)
            found[first] = await stopped.read_through(tables, first, arch.stack)
    return [Piece(first, data) for first, data in sorted(found.items())]
