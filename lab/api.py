"""What can be done with labs. Synchronous; every function raises only :class:`LabError`.

A :class:`Context` says which labs.yaml, which toolchain, and who is told what goes on.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import config, lifecycle, live, rundir, scenario
from lab import plan as planning
from lab.dom0.agent import Result
from lab.errors import LabError, UsageError
from lab.live import Live
from lab.machine import interactive
from lab.machine.logs import first_lines, follow, lines_of, merged
from lab.model import Clock, Domain, GuestImage, Image, Labs, Plan, State, ToolchainInfo
from lab.prepare import Prepared, Workshop
from lab.progress import Progress
from lab.rundir import LabDir, RunDir
from lab.scenario import Report
from lab.session import Session
from lab.store import Store, describe
from lab.toolchain import adopt
from lab.util import files
from lab.util.deadline import Deadline

#: Seconds to wait for a guest's first line; a silent guest is no error of lab.up.
FIRST_LINES = 5.0


@dataclass(frozen=True)
class Context:
    """Where the labs are described, which door, and who hears of progress."""

    file: Path = Path("labs.yaml")
    door: str | None = None
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))

    @property
    def runs(self) -> Path:
        """Where runs are kept: beside labs.yaml."""
        return self.file.absolute().parent / "runs"

    def labs(self) -> Labs:
        """The labs, checked."""
        return config.load(self.file)

    def lab_dir(self, name: str) -> LabDir:
        return rundir.lab_dir(self.runs, name)


@dataclass(frozen=True)
class Up:
    """A lab that came up, or a guest that was injected. ``lines``: each guest's first ones."""

    name: str
    run: Path
    domains: list[Domain]
    lines: dict[str, str]
    phases: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Status:
    """A lab and what it does now. ``uptime`` is seconds."""

    name: str
    state: State
    uptime: float = 0.0
    run: Path | None = None
    domains: list[Domain] = field(default_factory=list)
    guests: list[str] = field(default_factory=list)
    description: str = ""


@dataclass(frozen=True)
class Run:
    """One run of a lab's scenario. ``phases`` are seconds since the machine was started."""

    report: Report
    run: Path
    phases: dict[str, float]

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        verdict = self.report.verdict
        return {
            "lab": self.report.lab,
            "verdict": "pass" if verdict.passed else "fail",
            "layer": verdict.layer,
            "reason": verdict.reason,
            "tail": verdict.tail.splitlines(),
            "phases": self.phases,
            "expect": [
                {"on": r.expectation.on, "text": r.expectation.text, "seen": r.seen}
                for r in self.report.results
            ],
            "run": str(self.run),
        }


# ---------------------------------------------------------------- starting and stopping


def up(context: Context, name: str) -> Up:
    """Boot a lab and create its guests; it runs on when this returns.

    Raises:
        ConfigError, UsageError, BusyError: labs.yaml or the name is wrong; it runs already.
        LabError: of the layer that failed; nothing is left running then.
    """
    clock = Deadline(0)
    clean(context)
    plan = make_plan(context, name)
    lab = context.lab_dir(name)
    with live.claimed(lab, name, "lab.up") as lock:
        prepared = prepare(context, plan)
        run = rundir.new_run(context.runs, name)
        with lifecycle.starting(plan, prepared, lab, run):
            return asyncio.run(_up(context, plan, prepared, lock, run, clock))


def run(context: Context, name: str, junit: Path | None = None) -> Run:
    """Boot a lab, wait for what it expects, collect, stop.

    A failure below the guests is a verdict too: its layer says which.

    Raises:
        ConfigError, UsageError, BusyError: labs.yaml or the name is wrong; it runs already.
    """
    clean(context)
    plan = make_plan(context, name)
    lab = context.lab_dir(name)
    with live.claimed(lab, name, "lab.run") as lock:
        folder = rundir.new_run(context.runs, name)
        marks: dict[str, float] = {}
        try:
            prepared = prepare(context, plan)
            with lifecycle.starting(plan, prepared, lab, folder):
                report = asyncio.run(_run(context, plan, prepared, lock, folder, marks))
        except LabError as error:
            if error.layer is None:
                raise
            report = Report(name, scenario.from_error(error))
        _conclude(lab, folder, report, marks)
    if junit:
        files.write_atomic(junit, scenario.junit([report]))
    return Run(report, folder.path, marks)


