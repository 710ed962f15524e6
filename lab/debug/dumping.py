"""Physical memory of a machine, faster than its gdbstub gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from lab.machine.qemu_command import LIVE
from lab.rundir import LabDir
from lab.util import reading

#: The file in the live lab's folder that QEMU writes.
DUMP = "memory.dump"

#: QMP's execute: a command and its arguments.
Execute = Callable[[str, Mapping[str, object]], Awaitable[object]]


async def dumped(execute: Execute, lab: LabDir, first: int, size: int) -> bytes:
    """Physical memory, which QEMU writes into a file of the lab's folder."""
    file: Path = lab.path / DUMP
    try:
        where = {"val": first, "size": size, "filename": f"{LIVE}/{DUMP}"}
        await execute("pmemsave", where)
        return reading.data(file, size)
    finally:
        file.unlink(missing_ok=True)
