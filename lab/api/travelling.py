"""GDB at a moment of a run: the run is executed again until then, and stands."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial

from lab import rundir
from lab.api.context import Context, clean, like
from lab.api.debugging import DebugOptions, run_gdb, sources, toolchain_of
from lab.api.journey import RECORDING, Journey
from lab.api.moments import Moment
from lab.api.plans import intent, make_plan
from lab.api.runs import conclude
from lab.debug import server, symbols
from lab.debug.launch import Session as GdbSession
from lab.errors import UsageError
from lab.model import Clock
from lab.run import fingerprint
from lab.run.start import Start, started
from lab.rundir import RunDir
from lab.util import files, signals
from lab.util.terminal import quote


def travel(context: Context, word: str, moment: Moment, options: DebugOptions) -> int:
    """Execute a run again to a moment, and open GDB there; returns GDB's exit status.

    Nothing is left of it, unless the options say that it is a branch.

    Raises:
        UsageError: there is no such run or moment, or it was not under the virtual clock.
        MachineError: the run does not repeat; the message has the first difference.
    """
    clean(context)
    old = _old(context, word)
    context = like(context, old.manifest())
    plan = make_plan(context, str(old.manifest().get("lab")), Clock.VIRTUAL, first=True)
    if plan.lab.without_dom0:
        raise UsageError("a lab without dom0 cannot be stopped at a moment of its own time")
    known = symbols.of_run(old, iter(sources(context, plan.lab.name)))
    toolchain = toolchain_of(context)
    run: RunDir | None = None
    try:
        with started([intent(context, plan, "lab.debug", kept=False)]) as start:
            run = start.run
            _check_inputs(old, start)
            chosen = options.on or next((one.name for one in plan.guests), "everywhere")
            gdb = GdbSession(start.lab, run, known, chosen)
            journey = Journey(context, start, old)
            if options.branch:
                run.update_manifest(branch_of=f"{old.path.parent.name}/{old.id}")
            work = _debug(journey, moment, partial(run_gdb, toolchain, gdb, options), options)
            return signals.run(work)
    finally:
        if run and options.branch:
            rundir.not_the_latest(run)
        elif run:
            rundir.forget(run)


async def _debug(
    journey: Journey, moment: Moment, attend: Callable[[], Awaitable[int]], options: DebugOptions
) -> int:
    async with contextlib.aclosing(journey):
        monitor = await journey.begin(moment)
        async with server.listening(journey.start.lab, monitor) as serving:
            status = await attend()
        if serving.failure:
            raise serving.failure
        if options.branch:
            await _end(journey)
        return status


async def _end(journey: Journey) -> None:
    """Let a branch come to its verdict."""
    run, say = journey.start.run, journey.start.progress.say
    where = f"{run.path.parent.name}/{run.id}"
    report = await journey.finish()
    await journey.aclose()
    files.remove_tree(run.path / RECORDING)  # of no use without this machine
    if report is None:
        say(f"branch {where}: you went back, so it ends where it stood then")
        return
    conclude(run, report, {})
    how = "passes" if report.verdict.passed else f"fails: {report.verdict.reason}"
    say(f"branch {where} {how}")


def _old(context: Context, word: str) -> RunDir:
    found = rundir.find_run(context.runs, word)
    if found is None:
        raise UsageError(f"there is no run {quote(word)}", hint="name a lab, a run's id, or latest")
    if origin := found.manifest().get("branch_of"):
        raise UsageError(
            f"run {found.id} is a branch that was made in GDB, so it cannot be executed again",
            hint=f"the run that it left: {origin}",
        )
    if found.manifest().get("clock") != Clock.VIRTUAL:
        raise UsageError(
            f"run {found.id} was on the host's clock, so it cannot be executed again",
            hint="lab.run uses the virtual clock unless --clock host says otherwise",
        )
    return found


def _check_inputs(old: RunDir, start: Start) -> None:
    now = fingerprint.of_run(start.plan, start.prepared)
    before = old.manifest().get("fingerprint") or {}
    if changed := fingerprint.difference(before, now):
        raise UsageError(
            f"run {old.id} cannot be executed again: changed since are {', '.join(changed)}",
            hint=f"run it anew: ./inv lab.run {start.plan.lab.name}",
        )
