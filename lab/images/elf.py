"""Reads from ELF files what the image builders need.

Source of the format of ``.modinfo``: the kernel's include/linux/module.h.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lab.util.elf_layout import is_elf, layout_of, sections_of

__all__ = ["Dynamic", "dynamic", "end_of_memory", "is_elf", "modinfo", "objects"]

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB = 0, 1, 5
STT_OBJECT = 1
SHF_ALLOC = 2


@dataclass(frozen=True)
class Dynamic:
    """What a file needs at run time: its dynamic linker, and libraries by file name."""

    interpreter: str
    needed: tuple[str, ...]


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
        found = {
            _string(strings, symbol["name"]): (symbol["value"], symbol["size"])
            for symbol in layout_of(data).symbol.each(table)
            if symbol["info"] & 0xF == STT_OBJECT
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
        ends = [
            section["address"] + section["size"]
            for section in sections_of(data)
            if section["flags"] & SHF_ALLOC
        ]
    except struct.error as error:
        raise ValueError(f"damaged ELF file: {error}") from error
    return max((end for end in ends if end > start), default=0)


def _dynamic(data: bytes) -> Dynamic:
    segments = list(_segments(data))
    interpreter = ""
    entries: list[tuple[int, int]] = []
    for segment in segments:
        if segment["type"] == PT_INTERP:
            interpreter = _string(data, segment["offset"])
        elif segment["type"] == PT_DYNAMIC:
            entries = list(_dynamic_entries(data, segment["offset"]))
    tables = [value for tag, value in entries if tag == DT_STRTAB]
    if not tables:
        return Dynamic(interpreter, ())
    strings = _file_offset(segments, tables[0])
    needed = tuple(_string(data, strings + value) for tag, value in entries if tag == DT_NEEDED)
    return Dynamic(interpreter, needed)


def _segments(data: bytes) -> Iterator[dict[str, int]]:
    layout = layout_of(data)
    header = layout.header.at(data, 0)
    for number in range(header["segment_count"]):
        yield layout.segment.at(data, header["segments"] + number * header["segment_size"])


def _dynamic_entries(data: bytes, offset: int) -> Iterator[tuple[int, int]]:
    part = layout_of(data).dynamic
    while (entry := part.at(data, offset))["tag"] != DT_NULL:
        yield entry["tag"], entry["value"]
        offset += part.size


def _file_offset(segments: list[dict[str, int]], address: int) -> int:
    for segment in segments:
        into = address - segment["address"]
        if segment["type"] == PT_LOAD and 0 <= into < segment["size"]:
            return segment["offset"] + into
    raise ValueError(f"address {address:#x} is in no segment")


def _section(data: bytes, name: str) -> bytes | None:
    sections = sections_of(data)
    names = layout_of(data).header.at(data, 0)["section_names"]
    for section in sections:
        if _string(data, sections[names]["offset"] + section["name"]) == name:
            return data[section["offset"] : section["offset"] + section["size"]]
    return None


def _string(data: bytes, offset: int) -> str:
    end = data.find(b"\0", offset)
    if end < 0:
        raise ValueError("a string does not end")
    return data[offset:end].decode()
