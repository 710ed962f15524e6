"""Where a program goes on after an instruction, as far as the instruction itself says it."""

from __future__ import annotations


def successors(address: int, instruction: int, wide: bool = False) -> list[int]:
    """The addresses of what is executed after an instruction of A32, or of A64 (``wide``); empty
    if memory or a register decides it.

    >>> [hex(one) for one in successors(0x1000, 0xea000002)]  # b 0x1010
    ['0x1010']
    >>> [hex(one) for one in successors(0x1000, 0x54000040, wide=True)]  # b.eq 0x1008
    ['0x1008', '0x1004']
    """
    return _of_a64(address, instruction) if wide else _of_a32(address, instruction)


def _of_a32(address: int, instruction: int) -> list[int]:
    condition, target = instruction >> 28, instruction >> 12 & 15
    if instruction & 0x0E00_0000 == 0x0A00_0000 and condition != 15:  # b, bl
        there = address + 8 + 4 * _signed(instruction, 24)
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


def _of_a64(address: int, instruction: int) -> list[int]:
    """See the Arm ARM, "A64 instruction set encoding", branches and exceptions."""
    if instruction & 0x7C00_0000 == 0x1400_0000:  # b, bl
        return [address + 4 * _signed(instruction, 26)]
    if instruction & 0xFE00_0000 == 0x5400_0000 or instruction & 0x7E00_0000 == 0x3400_0000:
        return [address + 4 * _signed(instruction >> 5, 19), address + 4]  # b.cond, cbz, cbnz
    if instruction & 0x7E00_0000 == 0x3600_0000:  # tbz, tbnz
        return [address + 4 * _signed(instruction >> 5, 14), address + 4]
    jumps = (
        instruction & 0xFE00_0000 == 0xD600_0000  # br, blr, ret, eret
        or instruction & 0xFF00_0000 == 0xD400_0000  # svc, hvc, smc, brk
    )
    return [] if jumps else [address + 4]


def _signed(value: int, bits: int) -> int:
    sign = 1 << bits - 1
    return ((value & (2 * sign - 1)) ^ sign) - sign
