"""Events of the host as asyncio knows them: a path that appears, a program that ends."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from asyncinotify import Inotify, Mask

from lab.model import Program

#: Longer than any lab lives; a wait for a program's end always ends with the program.
FOREVER = 10 * 365 * 86400.0


async def appears(path: Path) -> None:
    """Until something is at ``path``; its folder must exist. Bound it with a timeout."""
    with Inotify() as inotify:
        inotify.add_watch(path.parent, Mask.CREATE | Mask.MOVED_TO)
        while not path.exists():
            await inotify.get()


def end_of(program: Program) -> asyncio.Event:
    """An event that is set when the program has ended.

    The wait is a daemon thread's: it costs nothing and does not keep our process alive.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        program.wait(FOREVER)
        if not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True, name="end-of-program").start()
    return ended
