"""Addresses in Xen's crash dumps get names; everything else stays unchanged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.machine import crash_symbols
from lab.machine.console_text import lines_of, merged
from lab.machine.log_lines import tail
from lab.util import symbols

CODE = (0x0020_0000, 0x0028_0000)
KNOWN = symbols.Symbols((0x0020_0000, 0x0026_0000), ("start", "panic"), (CODE,))

EXEC, DATA = 4, 0


def elf(*functions: tuple[str, int, int]) -> bytes:
    """An ELF file with a code section, a data section, and symbols: name, address, section."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name, _, _ in functions)
    table = b"\0" * 16
    for name, address, section in functions:
        offset = strings.index(b"\0" + name.encode() + b"\0") + 1
        table += struct.pack("<3I2BH", offset, address, 0, 2, 0, section)
    sections = [
        (0,) * 10,
        (0, 1, EXEC, CODE[0], 0, CODE[1] - CODE[0], 0, 0, 1, 0),
        (0, 1, DATA, CODE[1], 0, 0x1000, 0, 0, 1, 0),
        (0, 2, 0, 0, 52, len(table), 4, 0, 4, 16),
        (0, 3, 0, 0, 52 + len(table), len(strings), 0, 0, 1, 0),
    ]
    header = struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 40, 1, 0, 0,
        52 + len(table) + len(strings), 0, 52, 0, 0, 40, len(sections), 0,
    )  # fmt: skip
    return header + table + strings + b"".join(struct.pack("<10I", *one) for one in sections)


FILE = elf(("start", CODE[0], 1), ("panic", 0x0026_0000, 1), ("data", CODE[1], 2), ("$a", 0, 1))

DUMP = """\
(XEN) [   18.003183] ----[ Xen-4.17.5  arm32  debug=y  Not tainted ]----
(XEN) [   18.003504] PC:     00200040 start+0x40/0x100
(XEN) [   18.004998] HYP: SP: 4001fdd4 LR: 0026000c
(XEN) [   18.011096]    94000046 00000030 00200004 0030c000 4001fe10 00260138 000000002001a350
(XEN) [   18.021368]    [<00260138>] panic+0x138/0x1f0 (PC)
(XEN) [   18.021555]    [<00260000>] entry.o#panic+0/0x4
(XEN) [   18.031415] Panic on CPU 0:
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "xen-syms").write_bytes(FILE)
    (tmp_path / "console").mkdir()
    path = tmp_path / "console/xen.log"
    path.write_text(DUMP)
    return path


def test_bare_addresses_are_named() -> None:
    words = "HYP: SP: 4001fdd4 LR: 0026000c"
    named = crash_symbols.explain(KNOWN, f"(XEN) {words}")
    assert named == f"(XEN) {words}   # 0026000c panic+0xc"


def test_what_xen_named_itself_is_left_alone() -> None:
    for line in DUMP.splitlines():
        if "start+" in line or "panic+" in line:
            assert crash_symbols.explain(KNOWN, line) == line


def test_lines_of_guests_and_long_numbers_are_left_alone() -> None:
    for line in ("(d1) 00260000", "(XEN) RAM: 0000000000260000", "(XEN) 0x00260000", "(XEN) x"):
        assert crash_symbols.explain(KNOWN, line) == line


def test_symbols_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "syms").write_bytes(FILE)
    assert symbols.read(tmp_path / "syms") == KNOWN


@pytest.mark.parametrize("cut", [0, 3, 40, 60, 200, len(FILE) - 1])
def test_damaged_file_has_no_names(tmp_path: Path, cut: int) -> None:
    (tmp_path / "syms").write_bytes(FILE[:cut])
    assert symbols.read(tmp_path / "syms").at(0x0026_0004) == ""
    assert symbols.read(tmp_path / "none") == symbols.Symbols()


def test_tail_is_the_whole_dump_with_names(log: Path) -> None:
    log.write_text("(XEN) earlier\n" * 50 + DUMP)
    found = tail(log, lines=2)
    assert found.splitlines()[-7] == DUMP.splitlines()[0]
    assert "00200004 start+0x4, 00260138 panic+0x138" in found


def test_logs_have_the_names_too(log: Path) -> None:
    assert "# 0026000c panic+0xc" in "\n".join(lines_of(log))
    assert "# 0026000c panic+0xc" in "\n".join(merged({"xen": log}, log.with_name("times")))


def test_without_symbols_the_log_is_as_it_was(log: Path) -> None:
    (log.parent.parent / "xen-syms").unlink()
    assert list(lines_of(log)) == DUMP.splitlines()
    assert tail(log) == DUMP.rstrip("\n")
