"""How much of something there may be now: bytes of a console, messages of pages, clicks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

#: How many messages the pages of a seat may send a second, and at once; and as how many a click
#: counts, because it starts a command, and a request that is no message.
MESSAGES, CLICK, REQUEST = (200.0, 2000), 100, 20
#: Of a long message, each so many bytes count as one.
PART = 1024

Clock = Callable[[], float]


class Allowance:
    """At most ``burst`` at once, and ``rate`` more each second."""

    def __init__(self, rate: float, burst: int, clock: Clock = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left = float(burst)
        self._seen = clock()

    def left(self) -> int:
        """How much there may be now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        return int(self._left)

    def take(self, count: int) -> None:
        """Use some of it up."""
        self._left -= count

    async def spend(self, count: int) -> None:
        """Wait until there may be something, and use this much up."""
        while (left := self.wait(1)) > 0:
            await asyncio.sleep(left)
        self.take(count)

    def wait(self, count: int) -> float:
        """Seconds until there may be ``count``."""
        return 0.0 if self.left() >= count else (count - self._left) / self._rate
