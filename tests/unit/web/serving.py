"""A class that is served in this process, for unit tests; no lab of it runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, WSMsgType
from aiohttp.test_utils import TestServer

from lab import config
from lab.web import classroom, room, server
from lab.web.assets import Assets
from lab.web.door import Door

LABS = "guests: {one: {freertos: app}}\nlabs: {hello: {guests: [one]}}\n"
MAIN = "int main(void);\n"
SOON = 30.0


@dataclass
class Served:
    """A class whose server runs, in this process; no lab of it runs."""

    session: ClientSession
    base: str
    there: room.Room

    def seat(self, number: int = 1) -> str:
        return f"{self.base}/s/{self.there.hubs[number - 1].seat.secret}"

    @property
    def teacher(self) -> str:
        return f"{self.base}/t/{self.there.classroom.teacher}"

    async def status(self, url: str) -> int:
        async with self.session.get(url) as answer:
            return answer.status


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    (folder / "app").mkdir()
    (folder / "app/main.c").write_text(MAIN)
    (folder / "labs.yaml").write_text(LABS)
    lab = config.find_lab(config.load(folder / "labs.yaml"), "hello")
    with classroom.opened(folder / "runs", "hello", 2) as found:
        async with room.opened(found, room.Taught(folder / "labs.yaml", lab)) as there:
            app = server.application(there, Assets({"xterm.js": b"// a terminal"}), Door())
            async with TestServer(app) as running, ClientSession() as session:
                yield Served(session, str(running.make_url("")).rstrip("/"), there)


Run = Callable[[Callable[[Served], Awaitable[None]]], None]


async def told(socket: Any, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    async for message in socket:
        if message.type is WSMsgType.TEXT and json.loads(message.data)["type"] == kind:
            return dict(json.loads(message.data))
    raise AssertionError("the server closed the connection")


async def output(socket: Any) -> tuple[str, int, bytes]:
    """The next output of a console: its name, the position behind it, the bytes."""
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            end = 1 + message.data[0]
            place = int.from_bytes(message.data[end : end + 8], "big")
            return message.data[1:end].decode(), place, message.data[end + 8 :]
    raise AssertionError("the server closed the connection")
