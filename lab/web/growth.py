"""Wakes those who wait for files in a folder to change.

One inotify(7) instance serves all readers, because a user can usually have only 128.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lab.util import waiting

if TYPE_CHECKING:
    from asyncinotify import Watch

Told = Callable[[], None]


class Growth:
    """Watches folders. An asynchronous context manager; its functions belong to one event loop."""

    def __init__(self) -> None:
        self._inotify = waiting.open_inotify()
        self._watches: dict[Path, tuple[Watch, list[Told]]] = {}
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        waiting.let_go(self._inotify)

    def watch(self, folder: Path, told: Told, *, contents: bool = False) -> None:
        """Call ``told`` when a file of ``folder`` comes, goes or is replaced, until :meth:`leave`.

        ``contents``: also when a file is written to. All who watch a folder say the same.
        A folder that does not exist is not watched; call this again when it may be there.
        """
        from asyncinotify import Mask

        mask = Mask.CREATE | Mask.MOVED_TO | Mask.DELETE | Mask.DELETE_SELF
        mask |= Mask.MODIFY if contents else 0
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if folder not in self._watches:
                self._watches[folder] = self._inotify.add_watch(folder, mask), []
            if told not in self._watches[folder][1]:
                self._watches[folder][1].append(told)

    def leave(self, folder: Path, told: Told) -> None:
        """The end of :meth:`watch`; nothing happens if the folder is gone."""
        if folder not in self._watches:
            return
        watch, those = self._watches[folder]
        if told in those:
            those.remove(told)
        if not those:
            del self._watches[folder]
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(watch)

    async def _read(self) -> None:
        from asyncinotify import Mask

        while True:
            event = await self._inotify.get()
            if event.watch is None:  # too many at once (IN_Q_OVERFLOW): anything may have changed
                self._tell_all()
                continue
            known = self._watches.get(event.watch.path)
            if known is None or known[0] is not event.watch:
                continue  # nobody wants this watch any more
            if Mask.IGNORED in event.mask:  # the folder is gone
                del self._watches[event.watch.path]
            for told in list(known[1]):
                told()

    def _tell_all(self) -> None:
        for _, those in list(self._watches.values()):
            for told in list(those):
                told()
