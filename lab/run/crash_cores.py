"""Keeps core files of what crashes in a run, and shows their backtraces.

They are made after the crash, out of a machine that stands still, so a run with a crash is the same
as without core files. The debugger's modules are imported when something has crashed: all runs load
this one, and few need those.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab.debug.symbols import DOM0, XEN
from lab.errors import HypervisorError, LabError
from lab.machine import guest_ends, log_lines
from lab.machine.guest_ends import CRASHED
from lab.model import Layer, Toolchain
from lab.run import commands, standing
from lab.run.session import Session
from lab.run.start import Start
from lab.rundir import RunDir
from lab.scenario import Report, failed_on
from lab.util import reading, symbols
from lab.util.terminal import escape, paragraphs

#: The PCPU on which Xen panicked (xen/drivers/char/console.c, ``panic``), in bytes of the log.
_ON = re.compile(r"Panic on CPU (\d{1,3}):")
#: The event of a core file that could not be made.
NONE = "no core file"
#: A panic is among so many last lines of the log.
MOST_LINES = 200


@dataclass(frozen=True)
class CoreWords:
    """What people are told of the core files of a run.

    Attributes:
        labs: the labs.yaml, as the command was told.
    """

    run: RunDir
    toolchain: Toolchain
    labs: Path

    def of(self, name: str, *, crash: bool = True, traced: bool = True) -> str:
        """How to open the core file of ``name``, and, if ``traced``, its backtrace.

        If there is no such file: why, if that is known. ``crash``: it is of a crash, not of the
        run's end.
        """
        if not _place(self.run, name).is_file():
            why = _why_none(self.run, name)
            return f"{name} left no core file: {why}" if why else ""
        when = "when it crashed" if crash else "at the end of the run"
        title = f"{name} {when}: {commands.about('lab.core', self.run, self.labs, '--on', name)}"
        from lab.debug import backtrace

        with contextlib.suppress(LabError):
            if traced and (shown := backtrace.backtrace(self.toolchain, self.run, name)):
                return f"{title}\n{shown}"
        return title


async def keep(
    session: Session, guests: Collection[str], names: Mapping[int, str], *, stays: bool = False
) -> None:
    """Leave a core file of each of these guests in the run folder, as it is now.

    If one cannot be made, the run's events say why; this is no error. ``names``: those of the
    domains, by their numbers. ``stays``: see :func:`standing.still`.
    """
    run = session.run
    if not guests:
        return
    from lab.debug import crashes

    with _excused(run, guests):
        async with standing.still(session, names, stays=stays) as monitor:
            found = {one.name: one for one in await monitor.find()}
            for name in guests:
                with _excused(run, [name]):
                    if name not in found:
                        raise LabError("its domain does not exist any more")
                    await crashes.keep_guest(
                        monitor.view, found[name], monitor.dump, _place(run, name)
                    )
    _note(run)


@contextlib.asynccontextmanager
async def of_xen(session: Session, start: Start, labs: Path) -> AsyncIterator[None]:
    """If Xen panics in the block, leave its core file, and add its backtrace to the error.

    ``labs``: the labs.yaml, as the command was told.
    """
    try:
        yield
    except HypervisorError as error:
        await keep_xen(session)
        words = CoreWords(session.run, start.prepared.toolchain, labs).of(XEN)
        error.tail = paragraphs(error.tail, words)
        raise


async def keep_xen(session: Session) -> None:
    """Leave the core file of a Xen that has panicked, and let the machine stand.

    The session cannot be used any more.
    """
    run = session.run
    said = log_lines.tail(run.console(XEN), MOST_LINES)
    on = _ON.findall(said)
    if not on:
        return
    from lab.debug import crashes, xen_dump

    place, known = _place(run, XEN), symbols.read(run.symbols_file)
    with _excused(run, [XEN]):
        async with standing.lost(session) as monitor:
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


def explained(report: Report, words: CoreWords) -> Report:
    """The report, which names the core file of what failed, and has the backtrace of a crash.

    Without dom0 nobody says that a guest crashed, so any guest that failed has one.
    """
    verdict = report.verdict
    if verdict.passed or verdict.layer not in (Layer.XEN, Layer.GUEST):
        return report
    name = XEN if verdict.layer is Layer.XEN else report.crashed or failed_on(report)
    crash = verdict.layer is Layer.XEN or bool(report.crashed)
    traced = crash or not words.run.console(DOM0).exists()
    tail = paragraphs(verdict.tail, words.of(name, crash=crash, traced=traced))
    return replace(report, verdict=replace(verdict, tail=tail))


def _place(run: RunDir, name: str) -> Path:
    return run.path / "core" / f"{name}.core"


def _note(run: RunDir) -> None:
    if found := sorted(one.stem for one in (run.path / "core").glob("*.core")):
        run.update_manifest(cores=found)


def _why_none(run: RunDir, name: str) -> str:
    """Why something left no core file; empty if none was tried."""
    found = ""
    with contextlib.suppress(OSError, ValueError):
        for line in reading.text(run.events_file).splitlines():
            event = reading.parse_json(line)
            if event.get("event") == NONE and name in event.get("of", ()):
                found = str(event.get("reason"))
    return escape(found)


@contextlib.contextmanager
def _excused(run: RunDir, names: Collection[str]) -> Iterator[None]:
    """A core file is a help, and no more."""
    try:
        yield
    except (LabError, OSError) as error:
        reason = error.message if isinstance(error, LabError) else str(error.strerror)
        run.event(NONE, of=sorted(names), reason=reason)
