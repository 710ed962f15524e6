"""Measures the workshop's page: how soon a line of a console reaches the pages that show it.

The server is the real one, and its connections are, too. The labs are not: lines are written into
the logs of runs, as QEMU does it, so that only the server is measured.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from lab import config, rundir
from lab.api import Context
from lab.bench.figure import Figure, at_most
from lab.util import signals
from lab.util.deadline import Deadline
from lab.web import classroom, room, server
from lab.web.assets import Assets

#: Seats that are watched, seconds that each part takes, seconds between two lines of a console.
SEATS, SECONDS, EVERY = 20, 5.0, 0.1
#: Bytes a second of the console that floods, and how many are written at a time.
FLOOD, PIECE = 20_000_000, 1_000_000
#: The most seconds for 99 of 100 lines, quiet and while one console floods.
QUIET, LOUD = 0.05, 0.1


def measure(context: Context, say: Callable[[str], None]) -> list[Figure]:
    """Lines of 20 consoles, each watched by one page; then the same while one more floods."""
    say(f"{SEATS} seats that print")
    quiet = signals.run(_watched(context, flood=False))
    say(f"{SEATS} seats that print, and one that floods")
    loud = signals.run(_watched(context, flood=True))
    return [
        Figure(f"a line to its page, {SEATS} seats: median", statistics.median(quiet) * 1e3, "ms"),
        at_most("a line to its page: 99 of 100", _p99(quiet) * 1e3, "ms", QUIET * 1e3),
        at_most("the same while one floods", _p99(loud) * 1e3, "ms", LOUD * 1e3),
    ]


def _p99(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.99)]


async def _watched(context: Context, *, flood: bool) -> list[float]:
    """Seconds from each line to its page."""
    found: list[float] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        there, base = await stack.enter_async_context(_served(context, folder))
        logs = [_log(hub.seat) for hub in there.hubs]
        session = await stack.enter_async_context(ClientSession())
        for hub in there.hubs:
            socket = await session.ws_connect(f"{base}/s/{hub.seat.secret}/socket", max_msg_size=0)
            await socket.send_json({"type": "from"})
            reader = asyncio.ensure_future(_read(socket, found))
            stack.callback(reader.cancel)
        over = threading.Event()
        stack.callback(over.set)
        if flood:
            threading.Thread(target=_flood, args=(logs[-1], over), daemon=True).start()
        deadline = Deadline(SECONDS)
        while not deadline.passed():
            for log in logs[:SEATS]:
                with log.open("a") as stream:
                    stream.write(f"line {time.monotonic()} end\n")
                await asyncio.sleep(EVERY / SEATS)
    return found


@asynccontextmanager
async def _served(context: Context, folder: Path) -> AsyncIterator[tuple[room.Room, str]]:
    """A class of which no lab runs, and the address of its server."""
    lab = next(iter(context.labs().labs.values()))
    taught = room.Taught(context.file, config.find_lab(context.labs(), lab.name))
    with classroom.opened(folder, lab.name, SEATS + 1) as found:
        async with room.opened(found, taught) as there:
            runner = web.AppRunner(server.application(there, Assets({})), access_log=None)
            await runner.setup()
            try:
                site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1.0)
                await site.start()
                yield there, f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()


def _log(seat: classroom.Seat) -> Path:
    """The log of a console in a new run of a seat."""
    run = rundir.new_run(seat.folder / "runs", seat.name)
    log = run.console("guest")
    log.touch()
    return log


async def _read(socket: ClientWebSocketResponse, found: list[float]) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            now = time.monotonic()
            lines = message.data.split(b"\n")
            stamps = (line.split() for line in lines if line.endswith(b" end"))
            found += [now - float(words[-2]) for words in stamps]


def _flood(log: Path, over: threading.Event) -> None:
    """Write without end, at a steady rate."""
    text = b"flood flood flood flood\n" * (PIECE // 24)
    while not over.wait(PIECE / FLOOD):
        with log.open("ab") as stream:
            stream.write(text)
