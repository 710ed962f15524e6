"""Runs the server of a class until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from lab.errors import UsageError
from lab.web import door, room, server
from lab.web.assets import Assets
from lab.web.classroom import Classroom
from lab.web.door import Door
from lab.web.room import Room, Taught

#: Seconds that open connections have when the server ends.
ENDS = 2.0
#: Where aiohttp tells what is wrong with requests. Anybody can send as many as they like.
_QUIET = logging.getLogger("lab.web.requests")
_QUIET.disabled = True


@dataclass(frozen=True)
class Links:
    """Where the pages are: the teacher's, and each seat's in order."""

    teacher: str
    seats: tuple[str, ...]


@dataclass(frozen=True)
class Class:
    """What is served; ``assets``: the files of the pages."""

    classroom: Classroom
    taught: Taught
    assets: Assets


async def serve(one: Class, host: str, port: int, ready: Callable[[Links], None]) -> None:
    """Serve until this is cancelled. ``ready`` gets the links when the pages can be opened.

    The labs of the class are not stopped.

    Raises:
        UsageError: nothing can listen on this address.
        LabError: as :func:`lab.web.room.opened`.
    """
    listening = _listen(host, port)
    async with AsyncExitStack() as stack:
        stack.callback(listening.close)
        there = await stack.enter_async_context(room.opened(one.classroom, one.taught))
        await stack.enter_async_context(answering(there, one.assets, listening))
        ready(links(one.classroom, host, listening.getsockname()[1]))
        await asyncio.Event().wait()


@asynccontextmanager
async def answering(there: Room, assets: Assets, listening: socket.socket) -> AsyncIterator[None]:
    """Answer those who connect, while the block runs."""
    here = Door()
    runner = web.AppRunner(
        server.application(there, assets, here),
        access_log=None,
        logger=_QUIET,
        shutdown_timeout=ENDS,
        keepalive_timeout=door.IDLE,
        lingering_time=door.LINGERS,
        auto_decompress=False,  # our pages send nothing compressed, and a little may become a lot
    )
    await runner.setup()
    assert runner.server
    taking = asyncio.ensure_future(here.keep(listening, runner.server))
    try:
        yield
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await runner.cleanup()


def links(classroom: Classroom, host: str, port: int) -> Links:
    """The links of a class whose server listens at this address."""
    name = f"[{host}]" if ":" in host else host
    base = f"http://{name}:{port}"
    seats = (f"{base}/s/{seat.secret}" for seat in classroom.seats)
    return Links(f"{base}/t/{classroom.teacher}", tuple(seats))


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that nothing has to wait for it."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=door.BACKLOG)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"the page cannot be served at {host}, port {port}: {why}",
            hint="another --port; --address 127.0.0.1 always exists",
        ) from error
