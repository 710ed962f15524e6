"""Keeps core files of what crashes in a run, and shows their backtraces.

They are made after the crash, out of a machine that stands still, so a run with a crash is the same
as without core files.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lab.debug import backtrace, crashes, xen_dump
from lab.debug.symbols import DOM0, XEN
from lab.errors import HypervisorError, LabError
from lab.machine import guest_ends, log_lines
from lab.machine.guest_ends import CRASHED
from lab.model import Domain, Layer, Plan, Toolchain
from lab.run import standing
from lab.run.session import Session
from lab.run.start import Start
from lab.rundir import RunDir
from lab.scenario import Report, failed_on
from lab.util import symbols

#: The PCPU on which Xen panicked (xen/drivers/char/console.c, ``panic``), in bytes of the log.
_ON = re.compile(r"Panic on CPU (\d{1,3}):")
#: A panic is among so many last lines of the log.
MOST_LINES = 200


async def keep(
    session: Session, plan: Plan, guests: Collection[str], domains: Sequence[Domain] = ()
) -> None:
    """Leave a core file of each of these guests in the run folder, as it is now.

    If one cannot be made, the run's events say why; this is no error. ``domains``: those that
    exist, if they are known. Otherwise guests that a step may have created again have no name.
    """
    if not guests:
        return
    names = {one.id: one.name for one in domains if one.id} or standing.names_of(plan)
    with _excused(session.run, guests):
        async with standing.still(session, names) as monitor:
            found = {one.name: one for one in await monitor.find()}
            for name in guests:
                with _excused(session.run, [name]):
                    if name not in found:
                        raise LabError(f"the domain of {name} does not exist any more")
                    path = _place(session.run, name)
                    await crashes.keep_guest(monitor.view, found[name], monitor.dump, path)
    _note(session.run)


@contextlib.asynccontextmanager
async def of_xen(session: Session, start: Start) -> AsyncIterator[None]:
    """If Xen panics in the block, leave its core file, and add its backtrace to the error."""
    try:
        yield
    except HypervisorError as error:
        await keep_xen(session, start.plan)
        words = words_of(session.run, XEN, start.prepared.toolchain)
        error.tail = "\n\n".join(filter(None, (error.tail, words)))
        raise


async def keep_xen(session: Session, plan: Plan) -> None:
    """Leave the core file of a Xen that has panicked. The session cannot be used any more."""
    run = session.run
    said = log_lines.tail(run.console(XEN), MOST_LINES)
    on = _ON.findall(said)
    if not on:
        return
    place, known = _place(run, XEN), symbols.read(run.symbols_file)
    with _excused(run, [XEN]):
        async with standing.lost(session, standing.names_of(plan)) as monitor:
            registers = xen_dump.registers(said)
            if not registers:
                await crashes.leave_helpers(monitor.view.stopped, int(on[-1]), known)
            await crashes.keep_xen(monitor.view, monitor.dump, place, registers, int(on[-1]))
    _note(run)


def wanted(run: RunDir, report: Report, *, all_of: Collection[str] = ()) -> list[str]:
    """The guests of which a run leaves a core file.

    If it failed, these are the guests that crashed, and the one that the verdict is about.
    ``all_of``: each of these, too.
    """
    if report.verdict.passed:
        return list(all_of)
    ended = [name for name, end in guest_ends.of(run).items() if end.how == CRASHED]
    found = dict.fromkeys([report.crashed, *ended, failed_on(report), *all_of])
    return [one for one in found if one not in ("", XEN, DOM0)]


def explained(report: Report, run: RunDir, toolchain: Toolchain) -> Report:
    """The report, which names the core file of what failed, and has the backtrace of a crash.

    Without dom0 nobody says that a guest crashed, so any guest that failed has one.
    """
    verdict = report.verdict
    if verdict.passed or verdict.layer not in (Layer.XEN, Layer.GUEST):
        return report
    name = XEN if verdict.layer is Layer.XEN else report.crashed or failed_on(report)
    crash = verdict.layer is Layer.XEN or bool(report.crashed)
    traced = crash or not run.console(DOM0).exists()
    words = words_of(run, name, toolchain if traced else None, crash=crash)
    tail = "\n\n".join(filter(None, (verdict.tail, words)))
    return replace(report, verdict=replace(verdict, tail=tail))


def words_of(run: RunDir, name: str, toolchain: Toolchain | None, *, crash: bool = True) -> str:
    """What a verdict says of a core file: how to open it, and its backtrace.

    Empty if there is no such file. Without a ``toolchain`` there is no backtrace. ``crash``: the
    core file is of a crash, not of the run's end.
    """
    if not name or not _place(run, name).is_file():
        return ""
    when = "when it crashed" if crash else "at the end of the run"
    title = f"{name} {when}: ./inv lab.core {run.path.parent.name}/{run.id} --on {name}"
    with contextlib.suppress(LabError):
        if toolchain and (shown := backtrace.backtrace(toolchain, run, name)):
            return f"{title}\n{shown}"
    return title


def _place(run: RunDir, name: str) -> Path:
    return run.path / "core" / f"{name}.core"


def _note(run: RunDir) -> None:
    if found := sorted(one.stem for one in (run.path / "core").glob("*.core")):
        run.update_manifest(cores=found)


@contextlib.contextmanager
def _excused(run: RunDir, names: Collection[str]) -> Iterator[None]:
    """A core file is a help, and no more."""
    try:
        yield
    except (LabError, OSError) as error:
        reason = error.message if isinstance(error, LabError) else str(error.strerror)
        run.event("no core file", of=sorted(names), reason=reason)
