"""Where a FreeRTOS port keeps the registers of a task that does not run.

The only thing here that depends on the architecture. Each entry: the names of the words from
``pxTopOfStack`` upwards, the size of a word, and the name of the general registers' prefix.
``""`` stands for a word that is no general register.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import gdb

from lab.debug.gdb_commands import link


@dataclass(frozen=True)
class Frame:
    words: Sequence[str]
    size: int
    code: str
    sp: str = "sp"

    def registers(self, top: int) -> dict[str, int]:
        """The registers of a task whose saved frame begins at ``top``."""
        length = self.size * len(self.words)
        data = bytes(gdb.selected_inferior().read_memory(top, length))
        values = struct.unpack(f"<{len(self.words)}{self.code}", data)
        found = {name: value for name, value in zip(self.words, values, strict=True) if name}
        return found | {self.sp: top + length}


#: images/freertos/port/vectors.S: critical nesting, FPSCR, d0 to d31, r0 to r12, lr, pc, cpsr.
ARM32 = Frame(
    ("", "", *[""] * 64, *(f"r{number}" for number in range(13)), "lr", "pc", "cpsr"), 4, "I"
)
#: By the name of the session's architecture (lab/debug/launch.py).
FRAMES = {"arm32": ARM32}


def of_session() -> Frame:
    return FRAMES[link.SESSION["arch"]]
