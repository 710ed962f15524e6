"""How large variables are, by the table of symbols of the ELF file that is loaded.

GDB's commands know sizes by the scope of a variable. That of one inside a function is not known.
"""

from __future__ import annotations

import functools
import struct
from pathlib import Path

import gdb

from lab.util import elf_layout, reading

#: The largest file that is read, in bytes.
LARGEST = 256 << 20
SHT_SYMTAB, STT_OBJECT = 2, 1


def size_of(address: int) -> int | None:
    """The size in bytes of the variable that begins at this address; ``None`` if none does."""
    file = gdb.current_progspace().filename
    return _sizes(file).get(address) if file else None


@functools.cache
def _sizes(file: str) -> dict[int, int]:
    try:
        return _objects(reading.data(Path(file), LARGEST))
    except (OSError, struct.error, ValueError, KeyError):
        return {}


def _objects(data: bytes) -> dict[int, int]:
    symbol, found = elf_layout.layout_of(data).symbol, {}
    for section in elf_layout.sections_of(data):
        if section["type"] == SHT_SYMTAB:
            content = data[section["offset"] : section["offset"] + section["size"]]
            for one in symbol.each(content):
                if one["info"] & 0xF == STT_OBJECT and one["size"]:
                    found[one["value"]] = one["size"]
    return found
