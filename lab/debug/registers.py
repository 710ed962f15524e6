"""The registers of a program of 32 bits (A32) and of one of 64 bits (A64): what GDB calls them,
where Xen saves them, and how QEMU's monitor shows them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

#: A bit of ``cpsr``: a guest of 32 bits on a processor of 64 (SPSR_EL2.M[4]).
NARROW = 0x10
#: The bit of ``cpsr`` for the instruction set T32.
THUMB = 0x20

#: Words of arm32's ``struct cpu_user_regs`` (xen/arch/arm/include/asm/arm32/processor.h): where
#: the stack pointer and the link register of each mode are.
_BANKED = {0x11: (32, 33), 0x12: (19, 20), 0x13: (21, 22), 0x17: (23, 24), 0x1B: (25, 26)}
_USER = (18, 14)
#: The registers of arm64 that hold them (Arm ARM, "Mapping of the general-purpose registers
#: between the Execution states").
_MAPPED = {0x11: (29, 30), 0x12: (17, 16), 0x13: (19, 18), 0x17: (21, 20), 0x1B: (23, 22)}
_USER_MAPPED = (13, 14)
_FIQ = 0x11
#: The words of arm64's ``struct cpu_user_regs`` (xen/arch/arm/include/asm/arm64/processor.h).
_PC, _CPSR, _SP_EL0, _SP_EL1 = 32, 33, 39, 40
#: The bits of ``cpsr`` in a guest of 64 bits that say whose stack pointer is in use.
_HANDLER = 1


@dataclass(frozen=True)
class RegisterSet:
    """The general registers, in the order of a ``g`` packet.

    Attributes:
        sizes: each register's name and its size in bytes.
        description: what GDB is told of them (gdb's documentation, "Target Descriptions").
    """

    sizes: Mapping[str, int]
    description: bytes

    def packet(self, values: Mapping[str, int]) -> bytes:
        """Registers as a ``g`` packet has them; the unknown ones as ``x``."""
        return b"".join(
            values[name].to_bytes(size, "little").hex().encode()
            if name in values else b"x" * (2 * size)
            for name, size in self.sizes.items()
        )  # fmt: skip


def _described(arch: str, feature: str, registers: str) -> bytes:
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">'
        f'<architecture>{arch}</architecture><feature name="{feature}">{registers}</feature>'
        "</target>"
    ).encode()


_GENERAL = "".join(f'<reg name="r{number}" bitsize="32"/>' for number in range(13))
A32 = RegisterSet(
    dict.fromkeys((*(f"r{number}" for number in range(13)), "sp", "lr", "pc", "cpsr"), 4),
    _described(
        "arm", "org.gnu.gdb.arm.core",
        f'{_GENERAL}<reg name="sp" bitsize="32" type="data_ptr"/><reg name="lr" bitsize="32"/>'
        '<reg name="pc" bitsize="32" type="code_ptr"/><reg name="cpsr" bitsize="32" regnum="25"/>',
    ),
)  # fmt: skip
A64 = RegisterSet(
    dict.fromkeys((*(f"x{number}" for number in range(31)), "sp", "pc"), 8) | {"cpsr": 4}, b""
)


def of_arm32(frame: bytes) -> dict[str, int]:
    """The registers of a vCPU out of arm32's ``struct cpu_user_regs``."""
    words = struct.unpack("<40I", frame[:160])
    cpsr = words[16]
    sp, lr = _BANKED.get(cpsr & 0x1F, _USER)
    found = {f"r{number}": words[number] for number in range(13)}
    if cpsr & 0x1F == _FIQ:
        found |= {f"r{number}": words[27 + number - 8] for number in range(8, 13)}
    return found | {"sp": words[sp], "lr": words[lr], "pc": words[15], "cpsr": cpsr}


def of_arm64(frame: bytes) -> dict[str, int]:
    """The registers of a vCPU out of arm64's ``struct cpu_user_regs``: those of A32 if it is one
    of 32 bits."""
    words = struct.unpack("<42Q", frame[:336])
    cpsr = words[_CPSR] & 0xFFFF_FFFF
    if cpsr & NARROW:
        return _narrowed(words, cpsr)
    found = {f"x{number}": words[number] for number in range(31)}
    sp = words[_SP_EL1 if cpsr & _HANDLER else _SP_EL0]
    return found | {"sp": sp, "pc": words[_PC], "cpsr": cpsr}


def _narrowed(words: tuple[int, ...], cpsr: int) -> dict[str, int]:
    sp, lr = _MAPPED.get(cpsr & 0x1F, _USER_MAPPED)
    values = {f"r{number}": words[number] for number in range(13)}
    if cpsr & 0x1F == _FIQ:
        values |= {f"r{number}": words[24 + number - 8] for number in range(8, 13)}
    values |= {"sp": words[sp], "lr": words[lr], "pc": words[_PC], "cpsr": cpsr}
    return {name: value & 0xFFFF_FFFF for name, value in values.items()}


def of_monitor(text: str) -> dict[int, dict[str, int]]:
    """The registers of the PCPUs that execute A32, by the PCPUs' numbers.

    ``text`` is what ``info registers -a`` of QEMU's monitor says (target/arm/cpu.c of QEMU,
    aarch64_cpu_dump_state and arm_cpu_dump_state).
    """
    found = {}
    for part in re.split(r"^CPU#", text, flags=re.M)[1:]:
        values = {int(name): int(value, 16)
                  for name, value in re.findall(r"\bR(\d\d)=([0-9a-f]{8})\b", part)}  # fmt: skip
        status = re.search(r"\bPSR=([0-9a-f]{8})\b", part)
        if status and len(values) == 16:
            names = [*A32.sizes][:16]
            registers = {name: values[number] for number, name in enumerate(names)}
            found[int(part.split()[0])] = registers | {"cpsr": int(status[1], 16)}
    return found


def as_wide(narrow: Mapping[str, int]) -> dict[str, int]:
    """The registers of A32 by the names of A64, for who can be told only those."""
    found = {f"x{number}": narrow[f"r{number}"] for number in range(13)}
    found |= {"x13": narrow["sp"], "x14": narrow["lr"]}
    return found | {name: narrow[name] for name in ("sp", "pc", "cpsr")}
