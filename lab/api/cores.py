"""GDB on the core file of a crash, without a machine."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from lab import rundir
from lab.api import lives
from lab.api.context import Context, attached
from lab.api.debugging import DebugOptions, run_gdb, sources, toolchain_of
from lab.debug import backtrace, symbols
from lab.debug.launch import READY, Session
from lab.debug.symbols import XEN
from lab.errors import LabError, UsageError
from lab.machine import guest_ends
from lab.model import guest_names
from lab.run import crash_cores, live, stands
from lab.run.live import Live
from lab.rundir import LabDir, RunDir
from lab.util import signals
from lab.util.terminal import quote


def open_core(context: Context, run: str, name: str, options: DebugOptions) -> int:
    """Open GDB on a core file of a run; returns GDB's exit status.

    If the run's lab still runs, the core file of a guest is made now. ``name``: a guest or
    ``xen``; empty: what crashed, or the first guest of a lab that runs.

    Raises:
        UsageError: there is no such run, or it has no such core file.
    """
    found = rundir.find_run(context.runs, run)
    if found is None:
        raise UsageError(f"there is no run {quote(run)}", hint="name a lab, a run's id, or latest")
    chosen, toolchain = name or _failed(found), toolchain_of(context)
    lab = str(found.manifest().get("lab") or "")
    if (living := _living(context, lab, found)) and chosen != XEN:
        chosen = chosen or next(iter(living.guests), "")
        signals.run(_make(living, chosen))
        with contextlib.suppress(LabError):  # it adds the tasks
            backtrace.backtrace(toolchain, found, chosen)
    chosen = chosen or next(iter(found.manifest().get("cores") or ()), XEN)
    core = backtrace.core_of(found, chosen)
    known = symbols.of_run(found, iter(sources(context, lab)))
    session = Session(LabDir(core.parent), found, known, chosen)
    words = [*backtrace.opening(backtrace.elf_of(found, chosen), core), "-ex", READY]
    return signals.run(run_gdb(toolchain, session, replace(options, begin=tuple(words))))


def _failed(run: RunDir) -> str:
    """What crashed in a run; empty if nothing did."""
    ended = [name for name, end in guest_ends.of(run).items() if end.how == guest_ends.CRASHED]
    xen = XEN if (run.path / "core" / f"{XEN}.core").is_file() else ""
    return xen or str(run.manifest().get("crashed") or "") or next(iter(ended), "")


def _living(context: Context, lab: str, run: RunDir) -> Live | None:
    """The lab of a run, if it runs or stands, and may be stopped for a moment."""
    alive = [live.find(place) for each, place in lives.here(context) if each == lab]
    ours = [one for one in alive if one and one.run.path.resolve() == run.path.resolve()]
    return next((one for one in ours if one.running and not one.still), None)


async def _make(found: Live, guest: str) -> None:
    names, stays = stands.domains(found.lab), bool(stands.why(found.lab))
    async with attached(found) as session:
        if not stays:
            names = guest_names(await session.domains())
        await crash_cores.keep(session, [guest], names, stays=stays)
