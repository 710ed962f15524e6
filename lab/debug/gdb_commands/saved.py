"""Prints what becomes the threads of a core file (lab/debug/backtrace.py)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import gdb

from lab.debug.gdb_commands import freertos


def print_saved() -> None:
    """Print the tasks that have saved registers, for who makes a core file's threads."""
    with contextlib.suppress(gdb.error, gdb.GdbError):
        told = [{"key": one.address, "registers": one.registers} for one in freertos.tasks()
                if one.registers]  # fmt: skip
        told += [{"key": 2, "registers": found} for found in _faulted()]
        gdb.write(f"lab-tasks:{json.dumps(told)}\n")


def _faulted() -> Iterator[dict[str, int]]:
    """The registers of the code that faulted, if our port is about to end for that
    (images/freertos/port/fault.c)."""
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
    yield dict(_named(saved))


def _named(saved: Any) -> Iterator[tuple[str, int]]:
    """The registers of a ``struct fault_frame`` (images/freertos/port/arm32 and arm64, frame.h)."""
    for field in saved.type.strip_typedefs().fields():
        value = saved[field.name]
        if value.type.code == gdb.TYPE_CODE_ARRAY:
            first, last = value.type.range()
            yield from ((f"{field.name}{n}", int(value[n])) for n in range(first, last + 1))
        else:
            yield "cpsr" if field.name == "pstate" else field.name, int(value)
