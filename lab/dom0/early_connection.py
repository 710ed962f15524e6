"""The connection to dom0's agent while a lab is started: made early, so that it answers soon.

An agent that nobody is connected to looks ten times a second whether somebody is (qga/main.c
of QEMU). A template is therefore stored with its agent asked once and listening for more, and
whoever restores it is connected before the machine stands where it was stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from lab.dom0 import agent, connection
from lab.dom0.agent import Agent
from lab.dom0.steps import Steps
from lab.dom0.window import Window

#: Seconds of dom0 in which its agent has gone back to listening.
LISTENS = 0.05


class EarlyConnection:
    """``guarded`` ends a wait if the machine is lost meanwhile."""

    def __init__(
        self,
        socket: Path,
        window: Window,
        guarded: Callable[[Awaitable[None]], Awaitable[None]],
    ) -> None:
        self._socket = socket
        self.window = window
        self._guarded = guarded
        self._reached: Agent | None = None

    async def reach(self) -> None:
        """Be connected already when :meth:`answering` is called; nothing is asked yet.

        Raises:
            Dom0Error: nobody listens.
        """
        self._reached = await connection.reach(self._socket, self.window)

    async def answering(self, within: float, patience: float = agent.TURN) -> Agent:
        """The agent, when it answers; the caller closes it.

        Raises:
            BusyError: others had it for ``patience`` seconds.
            Dom0Error: it did not answer within ``within`` seconds.
        """
        found, self._reached = self._reached, None
        found = found or await connection.reach(self._socket, self.window, patience)
        try:
            await self._guarded(found.synchronise(within))
        except BaseException:
            await found.close()
            raise
        return found

    @contextlib.asynccontextmanager
    async def listening(self, steps: Steps, within: float) -> AsyncIterator[None]:
        """While the block is executed the machine stands still, its agent asked and listening.

        Raises:
            Dom0Error: the agent did not answer within ``within`` seconds.
        """
        found = await connection.reach(self._socket, self.window)
        asked = asyncio.ensure_future(found.synchronise(within))
        try:
            answered = False
            while not answered:
                answered = asked.done()  # then it listens again by the next stop
                await steps.sleep_until(steps.now + LISTENS, within)
            await asked
            yield
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await found.close()

    async def close(self) -> None:
        """End a connection that was not used."""
        if self._reached:
            await self._reached.close()
        self._reached = None
