"""Writes core files: registers and memory of a domain, as GDB reads them without a machine.

An ELF file of type ET_CORE (elf(5)). Each thread has a note NT_PRSTATUS, whose layout is that of
Linux on the same architecture (``struct elf_prstatus``, include/linux/elfcore.h). Pages of zeros
are holes of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.debug.processor import PAGE
from lab.util import elf_layout, reading

ET_CORE, EM_ARM, PT_LOAD, PT_NOTE, NT_PRSTATUS = 4, 40, 1, 4, 1
#: ELFOSABI_GNU: GDB knows then how to read the registers.
OSABI = 3
RWX = 7
_HEADER, _SEGMENT = struct.Struct("<16s2H5I6H"), struct.Struct("<8I")
#: struct elf_prstatus of arm: info, signal, masks, pids, times, then the registers.
_STATUS = struct.Struct("<3IH2x2I4I8I18Ii")
_ORDER = (*(f"r{number}" for number in range(13)), "sp", "lr", "pc", "cpsr")
#: The largest core file that threads are added to, in bytes.
LARGEST = 1 << 30
#: The number of the thread that stands for the code which faulted.
FAULTED = 2
#: The signal that GDB says the program ended with: SIGABRT.
SIGNAL = 6


@dataclass(frozen=True)
class Thread:
    """A thread of a core file. Numbers are unique in the file."""

    number: int
    registers: Mapping[str, int]


@dataclass(frozen=True)
class Piece:
    """Memory from ``address`` on."""

    address: int
    data: bytes


def write(path: Path, threads: Sequence[Thread], memory: Sequence[Piece]) -> None:
    """Write a core file. GDB shows the first thread first."""
    _write(path, b"".join(_note(one) for one in threads), memory)


def _write(path: Path, notes: bytes, memory: Sequence[Piece]) -> None:
    count = 1 + len(memory)
    start = _HEADER.size + count * _SEGMENT.size
    segments = [_SEGMENT.pack(PT_NOTE, start, 0, 0, len(notes), 0, 0, 4)]
    offset = _up(start + len(notes))
    for piece in memory:
        size = len(piece.data)
        segments.append(
            _SEGMENT.pack(PT_LOAD, offset, piece.address, 0, size, size, RWX, PAGE)
        )  # fmt: skip
        offset = _up(offset + size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(_header(count) + b"".join(segments) + notes)
        place = _up(start + len(notes))
        for piece in memory:
            _lay(file, place, piece.data)
            place = _up(place + len(piece.data))
        file.truncate(offset)


def with_threads(path: Path, threads: Sequence[Thread]) -> None:
    """Add threads to a core file that :func:`write` made; code that faulted comes first.

    Raises:
        OSError, ValueError: it is not such a file.
    """
    data = reading.data(path, LARGEST)
    header = elf_layout.layout_of(data).header.at(data, 0)
    pieces, notes = [], b""
    for number in range(header["segment_count"]):
        kind, offset, address, _, size, *_ = _SEGMENT.unpack_from(
            data, header["segments"] + number * _SEGMENT.size
        )
        body = data[offset : offset + size]
        if kind == PT_NOTE:
            notes = body
        else:
            pieces.append(Piece(address, body))
    first = b"".join(_note(one) for one in threads if one.number == FAULTED)
    last = b"".join(_note(one) for one in threads if one.number != FAULTED)
    _write(path, first + notes + last, pieces)


def _header(segments: int) -> bytes:
    ident = b"\x7fELF\x01\x01\x01" + bytes((OSABI,)) + bytes(8)
    return _HEADER.pack(ident, ET_CORE, EM_ARM, 1, 0, _HEADER.size, 0, 0x0500_0000,
                        _HEADER.size, _SEGMENT.size, segments, 0, 0, 0)  # fmt: skip


def _note(thread: Thread) -> bytes:
    registers = [thread.registers.get(name, 0) for name in _ORDER]
    status = _STATUS.pack(SIGNAL, 0, 0, SIGNAL, 0, 0, thread.number, 0, 0, 0, *[0] * 8,
                          *registers, 0, 0)  # fmt: skip
    return struct.pack("<3I8s", 5, len(status), NT_PRSTATUS, b"CORE\0") + status


def _lay(file: IO[bytes], place: int, data: bytes) -> None:
    for at in range(0, len(data), PAGE):
        page = data[at : at + PAGE]
        if page.count(0) != len(page):
            file.seek(place + at)
            file.write(page)


def _up(offset: int) -> int:
    return -(-offset // PAGE) * PAGE