def down(context: Context, name: str) -> Status | None:
    """Stop a lab; ``None`` if it does not run. Its run folder stays."""
    found = live.find(context.lab_dir(name))
    if found is None:
        clean(context)
        if name not in context.labs().labs:
            config.find_lab(context.labs(), name)
        return None
    return _stop(found)


def down_all() -> list[Status]:
    """Stop every lab of this user."""
    return [_stop(found) for lab in rundir.all_lab_dirs() if (found := live.find(lab))]


def clean(context: Context) -> None:
    """Clean up what dead commands and machines left behind."""
    for words in live.sweep(adopt):
        context.progress.say(words)


# ---------------------------------------------------------------- a lab that runs


def status(context: Context, name: str | None = None) -> list[Status]:
    """The lab ``name``, or all labs of this user that run."""
    clean(context)
    if name is None:
        found = [live.find(lab) for lab in rundir.all_lab_dirs()]
        return [_status(one) for one in found if one]
    one = live.find(context.lab_dir(name))
    if one:
        return [_status(one)]
    last = rundir.latest_run(context.runs, name)
    if last is None:
        config.find_lab(context.labs(), name)
    return [Status(name, State.OFF, run=last.path if last else None)]


def list_labs(context: Context) -> list[Status]:
    """The labs of labs.yaml, with their state."""
    return [_listed(context, lab.name) for lab in context.labs().labs.values()]


def execute(context: Context, name: str, line: str, within: float = 60.0) -> Result:
    """Run a command line in dom0; it is split into words as a shell does, without a shell."""
    try:
        argv = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the command cannot be split into words: {error}") from error
    if not argv:
        raise UsageError("the command is empty", hint='for example: lab.exec hello "xl list"')
    found = running(context, name)

    async def go() -> Result:
        async with attached(found) as session:
            return await session.execute(argv, within)

    return asyncio.run(go())


def inject(context: Context, name: str, guest: str) -> Up:
    """Build a guest if needed and create it in a running lab; one of its name is replaced."""
    clock = Deadline(0)
    found = running(context, name)
    spec = config.find_guest(context.labs(), guest)
    workshop = Workshop(found.door, context.progress)
    image = workshop.guests([spec])[guest]
    lifecycle.keep_elf(found.run, image)

    async def go() -> Up:
        async with attached(found) as session:
            with context.progress.stage(f"guest {guest}") as stage:
                await session.add_console(guest)
                start = found.run.console(guest).stat().st_size
                await session.inject(planning.guest_plan(spec), image, stage.note)
            lines = await first_lines(found.run, {guest: start}, FIRST_LINES)
            domains = await session.domains()
            return Up(name, found.run.path, domains, lines, session.marks, clock.elapsed())

    return asyncio.run(go())


def logs(context: Context, name: str, on: str | None, following: bool = False) -> Iterator[str]:
    """The consoles of the lab's newest run, escaped: one, or all in time order."""
    folder = _run_of(context, name)
    found = folder.consoles()
    if on is not None:
        if on not in found:
            known = ", ".join(found) or "none"
            raise UsageError(f"run {folder.path} has no console {on}", hint=f"there are: {known}")
        found = {on: found[on]}
    if following:
        lab = live.find(context.lab_dir(name))
        return follow(found, adopt(lab.record) if lab and lab.record else None)
    return lines_of(found[on]) if on else merged(found, folder.times_file)


def console(context: Context, name: str, on: str | None) -> None:
    """A person's terminal on a console, until they leave."""
    found = running(context, name)
    known = list(found.run.consoles())
    chosen = on or next((one for one in known if one not in ("xen", "dom0")), "dom0")
    if chosen not in known:
        raise UsageError(f"lab {name} has no console {chosen}", hint=f"one of: {', '.join(known)}")
    interactive.attach(chosen, found.lab.path, found.run.console(chosen))


# ---------------------------------------------------------------- parts


def make_plan(context: Context, name: str) -> Plan:
    """The plan of a lab of labs.yaml."""
    return planning.plan(config.find_lab(context.labs(), name), clock=Clock.HOST)


