"""Small made-up files that people give as kernels."""

from __future__ import annotations

import struct


def zimage(size: int = 0x100, *, start: int = 0, end: int | None = None) -> bytes:
    """An ARM zImage of this many bytes. ``start`` and ``end`` are words of its header."""
    header = b"\0" * 0x24 + struct.pack("<3I", 0x016F2818, start, size if end is None else end)
    return header.ljust(size, b"\0")


def linux(unpacked: int, size: int = 0x10000, *, bss: int = 0, text_offset: int = 0x8000) -> bytes:
    """A zImage as Linux makes it, with a table of sizes. ``unpacked``: the size of its kernel in
    bytes."""
    table, at = 0x40, 0x60
    words = struct.pack("<2I", 0x45454545, table)
    sizes = struct.pack("<5I", 5, 0x5A534C4B, at, bss, text_offset)
    data = zimage(size)[:0x30] + struct.pack("<I", 0x04030201) + words
    data = data.ljust(table, b"\0") + sizes
    return (data.ljust(at, b"\0") + struct.pack("<I", unpacked)).ljust(size, b"\0")


def image(
    size: int = 0x100, *, text_offset: int = 0, uses: int = 0, flags: int = 0, marked: bool = True
) -> bytes:
    """An arm64 Image of this many bytes, with the fields of its header; without its mark, one
    from before Linux 3.17."""
    words = struct.pack("<2I3Q", 0x14000008, 0, text_offset, uses, flags)
    return (words.ljust(56, b"\0") + (b"ARMd" if marked else b"")).ljust(size, b"\0")


def uimage(inside: bytes) -> bytes:
    """The content with a U-Boot header in front."""
    return b"\x27\x05\x19\x56" + b"\0" * 60 + inside


def elf(machine: int, *, bits: int = 32, kind: int = 2) -> bytes:
    """The first bytes of an ELF file."""
    name = b"\x7fELF" + bytes([bits // 32, 1, 1]) + b"\0" * 9
    return (name + struct.pack("<2H", kind, machine)).ljust(64, b"\0")


def at(offset: int, mark: bytes, size: int = 0x9000) -> bytes:
    """A file that has only these bytes, at this offset."""
    return (b"\x80" * offset + mark).ljust(size, b"\x80")
