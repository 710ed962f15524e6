"""What all pages of a seat share: the state of its lab, and the command that is at work on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.rundir import RunDir
from lab.web import checking, commands, editing, machines, problems
from lab.web.allowance import MESSAGES, Allowance
from lab.web.audience import Audience, Told
from lab.web.classroom import Seat
from lab.web.commands import Commands, Limits
from lab.web.debugger import Debugger
from lab.web.discretion import discreet
from lab.web.growth import Following, Growth
from lab.web.lesson import Step
from lab.web.machines import Now
from lab.web.reports import is_traced
from lab.web.rest import Rest
from lab.web.turns import Turns

#: Seconds between two questions to dom0 while somebody looks.
ASKED = 2.0

Work = Callable[[], Awaitable[None]]


class SeatHub:
    """One seat. Its pages are told when something has changed, and look here for what.

    Attributes:
        now: what its lab does.
        busy: the command that is at work on it, in words; empty if none is.
        before: how many seats wait before this one for their turn; ``None``: it does not wait.
        said: what the last command said.
        progress: how the checks of the lesson ended, by the id of their step.
        message: what the teacher says; empty: nothing.
        closed: the teacher has closed this seat: its pages show its lab and change nothing.
        problems: what the compiler said about the seat's files.
        checked: the last check: its ``step``, whether it ``passed``, what it ``said``, the ``run``
            if there was one, and whether that is ``traced``.
        debugger: GDB in its lab, or in the run of the last check.
        messages: how many of them its pages may send now.
    """

    def __init__(
        self, seat: Seat, growth: Growth, turns: Turns, runs: Commands, idle: float = 0.0
    ) -> None:
        """``idle``: seconds without a page after which its lab sleeps; 0: it never does."""
        self.seat, self._commands = seat, runs
        self._rest = Rest(seat, idle)
        self.now = Now()
        self.busy = ""
        self.before: int | None = None
        self.said = ""
        self.failed = False
        self.message = ""
        self.closed = False
        self.progress = checking.progress(seat)
        self.checked: dict[str, Any] = {}
        self.problems: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self.debugger = Debugger(seat, self._tell)
        self._following = Following(growth, self._changed.set, self._grown)
        self._turns = turns
        self._audience = Audience()
        self.messages = Allowance(*MESSAGES)
        self._is_last_old = False
        self._work: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ who looks

    @contextlib.contextmanager
    def looked_at(self, told: Told, grown: Told) -> Iterator[None]:
        """A page of the seat looks while the block runs (:meth:`Audience.page`)."""
        with self._audience.page(told, grown):
            self._changed.set()
            yield

    def overseen(self, told: Told) -> contextlib.AbstractContextManager[None]:
        """The teacher's page looks: its lab is not asked for its domains because of that."""
        return self._audience.overseer(told)

    @property
    def watchers(self) -> int:
        """How many pages are open."""
        return self._audience.pages

    async def keep_looking(self) -> None:
        """Look at the lab whenever its record changes, and every :data:`ASKED` seconds."""
        while True:
            self._changed.clear()
            with contextlib.suppress(LabError, OSError):  # files go while they are looked at
                await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASKED):
                    await self._changed.wait()

    async def _look(self) -> None:
        known = machines.seen(self.seat)
        consoles = RunDir(known.run).console_dir if known.run else None
        self._following.follow(self.seat.lab.path, consoles)
        self._set(known, keep_domains=True)
        awake = bool(self.watchers or self.busy or self.debugger.on)
        await self._rest.look(known.state, wanted=awake)
        if self.watchers:
            answer = await machines.asked(self.seat, known)
            if self._is_still(known):  # what else has changed meanwhile stays
                self._set(replace(self.now, domains=answer.domains, problem=answer.problem))

    def shown(self) -> dict[str, Any]:
        """The state, as pages get it."""
        return {
            "type": "seat", "number": self.seat.number, "name": self.seat.name, "busy": self.busy,
            "before": self.before, "said": self.said, "failed": self.failed,
            "watchers": self.watchers, "message": self.message, "closed": self.closed,
            "progress": self.progress,
            "checked": self.checked, "problems": self.problems, "debugging": self.debugger.on,
            **self.now.shown(),
        }  # fmt: skip

    def overview(self) -> dict[str, Any]:
        """The same for the teacher's page, which asks only so often: with the last line of now."""
        if self._is_last_old:
            self._is_last_old = False
            self.now = machines.with_last(self.now)
        return self.shown()

    def run_dir(self) -> RunDir | None:
        """The run whose consoles are shown."""
        return RunDir(self.now.run) if self.now.run else None

    def checked_run(self) -> RunDir | None:
        """The run of the last check, if it was one."""
        name = self.checked.get("run")
        return RunDir(self.seat.folder / "runs" / checking.LAB / name) if name else None

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
        if machines.seen(self.seat).state not in ("running", "asleep", "stands"):
            self._begin("starting", self._up)

    def stop(self) -> None:
        """Stop its lab, and what is at work on it."""
        self._begin("stopping", self._down, instead=True)

    def reset(self) -> None:
        """A fresh lab, out of the template."""
        self._begin("resetting", self._fresh, instead=True)

    def build(self, guest: str, *, anew: bool = False) -> None:
        """Build a guest, and start it: in the lab that runs, else with the lab.

        ``anew``: with a fresh lab in any case, because the lab itself has changed.
        """
        self._begin(f"building {guest}", partial(self._build, guest, anew=anew))

    def check(self, step: Step) -> None:
        """Run the check of a step of the lesson. A step without one is passed when asked."""
        self._begin(f"checking: {step.title}", partial(self._check, step))

    def debug(self, *, failure: bool) -> None:
        """Open GDB in its lab, or before the failure of its last check."""
        run = self.checked_run()
        if failure and run:
            words = [f"{checking.LAB}/{run.id}", "--before-failure"]
            self.debugger.start(words, checking.file(self.seat))
        elif not failure:
            self.debugger.start([self.seat.name], self.seat.labs)

    async def idle(self) -> None:
        """Wait until no command is at work."""
        if self._work:
            await asyncio.gather(self._work, return_exceptions=True)

    async def leave(self) -> None:
        """Interrupt the command that is at work, and watch nothing any more."""
        if self._work:
            self._work.cancel()
            await self.idle()
        await self.debugger.end()
        await self._rest.end()
        self._following.end()

    def _begin(self, words: str, work: Work, *, instead: bool = False) -> None:
        """Do some work, unless something is done already; ``instead``: of what is being done."""
        if self._work and not self._work.done() and not instead:
            return
        self._work = asyncio.ensure_future(self._worked(words, work, self._work))

    async def _worked(self, words: str, work: Work, before: asyncio.Task[None] | None) -> None:
        if before and not before.done():
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        self.busy, self.said, self.failed = words, "", False
        self._tell()
        try:
            await self._rest.end()
            await work()
        except (LabError, OSError) as error:
            self.said, self.failed = discreet(str(error), self.seat.folder), True
        finally:
            self.busy = ""
            self._changed.set()
            with contextlib.suppress(LabError, OSError):  # then the next look says it
                self._set(machines.seen(self.seat), keep_domains=True)  # pages hear both at once
            self._tell()

    def _waits(self, before: int | None) -> None:
        self.before = before
        self._tell()

    async def _up(self) -> None:
        async with self._turns.turn(self._waits):
            await self._command("lab.up", self.seat.name)

    async def _down(self) -> None:
        if self.debugger.of == self.seat.labs:
            await self.debugger.end()
        await self._command("lab.down", self.seat.name)

    async def _fresh(self) -> None:
        await self._down()
        await self._up()

    async def _build(self, guest: str, *, anew: bool) -> None:
        async with self._turns.turn(self._waits):
            await self._command("guest.build", guest, limits=commands.BUILD)
            names = [file.name for file in editing.listed(self.seat)]
            self.problems = [asdict(one) for one in problems.found(self.said, names)]
            there = not anew and machines.seen(self.seat).state == "running"
            if there and not self.failed:
                await self._command("lab.inject", self.seat.name, guest)
        if not there and not self.failed:
            await self._fresh()

    async def _check(self, step: Step) -> None:
        passed, before = True, checking.last_run(self.seat)
        if step.check:
            async with self._turns.turn(self._waits):
                file = checking.lay(self.seat, step)
                await self._command("lab.run", checking.LAB, labs=file)
            passed = not self.failed
        checking.note(self.seat, step, passed=passed)
        self.progress = checking.progress(self.seat)
        last = checking.last_run(self.seat)  # that of an earlier check, if this one began none
        run = last if last and not (before and before.id == last.id) else None
        self.checked = {
            "step": step.id, "passed": passed, "said": self.said, "run": run.id if run else "",
            "traced": run is not None and is_traced(run),
        }  # fmt: skip
        self.said, self.failed = "", False

    async def _command(
        self, *words: str, labs: Path | None = None, limits: Limits | None = None
    ) -> None:
        done = await self._commands.run(words, labs or self.seat.labs, limits)
        self.said, self.failed = done.said, not done.well

    # ------------------------------------------------------------ what is watched

    def _set(self, now: Now, *, keep_domains: bool = False) -> None:
        if keep_domains and self._is_still(now):
            now = replace(now, domains=self.now.domains, problem=now.problem or self.now.problem)
        if now != self.now:
            self.now = now
            self._tell()

    def _is_still(self, known: Now) -> bool:
        return (known.run, known.state) == (self.now.run, self.now.state)

    def _tell(self) -> None:
        self._audience.tell()

    def _grown(self) -> None:
        self._is_last_old = True
        self._audience.grown()
