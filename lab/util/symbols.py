"""Names for addresses: the functions of a 32-bit little-endian ELF file.

Layout: the ELF specification (elf(5)). A damaged file has no names. That is never an error, because
names only make a log easier to read.
"""

from __future__ import annotations

import bisect
import struct
from dataclasses import dataclass
from pathlib import Path

from lab.model import ARM32
from lab.util import reading

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


def read(path: Path) -> Symbols:
    """The functions of an ELF file; none if it is missing or damaged."""
    try:
        return _functions(reading.data(path, LARGEST))
    except (OSError, struct.error, IndexError, ValueError):
        return Symbols()


def _functions(data: bytes) -> Symbols:
    if not data.startswith(ARM32.elf):
        raise ValueError("not a 32-bit little-endian ELF file")
    (table,) = struct.unpack_from("<I", data, 32)
    size, count = struct.unpack_from("<2H", data, 46)
    sections = [struct.unpack_from("<10I", data, table + n * size) for n in range(count)]
    code = [bool(section[2] & SHF_EXECINSTR) for section in sections]
    found: dict[int, str] = {}
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind == SHT_SYMTAB and entry >= 16:
            strings = data[sections[link][4] : sections[link][4] + sections[link][5]]
            for place in range(offset, offset + length, entry):
                _take(found, data, place, strings, code)
    starts = tuple(sorted(found))
    spans = ((one[3], one[3] + one[5]) for one, is_code in zip(sections, code, strict=True)
             if is_code)  # fmt: skip
    return Symbols(starts, tuple(found[start] for start in starts), tuple(spans))


def _take(found: dict[int, str], data: bytes, place: int, strings: bytes, code: list[bool]) -> None:
    """One symbol, if it names code. If an address has several, the name of a function wins."""
    name_at, address, _, info, _, section = struct.unpack_from("<3I2BH", data, place)
    kind = info & 0xF
    if section >= len(code) or not code[section] or kind not in (STT_NOTYPE, STT_FUNC):
        return
    name = strings[name_at : strings.index(b"\0", name_at)].decode("ascii", "replace")
    # $a, $d and $t only mark where code and data begin (ELF for the Arm Architecture).
    if name and not name.startswith(("$", ".")) and (kind == STT_FUNC or address not in found):
        found[address] = name
