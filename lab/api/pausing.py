"""``lab.run --pause-on-failure``: the machine stands where the run failed, with GDB."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator

from lab.api.context import Context
from lab.api.debugging import DebugOptions, run_gdb, sources, toolchain_of
from lab.debug import dumping, server, symbols
from lab.debug.launch import Session as GdbSession
from lab.debug.monitor import LabMonitor
from lab.debug.traveller import STOPS
from lab.errors import UsageError
from lab.model import Clock
from lab.run import crash_cores
from lab.run.session import Session
from lab.run.start import Start
from lab.scenario import Report


def check_terminal() -> None:
    """Raise a UsageError if nobody could use GDB."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "--pause-on-failure needs a terminal: GDB opens where the run fails",
            hint="without one: ./inv lab.debug RUN --before-failure, after the run",
        )


async def stand(context: Context, session: Session, start: Start, report: Report) -> None:
    """Let the machine stand, and open GDB. Returns when GDB has ended."""
    say = context.progress.say
    say(f"FAIL {report.lab}: {report.verdict.reason}")
    say("the machine stands; GDB has it until you quit, and then the run ends")
    known = symbols.of_run(start.run, iter(sources(context, start.plan.lab.name)))
    failed = report.crashed or next((one.name for one in start.plan.guests), "everywhere")
    gdb = GdbSession(start.lab, start.run, known, failed)
    async with _monitor(session, start) as monitor, server.listening(start.lab, monitor):
        if failed != "everywhere" and failed not in {one.name for one in await monitor.find()}:
            gdb = GdbSession(start.lab, start.run, known, "everywhere")  # its domain is gone
        await run_gdb(toolchain_of(context), gdb, DebugOptions())


@contextlib.asynccontextmanager
async def _monitor(session: Session, start: Start) -> AsyncIterator[LabMonitor]:
    names = crash_cores.names_of(start.plan)
    dump = dumping.through(session.sockets.control, start.lab)
    if start.plan.machine.clock is Clock.HOST:
        async with server.attached(start.lab) as stub:
            yield await server.look(stub, dump, names)
        return
    monitor = await server.look(session.at_stop.machine, dump, names)
    stopped = monitor.view.stopped
    places = await stopped.places()
    own = [one.thread for one in places if one.pc in STOPS] or [places[0].thread]
    try:
        yield monitor
    finally:
        await stopped.leave(own[0])
