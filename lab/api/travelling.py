"""GDB at a moment of a run: the run is executed again until then, and stands."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from lab import rundir
from lab.api.context import Context, clean, like
from lab.api.debugging import DebugOptions, run_gdb, sources, toolchain_of
from lab.api.moments import Moment, Moments
from lab.api.plans import intent, make_plan
from lab.debug import dumping, server, symbols
from lab.debug.launch import Session as GdbSession
from lab.debug.machine_view import MachineView
from lab.debug.monitor import LabMonitor
from lab.debug.runner import Runner
from lab.debug.stopped import Stopped
from lab.debug.targets import Target
from lab.debug.traveller import Traveller
from lab.errors import MachineError, UsageError
from lab.model import Clock
from lab.run import digest, fingerprint, standing, virtual_time
from lab.run.boot import boot
from lab.run.hands import Hands
from lab.run.session import Session
from lab.run.start import Start, started
from lab.rundir import RunDir
from lab.util import reading, signals
from lab.util.terminal import quote

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp


def travel(context: Context, word: str, moment: Moment, options: DebugOptions) -> int:
    """Execute a run again to a moment, and open GDB there; returns GDB's exit status.

    Raises:
        UsageError: there is no such run or moment, or it was not under the virtual clock.
        MachineError: the run does not repeat; the message has the first difference.
    """
    clean(context)
    old = _old(context, word)
    context = like(context, old.manifest())
    plan = make_plan(context, str(old.manifest().get("lab")), Clock.VIRTUAL, first=True)
    if plan.lab.without_dom0:
        raise UsageError("a lab without dom0 cannot be stopped at a moment of its own time")
    known = symbols.of_run(old, iter(sources(context, plan.lab.name)))
    toolchain = toolchain_of(context)
    run: RunDir | None = None
    try:
        with started([intent(context, plan, "lab.debug", kept=False)]) as start:
            run = start.run
            _check_inputs(old, start)
            chosen = options.on or next((one.name for one in plan.guests), "everywhere")
            gdb = GdbSession(start.lab, run, known, chosen)
            journey = Journey(context, start, old)
            work = _debug(journey, moment, partial(run_gdb, toolchain, gdb, options))
            return signals.run(work)
    finally:
        if run:
            rundir.forget(run)


async def _debug(journey: Journey, moment: Moment, attend: Callable[[], object]) -> int:
    async with contextlib.aclosing(journey):
        monitor = await journey.begin(moment)
        async with server.listening(journey.start.lab, monitor) as serving:
            status = await attend()  # type: ignore[misc]
        if serving.failure:
            raise serving.failure
        return int(status)


class Journey:
    """One or several executions of a run, each of which stands somewhere."""

    def __init__(self, context: Context, start: Start, old: RunDir) -> None:
        self.start = start
        self.old = old
        self._context = context
        self._names = standing.names_of(start.plan)
        self._dump = dumping.through(self._control, start.lab)
        self._moments = Moments(old, self._names, self._dump)
        self._session: Session | None = None
        self._play: asyncio.Task[object] | None = None
        self._traveller = Traveller(None)
        self._monitor: LabMonitor | None = None

    async def aclose(self) -> None:
        """End the execution that stands."""
        if self._play:
            self._play.cancel()
            await asyncio.gather(self._play, return_exceptions=True)
        if self._session:
            await self._session.power_off()
        self._session = self._play = None

    async def begin(self, moment: Moment) -> LabMonitor:
        """Execute the run to a moment. Returns what answers GDB there.

        Raises:
            MachineError: it ended before, or is not the same run.
        """
        with self.start.progress.stage("the run, again") as stage:
            await self._execute(moment)
            stage.note(f"stands {moment.words()}{self._where()}")
        self._monitor = LabMonitor(MachineView(self._stopped()), self._dump, self._names)
        self._monitor.proxy.runner.travel = self
        self._monitor.goto = self._goto
        self._listen_to(self._monitor.proxy.runner)
        return self._monitor

    def _listen_to(self, runner: Runner) -> None:
        """Let GDB's breakpoints stop the run."""
        self._traveller.judge = runner.judge
        self._traveller.others = lambda: set(runner.points())

    async def _execute(self, moment: Moment) -> None:
        """Execute the run until it stands at a moment; again, if it stands too late."""
        target: Target | None = self._moments.target(moment, self._began)
        while target:
            await self._execute_to(target, moment.words())
            target = None if self._traveller.trapped else target.earlier(self._now())

    def _began(self) -> float | None:
        return self._session.began if self._session else None

    def _now(self) -> float:
        assert self._session
        return self._session.at_stop.now

    async def _execute_to(self, target: Target, where: str) -> None:
        """Execute the run until it stands at a target, which is ``where``, in words."""
        await self.aclose()
        session = Session(self.start.lab, self.start.run)
        self._session = session
        traveller = Traveller(target)
        self._traveller = traveller
        if self._monitor:
            self._listen_to(self._monitor.proxy.runner)
        session.traps = traveller
        self._play = asyncio.create_task(self._played(session))
        if not await traveller.until_it_stands(self._play):
            await self._play  # its error says more
            raise UsageError(f"the run ended before it stood {where}")
        self._compare(target)
        if self._monitor:
            self._monitor.view.stopped = self._stopped()

    async def _played(self, session: Session) -> object:
        start = self.start
        async with session:
            await boot(session, replace(start, progress=self._context.progress))
            hands = Hands(session, start.plan, start.prepared)
            file = self._context.file.name
            return await virtual_time.watch(session, start.plan, hands, file=file)

    def _stopped(self) -> Stopped:
        assert self._traveller.stopped
        return self._traveller.stopped

    # ------------------------------------------------------------ what GDB asks

    async def go_on(self, wish: asyncio.Event) -> int:
        """See :class:`lab.debug.runner.Travel`."""
        assert self._play
        watching = asyncio.create_task(self._wish(wish))
        try:
            self._traveller.go_on()
            if not await self._traveller.until_it_stands(self._play):
                raise MachineError("the run is over: its scenario is decided")
        finally:
            watching.cancel()
        return self._traveller.thread

    async def _wish(self, wish: asyncio.Event) -> None:
        await wish.wait()
        self._traveller.wish = True

    async def _goto(self, at: str) -> None:
        """Go to a time of the run, forwards or backwards."""
        await self._execute(Moment(at=at))

    def _control(self) -> AbstractAsyncContextManager[Qmp]:
        assert self._session
        return self._session.sockets.control()

    def _compare(self, target: Target) -> None:
        """Compare what the run has said so far with what it had said.

        dom0 may need a moment until it stops the machine. What was said meanwhile may differ.

        Raises:
            MachineError: it said something else; the message has the first difference.
        """
        latest, began = target.latest(), self._began()
        after = None if latest is None or began is None else latest - began
        for name, log in self.start.run.consoles().items():
            told, before = (
                reading.data(one, reading.IMAGE) for one in (log, self.old.console(name))
            )
            line = first_difference(told, before)
            when = None if line is None else self._moments.time_of(name, line)
            if line is None or (after is not None and when is not None and when >= after):
                continue
            raise MachineError(
                f"the run is not the same this time: console/{name}.log differs in line {line + 1}",
                tail=str(digest.difference_from(self.start.run, self.old) or ""),
                hint="was labs.yaml, a guest or the toolchain changed since?",
            )

    def _where(self) -> str:
        """Where the run stands, in words, if it stands at a stop of dom0's."""
        began = self._began()
        if began is None or self._traveller.trapped:
            return ""
        return f", {self._now() - began:.6f} s after the guests began"


