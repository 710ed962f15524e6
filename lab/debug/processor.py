"""What a debugger must know of the processor: registers, address spaces, saved contexts.

Everything that differs between architectures is here. An :class:`Arch` describes one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab import model
from lab.errors import UsageError

#: Bits of a table entry of the long-descriptor format (Arm ARM, "VMSAv8-32 translation").
VALID, TABLE = 1, 2
ADDRESS = 0x0000_00FF_FFFF_F000
PAGE = 4096


@dataclass(frozen=True)
class Arch:
    """How QEMU's gdbstub and Xen describe one kind of processor.

    Attributes:
        vttbr, hyp_tables: the names of the registers that hold the base of a domain's tables
            (with the VMID above) and of Xen's own.
        hyp_modes: the values of ``cpsr & mode_mask`` in Xen.
        heap: where Xen's heap begins in its own address space (asm/config.h of Xen).
        general: the number of registers of a ``g`` packet that a task's frame holds.
        stack: the size of the stack that Xen has for a vCPU, in bytes.
        info: the size of Xen's ``struct cpu_info``, in bytes.
    """

    vttbr: str
    hyp_tables: str
    hyp_modes: frozenset[int]
    mode_mask: int
    heap: int
    word: int
    stack: int
    info: int

    def in_hyp(self, cpsr: int) -> bool:
        return cpsr & self.mode_mask in self.hyp_modes


#: The architecture whose labs a debugger understands so far.
DEBUGGED = model.ARM32
ARM32 = Arch("VTTBR", "HTTBR", frozenset({0x1A}), 0x1F, 0x4000_0000, 4, 32 << 10, 168)

#: Words of arm32's ``struct cpu_user_regs`` (xen/arch/arm/include/asm/arm32/processor.h): where
#: the stack pointer and the link register of each mode are.
_BANKED = {0x11: (32, 33), 0x12: (19, 20), 0x13: (21, 22), 0x17: (23, 24), 0x1B: (25, 26)}
_USER = (18, 14)
_FIQ = 0x11


def knows(arch: model.Architecture) -> bool:
    """Whether the debugger knows the machines of an architecture."""
    return arch == DEBUGGED


def check(arch: model.Architecture) -> None:
    """Raise a UsageError if the debugger does not know the machines of an architecture."""
    if not knows(arch):
        raise UsageError(
            f"the debugger does not know labs of {arch.xen} yet",
            hint=f"the same lab on {DEBUGGED.xen}, or its consoles: ./inv lab.logs",
        )


def guest_registers(frame: bytes) -> dict[str, int]:
    """The registers of a vCPU that does not run, out of Xen's ``struct cpu_user_regs``."""
    words = struct.unpack("<40I", frame[:160])
    cpsr = words[16]
    sp, lr = _BANKED.get(cpsr & 0x1F, _USER)
    found = {f"r{number}": words[number] for number in range(13)}
    if cpsr & 0x1F == _FIQ:
        found |= {f"r{number}": words[27 + number - 8] for number in range(8, 13)}
    return found | {"sp": words[sp], "lr": words[lr], "pc": words[15], "cpsr": cpsr}


def numbers(description: str, first: int = 0) -> dict[str, tuple[int, int]]:
    """The registers of a part of a target description: name → (number, size in bytes).

    ``first``: the number of the first register, if it names none itself.
    """
    found: dict[str, tuple[int, int]] = {}
    for words in re.findall(r"<reg\s([^>]*)>", description):
        values = dict(re.findall(r'(\w+)="([^"]*)"', words))
        first = int(values.get("regnum", first))
        found.setdefault(values["name"], (first, int(values["bitsize"]) // 8))
        first += 1
    return found


def in_g_packet(registers: Mapping[str, int], order: Sequence[str], word: int) -> bytes:
    """Registers as a ``g`` packet has them; the unknown ones as ``x``."""
    return b"".join(
        registers[name].to_bytes(word, "little").hex().encode()
        if name in registers else b"x" * (2 * word)
        for name in order
    )  # fmt: skip


def successors(address: int, instruction: int) -> list[int]:
    """The addresses of what is executed after an instruction (A32); empty if memory or a register
    decides it.

    >>> [hex(one) for one in successors(0x1000, 0xea000002)]  # b 0x1010
    ['0x1010']
    """
    condition, target = instruction >> 28, instruction >> 12 & 15
    if instruction & 0x0E00_0000 == 0x0A00_0000 and condition != 15:  # b, bl
        offset = (instruction & 0xFF_FFFF) ^ 0x80_0000
        there = address + 8 + 4 * (offset - 0x80_0000)
        return [there] if condition == 14 else [there, address + 4]
    jumps = (
        condition == 15
        or instruction & 0x0FFF_FFD0 == 0x012F_FF10  # bx, blx
        or (instruction & 0x0E10_8000 == 0x0810_8000)  # ldm with pc
        or (instruction & 0x0C10_0000 == 0x0410_0000 and target == 15)  # ldr pc
        or (instruction & 0x0C00_0000 == 0 and target == 15)  # a result into pc
        or instruction & 0x0F00_0000 == 0x0F00_0000  # svc
        or instruction & 0x0FF0_00F0 == 0x0140_0070  # hvc
    )
    return [] if jumps else [address + 4]


def entry_address(entry: int, level: int, address: int) -> int | None:
    """Where an entry of ``level`` maps ``address``, if it is a block or a page."""
    if not entry & VALID or (entry & TABLE and level < 3):
        return None
    size = PAGE << 9 * (3 - level)
    return (entry & ADDRESS & ~(size - 1)) | (address & (size - 1))
