"""Prints what becomes the threads of a core file (lab/debug/backtrace.py)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import gdb

from lab.debug.gdb_commands import freertos, link


def print_saved() -> None:
    """Print the tasks that have saved registers, for who makes a core file's threads."""
    link.SESSION.setdefault("arch", "arm32")
    with contextlib.suppress(gdb.error, gdb.GdbError):
        told = [{"key": one.address, "registers": one.registers} for one in freertos.tasks()
                if one.registers]  # fmt: skip
        told += [{"key": 2, "registers": found} for found in _faulted()]
        gdb.write(f"lab-tasks:{json.dumps(told)}\n")


def _faulted() -> Iterator[dict[str, int]]:
    """The registers of the code that faulted, if our port is about to end for that
    (images/freertos/port/fault.h, ``struct fault_frame``)."""
    frame = gdb.newest_frame()
    while frame is not None and frame.name() != "fault_handle":
        frame = frame.older()
    if frame is None:
        return
    try:
        saved = frame.read_var("frame").dereference()
        saved.fetch_lazy()
    except (gdb.error, ValueError):
        return
    found = {name: int(saved[name]) for name in ("sp", "lr", "pc", "cpsr")}
    yield found | {f"r{number}": int(saved["r"][number]) for number in range(13)}
