"""When a page gets the next message: at once if it was quiet, else not more often than it needs."""

from __future__ import annotations

import asyncio
import contextlib
import time


class Pace:
    """The turns of one page. ``least``: seconds between the beginnings of two turns."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._news = asyncio.Event()
        self._began = 0.0

    def wake(self) -> None:
        """There is something new."""
        self._news.set()

    def begin(self) -> None:
        """A turn begins: it shows all that is new until now."""
        self._news.clear()
        self._began = time.monotonic()

    async def next(self, longest: float) -> None:
        """Wait until something is new, at most ``longest`` seconds, and until the next turn may
        begin."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest):
                await self._news.wait()
        if (left := self._began + self._least - time.monotonic()) > 0:
            await asyncio.sleep(left)
