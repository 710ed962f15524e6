"""Ends a wait at once if a guest crashes, or prints without end.

For programs and tests, which wait for one thing at a time. A scenario has a judge instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection
from typing import NoReturn, TypeVar

from lab.errors import GuestCrashed, LabError
from lab.machine import console_quota, guest_ends
from lab.machine.console import Follower, crashed_in, failure_in
from lab.machine.guest_ends import CRASHED, End
from lab.machine.log_lines import LogReader, tail
from lab.rundir import RunDir
from lab.util import waiting

T = TypeVar("T")


class Health:
    """Which guests of one run crashed.

    A crash ends one wait, whatever it is for. Later waits continue, so dom0 can be asked about the
    crash. But a wait for the guest itself fails until the guest is created again.

    Attributes:
        crashed: the guests that crashed and must not.
        shaken: Xen or dom0 said that it failed.
    """

    def __init__(self, run: RunDir, may_crash: Collection[str] | None) -> None:
        """``may_crash``: the guests that may crash; ``None``: all of them."""
        self.crashed: set[str] = set()
        self.shaken = False
        self._run = run
        self._may_crash = None if may_crash is None else set(may_crash)
        self._untold: list[str] = []
        self._readers = [LogReader(name, run.console(name)) for name in ("xen", "dom0")]

    async def guarded(self, step: Awaitable[T], on: str = "") -> T:
        """The result of ``step``, unless a guest crashes or a console says too much first.

        ``on``: the guest that the step is about, if any.

        Raises:
            GuestCrashed: a guest crashed now, or ``on`` crashed earlier.
            GuestError, Dom0Error, HypervisorError: a console said more than it may.
        """
        task = asyncio.ensure_future(step)
        watch: asyncio.Future[NoReturn] | None = None
        try:
            await self._look(on)
            watch = asyncio.ensure_future(self._watch(on))
            await asyncio.wait([task, watch], return_when=asyncio.FIRST_COMPLETED)
            return await (watch if watch.done() else task)
        finally:
            ours = [one for one in (task, watch) if one]
            for one in ours:
                one.cancel()
            await asyncio.gather(*ours, return_exceptions=True)

    def begin(self, guest: str, *, may_crash: bool) -> None:
        """Note that a guest is about to be created: an earlier crash of it no longer counts."""
        self._read()
        self.crashed.discard(guest)
        self._untold = [one for one in self._untold if one != guest]
        if self._may_crash is not None:
            (self._may_crash.add if may_crash else self._may_crash.discard)(guest)

    @property
    def well(self) -> bool:
        """Whether nothing has happened that would end a wait."""
        self._read()
        try:
            console_quota.check(self._run.consoles())
        except LabError:
            return False
        return not self.crashed and not self.shaken

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    async def _watch(self, on: str) -> NoReturn:
        with Follower(self._run.consoles()) as follower:
            while True:
                await self._look(on)
                await asyncio.sleep(console_quota.PAUSE)  # do not look at sizes all the time
                await follower.change(waiting.FOREVER, None)

    async def _look(self, on: str) -> None:
        console_quota.check(self._run.consoles())
        self._read()
        name = self._untold[0] if self._untold else on if on in self.crashed else ""
        if not name:
            return
        if self._untold:
            with Follower(self._run.consoles()) as follower:
                await follower.aftermath(None)
        self._untold.clear()
        end = guest_ends.of(self._run).get(name, End(name, CRASHED))
        words = f"guest {name}: its domain {end.words(guest_ends.began(self._run))}"
        raise GuestCrashed(words, tail=tail(self._run.console(name)))

    def _read(self) -> None:
        for reader in self._readers:
            while lines := reader.read():
                for line in lines:
                    self.shaken |= failure_in(line) is not None
                    if name := crashed_in(line):
                        self._crash(name)

    def _crash(self, name: str) -> None:
        if self._may_crash is not None and name not in self._may_crash | self.crashed:
            self.crashed.add(name)
            self._untold.append(name)
