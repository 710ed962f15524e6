"""The table of ``xl list``; a dom0 that is full."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.dom0 import xl
from lab.dom0.agent import ProgramResult
from lab.dom0.window import refused
from lab.errors import Dom0Error, ToolstackError, UsageError
from lab.images import backends
from lab.model import Disk, Domain, Image
from lab.util import sparse

TABLE = """\
Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0   256     1     r-----      13.5
hello                                        1    16     1     -b----       0.1
crashed                                     12    16     2     ---c--     100.0
(null)                                       3     0     1     --ps-d       0.1
"""


def test_every_line_is_a_domain() -> None:
    """Name, id, memory in bytes, vCPUs, state, seconds. The header is not a domain."""
    found = xl.parse_list(TABLE)
    assert [one.name for one in found] == ["Domain-0", "hello", "crashed", "(null)"]
    assert found[2] == Domain("crashed", 12, 16 << 20, 2, "---c--", 100.0)


@given(st.text())
def test_whatever_xl_says_is_survived(text: str) -> None:
    """A line that is no domain is skipped."""
    assert all(isinstance(one, Domain) for one in xl.parse_list(text))
    assert len(xl.parse_list(f"{TABLE}\n{text}")) >= 4


class Full:
    """A dom0 with room for this many bytes. It keeps what did fit."""

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
    """The next guest gets the room."""
    dom0 = Full(5)
    with pytest.raises(Dom0Error, match="No space left"):
        asyncio.run(xl.put(dom0, "large", {"bin": b"123456", "cfg": b""}))
    assert dom0.files == {"/lab/guests/large.bin": b""}


def test_xl_in_a_full_dom0() -> None:
    """The error says what to do, also if xl is the one that found no room."""
    with pytest.raises(ToolstackError) as caught:
        asyncio.run(xl.create(Full(0), "any"))
    assert "dom0's memory is full" in caught.value.hint


def disk(path: Path) -> Image:
    return backends.disk("g", Disk(path, "xvda"))


def test_a_disk_is_put_without_its_holes(tmp_path: Path) -> None:
    """dom0's file is a whole number of sectors, and nothing of an earlier one is left."""
    (tmp_path / "image").write_bytes(bytes(sparse.BLOCK) + b"data")
    dom0 = Full(1 << 20)
    dom0.files["/lab/guests/g.xvda"] = b"older" * sparse.BLOCK
    asyncio.run(xl.put_disk(dom0, "g", "xvda", disk(tmp_path / "image")))
    wanted = (bytes(sparse.BLOCK) + b"data").ljust(sparse.BLOCK + xl.SECTOR, b"\0")
    assert dom0.files == {"/lab/guests/g.xvda": wanted}


def test_a_disk_that_does_not_fit_or_changes(tmp_path: Path) -> None:
    """It takes no room, and a guest never boots from other bytes than the manifest names."""
    (tmp_path / "image").write_bytes(b"a" * 2000)
    image = disk(tmp_path / "image")
    dom0 = Full(1000)
    with pytest.raises(Dom0Error, match="No space left"):
        asyncio.run(xl.put_disk(dom0, "g", "xvda", image))
    assert dom0.files == {"/lab/guests/g.xvda": b""}
    (tmp_path / "image").write_bytes(b"b" * 2000)
    with pytest.raises(UsageError, match="the file of disk xvda changed while the lab started"):
        asyncio.run(xl.put_disk(Full(9999), "g", "xvda", image))
    (tmp_path / "image").unlink()
    with pytest.raises(UsageError, match="disk xvda: No such file"):
        asyncio.run(xl.put_disk(Full(9999), "g", "xvda", image))
    with pytest.raises(UsageError, match="guest g: disk 'image': No such file"):
        disk(tmp_path / "image")


class Serving(Full):
    """A dom0 that has the backends, or gets them; it keeps what it was told to run."""

    def __init__(self, *, has: bool, status: int = 0) -> None:
        super().__init__(1 << 20)
        self.has, self.status = has, status
        self.told: list[Sequence[str]] = []

    async def run(self, argv: Sequence[str], *, within: float = 60.0) -> ProgramResult:
        del within
        self.told.append(argv)
        status = int(not self.has) if argv[0] == "test" else self.status
        return ProgramResult(tuple(argv), status, b"", b"insmod: no such device")


def test_backends_come_once(tmp_path: Path) -> None:
    """dom0 gets the archive if it lacks it; each time the bridges are made."""
    (tmp_path / "archive").write_bytes(b"cpio")
    archive = Image("dom0-backends", tmp_path / "archive", "", 4, "")
    new, old = Serving(has=False), Serving(has=True)
    asyncio.run(xl.start_backends(new, archive, ["xenbr0", "br1"]))
    asyncio.run(xl.start_backends(old, archive, ["xenbr0", "br1"]))
    assert (new.files, old.files) == ({xl.ARCHIVE: b"cpio"}, {})
    make = [xl.BACKENDS, "xenbr0", "br1"]
    assert [argv[:2] for argv in new.told[:2]] == [["test", "-e"], ["sh", "-c"]]
    assert (new.told[2:], old.told[1:]) == ([make], [make])
    with pytest.raises(Dom0Error, match="cannot serve disks and network interfaces") as caught:
        asyncio.run(xl.start_backends(Serving(has=True, status=1), archive, []))
    assert "insmod: no such device" in caught.value.tail
