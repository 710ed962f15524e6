"""A running lab in Python: its consoles, its guests, its traces, and its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from lab import rundir
from lab.api.consoles import Console, Dom0
from lab.api.context import Context, attached
from lab.api.guests import create, ready
from lab.api.traces import trace_stats
from lab.errors import GuestCrashed, LabError, UsageError
from lab.machine.guest_health import Health
from lab.machine.watcher import Watcher
from lab.model import Domain
from lab.run import collecting, live, traces
from lab.run.live import Live
from lab.toolchain import adopt
from lab.util import signals
from lab.util.terminal import paragraphs

T = TypeVar("T")

#: Seconds in which the watcher of a lost machine notices that it is lost, at most.
LOST = 5.0


class RunningLab:
    """A lab that this process started (:func:`lab.api.lab`).

    It ends with :meth:`close`, or with the process. Its methods are synchronous. Only one thread
    at a time may call them.

    Attributes:
        name: the name under which commands find it (``lab.logs NAME``).
        run_dir: its run folder, which stays.
        arch: the architecture of its machine: ``arm32`` or ``arm64``.
        phases: seconds from the machine's start to each step of the boot.
        xen: Xen's console.
        dom0: dom0's console, and commands in dom0.
    """

    def __init__(
        self,
        context: Context,
        found: Live,
        runner: asyncio.Runner,
        stack: contextlib.ExitStack,
        may_crash: Collection[str] | None = (),
    ) -> None:
        self.name = found.name
        self.run_dir = found.run.path
        self.arch = found.arch.xen
        self.phases: dict[str, float] = dict(found.run.manifest().get("phases") or {})
        self._context = context
        self._found = found
        self._runner = runner
        self._stack: contextlib.ExitStack | None = None
        self._watcher = Watcher(found.run, lambda: None, found.lab.tag)
        self._health = Health(found.run, may_crash)
        self._loss_told = False
        self.xen = Console(self, found, "xen")
        self.dom0 = Dom0(self, found, "dom0")
        self._consoles: dict[str, Console] = {"xen": self.xen, "dom0": self.dom0}
        self._runner.run(self._watch())
        self._stack = stack.pop_all()

    def close(self) -> None:
        """Collect its traces and stop it. Does nothing if it is stopped already.

        Raises:
            OSError: its run folder cannot be written.
        """
        if self._stack is None:
            return
        stack, self._stack = self._stack, None
        with stack:
            self._health.close()
            self._runner.run(self._watcher.stop())
            if self._found.record and adopt(self._found.record).alive():
                collecting.collect_late(self._found)
            else:
                self._found.run.update_manifest(life=rundir.LOST, reason="QEMU ended")

    # ------------------------------------------------------------ what can be asked

    def guest(self, name: str) -> Console:
        """The console of a guest.

        Raises:
            UsageError: the lab has no such guest; the message names those it has.
        """
        known = [one for one in self._found.run.consoles() if one not in ("xen", "dom0")]
        if name not in known:
            there = ", ".join(known) or "none"
            raise UsageError(f"lab {self.name} has no guest {name}", hint=f"it has: {there}")
        return self._console(name)

    def inject(self, guest: str) -> Console:
        """Build a guest of labs.yaml, if needed, and create it; a guest of its name is replaced.

        Its console is read from the new guest's first line on.

        Raises:
            UsageError: there is no such guest, or no dom0. GuestError: it does not build.
            ToolstackError: xl refuses it. GuestCrashed: it, or another, crashed meanwhile.
        """
        __tracebackhide__ = True
        spec, image = ready(self._context, self._found, guest)

        async def go() -> int:
            async with attached(self._found) as session:
                return await create(session, spec, image)

        console = self._console(guest)
        self._health.begin(guest, may_crash=spec.may_crash)
        console.begin(self.do(go(), f"xl to create guest {guest}"))
        return console

    def domains(self) -> list[Domain]:
        """The domains that exist now; Domain-0 is the first.

        Raises:
            LabError: of the layer that failed: dom0 does not answer, QEMU ended.
        """
        __tracebackhide__ = True

        async def go() -> list[Domain]:
            async with attached(self._found) as session:
                return await session.domains()

        return self.do(go(), "xl list")

    @property
    def trace(self) -> Traces:
        """The timing traces of this run."""
        return Traces(self)

    @property
    def alive(self) -> bool:
        """Whether its machine runs."""
        record = self._found.record
        return self._stack is not None and record is not None and adopt(record).alive()

    @property
    def sound(self) -> bool:
        """Whether its machine runs, no guest crashed, and no console said too much."""
        return self.alive and self._health.well

    def check(self) -> None:
        """Raise the error of something that happened while nothing was waited for.

        Raises:
            GuestCrashed, GuestError: a guest crashed; a console said more than it may.
            MachineError, HypervisorError, Dom0Error: the machine, Xen or dom0 is lost.
        """
        __tracebackhide__ = True
        if self._stack is not None and (self.alive or not self._loss_told):
            self.do(self._settled(), "the end of a test")

    def skip(self) -> None:
        """Ignore what its consoles said until now."""
        for name in self._found.run.consoles():
            self._console(name).skip()

    # ------------------------------------------------------------ inside

    def do(self, step: Coroutine[Any, Any, T], what: str, on: str = "") -> T:
        """Run a step to its end. If the lab fails first, that error is raised.

        ``what``: the step, in words for an error. ``on``: the guest that it is about, if any.

        Raises:
            UsageError: the lab is stopped, or this is asynchronous code.
            GuestCrashed: a guest crashed. GuestError: a console says more than it may.
            MachineError, HypervisorError, Dom0Error: the machine, Xen or dom0 is lost.
        """
        __tracebackhide__ = True
        try:
            self._require_up()
        except LabError:
            step.close()
            raise
        self._watcher.step = what
        try:
            return signals.run_in(
                self._runner, self._watcher.guarded(self._health.guarded(step, on))
            )
        except LabError as error:
            self._loss_told |= not self.alive
            error.run = self.run_dir
            if isinstance(error, GuestCrashed):
                self._keep_core(error)
            raise error.with_traceback(None) from error.__cause__

    def _keep_core(self, error: GuestCrashed) -> None:
        """Keep the core file of the guest that crashed, and add its backtrace to the error."""
        from lab.api.watching import keep_core

        kept = self.run_dir / "core"
        for guest in self._health.crashed:
            if self.alive and not (kept / f"{guest}.core").exists():
                found = keep_core(self._context, self._found, guest)
                words = signals.run_in(self._runner, found)
                error.tail = paragraphs(error.tail, words)

    def _require_up(self) -> None:
        if self._stack is None:
            raise UsageError(f"lab {self.name} is stopped", hint=f"its run: {self.run_dir}")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise UsageError(
            "a lab's methods are synchronous; they cannot be called in a coroutine",
            hint="call them with asyncio.to_thread, or in a test that is not async",
        )

    def _console(self, name: str) -> Console:
        if name not in self._consoles:
            self._consoles[name] = Console(self, self._found, name)
        return self._consoles[name]

    async def _settled(self) -> None:
        """Return at once; if the machine is lost, wait for the watcher, which says why."""
        if self._health.shaken or not self.alive:
            await asyncio.sleep(LOST)

    async def _watch(self) -> None:
        assert self._found.record
        self._watcher.begin(adopt(self._found.record), live.ram_file(self._found.lab))


class Traces:
    """The timing traces of a run."""

    def __init__(self, lab: RunningLab) -> None:
        self._lab = lab
        #: The folder of their files, as far as they are collected.
        self.path: Path = lab.run_dir / "trace"

    def collect(self) -> Path:
        """End the traces and return their folder, which then has their last records."""
        __tracebackhide__ = True
        found = self._lab._found

        async def go() -> None:
            async with attached(found) as session:
                await session.stop_traces()

        if self._lab.alive and (self.path / "log").exists():
            self._lab.do(go(), "the end of the traces")
            traces.conclude(found.run)
        return self.path

    def stats(self) -> dict[str, Any]:
        """Collect the traces and compute the figures of tasks, vCPUs, PCPUs and delays.

        Times are in seconds; the keys are those of ``trace.stats --json``.

        Raises:
            LabError: the lab keeps no traces.
        """
        self.collect()
        return trace_stats(self._lab._context, str(self._lab.run_dir))
