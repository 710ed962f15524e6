"""The FreeRTOS port of two widths: what is shared stands once, what is not stands twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.util.resources import resource

PORT = resource("images", "freertos", "port")
WIDTHS = ("arm32", "arm64")
#: What boot and context switch of a width are made of; other files of a width are its own affair.
FILES = ("head.S", "vectors.S", "hypercall.S", "frame.c", "pages.c", "machine.mk")
HEADERS = ("cpu.h", "counters.h", "device.h", "gic_cpu.h", "portarch.h")
#: Functions of inline assembly, and macros, that a header offers.
OFFERED = re.compile(r"^static inline [\w ]*?\*?(\w+)\(|^#define (port\w+)", re.MULTILINE)
#: Registers that only one width has, or has by this name.
REGISTERS = re.compile(r"\b(mrc|mcr|mrrc|mcrr|mrs|msr|cpsid?|vmrs|vmsr|p15|daif\w*|\w+_el[012])\b")


def offered(header: Path) -> set[str]:
    return {a or b for a, b in OFFERED.findall(header.read_text())}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_offers_the_same_at_both_widths(name: str) -> None:
    """Shared sources are compiled with either."""
    narrow, wide = (offered(PORT / width / name) for width in WIDTHS)
    assert narrow
    assert narrow == wide


@pytest.mark.parametrize("width", WIDTHS)
def test_each_width_is_complete(width: str) -> None:
    assert not {*FILES, *HEADERS} - {path.name for path in (PORT / width).iterdir()}


def test_shared_sources_name_no_register() -> None:
    """An instruction of one width would not even compile at the other."""
    shared = [*PORT.glob("*.c"), *PORT.glob("*.h")]
    assert len(shared) > 20
    code = {path.name: re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S) for path in shared}
    assert not {name: found for name, text in code.items() if (found := REGISTERS.findall(text))}


def test_both_heads_ask_for_the_address_that_is_linked() -> None:
    """Xen loads an Image at the start of memory plus the offset in its header."""
    linked = re.search(r"^ +\. = (0x[0-9a-f]+);", (PORT / "guest.lds").read_text(), re.MULTILINE)
    offset = re.search(
        r"\.quad +(0x[0-9a-f]+) +/\* text_offset", (PORT / "arm64/head.S").read_text()
    )
    assert linked
    assert offset
    assert int(linked[1], 0) % (2 << 20) == int(offset[1], 0) == 0x8000
