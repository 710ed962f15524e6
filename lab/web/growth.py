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
        self._watches: dict[Path, tuple[Watch, list[tuple[Told, str]]]] = {}
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

    def watch(self, folder: Path, told: Told, *, contents: bool = False, only: str = "") -> None:
        """Call ``told`` when a file of ``folder`` comes, goes or is replaced, until :meth:`leave`.

        ``contents``: also when a file is written to. All who watch a folder say the same.
        ``only``: the name of the one file that matters.
        A folder that does not exist is not watched; call this again when it may be there.
        """
        from asyncinotify import Mask

        mask = Mask.CREATE | Mask.MOVED_TO | Mask.DELETE | Mask.DELETE_SELF
        mask |= Mask.MODIFY if contents else 0
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if folder not in self._watches:
                self._watches[folder] = self._inotify.add_watch(folder, mask), []
            if (told, only) not in self._watches[folder][1]:
                self._watches[folder][1].append((told, only))

    def leave(self, folder: Path, told: Told) -> None:
        """The end of :meth:`watch`; nothing happens if the folder is gone."""
        if folder not in self._watches:
            return
        watch, those = self._watches[folder]
        those[:] = [one for one in those if one[0] != told]
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
            name = str(event.name or "")
            for told, only in list(known[1]):
                if not (only and name) or only == name:
                    told()

    def _tell_all(self) -> None:
        for _, those in list(self._watches.values()):
            for told, _ in list(those):
                told()


class Following:
    """What a seat watches now. ``changed``: its lab has changed; ``grown``: its consoles have."""

    def __init__(self, growth: Growth, changed: Told, grown: Told) -> None:
        self._growth = growth
        self._changed, self._grown = changed, grown
        self._watched: dict[Path, Told] = {}

    def follow(self, lab: Path, consoles: Path | None) -> None:
        """Watch the folder of a live lab, that of its consoles, and no others any more."""
        self._growth.watch(lab.parent, self._changed, only=lab.name)
        self._growth.watch(lab, self._changed)
        wanted = {lab.parent: self._changed, lab: self._changed}
        if consoles:
            self._growth.watch(consoles, self._grown, contents=True)
            wanted[consoles] = self._grown
        for folder in self._watched.keys() - wanted.keys():
            self._growth.leave(folder, self._watched[folder])
        self._watched = wanted

    def end(self) -> None:
        """Watch nothing any more."""
        for folder, told in self._watched.items():
            self._growth.leave(folder, told)
        self._watched = {}
