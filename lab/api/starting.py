"""Starting and stopping labs, and running their scenarios."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from lab import config, rundir, scenario
from lab import plan as planning
from lab.api import drift
from lab.api.context import Context, Run, Up, clean
from lab.api.traces import trace_stats
from lab.errors import LabError, UsageError
from lab.machine import ends, pulse, quota
from lab.machine.logs import FIRST_LINES, MORE_LINES, first_lines
from lab.machine.template import Template
from lab.model import Act, Clock, Lab, Layer, Plan
from lab.run import alone, digest, guests, lifecycle, live, virtual_time
from lab.run.hands import Hands, refuse
from lab.run.session import Session
from lab.rundir import RunDir
from lab.scenario import Outcome, Report, StepResult, ThresholdResult, thresholds
from lab.util import files, reading, signals
from lab.util.deadline import Deadline
from lab.workshop.prepare import Prepared


def up(context: Context, name: str, *, cold: bool = False) -> Up:
    """Boot a lab and create its guests; it runs on when this returns.

    ``cold``: really boot it, even if there is a template.

    Raises:
        ConfigError, UsageError, BusyError: labs.yaml or the name is wrong; it runs already.
        LabError: of the layer that failed; nothing is left running then.
    """
    clock = Deadline(0)
    clean(context)
    plan = make_plan(context, name, first=True)  # labs.yaml's clock is that of its runs
    lab = context.lab_dir(name)
    with live.claimed(lab, name, "lab.up", context.progress) as lock:
        prepared = prepare(context, plan)
        run = rundir.new_run(context.runs, name)
        with lifecycle.starting(plan, prepared, lab, run, kept=True):
            return signals.run(boot_up(context, plan, prepared, lock, run, clock, cold=cold))


def run(
    context: Context,
    name: str,
    junit: Path | None = None,
    *,
    clock: Clock | None = None,
    cold: bool = False,
) -> Run:
    """Boot a lab, wait for what it expects, collect, stop.

    A failure below the guests is a verdict too: its layer says which. ``clock``: before what
    labs.yaml says; without either, virtual.

    Raises:
        ConfigError, UsageError, BusyError: labs.yaml or the name is wrong; it runs already;
            ``junit`` cannot be written.
    """
    clean(context)
    plan = make_plan(context, name, clock or Clock.VIRTUAL, first=clock is not None)
    refuse(plan)
    if junit:
        _make_way(junit)
    lab = context.lab_dir(name)
    with live.claimed(lab, name, "lab.run", context.progress) as lock:
        folder = rundir.new_run(context.runs, name)
        marks: dict[str, float] = {}
        try:
            prepared = prepare(context, plan)
            with lifecycle.starting(plan, prepared, lab, folder, kept=False):
                scenario_ = _run(context, plan, prepared, lock, folder, marks, cold=cold)
                report = signals.run(scenario_)
        except LabError as error:
            if error.layer is None:
                if not folder.manifest():
                    rundir.forget(folder)
                raise
            report = Report(name, scenario.from_error(error))
        report = _measured(context, plan, folder, report)
        _conclude(folder, report, marks)
    if junit:
        files.write_atomic(junit, scenario.junit([report]))
    return Run(report, folder.path, marks, str(folder.manifest().get("digest") or ""))


def make_plan(
    context: Context, name: str, clock: Clock = Clock.HOST, *, first: bool = False
) -> Plan:
    """The plan of a lab of labs.yaml. ``first``: this clock, whatever labs.yaml says.

    Raises:
        UsageError: there is no such lab. ConfigError: a file of its guests is not what it must be.
    """
    lab = config.find_startable(context.labs(), name)
    return planning.plan(replace(lab, clock=None) if first else lab, clock=clock)


def plan_json(context: Context, name: str) -> str:
    """The plan of a lab as JSON text."""
    return planning.to_json(make_plan(context, name))


def prepare(context: Context, plan: Plan) -> Prepared:
    """Make or find everything that a plan needs."""
    workshop = context.workshop()
    toolchain = workshop.toolchain
    images = workshop.platform(plan, force=context.force)
    built = workshop.guests([guest.spec for guest in plan.all_guests])
    guests.check_room(context.file.absolute(), plan.lab, built)
    drift.tell(context, workshop, drift.names(context, plan, images, built))
    return Prepared(toolchain, images, built, workshop.supplies.state)


async def boot_up(
    context: Context,
    plan: Plan,
    prepared: Prepared,
    lock: int,
    run: RunDir,
    clock: Deadline,
    *,
    cold: bool,
    stored: Template | None = None,
    ask: bool = True,
) -> Up:
    """From off to guests that have said something.

    Without ``ask`` dom0 is not asked for its domains: it would have to translate much code, and
    other labs that are being started would wait for that.
    """
    lab = context.lab_dir(plan.lab.name)
    async with Session(lab, run) as session:
        await lifecycle.boot(
            session, plan, prepared, lock, context.progress, cold=cold, stored=stored
        )
        with context.progress.stage("first lines"):
            starts = {guest.name: 0 for guest in plan.guests}
            await session.guarded(first_lines(run, starts, FIRST_LINES))
            session.mark("first line")
            domains = await session.domains() if ask else []
            lines = await first_lines(run, starts, MORE_LINES, least=3)
        session.mark("listed")
    return Up(plan.lab.name, run.path, domains, lines, session.marks, clock.elapsed())


async def _run(
    context: Context,
    plan: Plan,
    prepared: Prepared,
    lock: int,
    run: RunDir,
    marks: dict[str, float],
    *,
    cold: bool,
) -> Report:
    lab = context.lab_dir(plan.lab.name)
    async with Session(lab, run) as session:
        try:
            await lifecycle.boot(session, plan, prepared, lock, context.progress, cold=cold)
            with context.progress.stage("scenario"):
                report = await _watched(session, plan, prepared, context.file.name)
            report = replace(report, notes=_ends(run, plan.lab))
            if report.verdict.layer is Layer.GUEST:
                if still := pulse.why_stopped(lab.tag):  # no guest could have done it
                    raise still
                with contextlib.suppress(LabError):  # the verdict says more than that
                    if not plan.lab.without_dom0:  # there nobody knows
                        report = scenario.with_domains(report, await session.domains())
            await lifecycle.collect(session, plan.lab, context.progress)
            return report
        finally:
            marks.update(session.marks)
            if plan.machine.clock is Clock.VIRTUAL:
                digest.write_scenario(run, session.moments)


def _ends(run: RunDir, lab: Lab) -> dict[str, str]:
    """How guests ended, in words; not of those that a step may have created anew."""
    anew = {step.on for one in lab.steps for step in (one, *one.members)
            if step.do in (Act.INJECT, Act.RESTART)}  # fmt: skip
    began = ends.began(run)
    return {name: end.words(began) for name, end in ends.of(run).items() if name not in anew}


async def _watched(session: Session, plan: Plan, prepared: Prepared, file: str) -> Report:
    hands = Hands(session, plan, prepared)
    still = plan.machine.clock is Clock.VIRTUAL

    def note(step: StepResult) -> None:
        words = {"number": step.number, "name": step.name, "ok": step.outcome is Outcome.PASSED,
                 "after": round(step.began + step.seconds, 6), "reason": step.reason}  # fmt: skip
        session.run.event("step", **words)
        if still:
            session.moments.append({"what": "step", **words})

    if not still:
        consoles = session.run.consoles()
        watching = scenario.watch(
            plan.lab, consoles, stop=session.ended, hands=hands, note=note, file=file
        )
        return await quota.guarded(watching, consoles)
    if plan.lab.without_dom0:
        report = await alone.watch(session, plan, note, file)
    else:
        report = await virtual_time.watch(session, plan.lab, hands, note, file)
    seen = [
        {"what": "expected", "on": one.expectation.on, "text": one.expectation.text,
         "seen": one.seen}
        for one in report.results
    ]  # fmt: skip
    session.moments += [*seen, {"what": "decided", "after": report.seconds}]
    return report


def _make_way(file: Path) -> None:
    """An earlier report goes now: nobody shall take it for that of this run. And it is known
    before a lab is booted that one can be written.

    Raises:
        UsageError: it cannot.
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
    """The report with what it lacks: labs.yaml, the consoles, thresholds of its traces."""
    file, line = context.file.absolute(), plan.lab.line or 1
    report = replace(report, consoles=run.consoles(), file=file, line=line)
    wanted = plan.lab.thresholds
    if not wanted or not report.verdict.passed:
        return thresholds.judged(report, tuple(ThresholdResult(item) for item in wanted))
    try:
        found = thresholds.check(wanted, trace_stats(context, str(run.path)))
    except LabError as error:
        found = thresholds.unread(wanted, error.message)
    return thresholds.judged(report, found)


def _conclude(run: RunDir, report: Report, marks: dict[str, float]) -> None:
    verdict = report.verdict
    run.update_manifest(
        life=rundir.FINISHED, verdict="pass" if verdict.passed else "fail",
        layer=verdict.layer, reason=verdict.reason, phases=marks,
    )  # fmt: skip
    if (run.path / digest.SCENARIO).exists():
        over = digest.parts(run)
        run.update_manifest(digest=digest.of(over), digest_over=over)
