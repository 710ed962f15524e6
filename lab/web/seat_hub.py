"""What all pages of a seat share: the state of its lab, and the command that is at work on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import LabError
from lab.rundir import RunDir
from lab.web import checking, commands, editing, machines, problems
from lab.web.classroom import Seat
from lab.web.commands import Limits
from lab.web.growth import Growth
from lab.web.lesson import Step
from lab.web.machines import Now

#: Seconds between two questions to dom0 while somebody looks.
ASKED = 2.0

Told = Callable[[], None]


class SeatHub:
    """One seat. Its pages are told when something has changed, and look here for what.

    Attributes:
        now: what its lab does.
        busy: the command that is at work on it, in words; empty if none is.
        said: what the last command said.
        progress: how the checks of the lesson ended, by the id of their step.
        message: what the teacher says; empty: nothing.
        closed: the teacher has closed this seat: its pages show its lab and change nothing.
        problems: what the compiler said about the seat's files.
        checked: the last check: its ``step``, whether it ``passed``, and what it ``said``.
    """

    def __init__(self, seat: Seat, growth: Growth, slots: asyncio.Semaphore) -> None:
        self.seat = seat
        self.now = Now()
        self.busy = ""
        self.said = ""
        self.failed = False
        self.message = ""
        self.closed = False
        self.progress = checking.progress(seat)
        self.checked: dict[str, Any] = {}
        self.problems: list[dict[str, Any]] = []
        self._growth = growth
        self._slots = slots
        self._pages: list[Told] = []
        self._overseers: list[Told] = []
        self._watched: list[tuple[Path, Told, bool]] = []
        self._changed = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ who looks

    @contextlib.contextmanager
    def looked_at(self, told: Told) -> Iterator[None]:
        """While the block runs, ``told`` is called after each change, consoles included."""
        self._pages.append(told)
        self._changed.set()
        try:
            yield
        finally:
            self._pages.remove(told)

    @contextlib.contextmanager
    def overseen(self, told: Told) -> Iterator[None]:
        """The same for the teacher's page: its lab is not asked for its domains because of it."""
        self._overseers.append(told)
        try:
            yield
        finally:
            self._overseers.remove(told)

    @property
    def watchers(self) -> int:
        """How many pages are open."""
        return len(self._pages)

    async def keep_looking(self) -> None:
        """Look at the lab whenever its record changes, and every :data:`ASKED` seconds."""
        while True:
            self._changed.clear()
            known = machines.seen(self.seat)
            self._follow(known)
            self._set(known, keep_domains=True)
            if self._pages:
                self._set(await machines.asked(self.seat, known))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASKED):
                    await self._changed.wait()

    def shown(self) -> dict[str, Any]:
        """The state, as pages get it."""
        return {
            "type": "seat", "number": self.seat.number, "name": self.seat.name, "busy": self.busy,
            "said": self.said, "failed": self.failed, "watchers": self.watchers,
            "message": self.message, "closed": self.closed, "progress": self.progress,
            "checked": self.checked, "problems": self.problems,
            **self.now.shown(),
        }  # fmt: skip

    def run_dir(self) -> RunDir | None:
        """The run whose consoles are shown."""
        return RunDir(self.now.run) if self.now.run else None

    # ------------------------------------------------------------ what the teacher does

    def say(self, message: str) -> None:
        """Show this on all pages of the seat."""
        self.message = message
        self._tell()

    def close(self, *, closed: bool) -> None:
        """Close the seat and stop its lab, or open it again."""
        self.closed = closed
        self._tell()
        if closed:
            self.stop()

    # ------------------------------------------------------------ what is done

    def start(self) -> None:
        """Bring its lab up, unless it runs."""
        if machines.seen(self.seat).state not in ("running", "stands"):
            self._begin("starting", self._up)

    def stop(self) -> None:
        """Stop its lab, and what is at work on it."""
        self._begin("stopping", self._down, instead=True)

    def reset(self) -> None:
        """A fresh lab, out of the template."""
        self._begin("resetting", self._fresh, instead=True)

    def build(self, guest: str) -> None:
        """Build a guest, and start it: in the lab that runs, else with the lab."""
        self._begin(f"building {guest}", partial(self._build, guest))

    def check(self, step: Step) -> None:
        """Run the check of a step of the lesson. A step without one is passed when asked."""
        self._begin(f"checking: {step.title}", partial(self._check, step))

    async def idle(self) -> None:
        """Wait until no command is at work."""
        if self._work:
            await asyncio.gather(self._work, return_exceptions=True)

    async def leave(self) -> None:
        """Interrupt the command that is at work, and watch nothing any more."""
        if self._work:
            self._work.cancel()
        await self.idle()
        self._unfollow()

    def _begin(
        self, words: str, work: Callable[[], Awaitable[None]], *, instead: bool = False
    ) -> None:
        """Do some work, unless something is done already; ``instead``: of what is being done."""
        if self._work and not self._work.done() and not instead:
            return
        self._work = asyncio.ensure_future(self._worked(words, work, self._work))

    async def _worked(
        self, words: str, work: Callable[[], Awaitable[None]], before: asyncio.Task[None] | None
    ) -> None:
        if before and not before.done():
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        self.busy, self.said, self.failed = words, "", False
        self._tell()
        try:
            await work()
        except (LabError, OSError) as error:
            self.said, self.failed = str(error), True
        finally:
            self.busy = ""
            self._changed.set()
            self._tell()

    async def _up(self) -> None:
        async with self._slots:
            await self._command("lab.up", self.seat.name)

    async def _down(self) -> None:
        await self._command("lab.down", self.seat.name)

    async def _fresh(self) -> None:
        await self._down()
        await self._up()

    async def _build(self, guest: str) -> None:
        async with self._slots:
            await self._command("guest.build", guest, limits=commands.BUILD)
        names = [file.name for file in editing.listed(self.seat)]
        self.problems = [asdict(one) for one in problems.found(self.said, names)]
        if self.failed:
            return
        if machines.seen(self.seat).state == "running":
            await self._command("lab.inject", self.seat.name, guest)
        else:
            await self._fresh()

    async def _check(self, step: Step) -> None:
        passed = True
        if step.check:
            async with self._slots:
                file = checking.lay(self.seat, step)
                await self._command("lab.run", checking.LAB, labs=file)
            passed = not self.failed
        checking.note(self.seat, step, passed=passed)
        self.progress = checking.progress(self.seat)
        self.checked = {"step": step.id, "passed": passed, "said": self.said}
        self.said, self.failed = "", False

    async def _command(
        self, *words: str, labs: Path | None = None, limits: Limits | None = None
    ) -> None:
        done = await commands.run(words, labs or self.seat.labs, limits)
        self.said, self.failed = done.said, not done.well

    # ------------------------------------------------------------ what is watched

    def _set(self, now: Now, *, keep_domains: bool = False) -> None:
        if keep_domains and now.state == self.now.state:
            now = replace(now, domains=self.now.domains, problem=now.problem or self.now.problem)
        if now != self.now:
            self.now = now
            self._tell()

    def _tell(self) -> None:
        for told in [*self._pages, *self._overseers]:
            told()

    def _grown(self) -> None:
        for told in list(self._pages):
            told()

    def _follow(self, now: Now) -> None:
        """Watch the record of the lab, and the consoles of its run."""
        wanted = [(rundir.runtime_root(), self._changed.set, False)]
        wanted.append((self.seat.lab.path, self._changed.set, False))
        if now.run:
            wanted.append((RunDir(now.run).console_dir, self._grown, True))
        for folder, told, contents in self._watched:
            if (folder, told, contents) not in wanted:
                self._growth.leave(folder, told)
        for folder, told, contents in wanted:
            self._growth.watch(folder, told, contents=contents)
        self._watched = wanted

    def _unfollow(self) -> None:
        for folder, told, _ in self._watched:
            self._growth.leave(folder, told)
        self._watched = []
