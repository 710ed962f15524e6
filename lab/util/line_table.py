"""Source lines for addresses: the section ``.debug_line`` of an ELF file (DWARF 5, chapter 6.2).

Versions 2 to 5 of the table are read. A damaged table has no lines; that is never an error, because
lines only make a log easier to read.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.util import elf_layout, reading

#: The largest file whose lines are read, in bytes: that of a guest, not that of a Linux kernel.
LARGEST = 16 << 20
#: Forms of DWARF 5 in the header: a string here or elsewhere, numbers, a hash.
STRING, STRP, LINE_STRP, UDATA, DATA1, DATA2, DATA4, DATA8, DATA16, BLOCK = (
    0x08, 0x0E, 0x1F, 0x0F, 0x0B, 0x05, 0x06, 0x07, 0x1E, 0x09,
)  # fmt: skip
_SIZES = {DATA1: 1, DATA2: 2, DATA4: 4, DATA8: 8, DATA16: 16}
PATH, FOLDER = 1, 2


@dataclass(frozen=True)
class Lines:
    """``starts`` is sorted; ``places`` has file and line of each, empty where code ends."""

    starts: tuple[int, ...] = ()
    places: tuple[str, ...] = ()

    def at(self, address: int) -> str:
        """``app/main.c:31``; empty if nobody knows."""
        i = bisect.bisect_right(self.starts, address) - 1
        return self.places[i] if i >= 0 else ""


def read(path: Path) -> Lines:
    """The lines of an ELF file; none if it is missing or damaged, or has none."""
    try:
        data = reading.data(path, LARGEST)
        found = dict(_rows(_Sections(data)))
        starts = tuple(sorted(found))
        return Lines(starts, tuple(found[start] for start in starts))
    except (OSError, struct.error, IndexError, ValueError, KeyError):
        return Lines()


class _Sections:
    """The sections of a file that the tables are in, by name."""

    def __init__(self, data: bytes) -> None:
        sections = elf_layout.sections_of(data)
        self._bodies = [data[one["offset"] : one["offset"] + one["size"]] for one in sections]
        names = self._bodies[elf_layout.layout_of(data).header.at(data, 0)["section_names"]]
        self._index = {_text(names, one["name"]): i for i, one in enumerate(sections)}

    def __getitem__(self, name: str) -> bytes:
        return self._bodies[self._index[name]] if name in self._index else b""


@dataclass
class _Reader:
    data: bytes
    at: int = 0

    def number(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self.data[self.at - size : self.at], "little")

    def uleb(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def sleb(self) -> int:
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if self.data[self.at - 1] & 0x40 else value

    def string(self) -> str:
        text = _text(self.data, self.at)
        self.at = self.data.index(b"\0", self.at) + 1
        return text


@dataclass
class _Table:
    """One table: the header's numbers, and the names of its files."""

    version: int
    step: int
    line_base: int
    line_range: int
    opcode_base: int
    lengths: list[int]
    files: dict[int, str] = field(default_factory=dict)


def _rows(sections: _Sections) -> Iterator[tuple[int, str]]:
    reader = _Reader(sections[".debug_line"])
    while reader.at < len(reader.data):
        length = reader.number(4)
        if length >= 0xFFFF_FFF0:  # the 64-bit format: no compiler writes it for these machines
            return
        end = reader.at + length
        table, program = _header(reader, sections)
        yield from _run(table, _Reader(reader.data[:end], program))
        reader.at = end


def _header(reader: _Reader, sections: _Sections) -> tuple[_Table, int]:
    version = reader.number(2)
    if version >= 5:
        reader.number(2)  # sizes of addresses and of segment selectors
    length = reader.number(4)
    program = reader.at + length
    step = reader.number(1)
    reader.number(1 if version < 4 else 2)  # also the most operations of an instruction
    base = struct.unpack("b", bytes((reader.number(1),)))[0]
    line_range, opcode_base = reader.number(1), reader.number(1)
    lengths = [0, *(reader.number(1) for _ in range(opcode_base - 1))]
    table = _Table(version, step, base, line_range, opcode_base, lengths)
    table.files = _files_5(reader, sections) if version >= 5 else _files_4(reader)
    return table, program


def _files_4(reader: _Reader) -> dict[int, str]:
    folders = [""]
    while folder := reader.string():
        folders.append(folder)
    files: dict[int, str] = {}
    while name := reader.string():
        folder = folders[reader.uleb()]
        reader.uleb(), reader.uleb()  # time and size
        files[len(files) + 1] = f"{folder}/{name}" if folder else name
    return files


def _files_5(reader: _Reader, sections: _Sections) -> dict[int, str]:
    folders = [str(entry.get(PATH, "")) for entry in _entries(reader, sections)]
    found = {}
    for number, entry in enumerate(_entries(reader, sections)):
        index = int(entry.get(FOLDER, 0))
        folder = folders[index] if index < len(folders) else ""
        name = str(entry.get(PATH, ""))
        found[number] = name if folder in ("", ".") or name.startswith("/") else f"{folder}/{name}"
    return found


def _entries(reader: _Reader, sections: _Sections) -> Iterator[dict[int, str | int]]:
    formats = [(reader.uleb(), reader.uleb()) for _ in range(reader.number(1))]
    for _ in range(reader.uleb()):
        yield {kind: _value(reader, form, sections) for kind, form in formats}


def _value(reader: _Reader, form: int, sections: _Sections) -> str | int:
    if form == STRING:
        return reader.string()
    if form in (STRP, LINE_STRP):
        name = ".debug_str" if form == STRP else ".debug_line_str"
        return _text(sections[name], reader.number(4))
    if form == UDATA:
        return reader.uleb()
    if form == BLOCK:
        reader.at += reader.uleb()
        return 0
    return reader.number(_SIZES[form])


def _run(table: _Table, reader: _Reader) -> Iterator[tuple[int, str]]:
    """Run the line number program; each row is an address and its place."""
    address, line, file = 0, 1, 1
    while reader.at < len(reader.data):
        opcode = reader.number(1)
        if opcode >= table.opcode_base:
            special = opcode - table.opcode_base
            address += special // table.line_range * table.step
            line += table.line_base + special % table.line_range
        elif opcode == 0:
            end = reader.uleb() + reader.at
            kind = reader.number(1)
            if kind == 2:
                address = reader.number(end - reader.at)
            if kind == 1:
                yield address, ""
                address, line, file = 0, 1, 1
            reader.at = end
            continue
        else:
            address, line, file, row = _standard(opcode, table, reader, (address, line, file))
            if not row:
                continue
        if address:
            yield address, f"{table.files.get(file, '?')}:{line}"


def _standard(
    opcode: int, table: _Table, reader: _Reader, now: tuple[int, int, int]
) -> tuple[int, int, int, bool]:
    """A standard opcode: the new address, line and file, and whether it makes a row."""
    address, line, file = now
    if opcode == 2:
        address += reader.uleb() * table.step
    elif opcode == 3:
        line += reader.sleb()
    elif opcode == 4:
        file = reader.uleb()
    elif opcode == 8:
        address += (255 - table.opcode_base) // table.line_range * table.step
    elif opcode == 9:
        address += reader.number(2)
    elif opcode != 1:
        for _ in range(table.lengths[opcode]):
            reader.uleb()
    return address, line, file, opcode == 1


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("utf-8", "replace")
