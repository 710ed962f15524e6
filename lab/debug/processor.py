"""What a debugger must know of the processor: modes, address spaces, saved contexts.

What differs between architectures is here and in :mod:`lab.debug.registers`. An :class:`Arch`
describes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from lab.debug import registers
from lab.debug.registers import A32, A64, RegisterSet

#: Bits of a table entry of the long-descriptor format (Arm ARM, "VMSAv8-32 translation" and
#: "VMSAv8-64 translation").
VALID, TABLE = 1, 2
ADDRESS = 0x0000_FFFF_FFFF_F000
PAGE = 4096
#: The last level of a table, whose entries are pages.
LAST = 3
#: The level at which a domain's tables begin, by the field SL0 of the control register of stage 2
#: for pages of 4 KiB.
FIRST_LEVELS = {0: 2, 1: 1, 2: 0, 3: LAST}


@dataclass(frozen=True)
class Arch:
    """How QEMU's gdbstub and Xen describe one kind of processor.

    Attributes:
        own: the registers that QEMU's gdbstub shows.
        vttbr, vtcr: the names of the registers that hold the base of a domain's tables (with the
            VMID above) and their form.
        hyp_tables: the name of the register that holds the base of Xen's own tables.
        hyp_level: the level at which those begin; ``hyp_bits``: how many bits an address has.
        vectors: the name of the register that holds the address of Xen's vectors, in its image.
        entries: the offsets of those at which a domain is left for Xen (Arm ARM, "Exception
            vectors").
        interrupts: the offsets of those at which an interrupt is taken, wherever it finds the CPU.
        width: the name of the register without :data:`WIDE_GUEST` if the guest is one of
            32 bits (HCR_EL2.RW); empty if all are.
        hyp_modes: the values of ``cpsr & mode_mask`` in Xen.
        heap: the addresses that Xen's heap may have in its own address space (asm/config.h of Xen).
        direct: these are the addresses of all memory of the machine (the direct map).
        word: the size of an address, in bytes.
        stack: the size of the stack that Xen has for a vCPU, in bytes.
        info: the size of Xen's ``struct cpu_info``, in bytes.
        saved: the registers of a vCPU that does not run, out of Xen's ``struct cpu_user_regs``.
    """

    own: RegisterSet
    vttbr: str
    vtcr: str
    hyp_tables: str
    hyp_level: int
    hyp_bits: int
    vectors: str
    entries: tuple[int, ...]
    interrupts: tuple[int, ...]
    width: str
    hyp_modes: frozenset[int]
    mode_mask: int
    heap: range
    direct: bool
    word: int
    stack: int
    info: int
    saved: Callable[[bytes], dict[str, int]]

    def in_hyp(self, cpsr: int) -> bool:
        return cpsr & self.mode_mask in self.hyp_modes


ARM32 = Arch(
    own=A32, vttbr="VTTBR", vtcr="VTCR", hyp_tables="HTTBR", hyp_level=1, hyp_bits=32,
    vectors="VBAR_EL2", entries=(0x14, 0x18, 0x1C), interrupts=(0x18,),
    width="", hyp_modes=frozenset({0x1A}), mode_mask=0x1F,
    heap=range(0x4000_0000, 0x8000_0000), direct=False, word=4, stack=32 << 10, info=168,
    saved=registers.of_arm32,
)  # fmt: skip
ARM64 = Arch(
    own=A64, vttbr="VTTBR_EL2", vtcr="VTCR_EL2", hyp_tables="TTBR0_EL2", hyp_level=0, hyp_bits=48,
    vectors="VBAR_EL2", entries=tuple(range(0x400, 0x800, 0x80)), interrupts=(0x280, 0x480, 0x680),
    width="HCR_EL2", hyp_modes=frozenset({8, 9}), mode_mask=0xF,
    heap=range(0x8000_0000_0000, 0x8500_0000_0000), direct=True,
    word=8, stack=32 << 10, info=352,
    saved=registers.of_arm64,
)  # fmt: skip
#: The bit of that register for a guest of 64 bits.
WIDE_GUEST = 1 << 31


def of_description(names: Collection[str]) -> Arch:
    """The processor whose gdbstub has registers of these names."""
    return ARM64 if ARM64.vttbr in names else ARM32


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


@dataclass(frozen=True)
class Tables:
    """Tables of an address space.

    Attributes:
        base: the first table. Several of its level may lie side by side.
        level: the level of that one.
        bits: how many bits an address has.
    """

    base: int
    level: int
    bits: int

    @property
    def count(self) -> int:
        """How many entries there are in the first level."""
        return 1 << self.bits - shift(self.level)


def stage2(arch: Arch, vttbr: int, control: int) -> Tables:
    """A domain's tables. ``control``: the register VTCR, which has the same value for all (Arm ARM,
    "VTCR, Virtualization Translation Control Register" and "VTCR_EL2")."""
    level = FIRST_LEVELS[control >> 6 & 3]
    if arch.word == 8:
        return Tables(vttbr & ADDRESS, level, 64 - (control & 0x3F))
    return Tables(vttbr & ADDRESS, level, 32 - ((control & 0xF ^ 8) - 8))


def shift(level: int) -> int:
    """An entry of this level maps two to the power of this many bytes."""
    return 12 + 9 * (LAST - level)


def entry_address(entry: int, level: int, address: int) -> int | None:
    """Where an entry of ``level`` maps ``address``, if it is a block or a page."""
    if not entry & VALID or (entry & TABLE and level < LAST):
        return None
    size = 1 << shift(level)
    return (entry & ADDRESS & ~(size - 1)) | (address & (size - 1))
