"""Connections to dom0's agent. It has one at a time, so commands take turns."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from lab.dom0.agent import ANSWER, LARGEST_ANSWER, TURN, Agent
from lab.dom0.window import Window
from lab.errors import Dom0Error
from lab.util import sockets, turns


async def reach(socket: Path, window: Window | None = None, patience: float = TURN) -> Agent:
    """A connection that is not synchronised yet: it has asked nothing.

    Waits for its turn for at most ``patience`` seconds.

    Raises:
        BusyError: others had the agent for so long; the error names one of them.
        Dom0Error: nobody listens on ``socket``.
    """
    turn = None
    try:
        turn = await turns.take(turns.of(socket), "dom0's agent", patience)
        found = await sockets.connect(socket, ANSWER)
        reader, writer = await asyncio.open_unix_connection(sock=found, limit=LARGEST_ANSWER)
    except BaseException as error:
        if turn:
            turn.end()
        if isinstance(error, OSError):
            raise Dom0Error(
                f"dom0's agent cannot be reached: {error.strerror or error}",
                hint="lab.status says whether the lab still runs",
            ) from error
        raise
    return Agent(reader, writer, turn, window)


@contextlib.asynccontextmanager
async def connected(
    socket: Path, within: float = ANSWER, window: Window | None = None
) -> AsyncIterator[Agent]:
    """A synchronised connection. A second one waits until the first is closed.

    Raises:
        BusyError: others had the agent for too long.
        Dom0Error: the agent does not answer within ``within`` seconds.
    """
    agent = await reach(socket, window)
    try:
        await agent.synchronise(within)
        yield agent
    finally:
        await agent.close()
