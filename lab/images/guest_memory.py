"""How much memory a guest needs to start: for what ``xl`` places there, and what its kernel adds.

libxenguest loads a zImage 32 KiB into the guest's RAM, and an Image where its header asks to lie.
It reserves whole blocks of 2 MiB for either. The ramdisk and the device tree follow, at 128 MiB or
at the end of RAM (tools/libs/guest/xg_dom_arm.c, meminit).
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.images import elf
from lab.images.kernel_formats import GUEST_RAM, Kernel, Linux
from lab.images.zimage import LOADED_AT

MIB, PIECE, PAGE = 1 << 20, 2 << 20, 4 << 10
#: Upper bound for the size of a guest's device tree, in bytes.
DEVICE_TREE = 8 << 10
#: Bytes that Linux's decompressor needs in addition to its own size: its stack, its heap, and the
#: distance by which it copies itself (arch/arm/boot/compressed/head.S).
DECOMPRESSOR = 128 << 10


@dataclass(frozen=True)
class Need:
    """The least memory in bytes, a whole number of MiB, and in words what needs it."""

    least: int
    why: str


def need(kernel: Kernel, ramdisk: int = 0, linked_end: int = 0) -> Need:
    """The least memory that a guest needs.

    ``ramdisk``: its size in bytes. ``linked_end``: where a program with all its variables ends, in
    bytes from the start of RAM; 0: not known.
    """
    modules = _up(ramdisk, PAGE) + DEVICE_TREE
    placed = _up(kernel.at + kernel.placed, PIECE)
    parts = [f"its kernel takes {shown(kernel.placed)}, for which xl reserves {shown(placed)}"
             if kernel.placed else f"xl reserves {shown(placed)} for any kernel"]  # fmt: skip
    end = placed
    if kernel.at + kernel.used > end:
        end = kernel.at + kernel.used
        parts = [f"its kernel takes {shown(kernel.used)} with its variables"]
    if linked_end > end:
        end, parts = linked_end, [f"its program takes {shown(linked_end)} with variables and heap"]
    if kernel.linux and (unpacked := _unpacked(kernel.linux, kernel.placed)) > end:
        end = unpacked
        parts = [f"its kernel unpacks itself to {shown(kernel.linux.size + kernel.linux.bss)}, "
                 f"which takes {shown(unpacked)}"]  # fmt: skip
    parts += [f"its ramdisk takes {shown(ramdisk)}"] if ramdisk else []
    return Need(_up(end + modules + 1, MIB), "; ".join(parts))


def too_little(memory: int, needed: Need, *, linux: bool) -> str:
    """Why ``memory`` bytes are too little for a guest; empty if they are enough."""
    if memory >= needed.least:
        return ""
    more = ", and Linux needs more than that to run (try 64M or 128M)" if linux else ""
    least = f"with its device tree it needs at least {shown(needed.least)}"
    return f"{shown(memory)} is too little: {needed.why}; {least}{more}"


def linked_end(data: bytes) -> int:
    """Where an ELF file's program ends, in bytes from the start of RAM; 0: it does not say."""
    try:
        end = elf.end_of_memory(data, GUEST_RAM)
    except ValueError:
        return 0
    return max(0, end - GUEST_RAM)


def shown(size: int) -> str:
    """A size (bytes) for people: in whole KiB below 1 MiB, else in MiB with one decimal."""
    if size < MIB:
        return f"{_up(size, 1024) >> 10}K"
    return f"{size / MIB:.1f}".removesuffix(".0") + "M"


def _unpacked(linux: Linux, packed: int) -> int:
    """The end of the RAM that Linux uses while it unpacks itself, in bytes from the start of RAM.

    The packed kernel moves itself behind the place of the unpacked kernel, unless all of it lies
    before that place.
    """
    bare = linux.text_offset + linux.size
    moved = 0 if LOADED_AT + packed <= linux.text_offset else packed + DECOMPRESSOR
    return bare + max(linux.bss, moved)


def _up(size: int, to: int) -> int:
    return -(-size // to) * to