def prepare(context: Context, plan: Plan) -> Prepared:
    """Make or find everything that a plan needs."""
    workshop = Workshop(context.door, context.progress)
    toolchain = workshop.toolchain
    images = workshop.platform(plan)
    guests = workshop.guests([guest.spec for guest in plan.guests])
    return Prepared(toolchain, images, guests)


def running(context: Context, name: str) -> Live:
    """The lab, which must run."""
    clean(context)
    return live.running(context.lab_dir(name), name)


def attached(found: Live) -> Session:
    """A session on a lab that runs."""
    return Session(found.lab, found.run, found.state)


async def _up(
    context: Context, plan: Plan, prepared: Prepared, lock: int, run: RunDir, clock: Deadline
) -> Up:
    lab = context.lab_dir(plan.lab.name)
    async with Session(lab, run) as session:
        await lifecycle.boot(session, plan, prepared, lock, context.progress)
        with context.progress.stage("first lines"):
            starts = {guest.name: 0 for guest in plan.guests}
            lines = await session.guarded(first_lines(run, starts, FIRST_LINES))
        domains = await session.domains()
    return Up(plan.lab.name, run.path, domains, lines, session.marks, clock.elapsed())


async def _run(
    context: Context,
    plan: Plan,
    prepared: Prepared,
    lock: int,
    run: RunDir,
    marks: dict[str, float],
) -> Report:
    lab = context.lab_dir(plan.lab.name)
    async with Session(lab, run) as session:
        try:
            await lifecycle.boot(session, plan, prepared, lock, context.progress)
            with context.progress.stage("scenario"):
                return await scenario.watch(plan.lab, run.consoles(), stop=session.ended)
        finally:
            marks.update(session.marks)


def _conclude(lab: LabDir, run: RunDir, report: Report, marks: dict[str, float]) -> None:
    verdict = report.verdict
    result = {
        "verdict": "pass" if verdict.passed else "fail",
        "layer": verdict.layer,
        "reason": verdict.reason,
        "phases": marks,
    }
    lifecycle.stop(lab, rundir.FINISHED, **result)
    run.update_manifest(life=rundir.FINISHED, **result)


def _stop(found: Live) -> Status:
    uptime = time.time() - float(found.run.manifest().get("started") or time.time())
    lifecycle.stop(found.lab, rundir.FINISHED)
    return Status(found.name, State.OFF, uptime, found.run.path)


def _status(found: Live) -> Status:
    uptime = time.time() - float(found.run.manifest().get("started") or time.time())

    async def domains() -> list[Domain]:
        async with attached(found) as session:
            return await session.domains()

    seen = asyncio.run(domains()) if found.running else []
    return Status(found.name, found.state, uptime, found.run.path, seen)


def _listed(context: Context, name: str) -> Status:
    lab = context.labs().labs[name]
    found = live.find(context.lab_dir(name))
    return Status(
        name,
        found.state if found else State.OFF,
        run=found.run.path if found else None,
        guests=[guest.name for guest in lab.guests],
        description=lab.description,
    )


def _run_of(context: Context, name: str) -> RunDir:
    found = live.find(context.lab_dir(name))
    folder = found.run if found else rundir.latest_run(context.runs, name)
    if folder is None:
        config.find_lab(context.labs(), name)
        raise UsageError(f"lab {name} never ran", hint=f"start it: ./inv lab.up {name}")
    return folder


def guest_build(context: Context, name: str) -> GuestImage:
    """Build a guest of labs.yaml.

    Raises:
        GuestError: it does not compile.
    """
    spec = config.find_guest(context.labs(), name)
    return Workshop(context.door, context.progress).guests([spec])[name]


def image_build(context: Context, refresh: bool = False) -> list[Image]:
    """Build or find Xen, dom0's kernel and the initramfs; ``refresh`` looks for newer packages."""
    return Workshop(context.door, context.progress, refresh=refresh).base_images()


def image_list() -> list[dict[str, Any]]:
    """What is stored: kind, key, size in bytes, and what it was made of."""
    return [describe(entry) for entry in Store().entries()]


def toolchain_build(context: Context) -> ToolchainInfo:
    """Make or find the toolchain."""
    return Workshop(context.door, context.progress).toolchain.info()
