"""One life of a lab: off → xen → dom0 → guests, each step guarded and watched.

While a session is open, a watcher reads Xen's and dom0's consoles and waits for the end of QEMU.
A panic or the end of QEMU ends every wait at once, and the error names the layer that failed.
The lab runs on when the session is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab.dom0 import agent as dom0_agent
from lab.dom0.early_connection import EarlyConnection
from lab.dom0.steps import ENTROPY, Steps, Traps
from lab.dom0.window import Window
from lab.errors import Dom0Error, MachineError, UsageError
from lab.machine import console_files, guest_ends, launch, new_ports, postmortem, snapshot, template
from lab.machine.qemu_command import WINDOW_FILE, Memory
from lab.machine.watcher import Watcher
from lab.model import Clock, Domain, GuestImage, GuestPlan, Lab, Program, State
from lab.run import guests, live, traces
from lab.run.channel import AtStop, ByAgent, Channel, NoDom0, need_dom0
from lab.run.marks import Marks
from lab.run.sockets import Sockets
from lab.rundir import LabDir, RunDir
from lab.util import waiting

if TYPE_CHECKING:
    from lab.machine import qmp
    from lab.run.start import Start

#: Seconds that each step may take on a slow, busy machine. A step that fails ends sooner.
START, XEN, DOM0 = 30.0, 60.0, 180.0


class Session:
    """A lab that is being started or that runs.

    Attributes:
        state: how far it has come.
        record: when it saw what; ``marks`` are its seconds since QEMU was started.
        sockets: QEMU's, as far as the session is connected to them.
        paused: the domains that were created paused and wait to be let run, by id.
        began: when those were let run, in seconds of dom0's counter; ``None``: not yet.
    """

    def __init__(self, lab: LabDir, run: RunDir, state: State = State.OFF) -> None:
        self.lab = lab
        self.run = run
        self.state = state
        self.record = Marks(run)
        self.marks = self.record.seen
        self.paused: Sequence[int] = ()
        self.began: float | None = None
        self.traps: Traps | None = None
        self._virtual = False
        self._watcher = Watcher(run, lambda: self.mark("init"), lab.tag)
        self.guarded = self._watcher.guarded
        self._program: Program | None = None
        self.sockets = Sockets(lab, self.guarded)
        self._arriving: asyncio.Task[None] | None = None
        self._line = EarlyConnection(lab.agent_socket, Window(lab.path / WINDOW_FILE), self.guarded)
        made = live.without_dom0(lab)
        self._running: Channel = (
            NoDom0(made) if made else ByAgent(self._agent, lab.path, self.guarded)
        )
        self._channel: Channel = self._running

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
        await self.sockets.close()

    @property
    def ended(self) -> asyncio.Event:
        """Set when the machine that this session started has ended."""
        return self._watcher.ended

    async def power_on(
        self, start: Start, stored: template.Template | None = None, memory: Memory = Memory.OWN
    ) -> None:
        """Start QEMU, connect to it, let it run; with ``stored``, stand where that was stored.

        If a ``stored`` machine has memory of its own, its file is filled already.
        """
        self._require(State.OFF)
        plan, ram = start.plan, live.ram_file(self.lab)
        console_files.lay(self.lab.path, self.run.console_dir, self.run.trace_dir, plan)
        if stored:
            template.lay(stored, self.run.console_dir, self.run.trace_dir)
        self.record.begin()
        self._virtual = plan.machine.clock is Clock.VIRTUAL
        images, toolchain = start.prepared.images, start.prepared.toolchain
        machine = launch.MachineStart(plan, images, memory, ram, stored, start.recording)
        self._program = launch.qemu(toolchain, self.lab, self.run, machine, start.lock)
        self.lab.record(program=asdict(self._program.record))
        self._watcher.begin(self._program, stored.ram if stored else ram)
        await self.guarded(waiting.appears(self.lab.qmp_socket), START, postmortem.no_qmp)
        if plan.lab.without_dom0:
            control = await self.sockets.connect_control()
            self.mark("qmp")
            if stored:
                await self.guarded(snapshot.load(control))
            return
        control, stub = await self.sockets.connect()
        self.mark("qmp")
        hold = self._virtual and plan.machine.cpus > 1
        steps = Steps(stub, self._to_stop, self._line.window, plan.machine.arch, hold=hold)
        self._channel = AtStop(steps)
        before = time.time()
        if stored:
            await self._stand_at(stored, control, steps)
        else:
            self._arriving = asyncio.create_task(steps.arrive(DOM0))
            traces.note_start(self.run, before, time.time())

    async def _stand_at(self, stored: template.Template, control: qmp.Qmp, steps: Steps) -> None:
        if stored.about.get("listening"):
            await self._line.reach()
        await self.guarded(snapshot.load(control))
        await self.guarded(steps.return_to(stored.stops))
        self.paused = [int(one) for one in stored.about.get("paused", ())]
        self._enter(State.DOM0)

    async def wait_xen(self) -> None:
        """Wait until Xen starts dom0."""
        self._watcher.step = "Xen to start dom0"
        late = functools.partial(postmortem.no_xen, self.run)
        await self.guarded(self._watcher.xen_up.wait(), XEN, late)
        self._enter(State.XEN)

    async def wait_dom0(self) -> None:
        """Wait until dom0 is ready; the machine stands still then."""
        self._require(State.XEN)
        self._watcher.step = "dom0 to be ready"
        assert self._arriving is not None
        await self.guarded(self._arriving)
        self._enter(State.DOM0)

    async def store_state(self) -> Path:
        """Store the device state of the machine, which stands still; returns the file."""
        async with self.sockets.control() as control:
            return await self.guarded(snapshot.save(control, self.lab.path))

    def listening(self) -> AbstractAsyncContextManager[None]:
        """While the block runs, the machine stands still; its agent, if it has one, listens."""
        if self._virtual:
            return contextlib.nullcontext()
        return self._line.listening(self.at_stop, DOM0)

    async def power_off(self) -> None:
        """End the machine, which can then be started again, from a template."""
        await self._quiet()
        if self._program:
            self._program.kill()
        for socket in (self.lab.qmp_socket, self.lab.gdb_socket, self.lab.agent_socket):
            socket.unlink(missing_ok=True)
        self.state, self._arriving = State.OFF, None
        self._channel = self._running
        self.record.forget_moments()

    async def let_run(self) -> None:
        """Let the machine run freely. From now on dom0's agent is asked, if there is a dom0."""
        if isinstance(self._channel, AtStop):
            await self.guarded(self._channel.steps.release())
        self._channel = self._running
        await self.sockets.close()  # others may need them now

    async def wait_agent(self) -> None:
        """Wait until dom0's agent answers."""
        self._watcher.step = "dom0's agent to answer"
        async with self._agent(within=DOM0):
            self.mark("agent")

    async def _to_stop(self, step: Awaitable[None], within: float, what: str) -> None:
        await self.guarded(step, within, functools.partial(postmortem.no_stop, self.run, what))

    async def inject(
        self, guest: GuestPlan, image: GuestImage, seen: Callable[[str], None] = lambda _: None,
        *, paused: bool = False,
    ) -> None:  # fmt: skip
        """Place a guest's files in dom0 and create it; a domain of its name is replaced."""
        self._require(State.DOM0, State.GUESTS)
        self._watcher.step = f"xl to create guest {guest.name}"
        async with guests.alone(self.lab, guest.name), self.dom0() as agent:
            await self.guarded(guests.replace(agent, guest, image, seen, paused=paused))
        self.mark(f"created {guest.name}")

    async def remember_paused(self, booted: int) -> None:
        """Note the ids of all guests, which were created paused, but not of Xen's own.

        ``booted``: how many Xen created. They have the first ids, and run.
        """
        self.paused = [one.id for one in await self.domains() if one.id > booted]

    async def unpause(self, *some: int) -> None:
        """Let the guests run that were created paused; with ``some``, only these domains."""
        if domains := some or self.paused:
            steps = self.at_stop
            self.began = steps.now
            await self.guarded(steps.unpause(domains))

    async def make_individual(self, name: str) -> None:
        """Give dom0 random numbers, a name and an identity that no lab of its template shares."""
        await self.at_stop.differ(os.urandom(ENTROPY), name, secrets.token_hex(16))

    async def start_traces(self, lab: Lab) -> None:
        """Start the traces and dom0's load, before there are guests."""
        traces.describe(self.run, lab)
        async with self.dom0() as agent:
            await self.guarded(traces.start(agent, lab))

    async def stop_traces(self) -> None:
        """End all traces. When this returns, the run's folder has their last records."""
        async with self.dom0() as agent:
            await self.guarded(traces.stop(agent))

    def guests_run(self) -> None:
        """Note that all guests of the lab were created: the lab is up."""
        self._watcher.step = "its guests' first lines"
        self._enter(State.GUESTS)

    async def add_console(self, guest: str) -> None:
        """Give dom0 a port for the console of a guest that the lab did not start with."""
        need_dom0(self._channel)
        await self.guarded(self.sockets.plug(new_ports.console, self.run, guest))

    async def add_trace(self, guest: str) -> None:
        """The same for its timing trace."""
        need_dom0(self._channel)
        await self.guarded(self.sockets.plug(new_ports.trace, self.run, guest))

    async def domains(self) -> list[Domain]:
        """The domains that exist now; Domain-0 is the first."""
        return guest_ends.told(self.run, await self._channel.domains())

    async def execute(self, argv: Sequence[str], within: float) -> dom0_agent.ProgramResult:
        """Run a program in dom0, for ``within`` seconds at most; see :class:`Channel`."""
        return await self._channel.execute(argv, within)

    def dom0(self) -> AbstractAsyncContextManager[dom0_agent.Dom0]:
        """dom0, for several requests in a row, in whichever way it can be reached now."""
        return self._channel.opened()

    @property
    def at_stop(self) -> Steps:
        """dom0 at a stop of the machine.

        Raises:
            MachineError: the machine runs by itself.
        """
        if isinstance(self._channel, AtStop):
            return self._channel.steps
        raise MachineError("the machine is running, but must be stopped here")

    @contextlib.asynccontextmanager
    async def _agent(
        self, patience: float = dom0_agent.TURN, within: float = dom0_agent.ANSWER
    ) -> AsyncIterator[dom0_agent.Agent]:
        try:
            agent = await self._line.answering(within, patience)
        except Dom0Error as error:
            raise postmortem.silent(self.run, error) from error
        async with contextlib.aclosing(agent):
            yield agent

    def mark(self, what: str) -> None:
        """Remember that something was seen now, in ``marks`` and in the run's events."""
        self.record.add(what)
        counter = self._channel.counter
        if self._virtual and counter is not None and what != "init":
            self.record.add_moment(what, counter=counter)

    def _enter(self, state: State) -> None:
        self.state = state
        self.lab.record(state=state)
        self.mark(state)

    def _require(self, *states: State) -> None:
        if self.state not in states:
            raise UsageError(f"the lab is in state {self.state}; this needs {' or '.join(states)}")
