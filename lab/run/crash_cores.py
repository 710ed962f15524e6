"""Keeps core files of what crashes in a run under the virtual clock, and their backtraces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.debug import dumping, processor
from lab.debug.backtrace import backtrace
from lab.debug.crashes import CrashWatch
from lab.errors import LabError, UsageError
from lab.model import Clock, Plan, Toolchain
from lab.run.session import Session
from lab.scenario import Report


def check(plan: Plan) -> None:
    """Raise a UsageError if no crash of this machine can leave a core file."""
    processor.check(plan.machine.arch)
    why = {
        "on the host's clock": plan.machine.clock is not Clock.VIRTUAL,
        "of a machine with several CPUs": plan.machine.cpus > 1,
        "in a lab without dom0": plan.lab.without_dom0,
    }
    if found := next((words for words, holds in why.items() if holds), ""):
        raise UsageError(f"there are no core files {found}", hint="leave out --cores")


def arm(session: Session, plan: Plan) -> None:
    """Have a guest or Xen that crashes leave a core file; see :func:`check`. The machine is off.

    This is done with breakpoints, which may change the times of a run: QEMU executes code beside
    one in smaller pieces (seen with the lab ``arinc653``). A machine with several CPUs has none,
    because there the turns of CPUs that never wait would depend on the host.
    """
    dump = dumping.through(session.sockets.control, session.lab)
    session.traps = CrashWatch(session.run, names_of(plan), dump)


async def watch(session: Session) -> None:
    """From now on the machine, which stands still, stops at the session's traps, if it has any."""
    if isinstance(session.traps, CrashWatch):
        session.traps.learn()
    session.at_stop.traps = session.traps


def names_of(plan: Plan) -> dict[int, str]:
    """The names of the guests by the numbers that their domains get."""
    guests = [*plan.booted, *(one for one in plan.guests if not one.spec.by_xen)]
    return {number: one.name for number, one in enumerate(guests, 1)}


def explained(report: Report, session: Session, toolchain: Toolchain) -> Report:
    """The report, with the backtraces of the cores; unchanged if nothing that failed has one."""
    cores = session.traps.cores if isinstance(session.traps, CrashWatch) else {}
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
