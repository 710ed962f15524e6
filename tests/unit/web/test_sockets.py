"""Tests of the conversation with the page of a seat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast
from unittest.mock import create_autospec

from aiohttp import WSMessage, WSMsgType, web

from lab.rundir import RunDir
from lab.web.commands import Commands
from lab.web.growth import Growth
from lab.web.machines import Now
from lab.web.room import Room
from lab.web.seat_hub import SeatHub
from lab.web.sockets import SeatSocket
from lab.web.turns import Turns
from web.seats import lay
from web.serving import SOON


class SlowPage:
    """The connection to a page. ``meanwhile`` happens while it takes a message about the seat."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile
        self.said: list[str] = []
        self._over = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[WSMessage]:
        yield WSMessage(WSMsgType.TEXT, json.dumps({"type": "from"}), None)
        await self._over.wait()

    async def send_str(self, text: str) -> None:
        message: dict[str, Any] = json.loads(text)
        self.said.append(f"{message['run']}: {' '.join(message['consoles'])}")
        self._meanwhile()

    async def send_bytes(self, data: bytes) -> None:
        self.said.append(data[9 + data[0] :].decode())
        if "the end" in self.said[-1]:
            self._over.set()


def test_output_comes_after_the_message_that_names_its_console(tmp_path: Path) -> None:
    """A page does not keep output of a console that it does not know yet, and throws away what it
    shows when it hears of a new run."""

    def meanwhile() -> None:
        if first.console("hello").exists():
            hub.now = Now("running", second.path, ("xen", "hello"))
            hub.say("news")
        write(first, "hello", "the guest\n")

    first, second = (RunDir(tmp_path / name) for name in ("first", "second"))
    write(first, "xen", "Xen\n")
    write(second, "xen", "Xen again\n")
    write(second, "hello", "the end\n")
    hub = SeatHub(lay(tmp_path), create_autospec(Growth), Turns(1), create_autospec(Commands))
    hub.now = Now("starting", first.path, ("xen",))

    async def go() -> list[str]:
        page = SlowPage(meanwhile)
        socket = cast("web.WebSocketResponse", page)
        serving = asyncio.ensure_future(SeatSocket(create_autospec(Room), hub, socket).serve())
        while "Xen\n" not in page.said:
            await asyncio.sleep(0)
        hub.say("news")
        await asyncio.wait_for(serving, SOON)
        return page.said

    said = asyncio.run(go())
    assert said == [
        "first: xen", "Xen\n", "first: xen", "second: xen hello", "Xen again\n", "the end\n",
    ]  # fmt: skip


def write(run: RunDir, console: str, text: str) -> None:
    run.console_dir.mkdir(parents=True, exist_ok=True)
    run.console(console).write_text(text)
