"""Connects to dom0's agent early while a lab is started, so that the agent answers sooner.

While nobody is connected to the agent, it looks for a connection only ten times a second
(qga/main.c of QEMU). So a template is stored with an agent that was asked once and listens for
more. Whoever restores it connects before the machine is restored.
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

#: Seconds of dom0's time after which its agent listens again.
LISTENS = 0.05


class EarlyConnection:
    """The connection of the command that starts a lab.

    ``guarded`` ends a wait if the machine fails meanwhile.
    """

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
        """Connect now, before :meth:`answering` is called. Asks nothing yet.

        Raises:
            Dom0Error: nobody listens.
        """
        self._reached = await connection.reach(self._socket, self.window)

    async def answering(self, within: float, patience: float = agent.TURN) -> Agent:
        """Wait until the agent answers. The caller closes the connection.

        Raises:
            BusyError: others had the agent for ``patience`` seconds.
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
        """For the ``with`` block, the machine stands still with an agent that listens.

        Raises:
            Dom0Error: the agent did not answer within ``within`` seconds.
        """
        found = await connection.reach(self._socket, self.window)
        asked = asyncio.ensure_future(found.synchronise(within))
        try:
            answered = False
            while not answered:
                answered = asked.done()  # if so, the agent listens again at the next stop
                await steps.sleep_until(steps.now + LISTENS, within)
            await asked
            yield
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await found.close()

    async def close(self) -> None:
        """Close the connection if it was not used."""
        if self._reached:
            await self._reached.close()
        self._reached = None
