"""Runs the scenario of a lab once, and keeps the verdict."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from lab import rundir, scenario
from lab.api import far, pausing, replaying
from lab.api.context import Context, clean
from lab.api.plans import intents_of_run, make_plan
from lab.api.results import Run
from lab.api.traces import trace_stats
from lab.errors import LabError, UsageError
from lab.machine import console_quota, guest_ends, qemu_process, stamps
from lab.model import ARCHITECTURES, Act, Clock, Domain, Lab, Layer, Plan, guest_names
from lab.run import alone, collecting, crash_cores, digest, fingerprint, standing, virtual_time
from lab.run.boot import boot
from lab.run.crash_cores import CoreWords
from lab.run.hands import Hands, refuse
from lab.run.session import Session
from lab.run.start import Start, started
from lab.rundir import RunDir
from lab.scenario import Outcome, Report, StepResult, ThresholdResult, thresholds
from lab.util import files, reading, signals
from lab.util.terminal import paragraphs


def run(
    context: Context,
    name: str,
    junit: Path | None = None,
    *,
    clock: Clock | None = None,
    cold: bool = False,
) -> Run:
    """Boot a lab, wait for what it expects, collect, stop.

    The lab may be up meanwhile, or in other runs: each run has a machine of its own. A failure
    below the guests is a verdict too; its layer says what failed. ``clock`` wins over labs.yaml;
    if neither names one, it is virtual. ``junit``: also write the verdict there.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong; ``junit`` cannot be written; the
            context says to pause, and there is no terminal. BusyError: 256 runs of it live.
    """
    if context.pause:
        pausing.check_terminal()
    if context.shared is None:  # else who runs many has done it
        clean(context)
    plan = make_plan(context, name, clock or Clock.VIRTUAL, first=clock is not None)
    refuse(plan)
    if junit:
        make_way(junit)
    if context.cluster:
        with far.connected(context) as there:
            assert there.far
            done = there.far.run(there, plan, clock, cold=cold)
    else:
        done = _run_here(context, plan, cold=cold)
    if junit:
        from lab.scenario import junitxml  # slow to load, and seldom needed

        files.write_atomic(junit, junitxml.junit([done.report]))
    return done


def _run_here(context: Context, plan: Plan, *, cold: bool) -> Run:
    name = plan.lab.name
    marks: dict[str, float] = {}
    try:
        with started(intents_of_run(context, plan)) as start:
            folder = start.run
            if context.against is not None:
                _say_whether_same(context, start)
            report = signals.run(_played(context, start, marks, cold=cold))
    except LabError as error:
        if error.layer is None:
            raise
        folder, report = _of_error(context, name, error)
    report = _measured(context, plan, folder, report)
    report = _with_debugger(folder, report, context.file)
    _note_times(context, folder)
    conclude(folder, report, marks)
    said = str(folder.manifest().get("digest") or "")
    return Run(report, folder.path, marks, said, plan.seed, plan.disturbances)


def failed(context: Context, name: str, error: LabError) -> Run:
    """The run that an error prevented, with a folder of its own."""
    folder, report = _of_error(context, name, error)
    conclude(folder, report, {})
    return Run(report, folder.path, {})


def _of_error(context: Context, name: str, error: LabError) -> tuple[RunDir, Report]:
    """A failure before there was a run folder is a verdict too, and has one."""
    folder = RunDir(error.run) if error.run else rundir.new_run(context.runs, name)
    return folder, Report(name, scenario.from_error(error))


async def _played(context: Context, start: Start, marks: dict[str, float], *, cold: bool) -> Report:
    """Boot and play the scenario. ``marks`` gets what was seen, even if this fails."""
    plan, run = start.plan, start.run
    async with Session(start.lab, run) as session:
        try:
            async with crash_cores.of_xen(session, start, context.file):
                await boot(session, start, cold=cold)
                with start.progress.stage("scenario"):
                    report = await _watched(session, start, context.file.name)
                report = replace(report, notes=_ends(run, plan.lab))
                if context.pause and not report.verdict.passed:
                    await pausing.stand(context, session, start, report)
                report = await _looked_at(context, session, start, report)
                await collecting.collect(session, plan.lab, start.progress)
            if report.verdict.layer is Layer.XEN:
                await crash_cores.keep_xen(session)
            words = CoreWords(run, start.prepared.toolchain, context.file)
            return crash_cores.explained(report, words)
        finally:
            marks.update(session.marks)
            if plan.machine.clock is Clock.VIRTUAL:
                digest.write_scenario(run, session.record.moments)


async def _looked_at(context: Context, session: Session, start: Start, report: Report) -> Report:
    """The report, with what became of the domains. Guests that crashed leave core files."""
    plan, domains = start.plan, list[Domain]()
    if report.verdict.layer is Layer.GUEST:
        if still := qemu_process.why_stopped(start.lab.tag):  # no guest can do anything then
            raise still
        if not plan.lab.without_dom0:  # there nobody knows
            with contextlib.suppress(LabError):  # the verdict says more than that
                domains = await session.domains()
                report = scenario.with_domains(report, domains)
    all_of = [one.name for one in plan.guests] if context.cores else []
    wanted = crash_cores.wanted(session.run, report, all_of=all_of)
    names = guest_names(domains) or standing.names_of(plan)
    await crash_cores.keep(session, wanted, names)
    return report


def _say_whether_same(context: Context, start: Start) -> None:
    """Say whether this run is made of what the earlier one was made of."""
    ours, theirs = fingerprint.of_run(start.plan, start.prepared), context.against or {}
    apart = fingerprint.difference(theirs, ours)
    words = (
        f"this is the same run: its {len(ours)} inputs are the same ({', '.join(ours)})"
        if not apart
        else "the earlier run has no fingerprint, so nobody knows whether this is the same run"
        if not theirs
        else f"this is not the same run: different are {', '.join(apart)}. It runs all the same"
    )
    context.progress.say(words)


def _ends(run: RunDir, lab: Lab) -> dict[str, str]:
    """How guests ended, in words. Guests that a step may have created again are left out."""
    anew = {step.on for one in lab.steps for step in (one, *one.members)
            if step.do in (Act.INJECT, Act.RESTART)}  # fmt: skip
    began = guest_ends.began(run)
    return {name: end.words(began) for name, end in guest_ends.of(run).items() if name not in anew}


async def _watched(session: Session, start: Start, file: str) -> Report:
    plan = start.plan
    hands = Hands(session, plan, start.prepared)
    still = plan.machine.clock is Clock.VIRTUAL

    def note(step: StepResult) -> None:
        words = {"number": step.number, "name": step.name, "ok": step.outcome is Outcome.PASSED,
                 "after": round(step.began + step.seconds, 6), "reason": step.reason}  # fmt: skip
        session.run.event("step", **words)
        if still:
            session.record.add_moment("step", **words)

    if not still:
        consoles = session.run.consoles()
        script = scenario.Script(plan.lab, consoles, file)
        watching = scenario.watch(script, stop=session.ended, hands=hands, note=note)
        return await console_quota.guarded(watching, consoles)
    if plan.lab.without_dom0:
        report = await alone.watch(session, plan.lab, note, file)
    else:
        report = await virtual_time.watch(session, plan, hands, note, file)
    for one in report.results:
        item = one.expectation
        session.record.add_moment("expected", on=item.on, text=item.text, seen=one.seen)
    session.record.add_moment("decided", after=report.seconds)
    return report


def make_way(file: Path) -> None:
    """Remove the report of an earlier run, which could be mistaken for the report of this one.

    Raises:
        UsageError: no report can be written there. This is known before a lab boots.
    """
    try:
        if what := file.exists() and reading.kind(file.stat().st_mode):
            raise reading.Unfit(file, f"{what}, not a file")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.touch()
        file.unlink()
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}",
                         hint="name a file in a folder of yours") from error  # fmt: skip


def _measured(context: Context, plan: Plan, run: RunDir, report: Report) -> Report:
    """Add to the report: the place in labs.yaml, the consoles, the thresholds of its traces."""
    file, line = context.file.absolute(), plan.lab.line or 1
    arch = plan.machine.arch
    report = replace(report, consoles=run.consoles(), file=file, line=line,
                     arch="" if arch == ARCHITECTURES[0] else arch.xen)  # fmt: skip
    wanted = plan.lab.thresholds
    if not wanted or not report.verdict.passed:
        return thresholds.judged(report, tuple(ThresholdResult(item) for item in wanted))
    try:
        found = thresholds.check(wanted, trace_stats(context, str(run.path)))
    except LabError as error:
        found = thresholds.unread(wanted, error.message)
    return thresholds.judged(report, found)


def _with_debugger(run: RunDir, report: Report, labs: Path) -> Report:
    """The report, whose verdict ends with the command that shows the failure in GDB."""
    command = replaying.command(run, report, labs)
    if not command:
        return report
    verdict = report.verdict
    tail = paragraphs(verdict.tail, f"in GDB: {command}")
    return replace(report, verdict=replace(verdict, tail=tail))


def _note_times(context: Context, run: RunDir) -> None:
    """Say and record it if the times in Xen's log are wrong."""
    if stamps.are_wrong(run.console("xen")):
        run.update_manifest(xen_times="wrong")
        context.progress.say(stamps.NOTICE)


def conclude(run: RunDir, report: Report, marks: dict[str, float]) -> None:
    """Write into a run's manifest how it ended. ``marks``: when its session saw what."""
    verdict = report.verdict
    run.update_manifest(
        life=rundir.FINISHED, verdict="pass" if verdict.passed else "fail",
        layer=verdict.layer, reason=verdict.reason, phases=marks,
        **({"crashed": report.crashed} if report.crashed else {}),
    )  # fmt: skip
    if (run.path / digest.SCENARIO).exists():
        over = digest.parts(run)
        run.update_manifest(digest=digest.of(over), digest_over=over)
