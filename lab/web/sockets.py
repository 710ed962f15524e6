"""The conversations between pages and the server, over WebSocket (RFC 6455).

The server sends JSON texts, and the output of consoles as binary messages: a byte with the length
of the console's name, the name, the position in its log behind the output (8 bytes, big endian),
the output. A page that connects again says how far it got, and goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from lab.machine import shared_console
from lab.rundir import RunDir
from lab.util import reading
from lab.web import debugger, editing, typing_in
from lab.web.allowance import CLICK, MESSAGES, PART, Allowance
from lab.web.feed import ConsoleReader, Piece
from lab.web.pace import Pace
from lab.web.room import Room
from lab.web.seat_hub import SeatHub

#: The largest message of a page, in bytes.
LARGEST = 256 << 10
#: The most characters of what a teacher says.
MOST_SAID = 500
#: A UART's log grows byte by byte: the least seconds between two messages with output, and between
#: two of the teacher's page, which shows all seats.
SETTLE, ROOM_SETTLE = 0.01, 0.2
#: Seconds between two pings; a connection that answers none is closed.
PING = 20.0

Message = dict[str, Any]


def frame(name: str, piece: Piece) -> bytes:
    """Output of a console, as pages get it."""
    raw = name.encode()
    return struct.pack(">B", len(raw)) + raw + struct.pack(">Q", piece.end) + piece.data


async def opened(request: web.Request) -> web.WebSocketResponse:
    """A connection. The caller has checked the secret.

    Raises:
        HTTPForbidden: it comes from a page of another server.
    """
    check_origin(request)
    socket = web.WebSocketResponse(heartbeat=PING, max_msg_size=LARGEST)
    await socket.prepare(request)
    return socket


def check_origin(request: web.Request) -> None:
    """Refuse what a page of another server sends.

    Raises:
        HTTPForbidden: it does come from one.
    """
    origin = request.headers.get("Origin", "")
    if origin and origin.partition("://")[2] != request.host:
        raise web.HTTPForbidden(text="this page belongs to another server")


async def messages(
    socket: web.WebSocketResponse, take: Callable[[Message], None], pace: Allowance
) -> None:
    """Hand over what the page sends until it is gone, no faster than ``pace``. What is not ours is
    ignored."""
    async for message in socket:
        await pace.spend(1)
        if message.type is WSMsgType.TEXT:
            pace.take(len(message.data) // PART)
            with contextlib.suppress(ValueError):
                data = reading.parse_json(message.data)
                if isinstance(data, dict):
                    pace.take(CLICK if data.get("type") == "do" else 0)
                    take(data)


async def both(*works: Awaitable[None]) -> None:
    """Do several things until the first one ends; then the others are stopped."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionError):
            raise result


