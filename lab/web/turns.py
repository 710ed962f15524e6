"""Work that takes the whole machine waits for its turn, in the order in which it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

#: Hears how many wait before it; ``None``: it waits no more.
Waits = Callable[[int | None], None]


class Turns:
    """``count`` at a time; the others wait, and each is told how many are before it."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._waiting: list[tuple[object, Waits]] = []

    @asynccontextmanager
    async def turn(self, waits: Waits) -> AsyncIterator[None]:
        """Wait for a turn, and have it while the block runs."""
        place = object(), waits
        if self._free.locked():
            self._waiting.append(place)
            self._tell()
        try:
            await self._free.acquire()
        finally:
            if place in self._waiting:
                self._waiting.remove(place)
                waits(None)
                self._tell()
        try:
            yield
        finally:
            self._free.release()

    def _tell(self) -> None:
        for before, (_, waits) in enumerate(self._waiting):
            waits(before)
