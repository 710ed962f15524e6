"""Core files are ELF files with notes and memory, and threads can be added to one."""

from __future__ import annotations

import struct
from pathlib import Path

from lab.debug import core_file
from lab.debug.core_file import FAULTED, Piece, Thread
from lab.util import elf_layout

REGISTERS = {f"r{number}": number for number in range(13)} | {"sp": 13, "lr": 14, "pc": 15}


def threads_of(path: Path) -> list[int]:
    """The numbers of the threads of a core file, in order (elf_prstatus, pr_pid)."""
    data = path.read_bytes()
    header = elf_layout.layout_of(data).header.at(data, 0)
    note = elf_layout.layout_of(data).segment.at(data, header["segments"])
    notes = data[note["offset"] : note["offset"] + note["size"]]
    size = 12 + 8 + 148
    return [struct.unpack_from("<I", notes, at + 20 + 24)[0] for at in range(0, len(notes), size)]


def test_memory_and_registers_are_where_gdb_looks_for_them(tmp_path: Path) -> None:
    path = tmp_path / "core" / "hello.core"
    memory = b"\0" * 4096 + b"heap" * 1024
    core_file.write(path, [Thread(1, REGISTERS)], [Piece(0x4000_0000, memory)])
    data = path.read_bytes()
    layout = elf_layout.layout_of(data)
    header = layout.header.at(data, 0)
    load = layout.segment.at(data, header["segments"] + header["segment_size"])
    assert (header["type"], header["machine"]) == (4, 40)
    assert (load["address"], load["in_memory"]) == (0x4000_0000, len(memory))
    assert data[load["offset"] : load["offset"] + load["size"]] == memory
    note = layout.segment.at(data, header["segments"])
    registers = struct.unpack_from("<16I", data, note["offset"] + 20 + 72)
    assert registers == tuple(range(16))


def test_code_that_faulted_becomes_the_first_thread(tmp_path: Path) -> None:
    path = tmp_path / "hello.core"
    core_file.write(path, [Thread(1, REGISTERS)], [Piece(0x4000_0000, b"memory")])
    core_file.with_threads(path, [Thread(0x4002_0000, REGISTERS), Thread(FAULTED, REGISTERS)])
    assert threads_of(path) == [FAULTED, 1, 0x4002_0000]
    assert b"memory" in path.read_bytes()


def test_registers_of_64_bits_make_a_64_bit_file(tmp_path: Path) -> None:
    """Threads that are added later have the same layout."""
    path = tmp_path / "hello.core"
    registers = {f"x{number}": number for number in range(31)} | {"sp": 31, "pc": 32, "cpsr": 5}
    core_file.write(path, [Thread(1, registers)], [Piece(1 << 40, b"memory")])
    core_file.with_threads(path, [Thread(0x4002_0000, registers)])
    data = path.read_bytes()
    layout = elf_layout.layout_of(data)
    header = layout.header.at(data, 0)
    assert (header["type"], header["machine"], data[4]) == (4, 183, 2)
    note, load = (layout.segment.at(data, header["segments"] + n * layout.segment.size)
                  for n in range(2))  # fmt: skip
    assert load["address"] == 1 << 40
    size = 12 + 8 + 392
    assert note["size"] == 2 * size
    for number in range(2):
        at = note["offset"] + number * size + 20
        assert struct.unpack_from("<34Q", data, at + 112) == (*range(33), 5)
