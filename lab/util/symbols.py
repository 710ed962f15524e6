"""Names for addresses: the functions of an ELF file.

A damaged file has no names. That is never an error, because
names only make a log easier to read.
"""

from __future__ import annotations

import bisect
import struct
from dataclasses import dataclass
from pathlib import Path

from lab.util import elf_layout, reading

#: The largest file whose names are read, in bytes.
LARGEST = 256 << 20
SHT_SYMTAB = 2
STT_NOTYPE, STT_FUNC = 0, 2
SHF_EXECINSTR = 4


@dataclass(frozen=True)
class Symbols:
    """Functions by address: ``starts`` is sorted, and each has its name in ``names``.

    ``code``: the ranges of code, as (first address, address after the last one).
    """

    starts: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    code: tuple[tuple[int, int], ...] = ()

    def at(self, address: int) -> str:
        """``function+0x1c``; empty if there is no code at this address."""
        i = bisect.bisect_right(self.starts, address) - 1
        if i < 0 or not any(first <= address < end for first, end in self.code):
            return ""
        return f"{self.names[i]}+{address - self.starts[i]:#x}"

    def address(self, name: str) -> int | None:
        """Where a function begins; ``None`` if there is none of this name."""
        return self.starts[self.names.index(name)] if name in self.names else None


def read(path: Path) -> Symbols:
    """The functions of an ELF file; none if it is missing or damaged."""
    try:
        return _functions(reading.data(path, LARGEST))
    except (OSError, struct.error, IndexError, ValueError):
        return Symbols()


def _functions(data: bytes) -> Symbols:
    sections = elf_layout.sections_of(data)
    symbol = elf_layout.layout_of(data).symbol
    code = [bool(section["flags"] & SHF_EXECINSTR) for section in sections]
    found: dict[int, str] = {}
    for section in sections:
        entry = section["entry_size"]
        if section["type"] == SHT_SYMTAB and entry >= symbol.size:
            strings = _content(data, sections[section["link"]])
            end = section["offset"] + section["size"]
            for place in range(section["offset"], end, entry):
                _take(found, symbol.at(data, place), strings, code)
    starts = tuple(sorted(found))
    spans = ((one["address"], one["address"] + one["size"])
             for one, is_code in zip(sections, code, strict=True) if is_code)  # fmt: skip
    return Symbols(starts, tuple(found[start] for start in starts), tuple(spans))


def _content(data: bytes, section: dict[str, int]) -> bytes:
    return data[section["offset"] : section["offset"] + section["size"]]


def _take(found: dict[int, str], symbol: dict[str, int], strings: bytes, code: list[bool]) -> None:
    """One symbol, if it names code. If an address has several, the name of a function wins."""
    kind, section, address = symbol["info"] & 0xF, symbol["section"], symbol["value"]
    if section >= len(code) or not code[section] or kind not in (STT_NOTYPE, STT_FUNC):
        return
    at = symbol["name"]
    name = strings[at : strings.index(b"\0", at)].decode("ascii", "replace")
    # $a, $d and $t only mark where code and data begin (ELF for the Arm Architecture).
    if name and not name.startswith(("$", ".")) and (kind == STT_FUNC or address not in found):
        found[address] = name
