"""What is read from ELF files."""

from __future__ import annotations

import contextlib

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from lab.images import elf


def test_needed_libraries_and_loader() -> None:
    """A program's loader and libraries are found by name, in order."""
    data = samples.library(["libfoo.so.1", "libc.so.6"], "/lib/ld-linux-armhf.so.3")
    assert elf.dynamic(data) == elf.Dynamic(
        "/lib/ld-linux-armhf.so.3", ("libfoo.so.1", "libc.so.6")
    )


def test_a_library_may_need_nothing() -> None:
    """No loader, no libraries."""
    assert elf.dynamic(samples.library()) == elf.Dynamic("", ())


def test_modinfo() -> None:
    """A module's fields are read by name."""
    info = elf.modinfo(samples.module("xen_gntdev", ["xen_privcmd", "other"]))
    assert (info["name"], info["depends"]) == ("xen_gntdev", "xen_privcmd,other")


def test_a_program_has_no_modinfo() -> None:
    """A missing section is an error of its own."""
    with pytest.raises(ValueError, match="modinfo"):
        elf.modinfo(samples.library())


def test_where_a_program_ends_in_memory() -> None:
    """Variables that are not in the file count; what is loaded elsewhere does not."""
    sections = [(0x40008000, 0x1000), (0x40020000, 0x100000), (0x1000, 0x10), (0, 0x5000)]
    data = samples.program(sections)
    assert elf.end_of_memory(data, 0x40000000) == 0x40120000
    assert elf.end_of_memory(data, 0x50000000) == 0
    with pytest.raises(ValueError, match="ELF"):
        elf.end_of_memory(b"x", 0)


@given(st.data())
def test_damaged_files_are_errors(data: st.DataObject) -> None:
    """Whatever is cut off or changed gives an answer or a ValueError, and nothing else."""
    good = [samples.library(["a"], "l"), samples.module("m")]
    whole = bytearray(data.draw(st.sampled_from(good)))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    part = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for read in (elf.dynamic, elf.modinfo, lambda part: elf.end_of_memory(part, 0)):
        with contextlib.suppress(ValueError):
            read(part)