class SeatSocket:
    """One page of a seat."""

    def __init__(self, room: Room, hub: SeatHub, socket: web.WebSocketResponse) -> None:
        self._room = room
        self._hub = hub
        self._socket = socket
        self._pace = Pace(SETTLE)
        self._told = True
        self._readers: dict[str, ConsoleReader] = {}
        self._run = ""
        self._consoles: Path | None = None
        self._from: tuple[str, Message] = ("", {})
        self._typist = typing_in.Typist(hub.seat)
        self._begun = asyncio.Event()

    async def serve(self) -> None:
        """Until the page is gone."""
        with self._hub.looked_at(self._tell, self._pace.wake):
            try:
                await both(
                    messages(self._socket, self._take, self._hub.messages),
                    self._show(),
                    self._typist.work(self._say),
                )
            finally:
                self._close()

    # ------------------------------------------------------------ from the page

    def _take(self, message: Message) -> None:
        kind = message.get("type")
        if kind == "from":
            at = message.get("at")
            self._from = str(message.get("run", "")), at if isinstance(at, dict) else {}
            self._begun.set()
        elif self._hub.closed:
            pass
        elif message.get("on") == debugger.NAME:
            self._to_debugger(message)
        elif kind == "type" and (on := str(message.get("on"))) in self._readers:
            self._typist.type(on, str(message.get("text", "")))
        elif kind == "size":
            self._typist.resize(message.get("rows"), message.get("columns"))
        elif kind == "do":
            do(self._room, self._hub, message)

    def _to_debugger(self, message: Message) -> None:
        rows, columns = message.get("rows"), message.get("columns")
        if message.get("type") == "type":
            self._hub.debugger.type(str(message.get("text", ""))[: typing_in.MOST])
        elif typing_in.is_length(rows) and typing_in.is_length(columns):
            self._hub.debugger.resize(rows, columns)

    # ------------------------------------------------------------ to the page

    async def _show(self) -> None:
        await self._begun.wait()
        shown: Message = {}
        while True:
            self._pace.begin()
            if self._told:
                self._told = False
                now, run = self._hub.shown(), self._hub.run_dir()
                if now != shown:
                    shown = now
                    await self._socket.send_str(json.dumps(now))  # meanwhile a new run may begin
                self._open(run, now["consoles"])
            if not await self._send():
                await self._wait()

    def _tell(self) -> None:
        self._told = True
        self._pace.wake()

    def _open(self, run: RunDir | None, consoles: Sequence[str]) -> None:
        """Have a reader for each console that the page was told of, and for the debugger. The page
        does not keep the output of others."""
        if run and consoles:
            if run.id != self._run:
                self._close()
                self._run = run.id
            self._consoles = run.console_dir
            for name in consoles:
                self._open_console(run, name)
        self._open_debugger()

    def _open_console(self, run: RunDir, name: str) -> None:
        was, at = self._from
        place = at.get(name) if was == run.id else None
        if name not in self._readers:
            with contextlib.suppress(OSError):
                self._readers[name] = ConsoleReader(
                    run.console(name), place if isinstance(place, int) else None
                )

    def _open_debugger(self) -> None:
        """Each session has a log of its own, which is shown from its beginning."""
        log, reader = self._hub.debugger.log, self._readers.get(debugger.NAME)
        if reader and not reader.is_of(log):
            self._readers.pop(debugger.NAME).close()
        if debugger.NAME not in self._readers and log.exists():
            self._readers[debugger.NAME] = ConsoleReader(log, None)

    async def _send(self) -> bool:
        """Send a portion of each console; whether there was any."""
        found = False
        if self._consoles:
            shared_console.bring(self._consoles)
        for name, reader in self._readers.items():
            if piece := reader.next():
                await self._socket.send_bytes(frame(name, piece))
                found = True
        return found

    async def _wait(self) -> None:
        """Wait for news, or until a console that prints too fast may be shown again."""
        waits = [wait for reader in self._readers.values() if (wait := reader.wait()) is not None]
        await self._pace.next(min(waits, default=PING))

    async def _say(self, words: str) -> None:
        await self._socket.send_str(json.dumps({"type": "notice", "text": words}))

    def _close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers = {}


class RoomSocket:
    """One page of the teacher."""

    def __init__(self, room: Room, socket: web.WebSocketResponse) -> None:
        self._room = room
        self._socket = socket
        self._pace = Pace(ROOM_SETTLE)
        self._messages = Allowance(*MESSAGES)

    async def serve(self) -> None:
        """Until the page is gone."""
        with self._room.looked_at(self._pace.wake):
            await both(messages(self._socket, self._take, self._messages), self._show())

    def _take(self, message: Message) -> None:
        for hub in self._room.chosen(message.get("seat")):
            if message.get("type") == "say":
                hub.say(str(message.get("text", ""))[:MOST_SAID])
            elif message.get("type") == "close":
                hub.close(closed=bool(message.get("closed")))
            elif message.get("type") == "do":
                do(self._room, hub, message)

    async def _show(self) -> None:
        told = ""
        while True:
            self._pace.begin()
            if (now := json.dumps(self._room.shown())) != told:
                told = now
                await self._socket.send_str(now)
            await self._pace.next(PING)


def do(room: Room, hub: SeatHub, message: Message) -> None:
    """What a button asks for."""
    if message.get("verb") == "check" and room.lesson:
        if step := room.lesson.step(message.get("step")):
            hub.check(step)
        return
    guest = message.get("guest")
    if message.get("verb") == "build" and editing.has_guest(hub.seat, guest):
        hub.build(str(guest), anew=message.get("anew") is True)
        return
    if message.get("verb") == "debug":
        hub.debug(failure=message.get("of") == "check")
        return
    verbs = {"up": hub.start, "down": hub.stop, "reset": hub.reset}
    if verb := verbs.get(str(message.get("verb"))):
        verb()
