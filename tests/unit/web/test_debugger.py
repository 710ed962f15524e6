"""Tests of the debugger of a seat, with another program in its place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab.util import process, waiting
from lab.web.debugger import Debugger
from web.seats import lay
from web.serving import SOON

#: Ends when it may, after its terminal was closed.
ENDS_LATER = "trap 'echo asked; read word <%s; exit' HUP; echo begun; read word; read word"

#: Says something, and ends at once. A terminal keeps so much.
ENDS = "head -c 8000 /dev/zero | tr '\\0' x; echo its last words"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has a debugger run this program of sh instead."""

    def instead(program: str) -> None:
        def on_pty(_: object, slave: int, *, env: Mapping[str, str]) -> process.Child:
            return real(["sh", "-c", program], slave, env=env)

        monkeypatch.setattr(process, "on_pty", on_pty)

    real = process.on_pty
    return instead


def test_its_last_words_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: Callable[[str], None]
) -> None:
    """It may end before the server has read anything."""

    async def ends(pid: int) -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    async def go() -> str:
        debugger = Debugger(lay(tmp_path), lambda: None)
        debugger.start([], tmp_path)
        while debugger.on:
            await asyncio.sleep(0)
        return debugger.log.read_text()

    runs(ENDS)
    monkeypatch.setattr(waiting, "ends", ends)
    assert "its last words" in asyncio.run(go())


def test_it_ends_in_order_although_nobody_waits_any_more(
    tmp_path: Path, runs: Callable[[str], None]
) -> None:
    """A person presses Stop, and again while the debugger still ends."""

    may_end = tmp_path / "may-end"
    os.mkfifo(may_end)
    runs(ENDS_LATER % may_end)

    async def go() -> str:
        news = asyncio.Event()
        debugger = Debugger(lay(tmp_path), news.set)

        async def says(words: str) -> None:
            while words not in (debugger.log.read_text() if debugger.log.exists() else ""):
                news.clear()
                await asyncio.wait_for(news.wait(), SOON)

        debugger.start([], tmp_path)
        await says("begun")
        stop = asyncio.ensure_future(debugger.end())
        await says("asked")
        stop.cancel()
        await asyncio.gather(stop, return_exceptions=True)
        again = asyncio.ensure_future(debugger.end())
        pipe = os.open(may_end, os.O_RDWR)
        os.write(pipe, b"now\n")
        await asyncio.wait_for(again, SOON)
        os.close(pipe)
        return debugger.log.read_text()

    assert "[the debugger has ended]" in asyncio.run(go())
