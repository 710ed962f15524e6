"""What is typed on the page of a seat reaches a console of its lab, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeGuard

from lab.errors import LabError, UsageError
from lab.machine import conversation, shared_console, shared_input
from lab.machine.console_files import input_of
from lab.run import live, window_size
from lab.web.classroom import Seat
from lab.web.discretion import discreet

#: The most typed characters that wait until the machine takes them.
MOST = 16 << 10
#: The largest window, in rows or columns.
LARGEST = 1000


class Typist:
    """Types for one page, in order. What it cannot type is said, and left out."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._typed: dict[str, str] = {}
        self._size: tuple[int, int] | None = None
        self._news = asyncio.Event()

    def type(self, console: str, text: str) -> None:
        """Add to what waits to be typed."""
        waiting = self._typed.get(console, "")
        self._typed[console] = waiting + text[: MOST - len(waiting)]
        self._news.set()

    def resize(self, rows: object, columns: object) -> None:
        """dom0's programs are to know this size of the page's terminal."""
        if is_length(rows) and is_length(columns):
            self._size = rows, columns
            self._news.set()

    async def work(self, say: Callable[[str], Awaitable[None]]) -> None:
        """Type until this is cancelled; ``say`` hears what went wrong."""
        while True:
            await self._news.wait()
            self._news.clear()
            typed, self._typed = self._typed, {}
            size, self._size = self._size, None
            try:
                for console, text in typed.items():
                    await self._pass_on(console, text.encode(errors="replace"))
                if size:
                    await self._tell(size)
            except LabError as error:
                await say(discreet(error.message, self._seat.folder))

    async def _pass_on(self, console: str, data: bytes) -> None:
        found = live.find(self._seat.lab)
        if found is None:
            raise UsageError("the lab does not run, so nothing can be typed to it")
        if shared_console.carries(found.run.console(console)):
            await shared_input.type_into(found.lab, found.run.console_dir, console, data)
        else:
            await conversation.type_into(input_of(found.lab.path, console), data)

    async def _tell(self, size: tuple[int, int]) -> None:
        """dom0 may be busy or gone: then its programs do not know the size, which is no error."""
        found = live.find(self._seat.lab)
        if found and found.running and not live.without_dom0(found.lab):
            with contextlib.suppress(LabError, OSError):
                await window_size.tell(found, *size)


def is_length(value: object) -> TypeGuard[int]:
    """Whether a window may have so many rows or columns."""
    return isinstance(value, int) and 0 < value <= LARGEST
