"""Tests of the debugger of a seat, with another program in its place."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lab.util import process
from lab.web.debugger import Debugger
from web.seats import lay
from web.serving import SOON

#: Ends when it may, after its terminal was closed.
PROGRAM = "trap 'echo asked; read word <%s; exit' HUP; echo begun; read word; read word"


def test_it_ends_in_order_although_nobody_waits_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person presses Stop, and again while the debugger still ends."""

    def on_pty(_: object, slave: int, *, env: dict[str, str]) -> process.Child:
        return real(["sh", "-c", PROGRAM % may_end], slave, env=env)

    real, may_end = process.on_pty, tmp_path / "may-end"
    monkeypatch.setattr(process, "on_pty", on_pty)
    os.mkfifo(may_end)

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
