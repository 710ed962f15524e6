"""``lab.run --pause-on-failure``: the machine stands where the run failed, with GDB.

The debugger's modules are imported then: all runs load this one, and few need those.
"""

from __future__ import annotations

import sys

from lab.api.context import Context
from lab.errors import UsageError
from lab.run import standing
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
    from lab.api.debugging import DebugOptions, run_gdb, sources, toolchain_of
    from lab.debug import server, symbols
    from lab.debug.launch import Session as GdbSession

    say = context.progress.say
    say(f"FAIL {report.lab}: {report.verdict.reason}")
    say("the machine stands; GDB has it until you quit, and then the run ends")
    known = symbols.of_run(start.run, iter(sources(context, start.plan.lab.name)))
    failed = report.crashed or next((one.name for one in start.plan.guests), "everywhere")
    gdb = GdbSession(start.lab, start.run, known, failed)
    names = standing.names_of(start.plan)
    async with standing.still(session, names) as monitor, server.listening(start.lab, monitor):
        if failed != "everywhere" and failed not in {one.name for one in await monitor.find()}:
            gdb = GdbSession(start.lab, start.run, known, "everywhere")  # its domain is gone
        await run_gdb(toolchain_of(context), gdb, DebugOptions())
