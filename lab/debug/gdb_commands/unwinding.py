"""Lets backtraces of a 64-bit guest go on from the kernel into the task that it interrupted.

The port's entries are assembly without unwind tables (images/freertos/port/arm64/vectors.S), in
which GDB would go round for ever.
"""

from __future__ import annotations

import functools
from typing import Any

import gdb
import gdb.unwinder

from lab.debug.gdb_commands import frames, freertos

#: The entries from tasks, and what follows them.
FIRST, AFTER = "task_sync", "fault_sync"
#: An instruction ``bl``, by which they call the kernel.
CALL, CALL_MASK = 0x9400_0000, 0xFC00_0000


class FrameId:
    """How GDB knows a frame again."""

    def __init__(self, sp: Any, pc: Any) -> None:
        self.sp = sp
        self.pc = pc


class Entries(gdb.unwinder.Unwinder):
    """Knows the frames of the port's entries, once they have saved the task."""

    def __init__(self) -> None:
        super().__init__("lab-entries")

    def __call__(self, pending: Any) -> Any:
        try:
            return self._found(pending)
        except (gdb.error, ValueError):
            return None

    def _found(self, pending: Any) -> Any:
        if gdb.lookup_type("void").pointer().sizeof != frames.ARM64.size:
            return None
        pc = pending.read_register("pc")
        if not _address(FIRST) <= int(pc) < _address(AFTER) or not _called(int(pc)):
            return None
        task = freertos.symbol("pxCurrentTCB")
        if task is None or not int(task):
            return None
        info = pending.create_unwind_info(FrameId(pending.read_register("sp"), pc))
        saved = frames.ARM64.registers(int(task["pxTopOfStack"]))
        for name, value in saved.items():
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info


def _address(name: str) -> int:
    return _address_in(str(gdb.current_progspace().filename), name)


@functools.cache
def _address_in(_file: str, name: str) -> int:
    """It is asked once: GDB 13 may crash if an unwinder has an expression evaluated."""
    return int(gdb.parse_and_eval(f"(unsigned long)&{name}"))


def _called(pc: int) -> bool:
    before = bytes(gdb.selected_inferior().read_memory(pc - 4, 4))
    return int.from_bytes(before, "little") & CALL_MASK == CALL


def define() -> None:
    gdb.unwinder.register_unwinder(None, Entries(), replace=True)
