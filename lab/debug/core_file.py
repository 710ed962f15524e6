"""Writes core files: registers and memory of a domain, as GDB reads them without a machine.

An ELF file of type ET_CORE (elf(5)). Each thread has a note NT_PRSTATUS, whose layout is that of
Linux on the same architecture (``struct elf_prstatus``, include/linux/elfcore.h). Registers that
are named as those of A64 make a 64-bit file. Pages of zeros are holes of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.debug.processor import PAGE
from lab.model import ARM32, ARM64
from lab.util import elf_layout, reading

ET_CORE, PT_LOAD, PT_NOTE, NT_PRSTATUS = 4, 1, 4, 1
#: ELFOSABI_GNU: GDB knows then how to read the registers.
OSABI = 3
RWX = 7


@dataclass(frozen=True)
class Form:
    """How core files of one width are written.

    Attributes:
        begin: the first bytes of the file, up to its class and byte order.
        machine, flags: of the ELF header.
        status: ``struct elf_prstatus``: info, signal, masks, pids, times, then the registers.
        order: the names of the registers there.
    """

    begin: bytes
    machine: int
    flags: int
    status: struct.Struct
    order: tuple[str, ...]

    @property
    def layout(self) -> elf_layout.Layout:
        return elf_layout.LAYOUTS[self.begin]


NARROW = Form(
    b"\x7fELF\x01\x01", ARM32.elf_machine, 0x0500_0000, struct.Struct("<3IH2x2I4I8I17I2I"),
    (*(f"r{number}" for number in range(13)), "sp", "lr", "pc", "cpsr"),
)  # fmt: skip
WIDE = Form(
    b"\x7fELF\x02\x01", ARM64.elf_machine, 0, struct.Struct("<3IH2x2Q4I8Q34QI4x"),
    (*(f"x{number}" for number in range(31)), "sp", "pc", "cpsr"),
)  # fmt: skip
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
    form = WIDE if any("x0" in one.registers for one in threads) else NARROW
    _write(path, form, b"".join(_note(form, one) for one in threads), memory)


def _write(path: Path, form: Form, notes: bytes, memory: Sequence[Piece]) -> None:
    layout, count = form.layout, 1 + len(memory)
    start = layout.header.size + count * layout.segment.size
    segments = [layout.segment.packed(type=PT_NOTE, offset=start, size=len(notes), align=4)]
    offset = _up(start + len(notes))
    for piece in memory:
        size = len(piece.data)
        segments.append(
            layout.segment.packed(
                type=PT_LOAD, offset=offset, address=piece.address, size=size, in_memory=size,
                flags=RWX, align=PAGE,
            )
        )  # fmt: skip
        offset = _up(offset + size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(_header(form, count) + b"".join(segments) + notes)
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
    layout = elf_layout.layout_of(data)
    form = WIDE if layout is WIDE.layout else NARROW
    header = layout.header.at(data, 0)
    pieces, notes = [], b""
    for number in range(header["segment_count"]):
        one = layout.segment.at(data, header["segments"] + number * layout.segment.size)
        body = data[one["offset"] : one["offset"] + one["size"]]
        if one["type"] == PT_NOTE:
            notes = body
        else:
            pieces.append(Piece(one["address"], body))
    first = b"".join(_note(form, one) for one in threads if one.number == FAULTED)
    last = b"".join(_note(form, one) for one in threads if one.number != FAULTED)
    _write(path, form, first + notes + last, pieces)


def _header(form: Form, segments: int) -> bytes:
    layout = form.layout
    packed = layout.header.packed(
        type=ET_CORE, machine=form.machine, version=1, segments=layout.header.size,
        flags=form.flags, size=layout.header.size, segment_size=layout.segment.size,
        segment_count=segments,
    )  # fmt: skip
    ident = form.begin + bytes((1, OSABI))
    return ident + packed[len(ident) :]


def _note(form: Form, thread: Thread) -> bytes:
    registers = [thread.registers.get(name, 0) for name in form.order]
    rest = [0] if form is WIDE else [0, 0]  # fpvalid; before it orig_r0 on 32 bits
    status = form.status.pack(SIGNAL, 0, 0, SIGNAL, 0, 0, thread.number, 0, 0, 0, *[0] * 8,
                              *registers, *rest)  # fmt: skip
    return struct.pack("<3I8s", 5, len(status), NT_PRSTATUS, b"CORE\0") + status


def _lay(file: IO[bytes], place: int, data: bytes) -> None:
    for at in range(0, len(data), PAGE):
        page = data[at : at + PAGE]
        if page.count(0) != len(page):
            file.seek(place + at)
            file.write(page)


def _up(offset: int) -> int:
    return -(-offset // PAGE) * PAGE
