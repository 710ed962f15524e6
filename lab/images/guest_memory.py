"""How much memory a guest takes before it has done anything: what ``xl`` places there, and what its
kernel adds.

libxenguest loads a kernel 32 KiB into the guest's RAM and keeps whole pieces of 2 MiB for it; the
ramdisk and the device tree lie behind, at 128 MiB or at the end of RAM
(tools/libs/guest/xg_dom_arm.c, meminit).
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.images import elf
from lab.images.kernel_file import LOAD_OFFSET, RAM_BASE, Kernel, Linux

MIB, PIECE, PAGE = 1 << 20, 2 << 20, 4 << 10
#: A guest's device tree has less, in bytes.
DEVICE_TREE = 8 << 10
#: Linux's decompressor adds so much to itself: its stack and its heap, and what it copies itself by
#: (arch/arm/boot/compressed/head.S).
DECOMPRESSOR = 128 << 10


@dataclass(frozen=True)
class Need:
    """The least memory in bytes, a whole number of MiB, and what takes it, in words."""

    least: int
    why: str


def need(kernel: Kernel, ramdisk: int = 0, linked_end: int = 0) -> Need:
    """What a guest needs at least.

    ``ramdisk``: its bytes. ``linked_end``: where a program ends with all its variables, counted
    from the start of RAM; 0: not known.
    """
    modules = _up(ramdisk, PAGE) + DEVICE_TREE
    placed = _up(LOAD_OFFSET + kernel.placed, PIECE)
    parts = [f"its kernel has {shown(kernel.placed)}, for which xl keeps {shown(placed)}"
             if kernel.placed else f"xl keeps {shown(placed)} for any kernel"]  # fmt: skip
    end = placed
    if linked_end > end:
        end, parts = linked_end, [f"its program has {shown(linked_end)} with variables and heap"]
    if kernel.linux and (unpacked := _unpacked(kernel.linux, kernel.placed)) > end:
        end = unpacked
        parts = [f"its kernel unpacks itself to {shown(kernel.linux.size + kernel.linux.bss)}, "
                 f"which takes {shown(unpacked)}"]  # fmt: skip
    parts += [f"its ramdisk has {shown(ramdisk)}"] if ramdisk else []
    return Need(_up(end + modules + 1, MIB), "; ".join(parts))


def too_little(memory: int, needed: Need, *, linux: bool) -> str:
    """Why a guest cannot have so little memory, in bytes; empty if it can."""
    if memory >= needed.least:
        return ""
    more = ", and Linux wants more to work in (try 64M or 128M)" if linux else ""
    least = f"with its device tree that is at least {shown(needed.least)}"
    return f"{shown(memory)} is too little: {needed.why}; {least}{more}"


def linked_end(data: bytes) -> int:
    """Where the program of an ELF file ends, counted from the start of RAM; 0: it does not say."""
    try:
        end = elf.end_of_memory(data, RAM_BASE)
    except ValueError:
        return 0
    return max(0, end - RAM_BASE)


def shown(size: int) -> str:
    """A size for people: whole KiB below 1 MiB, else MiB."""
    if size < MIB:
        return f"{_up(size, 1024) >> 10}K"
    return f"{size / MIB:.1f}".removesuffix(".0") + "M"


def _unpacked(linux: Linux, packed: int) -> int:
    """Where in RAM nothing else may lie while Linux unpacks itself. The packed kernel is moved
    behind the place of the unpacked one, unless it lies before it."""
    bare = linux.text_offset + linux.size
    moved = 0 if LOAD_OFFSET + packed <= linux.text_offset else packed + DECOMPRESSOR
    return bare + max(linux.bss, moved)


def _up(size: int, to: int) -> int:
    return -(-size // to) * to
