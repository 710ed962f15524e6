"""Ends a wait at once if the machine fails, with an error that says why.

A watcher reads Xen's and dom0's consoles, and waits for the end of QEMU's process. A panic or the
end of QEMU ends any wait, and the error names the layer that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from lab.errors import LabError
from lab.machine import console, log_lines, postmortem, qemu_process
from lab.model import Layer, Program
from lab.rundir import RunDir
from lab.util import waiting

T = TypeVar("T")

#: What Xen prints when it begins to start dom0 (xen/arch/arm/domain_build.c).
XEN_IS_UP = b"*** LOADING DOMAIN 0 ***"
#: The same without dom0: it begins to start the first guest of its device tree.
XEN_IS_UP_ALONE = b"*** LOADING DOMU "
#: What dom0's kernel prints when it starts our init (init/main.c of Linux).
DOM0_INIT = b"Run /init as init process"
#: If a wait fails, give the watcher this many seconds to find a failure of the machine behind it.
GRACE = 0.5


class Watcher:
    """Watches one machine at a time.

    Attributes:
        step: what the lab waits for, in words for an error.
        xen_up: set when Xen starts dom0.
        ended: set when the machine has ended.
    """

    def __init__(self, run: RunDir, init_seen: Callable[[], None], tag: str) -> None:
        self._tag = tag
        self._beat: asyncio.Task[None] | None = None
        self.step = "its start"
        self.xen_up = asyncio.Event()
        self.ended = asyncio.Event()
        self._run = run
        self._init_seen = init_seen
        self._failure: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, program: Program, memory: Path) -> None:
        """Begin to watch a machine that was just started."""
        self._failure = asyncio.get_running_loop().create_future()
        self.ended = waiting.end_of(program)
        self._task = asyncio.create_task(self._watch(program, memory))
        self._beat = asyncio.create_task(self._feel())

    async def stop(self) -> None:
        """Stop watching."""
        tasks = [one for one in (self._task, self._beat) if one]
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = self._beat = self._failure = None

    async def guarded(
        self,
        step: Awaitable[T],
        within: float | None = None,
        late: Callable[[float], LabError] | None = None,
    ) -> T:
        """The result of ``step``, unless the machine fails first or the step is late.

        ``late`` makes the error for a step that takes longer than ``within`` seconds.
        """
        task = asyncio.ensure_future(step)
        others: list[asyncio.Future[Any]] = [self._failure] if self._failure else []
        try:
            await asyncio.wait([task, *others], timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if self._failure and self._failure.done():
                self._failure.result()
            if task.done():
                return await task
            assert late is not None
            raise late(within or 0.0) from TimeoutError()
        except LabError as error:
            if self._failure and not self._failure.done():
                await asyncio.wait([self._failure], timeout=GRACE)
                if self._failure.done():
                    self._failure.result()
            if why := await self._because(error):
                raise why from error
            raise
        finally:
            if not task.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _because(self, error: LabError) -> LabError | None:
        """Why an answer did not come, if QEMU is to blame: it is stopped, starved, …"""
        cause: BaseException | None = error
        while cause and not isinstance(cause, TimeoutError):
            cause = cause.__cause__
        below = error.layer in (Layer.QEMU, Layer.XEN, Layer.DOM0)
        return await qemu_process.why_silent(self._tag) if cause and below else None

    async def _feel(self) -> None:
        """A machine that is stopped for long has failed."""
        self._fail(await qemu_process.lasting(self._tag))

    async def _watch(self, program: Program, memory: Path) -> None:
        """Find out why the machine fails, and end all waits with that."""
        try:
            self._fail(await self._lost(program, memory))
        except OSError as error:
            self._fail(postmortem.unrecorded(self._run, error))

    async def _lost(self, program: Program, memory: Path) -> LabError:
        """Read Xen's and dom0's consoles until one reports a failure, or QEMU has ended."""
        logs = {name: self._run.console(name) for name in ("xen", "dom0")}
        with console.Follower(logs) as follower:
            while True:
                stopped = self.ended.is_set()
                found = follower.read()
                for line in found:
                    self._milestone(line)
                if any(console.failure_in(line) for line in found):
                    await follower.aftermath(self.ended)
                    failure = console.worst([*found, *follower.read()])
                    return postmortem.lost(self._run, failure, self.step)
                if stopped and not found:
                    return postmortem.died(self._run, program, self.step, memory)
                if found:
                    await asyncio.sleep(0)
                else:
                    await follower.change(waiting.FOREVER, self.ended)

    def _milestone(self, line: log_lines.RawLine) -> None:
        if line.console == "xen" and (XEN_IS_UP in line.raw or XEN_IS_UP_ALONE in line.raw):
            self.xen_up.set()
        elif line.console == "dom0" and DOM0_INIT in line.raw:
            self._init_seen()

    def _fail(self, error: LabError) -> None:
        if self._failure and not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # asyncio complains if nobody retrieves it
        with contextlib.suppress(OSError):
            self._run.event("failed", layer=error.layer, reason=error.message)
