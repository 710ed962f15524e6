"""The table of ``xl list``; a dom0 that is full."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.dom0 import xl
from lab.dom0.agent import ProgramResult
from lab.dom0.window import refused
from lab.errors import Dom0Error, ToolstackError
from lab.model import Domain

TABLE = """\
Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   256     1     r-----      13.5
hello                                        1    16     1     -b----       0.1
crashed                                     12    16     2     ---c--     100.0
(null)                                       3     0     1     --ps-d       0.1
"""


def test_every_line_is_a_domain() -> None:
    """Name, id, memory in bytes, vCPUs, state, seconds; the header is none."""
    found = xl.parse_list(TABLE)
    assert [one.name for one in found] == ["Domain-0", "hello", "crashed", "(null)"]
    assert found[2] == Domain("crashed", 12, 16 << 20, 2, "---c--", 100.0)


@given(st.text())
def test_whatever_xl_says_is_survived(text: str) -> None:
    """A line that is no domain is passed over."""
    assert all(isinstance(one, Domain) for one in xl.parse_list(text))
    assert len(xl.parse_list(f"{TABLE}\n{text}")) >= 4


class Full:
    """A dom0 that has room for so many bytes, and keeps what did fit."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.files: dict[str, bytes] = {}

    async def write_file(self, path: str, data: bytes) -> None:
        self.files[path] = data[: self.room]
        if len(data) > self.room:
            raise refused(f"dom0 could not write {path}", errno.ENOSPC)

    async def write_at(self, path: str, at: int, data: bytes) -> None:
        before = self.files.get(path, b"")[:at].ljust(at, b"\0")
        await self.write_file(path, before + data)

    async def read_file(self, path: str, largest: int = 0) -> bytes:
        raise AssertionError((path, largest))

    async def run(self, argv: Sequence[str], *, within: float = 60.0) -> ProgramResult:
        del within
        return ProgramResult(tuple(argv), 3, b"", b"libxl: error: No space left on device")


def test_a_file_that_did_not_fit_takes_no_room() -> None:
    """The next guest has it."""
    dom0 = Full(5)
    with pytest.raises(Dom0Error, match="No space left"):
        asyncio.run(xl.put(dom0, "large", {"bin": b"123456", "cfg": b""}))
    assert dom0.files == {"/lab/guests/large.bin": b""}


def test_xl_in_a_full_dom0() -> None:
    """What to do is said, also when it is xl that found no room."""
    with pytest.raises(ToolstackError) as caught:
        asyncio.run(xl.create(Full(0), "any"))
    assert "dom0's memory is full" in caught.value.hint
