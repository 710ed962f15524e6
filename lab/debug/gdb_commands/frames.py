"""Where a FreeRTOS port keeps the registers of a task that does not run.

The only thing here that depends on the architecture. Each entry: the names of the words from
``pxTopOfStack`` upwards, and their size. ``""`` stands for a word that is no general register.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import gdb

#: A function of the port whose frames these are (images/freertos/port/port.c).
OURS = "port_task_returned"


@dataclass(frozen=True)
class Frame:
    words: Sequence[str]
    size: int
    code: str

    def registers(self, top: int) -> dict[str, int]:
        """The registers of a task whose saved frame begins at ``top``."""
        length = self.size * len(self.words)
        data = bytes(gdb.selected_inferior().read_memory(top, length))
        values = struct.unpack(f"<{len(self.words)}{self.code}", data)
        found = {name: value for name, value in zip(self.words, values, strict=True) if name}
        return found | {"sp": top + length}


#: images/freertos/port/arm32/vectors.S: critical nesting, FPSCR, d0 to d31, r0 to r12, lr, pc,
#: cpsr.
ARM32 = Frame(
    ("", "", *[""] * 64, *(f"r{number}" for number in range(13)), "lr", "pc", "cpsr"), 4, "I"
)
#: images/freertos/port/arm64/vectors.S: critical nesting, FPCR, FPSR, SPSR, ELR, x30, x0 to x29,
#: q0 to q31.
ARM64 = Frame(
    ("", "", "", "cpsr", "pc", "x30", *(f"x{number}" for number in range(30)), *[""] * 64), 8, "Q"
)


def of_session() -> Frame | None:
    """The frame of the guest whose symbols are loaded; ``None`` if its port is not ours."""
    if gdb.lookup_global_symbol(OURS) is None:
        return None
    return ARM64 if gdb.lookup_type("void").pointer().sizeof == ARM64.size else ARM32
