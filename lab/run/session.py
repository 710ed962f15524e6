"""One life of a lab: off → xen → dom0 → guests, each step guarded and watched.

While a :class:`Session` boots, a watcher reads Xen's and dom0's consoles and the process's
end; whatever is being waited for, a panic or the end of QEMU ends the wait at once, and the
error names the layer that failed. A lab goes on when the session is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.dom0 import agent as dom0_agent
from lab.dom0 import commands, listing, xl
from lab.dom0.early_connection import EarlyConnection
from lab.dom0.steps import Steps
from lab.dom0.window import Window
from lab.errors import Dom0Error, UsageError
from lab.machine import (
    console_files,
    ends,
    gdbstop,
    launch,
    new_ports,
    postmortem,
    qmp,
    snapshot,
    template,
)
from lab.machine.command import WINDOW_FILE, Memory
from lab.machine.watcher import Watcher
from lab.model import (
    Clock,
    Domain,
    GuestImage,
    GuestPlan,
    Images,
    Lab,
    Plan,
    Program,
    State,
    Toolchain,
)
from lab.run import guests, live, traces
from lab.rundir import LabDir, RunDir
from lab.util import waiting
from lab.util.deadline import Deadline

#: Seconds that each step may take on a slow, busy machine; a step that fails ends sooner.
START, XEN, DOM0, STOP = 30.0, 60.0, 180.0, 10.0


class Session:
    """A lab that is being started or that runs.

    Attributes:
        state: how far it has come.
        marks: seconds since QEMU was started at which each thing was seen.
    """

    def __init__(self, lab: LabDir, run: RunDir, state: State = State.OFF) -> None:
        self.lab = lab
        self.run = run
        self.state = state
        self.marks: dict[str, float] = {}
        self._program: Program | None = None
        self._clock = Deadline(0)
        self._watcher = Watcher(run, lambda: self.mark("init"), lab.tag)
        self.guarded = self._watcher.guarded
        self._qmp: qmp.Qmp | None = None
        self._stack = contextlib.AsyncExitStack()
        self._arriving: asyncio.Task[None] | None = None
        self._virtual = False
        #: Under the virtual clock: what was marked, by dom0's counter.
        self.moments: list[dict[str, Any]] = []
        #: dom0 at a stop of the machine; ``None`` when it runs by itself.
        self.steps: Steps | None = None
        self._line = EarlyConnection(lab.agent_socket, Window(lab.path / WINDOW_FILE), self.guarded)
        #: When guests that were created paused were let run, by dom0's counter (s).
        self.began: float | None = None
        #: The domains that were created paused, and wait to be let run.
        self.paused: list[int] = []

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._quiet()

    async def _quiet(self) -> None:
        await self._watcher.stop()
        await self._line.close()
        if self._arriving:
            self._arriving.cancel()
            await asyncio.gather(self._arriving, return_exceptions=True)
        await self._stack.aclose()

    @property
    def ended(self) -> asyncio.Event:
        """Set when the machine that this session started has ended."""
        return self._watcher.ended

    async def power_on(
        self,
        toolchain: Toolchain,
        plan: Plan,
        images: Images,
        ram: Path,
        lock: int,
        stored: template.Template | None = None,
        memory: Memory = Memory.OWN,
    ) -> None:
        """Start QEMU, connect to it, let it run; with ``stored``, stand where that was stored.

        A ``stored`` machine whose memory is its own finds ``ram`` filled already.
        """
        self._require(State.OFF)
        console_files.lay(self.lab.path, self.run.console_dir, self.run.trace_dir, plan)
        if stored:
            template.lay(stored, self.run.console_dir, self.run.trace_dir)
        self._clock = Deadline(XEN)
        self._virtual = plan.machine.clock is Clock.VIRTUAL
        start = launch.Start(plan, images, memory, ram, stored)
        self._program = launch.qemu(toolchain, self.lab, self.run, start, lock)
        self.lab.record(program=asdict(self._program.record))
        self._watcher.begin(self._program, stored.ram if stored else ram)
        await self.guarded(waiting.appears(self.lab.qmp_socket), START, postmortem.no_qmp)
        control = self._qmp = await self.guarded(
            self._stack.enter_async_context(qmp.connected(self.lab.qmp_socket))
        )
        if plan.lab.without_dom0:
            self.mark("qmp")
            return
        reached = gdbstop.connected(self.lab.gdb_socket, control, self.guarded)
        stub = await self.guarded(self._stack.enter_async_context(reached))
        self.mark("qmp")
        hold = self._virtual and plan.machine.cpus > 1
        self.steps = Steps(stub, self._to_stop, self._line.window, hold=hold)
        before = time.time()
        if stored:
            self.steps.count = stored.stops
            if stored.about.get("listening"):
                await self._line.reach()
            await self.guarded(snapshot.load(control))
            await self.guarded(self.steps.look())
            self._enter(State.DOM0)
        else:
            self._arriving = asyncio.create_task(self.steps.arrive(DOM0))
            traces.note_start(self.run, before, time.time())

    async def wait_xen(self) -> None:
        """Until Xen starts dom0."""
        self._watcher.step = "Xen to start dom0"
        await self.guarded(
            self._watcher.xen_up.wait(), XEN, functools.partial(postmortem.no_xen, self.run)
        )
        self._enter(State.XEN)

    async def wait_dom0(self) -> None:
        """Until dom0 is ready: the machine stands still there."""
        self._require(State.XEN)
        self._watcher.step = "dom0 to be ready"
        assert self._arriving is not None
        await self.guarded(self._arriving)
        self._enter(State.DOM0)

    async def store_state(self) -> Path:
        """The machine's device state as a file; the machine stands still before and after."""
        async with self.control() as control:
            return await self.guarded(snapshot.save(control, self.lab.path))

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """A machine that stands still, with its agent, if it has one, ready for a question."""
        if self._virtual or self.steps is None:
            yield
            return
        async with self._line.listening(self.steps, DOM0):
            yield

    async def power_off(self) -> None:
        """End the machine, which can then be started again, from a template."""
        await self._quiet()
        if self._program:
            self._program.kill()
        for socket in (self.lab.qmp_socket, self.lab.gdb_socket, self.lab.agent_socket):
            socket.unlink(missing_ok=True)
        self.state, self._qmp, self._arriving = State.OFF, None, None
        self.steps, self.moments = None, []

    async def let_run(self) -> None:
        """The machine stands still no more; from now on dom0's agent is asked."""
        if self.steps:
            await self.guarded(self.steps.release())
        self.steps = self._qmp = None
        await self._stack.aclose()  # others may need QEMU's sockets now

    async def wait_agent(self) -> None:
        """Until dom0's agent answers."""
        self._watcher.step = "dom0's agent to answer"
        async with self._agent(within=DOM0):
            self.mark("agent")

    async def _to_stop(self, step: Awaitable[None], within: float, what: str) -> None:
        await self.guarded(step, within, functools.partial(postmortem.no_stop, self.run, what))

    async def inject(
        self,
        guest: GuestPlan,
        image: GuestImage,
        seen: Callable[[str], None] = lambda _: None,
        *,
        paused: bool = False,
    ) -> None:
        """Place a guest's files in dom0 and create it; a domain of its name is replaced."""
        self._require(State.DOM0, State.GUESTS)
        self._watcher.step = f"xl to create guest {guest.name}"
        async with guests.alone(self.lab, guest.name), self.dom0() as agent:
            await self.guarded(guests.replace(agent, guest, image, seen, paused=paused))
        self.mark(f"created {guest.name}")

    async def unpause(self) -> None:
        """Let the guests run that were created paused."""
        if self.steps and self.paused:
            self.began = self.steps.now
            await self.guarded(self.steps.unpause(self.paused))

    async def start_traces(self, lab: Lab) -> None:
        """Start what is traced, and dom0's load, before there are guests."""
        traces.describe(self.run, lab)
        async with self.dom0() as agent:
            await self.guarded(traces.start(agent, lab))

    async def stop_traces(self) -> None:
        """End all traces; their last records are in the run's folder then."""
        async with self.dom0() as agent:
            await self.guarded(traces.stop(agent))

    def guests_run(self) -> None:
        """All guests of the lab were created."""
        self._watcher.step = "what its guests say"
        self._enter(State.GUESTS)

    async def add_console(self, guest: str) -> None:
        """Give dom0 a port for the console of a guest that was not there at the start."""
        await self.guarded(self._plug(new_ports.console, guest))

    async def add_trace(self, guest: str) -> None:
        """The same for its timing trace."""
        await self.guarded(self._plug(new_ports.trace, guest))

    async def domains(self) -> list[Domain]:
        """The domains that exist now; Domain-0 is the first. Without dom0: those that Xen made."""
        if alone := live.without_dom0(self.lab):
            return alone
        asked = xl.domains(self.steps) if self.steps else listing.domains(self.lab.path)
        return ends.told(self.run, await (asked if self.steps else self.guarded(asked)))

    async def execute(self, argv: list[str], within: float) -> dom0_agent.ProgramResult:
        """Run a program in dom0, for ``within`` seconds at most, the wait for its turn included."""
        if self.steps:
            return await self.steps.run(argv, within=within)
        return await self.guarded(commands.run_in_turns(self._agent, argv, within))

    @contextlib.asynccontextmanager
    async def dom0(self) -> AsyncIterator[dom0_agent.Dom0]:
        """dom0, to be told something: at a stop of the machine, else through its agent."""
        if self.steps:
            yield self.steps
            return
        async with contextlib.aclosing(commands.Shared(self._agent)) as agent:
            yield agent

    @contextlib.asynccontextmanager
    async def _agent(
        self, patience: float = dom0_agent.TURN, within: float = dom0_agent.ANSWER
    ) -> AsyncIterator[dom0_agent.Agent]:
        live.need_dom0(self.lab)
        try:
            agent = await self._line.answering(within, patience)
        except Dom0Error as error:
            raise postmortem.silent(self.run, error) from error
        async with contextlib.aclosing(agent):
            yield agent

    @contextlib.asynccontextmanager
    async def control(self) -> AsyncIterator[qmp.Qmp]:
        """QEMU's control socket; of a machine that runs by itself, for no longer than needed."""
        if self._qmp:
            yield self._qmp
            return
        async with qmp.connected(self.lab.qmp_socket) as control:
            yield control

    async def _plug(self, port: new_ports.Plug, guest: str) -> None:
        live.need_dom0(self.lab)
        async with self.control() as control:
            await port(control, self.lab, self.run, guest)

    def mark(self, what: str) -> None:
        """Remember when something was seen, in ``marks`` and in the run's events."""
        self.marks[what] = self._clock.elapsed()
        self.run.event("mark", what=what, after=round(self.marks[what], 4))
        if self.steps and self._virtual and self.steps.box.frequency and what != "init":
            self.moments.append({"what": what, "counter": self.steps.box.counter})

    def _enter(self, state: State) -> None:
        self.state = state
        self.lab.record(state=state)
        self.mark(state)

    def _require(self, *states: State) -> None:
        if self.state not in states:
            raise UsageError(f"the lab is in state {self.state}; this needs {' or '.join(states)}")
