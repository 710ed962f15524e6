"""Events of the host as asyncio knows them: a path that appears, a program that ends."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from asyncinotify import Inotify, Mask

from lab.errors import MachineError
from lab.model import Program

#: As long as poll(2) can wait (its milliseconds are 32 bits), in seconds.
FOREVER = 20 * 86400.0


def open_inotify() -> Inotify:
    """An inotify(7) instance, to be given to :func:`let_go`; a user may have 128 of them, usually.

    Raises:
        MachineError: there are too many.
    """
    try:
        return Inotify()
    except OSError as error:
        raise MachineError(
            f"files cannot be watched: {error.strerror}",
            hint="start fewer labs at once, close other programs that watch files, or raise "
            "fs.inotify.max_user_instances",
        ) from error


def let_go(inotify: Inotify) -> None:
    """Close it, but not here: close(2) waits some milliseconds for the kernel's other readers
    (fsnotify_destroy_group, fs/notify/group.c of Linux), and much is waiting for us."""
    threading.Thread(target=inotify.close, daemon=True, name="close-inotify").start()


@contextlib.contextmanager
def watching() -> Iterator[Inotify]:
    """An inotify(7) instance for a while.

    Raises:
        MachineError: there are too many.
    """
    inotify = open_inotify()
    try:
        yield inotify
    finally:
        let_go(inotify)


async def appears(path: Path) -> None:
    """Until something is at ``path``; its folder must exist. Bound it with a timeout.

    Raises:
        MachineError: files cannot be watched.
    """
    with watching() as inotify:
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
        while not program.wait(FOREVER):
            pass
        if not loop.is_closed():
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True, name="end-of-program").start()
    return ended
