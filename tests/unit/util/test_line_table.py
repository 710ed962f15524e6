"""Source lines of addresses; a damaged file has none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.util import line_table

SOURCE = "int square(int x)\n{\n    return x * x;\n}\n"


def test_what_is_no_elf_file_has_no_lines(tmp_path: Path) -> None:
    file = tmp_path / "x"
    assert line_table.read(file).at(0) == ""
    file.write_bytes(b"\x7fELF\x01\x01" + bytes(60))
    assert line_table.read(file).at(0) == ""


@pytest.mark.parametrize("version", [2, 4, 5])
def test_each_version_of_the_table_is_read(tmp_path: Path, version: int) -> None:
    """The host's compiler makes a 32-bit object file, if it can."""
    (tmp_path / "square.c").write_text(SOURCE)
    line = ["gcc", "-m32", f"-gdwarf-{version}", "-O0", "-c", "square.c", "-o", "square.o"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no compiler for 32 bits")
    found = line_table.read(tmp_path / "square.o")
    assert any(place.endswith("square.c:3") for place in found.places), found


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_a_damaged_table_is_no_error(tmp_path: Path, noise: bytes) -> None:
    file = tmp_path / "noise"
    file.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(9) + noise)
    assert isinstance(line_table.read(file).at(0x1000), str)
