"""The executions of a run that GDB looks at: to a moment, on from there, and back."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.api import sameness
from lab.api.context import Context
from lab.api.moments import Moment, Moments
from lab.debug import dumping
from lab.debug.history import History
from lab.debug.machine_view import MachineView
from lab.debug.monitor import LabMonitor
from lab.debug.rewinding import Breakpoints, Rewinder
from lab.debug.runner import Runner
from lab.debug.stopped import Stopped
from lab.debug.targets import Target
from lab.debug.traveller import Traveller, never
from lab.errors import MachineError, UsageError
from lab.machine.recording import Changes, Recording, executed
from lab.run import standing, templates, virtual_time
from lab.run.boot import boot
from lab.run.hands import Hands
from lab.run.replay import Replay
from lab.run.session import Session
from lab.run.start import Start
from lab.rundir import RunDir
from lab.scenario import Report

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp


#: The folder of QEMU's recording, in that of the execution.
RECORDING = "recording"


class Journey:
    """One or several executions of a run, each of which stands somewhere."""

    def __init__(self, context: Context, start: Start, old: RunDir) -> None:
        alone = start.plan.machine.cpus == 1  # QEMU records no others
        recording = Recording(start.run.path / RECORDING, Changes()) if alone else None
        self.start = replace(start, recording=recording)
        self.old = old
        self._context = context
        self._names = standing.names_of(start.plan)
        self._dump = dumping.through(self._control, start.lab)
        self._moments = Moments(old, self._names, self._dump)
        self._session: Session | None = None
        self._play: asyncio.Task[Report] | None = None
        self._traveller = Traveller(None)
        self._monitor: LabMonitor | None = None
        self._replay: Replay | None = None
        self._visited: list[int] = []
        self._unchecked: dict[int, list[dict[str, int]]] = {}

    async def aclose(self) -> None:
        """End the execution that stands."""
        if self._play:
            self._play.cancel()
            await asyncio.gather(self._play, return_exceptions=True)
        if self._session:
            await self._session.power_off()
        if self._replay:
            await self._replay.aclose()
        self._session = self._play = self._replay = None
        self._unchecked.clear()

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
        self._monitor.back = self._back
        self._monitor.stood = self._stood
        self._listen_to(self._monitor.proxy.runner)
        return self._monitor

    def _listen_to(self, runner: Runner) -> None:
        """Let GDB's breakpoints stop the run."""
        self._traveller.judge = runner.judge
        self._traveller.others = lambda: set(runner.points())

    async def _execute(self, moment: Moment) -> None:
        """Execute the run until it stands at a moment; again, if it stands too late."""
        target: Target | None = self._moments.target(moment, self._began)
        self._visited.clear()
        await self._store_first()
        while target:
            await self._execute_to(target, moment.words())
            target = None if self._traveller.trapped else target.earlier(self._now())

    async def _store_first(self) -> None:
        """Have the template stored, if there is none: a machine that is recorded cannot be."""
        key = templates.key_with_guests(self.start.plan, self.start.prepared)
        if self.start.recording and key and not templates.there(key):
            session = Session(self.start.lab, self.start.run)
            async with session:
                await boot(session, replace(self._quiet(), recording=None))
                await session.power_off()

    def _quiet(self) -> Start:
        return replace(self.start, progress=self._context.progress)

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
            report = await self._play  # its error says more
            raise UsageError(
                f"the run ended after {report.seconds:.3f} s, before it stood {where}",
                hint="name an earlier moment: times are seconds since the guests began",
            )
        latest, began = target.latest(), self._began()
        after = None if latest is None or began is None else latest - began
        sameness.check(self.start.run, self.old, self._moments, after)
        if self._monitor:
            self._monitor.proxy.runner.past = None
            self._monitor.view.stopped = self._stopped()
        await self._visit()

    async def _played(self, session: Session) -> Report:
        start = self.start
        async with session:
            await boot(session, self._quiet())
            hands = Hands(session, start.plan, start.prepared)
            file = self._context.file.name
            return await virtual_time.watch(session, start.plan, hands, file=file)

    async def finish(self) -> Report | None:
        """Let the run come to its verdict, now that GDB has left; ``None`` if it went back."""
        play, self._traveller.judge = self._play, never
        while play and not self._replay:
            self._traveller.go_on()
            if not await self._traveller.until_it_stands(play):
                return await play
        return None

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
        await self._visit()
        return self._traveller.thread

    async def _wish(self, wish: asyncio.Event) -> None:
        await wish.wait()
        self._traveller.wish = True

    async def _goto(self, at: str) -> None:
        """Go to a time of the run, forwards or backwards."""
        await self._execute(Moment(at=at))

    def _control(self) -> AbstractAsyncContextManager[Qmp]:
        session = self._replay.session if self._replay else self._session
        assert session
        return session.sockets.control()

    # ------------------------------------------------------------ what was executed so far

    async def _visit(self) -> None:
        """Remember that it stands here, for ``lab back``."""
        if self._replay or self.start.recording:
            self._visited.append(await self._here())

    async def _stood(self) -> None:
        """GDB's user sees the machine stand here. One command of GDB's may move it many times."""
        if self._visited and self._visited[-1] != await self._here():
            await self._visit()

    async def _here(self) -> int:
        if self._replay:
            return self._replay.now
        async with self._control() as control:
            return await executed(control)

    async def into_the_past(self, wish: asyncio.Event) -> History:
        """See :class:`lab.debug.runner.Travel`."""
        self._need_recording()
        end, before = await self._here(), await self._registers()
        await self._end_recording()
        self._unchecked = {end: before}
        self._replay = Replay(self.start)
        await self._replay.explore(end, wish)
        await self.moved()
        points = Breakpoints(self._arm, self._runner.counts)
        return History(self._view, self._look, Rewinder(self._replay, end), points)

    def _need_recording(self) -> None:
        if not self.start.recording:
            raise UsageError(
                "this machine has several CPUs, and QEMU cannot record such a machine",
                hint="lab goto TIME goes to an earlier moment",
            )

    async def _registers(self) -> list[dict[str, int]]:
        stopped = self._view.stopped
        return [await stopped.registers(one) for one in stopped.threads]

    async def _end_recording(self) -> None:
        """Have QEMU complete its recording, and end."""
        assert self._session
        assert self.start.recording
        async with self._control() as control:
            await self.start.recording.changes.settle(control)
            await control.execute("quit")
        await self._session.ended.wait()
        await self.aclose()

    async def moved(self) -> None:
        """See :class:`lab.debug.runner.Travel`."""
        await self._look()

    async def _look(self) -> None:
        """From now on GDB sees the machine that stands."""
        assert self._replay
        if self._view.stopped.stub is not self._replay.stub:
            self._view.stopped = Stopped(self._replay.stub)
            await self._view.stopped.learn()
        self._view.moved()
        before = self._unchecked.pop(self._replay.now, None)
        if before is not None and await self._registers() != before:
            raise MachineError("the replay is not the recording: its registers differ")

    async def _arm(self, wanted: bool) -> None:
        await self._look()
        await self._runner.arm(wanted)

    async def _back(self) -> None:
        """Go to where the machine stood before it moved last."""
        self._need_recording()
        if len(self._visited) < 2:
            raise UsageError("it has not moved yet, so there is nothing to go back to")
        if self._runner.past is None:
            self._runner.past = await self.into_the_past(asyncio.Event())
        self._visited.pop()
        await self._runner.past.rewinder.replay.stand_at(self._visited[-1])
        await self._look()

    @property
    def _runner(self) -> Runner:
        assert self._monitor
        return self._monitor.proxy.runner

    @property
    def _view(self) -> MachineView:
        assert self._monitor
        return self._monitor.view

    def _where(self) -> str:
        """Where the run stands, in words, if it stands at a stop of dom0's."""
        began = self._began()
        if began is None or self._traveller.trapped:
            return ""
        return f", {self._now() - began:.6f} s after the guests began"
