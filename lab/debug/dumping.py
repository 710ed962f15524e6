"""Physical memory of a machine, faster than its gdbstub gives it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from lab.machine.qemu_command import LIVE
from lab.rundir import LabDir
from lab.util import reading

if TYPE_CHECKING:
    from lab.debug.mapping import Dump
    from lab.machine.qmp import Qmp

#: The file in the live lab's folder that QEMU writes.
DUMP = "memory.dump"


def through(connect: Callable[[], AbstractAsyncContextManager[Qmp]], lab: LabDir) -> Dump:
    """Reads physical memory, which QEMU writes into a file of the lab's folder.

    ``connect`` gives the connection to QMP, each time anew.
    """
    file = lab.path / DUMP

    async def dump(first: int, size: int) -> bytes:
        where = {"val": first, "size": size, "filename": f"{LIVE}/{DUMP}"}
        try:
            async with connect() as control:
                await control.execute("pmemsave", where)
                return reading.data(file, size)
        finally:
            file.unlink(missing_ok=True)

    return dump
