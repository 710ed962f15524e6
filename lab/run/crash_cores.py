"""Keeps core files of what crashes in a run under the virtual clock, and their backtraces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.debug import crashes
from lab.debug.backtrace import backtrace
from lab.debug.dumping import dumped
from lab.errors import LabError
from lab.model import Clock, Plan, Toolchain
from lab.run.session import Session
from lab.scenario import Report


async def watch(session: Session, plan: Plan) -> None:
    """From now on a guest or Xen that crashes leaves a core file. The machine stands still."""
    if plan.machine.clock is not Clock.VIRTUAL:
        return

    async def dump(first: int, size: int) -> bytes:
        async with session.sockets.control() as control:
            return await dumped(control.execute, session.lab, first, size)

    guests = [*plan.booted, *(one for one in plan.guests if not one.spec.by_xen)]
    names = {number: one.name for number, one in enumerate(guests, 1)}
    session.crashes = crashes.CrashWatch(session.run, names, dump)
    session.crashes.learn()
    if session.crashes.addresses:
        await session.guarded(session.at_stop.set_traps(session.crashes))


def explained(report: Report, session: Session, toolchain: Toolchain) -> Report:
    """The report, with the backtraces of the cores; unchanged if nothing that failed has one."""
    cores = session.crashes.cores if session.crashes else {}
    session.run.update_manifest(**({"cores": sorted(cores)} if cores else {}))
    verdict = report.verdict
    if verdict.passed or not cores:
        return report
    name = report.crashed if report.crashed in cores else next(iter(cores))
    try:
        words = backtrace(toolchain, session.run, name)
    except LabError:
        return report
    tail = f"{verdict.tail}\n\n{_title(name, cores[name])}\n{words}"
    return replace(report, verdict=replace(verdict, tail=tail))


def _title(name: str, core: Path) -> str:
    return f"{name} when it crashed ({core.name}; ./inv lab.core opens it):"
