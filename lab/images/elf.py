"""Reads from 32-bit little-endian ELF files what the image builders need.

Sources: elf(5) for the layout, the kernel's include/linux/module.h for ``.modinfo``.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

MAGIC = b"\x7fELF\x01\x01"
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB = 0, 1, 5
STT_OBJECT = 1
SHF_ALLOC = 2


@dataclass(frozen=True)
class Dynamic:
    """What a file needs at run time: its dynamic linker, and libraries by file name."""

    interpreter: str
    needed: tuple[str, ...]


@dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def is_elf(data: bytes) -> bool:
    """Whether these are the bytes of a 32-bit little-endian ELF file."""
    return data.startswith(MAGIC) and len(data) >= 52


def dynamic(data: bytes) -> Dynamic:
    """The interpreter and the needed libraries of a program or library.

    Raises:
        ValueError: not an ELF file, or a damaged one.
    """
    try:
        return _dynamic(data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged ELF file: {error}") from error


def modinfo(data: bytes) -> dict[str, str]:
    """The ``.modinfo`` section of a kernel module: ``name``, ``depends`` and so on.

    Raises:
        ValueError: not an ELF file, a damaged one, or one without the section.
    """
    try:
        section = _section(data, ".modinfo")
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged ELF file: {error}") from error
    if section is None:
        raise ValueError("no .modinfo section")
    pairs = (entry.partition(b"=") for entry in section.split(b"\0") if entry)
    return {key.decode(): value.decode(errors="replace") for key, _, value in pairs}


def objects(data: bytes, names: Collection[str]) -> dict[str, tuple[int, int]]:
    """Address and size (bytes) of a program's variables ``names``, in this order.

    Variables that the program does not have are left out.

    Raises:
        ValueError: not an ELF file, or a damaged one.
    """
    try:
        table, strings = _section(data, ".symtab") or b"", _section(data, ".strtab") or b""
        symbols = struct.iter_unpack("<3I2BH", table)
        found = {
            _string(strings, name): (address, size)
            for name, address, size, info, _, _ in symbols
            if info & 0xF == STT_OBJECT
        }
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"damaged ELF file: {error}") from error
    return {name: found[name] for name in names if name in found}


def end_of_memory(data: bytes, start: int) -> int:
    """The address after the last byte that a program has in memory from ``start`` on; 0: none.

    Sections that are not loaded count too, although no segment includes them.

    Raises:
        ValueError: not an ELF file, or a damaged one.
    """
    try:
        ends = [section[3] + section[5] for section in _sections(data) if section[2] & SHF_ALLOC]
    except struct.error as error:
        raise ValueError(f"damaged ELF file: {error}") from error
    return max((end for end in ends if end > start), default=0)


def _dynamic(data: bytes) -> Dynamic:
    segments = list(_segments(data))
    interpreter = ""
    entries: list[tuple[int, int]] = []
    for segment in segments:
        if segment.kind == PT_INTERP:
            interpreter = _string(data, segment.offset)
        elif segment.kind == PT_DYNAMIC:
            entries = list(_dynamic_entries(data, segment.offset))
    tables = [value for tag, value in entries if tag == DT_STRTAB]
    if not tables:
        return Dynamic(interpreter, ())
    strings = _file_offset(segments, tables[0])
    needed = tuple(_string(data, strings + value) for tag, value in entries if tag == DT_NEEDED)
    return Dynamic(interpreter, needed)


def _segments(data: bytes) -> Iterator[_Segment]:
    if not is_elf(data):
        raise ValueError("not a 32-bit little-endian ELF file")
    table, size, count = _header(data, 28), _half(data, 42), _half(data, 44)
    for number in range(count):
        kind, offset, address, _, length = struct.unpack_from("<5I", data, table + number * size)
        yield _Segment(kind, offset, address, length)


def _dynamic_entries(data: bytes, offset: int) -> Iterator[tuple[int, int]]:
    while True:
        tag, value = struct.unpack_from("<2I", data, offset)
        if tag == DT_NULL:
            return
        yield tag, value
        offset += 8


def _file_offset(segments: list[_Segment], address: int) -> int:
    for segment in segments:
        if segment.kind == PT_LOAD and 0 <= address - segment.address < segment.size:
            return segment.offset + address - segment.address
    raise ValueError(f"address {address:#x} is in no segment")


def _sections(data: bytes) -> list[tuple[int, ...]]:
    """Name, type, flags, address, offset and size of each section."""
    if not is_elf(data):
        raise ValueError("not a 32-bit little-endian ELF file")
    table, size, count = _header(data, 32), _half(data, 46), _half(data, 48)
    return [struct.unpack_from("<6I", data, table + n * size) for n in range(count)]


def _section(data: bytes, name: str) -> bytes | None:
    headers = _sections(data)
    names = _half(data, 50)
    for header in headers:
        if _string(data, headers[names][4] + header[0]) == name:
            return data[header[4] : header[4] + header[5]]
    return None


def _string(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset)
    if end < 0:
        raise ValueError("a string does not end")
    return data[offset:end].decode()


def _header(data: bytes, offset: int) -> int:
    return int(struct.unpack_from("<I", data, offset)[0])


def _half(data: bytes, offset: int) -> int:
    return int(struct.unpack_from("<H", data, offset)[0])
