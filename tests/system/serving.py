"""Servers of classes for tests, and pages without a browser."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMessage, WSMsgType

from lab.web.classroom import FOLDER
from system.world import LONGEST, Running, World


@dataclass
class Class:
    """A server that runs, and its links."""

    server: Running
    teacher: str
    seats: list[str]

    @property
    def port(self) -> str:
        return self.teacher.split(":")[2].partition("/")[0]


def begin(world: World, name: str, *words: str, again: bool = False) -> Class:
    """Start a server, and return when its pages can be opened. Nothing is left of a class of that
    name, unless it is ``again`` that class."""
    if not again:
        shutil.rmtree(world.folder / "runs" / FOLDER / name, ignore_errors=True)
    server = world.start("lab.serve", name, "--json", *words).when("serving")
    out = server.process.stdout
    assert out
    text = ""
    while not text.endswith("}\n"):
        line = out.readline()
        assert line, server.end()
        text += line
    return Class(server, **json.loads(text))


def stop(one: Class) -> None:
    """Stop it with Ctrl-C, and with it the labs of its class."""
    said = one.server.signal(signal.SIGINT).end()
    assert said.status == 130, said.err


@dataclass
class Page:
    """A page of a seat. ``consoles``: all that each of them showed of the run."""

    socket: ClientWebSocketResponse
    seat: dict[str, Any] = field(default_factory=dict)
    consoles: dict[str, bytes] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._came: asyncio.Queue[WSMessage] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Read at once, as a browser does: a client answers a server's pings only while it reads,
        and the server leaves one that does not."""
        while True:
            message = await self.socket.receive()
            self._came.put_nowait(message)
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return

    async def until(self, what: Callable[[Page], bool]) -> None:
        """Take what the server sends until something is so."""
        while not what(self):
            message = await asyncio.wait_for(self._came.get(), LONGEST)
            assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), message
            self._take(message.data)

    def _take(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            end = 1 + data[0]
            name = data[1:end].decode()
            self.places[name] = int.from_bytes(data[end : end + 8], "big")
            self.consoles[name] = self.consoles.get(name, b"") + data[end + 8 :]
        elif (message := json.loads(data))["type"] == "seat":
            if message["run"] != self.seat.get("run", message["run"]):
                self.consoles, self.places = {}, {}  # a new run, as for the page in a browser
            self.seat = message
        else:
            self.notices.append(message["text"])

    async def do(self, verb: str, **more: Any) -> None:
        """Press a button as soon as nothing else is done, and wait until that is done."""
        await self.until(lambda page: bool(page.seat) and not page.seat["busy"])
        await self.socket.send_json({"type": "do", "verb": verb, **more})
        await self.until(lambda page: bool(page.seat["busy"]))
        await self.until(lambda page: not page.seat["busy"])
        assert not self.seat["failed"], self.seat["said"]

    async def type(self, on: str, text: str) -> None:
        await self.socket.send_json({"type": "type", "on": on, "text": text})

    async def sees(self, on: str, text: bytes) -> None:
        await self.until(lambda page: text in page.consoles.get(on, b""))


async def opened(session: ClientSession, link: str, was: Page | None = None) -> Page:
    """A page of a seat; ``was``: the same page before the connection was lost."""
    socket = await session.ws_connect(f"{link}/socket")
    page = Page(socket)
    if was:
        page.consoles, page.places = was.consoles, was.places
    run = was.seat["run"] if was else ""
    await socket.send_json({"type": "from", "run": run, "at": page.places})
    return page
