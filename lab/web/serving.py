"""Runs the server of a class until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from lab.errors import UsageError
from lab.model import Lab
from lab.web import room, server
from lab.web.assets import Assets
from lab.web.classroom import Classroom
from lab.web.lesson import Lesson

#: Seconds that open connections have when the server ends.
ENDS = 2.0


@dataclass(frozen=True)
class Links:
    """Where the pages are: the teacher's, and each seat's in order."""

    teacher: str
    seats: tuple[str, ...]


@dataclass(frozen=True)
class Class:
    """What is served.

    Attributes:
        labs: labs.yaml; ``lab``: the lab of which every seat has a copy.
        assets: the files of the pages.
        keep: the labs go on when the server ends.
        lesson: what participants read, and what checks their steps; ``None``: nothing.
    """

    classroom: Classroom
    labs: Path
    lab: Lab
    assets: Assets
    keep: bool = False
    lesson: Lesson | None = None


async def serve(one: Class, host: str, port: int, ready: Callable[[Links], None]) -> None:
    """Serve until this is cancelled. ``ready`` gets the links when the pages can be opened.

    Raises:
        UsageError: nothing can listen on this address.
        LabError: as :func:`lab.web.room.opened`.
    """
    listening = _listen(host, port)
    async with AsyncExitStack() as stack:
        stack.callback(listening.close)
        opened = room.opened(one.classroom, one.labs, one.lab, one.lesson)
        there = await stack.enter_async_context(opened)
        runner = web.AppRunner(
            server.application(there, one.assets), access_log=None, shutdown_timeout=ENDS
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            ready(links(one.classroom, host, listening.getsockname()[1]))
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
            if not one.keep:
                await there.stop_all()


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
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"the page cannot be served at {host}, port {port}: {why}",
            hint="another --port; --address 127.0.0.1 always exists",
        ) from error
