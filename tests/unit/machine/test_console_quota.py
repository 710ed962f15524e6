"""How much a console may print, and who is told when it prints more."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from lab.errors import GuestError, HypervisorError, UsageError
from lab.machine import console_quota
from lab.rundir import RunDir, new_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run whose consoles may print 1 KiB."""
    monkeypatch.setenv(console_quota.VARIABLE, "1K")
    monkeypatch.setattr(console_quota, "PAUSE", 0.01)
    found = new_run(tmp_path, "lab")
    for name in ("xen", "dom0", "talker"):
        found.console(name).write_bytes(b"it said\n")
    return found


@pytest.mark.parametrize(("text", "size"), [("2K", 2 << 10), ("64M", 64 << 20), ("1G", 1 << 30)])
def test_the_limit_is_a_size(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    """QEMU's files may be this many times larger."""
    monkeypatch.setenv(console_quota.VARIABLE, text)
    assert console_quota.limit() == size
    assert console_quota.largest_file() == max(console_quota.LEAST, console_quota.ROOM * size)


@pytest.mark.parametrize("text", ["0M", "64", "-1M", "M", "1e3K", "١M", "9999999999G"])
def test_what_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(console_quota.VARIABLE, text)
    with pytest.raises(UsageError, match=console_quota.VARIABLE):
        console_quota.limit()


def test_a_loud_console_ends_the_wait(run: RunDir) -> None:
    """The error names the guest, with its last lines. The wait ends, whatever it is for."""

    async def go() -> None:
        wait = asyncio.ensure_future(console_quota.guarded(asyncio.sleep(60), run.consoles()))
        await asyncio.sleep(0.05)
        with run.console("talker").open("ab") as log:
            log.write(b"again and again\n" * 100)
        await asyncio.wait_for(wait, 20)

    with pytest.raises(GuestError, match="console of talker printed more than 1K") as caught:
        asyncio.run(go())
    assert "again and again" in caught.value.tail


def test_the_result_comes_through(run: RunDir) -> None:
    """If no console is too loud: the step's own result, or its own error."""

    async def good() -> int:
        return 7

    async def bad() -> int:
        raise GuestError("no")

    assert asyncio.run(console_quota.guarded(good(), run.consoles())) == 7
    with pytest.raises(GuestError, match="no"):
        asyncio.run(console_quota.guarded(bad(), run.consoles()))


def test_each_console_has_its_layer(run: RunDir) -> None:
    console_quota.check(run.consoles())
    run.console("xen").write_bytes(bytes(1025))
    with pytest.raises(HypervisorError):
        console_quota.check(run.consoles())


def test_what_is_lost_follows_from_the_stamps(run: RunDir) -> None:
    """What dom0 stamped and the log does not hold; damaged stamps do not count."""
    assert console_quota.lost(run) == {}
    run.times_file.write_bytes(b"# frequency 1\ntalker 0 5\ntalker 4096 6\nxen 9 9\nodd x\n\xff\n")
    run.console("talker").write_bytes(bytes(4000))
    run.console("xen").write_bytes(bytes(20))
    assert console_quota.lost(run) == {"talker": 96}


def test_an_index_without_an_end_of_a_line_takes_no_memory(tmp_path: Path) -> None:
    """QEMU writes it, so it may hold anything: here 64 MiB of zeros."""
    run = RunDir(tmp_path)
    run.times_file.parent.mkdir()
    with run.times_file.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    try:
        assert console_quota.lost(run) == {}
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    with run.times_file.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="larger than"):
        console_quota.lost(run)