def first_difference(told: bytes, before: bytes) -> int | None:
    """The number of the first line that differs; the last one may be cut off.

    >>> first_difference(b"one\\ntw", b"one\\ntwo\\nthree")
    >>> first_difference(b"one\\nten", b"one\\ntwo\\nthree")
    1
    """
    if before.startswith(told):
        return None
    pairs = itertools.zip_longest(told.split(b"\n"), before.split(b"\n"))
    return next(number for number, (one, other) in enumerate(pairs) if one != other)


def _old(context: Context, word: str) -> RunDir:
    found = rundir.find_run(context.runs, word)
    if found is None:
        raise UsageError(f"there is no run {quote(word)}", hint="name a lab, a run's id, or latest")
    if found.manifest().get("clock") != Clock.VIRTUAL:
        raise UsageError(
            f"run {found.id} was on the host's clock, so it cannot be executed again",
            hint="lab.run uses the virtual clock unless --clock host says otherwise",
        )
    return found


def _check_inputs(old: RunDir, start: Start) -> None:
    now = fingerprint.of_run(start.plan, start.prepared)
    before = old.manifest().get("fingerprint") or {}
    if changed := fingerprint.difference(before, now):
        raise UsageError(
            f"run {old.id} cannot be executed again: changed since are {', '.join(changed)}",
            hint=f"run it anew: ./inv lab.run {start.plan.lab.name}",
        )
