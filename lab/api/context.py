"""Where the labs are described, which toolchain, who hears of progress; and what is returned."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import config, rundir
from lab.model import Domain, Labs, State
from lab.progress import Progress
from lab.run import live
from lab.run.live import Live
from lab.rundir import LabDir
from lab.toolchain import sweep_engines
from lab.util.environment import switched_on

if TYPE_CHECKING:
    from lab.run.session import Session
    from lab.scenario import Report
    from lab.workshop.prepare import Workshop


@dataclass(frozen=True)
class Context:
    """Where the labs are described, which door, and who hears of progress.

    ``force`` boots a hypervisor even if it is not of the version of the tools in dom0.
    ``locked`` (or ``$LAB_LOCKED``) makes it an error if packages are not the locked ones.
    """

    file: Path = Path("labs.yaml")
    door: str | None = None
    progress: Progress = field(default_factory=lambda: Progress(quiet=True))
    force: bool = False
    locked: bool = False

    @property
    def runs(self) -> Path:
        """Where runs are kept: beside labs.yaml."""
        return self.file.absolute().parent / "runs"

    def labs(self) -> Labs:
        """The labs, checked."""
        return config.load(self.file)

    @property
    def strict(self) -> bool:
        """Whether nothing but the locked packages may be used."""
        return self.locked or switched_on("LAB_LOCKED")

    def workshop(self, door: str | None = None) -> Workshop:
        """Where everything is made, under the lock that holds for these labs.

        Raises:
            ImageError: the lock cannot be read.
        """
        from lab.packages import lock
        from lab.workshop.prepare import Workshop

        pins = lock.load(lock.place(self.file))
        return Workshop(door or self.door, self.progress, pins, strict=self.strict)

    def lab_dir(self, name: str) -> LabDir:
        return rundir.lab_dir(self.runs, name)


@dataclass(frozen=True)
class Up:
    """A lab that came up, or a guest that was injected.

    ``domains``: none where several labs were started at once, which are not asked for them.
    ``lines``: each guest's first ones. ``phases``: seconds since the machine was started.
    ``peak_memory``: the most that our own process held, in bytes.
    """

    name: str
    run: Path
    domains: list[Domain]
    lines: dict[str, str]
    phases: dict[str, float]
    seconds: float
    peak_memory: int = field(default_factory=lambda: peak_memory())


@dataclass(frozen=True)
class LabStatus:
    """A lab and what it does now.

    Attributes:
        state: how far it has come; ``guests`` is the last one: it is up.
        uptime: seconds.
        guests: those of labs.yaml; which ones there are now, ``domains`` say.
        problem: why dom0 does not tell, or why the lab cannot be started.
        running: whether it is up.
        preparing: which command prepares it, for how long, and what it is at.
        elsewhere: whether it belongs to another session of this user; it is not asked then.
        where: of another session, its folder of live labs; of another labs.yaml, that.
        reach: what to type to reach one of another session or labs.yaml.
        interrupted: the command that was at work on it, and was interrupted.
    """

    name: str
    state: State
    uptime: float = 0.0
    run: Path | None = None
    domains: list[Domain] = field(default_factory=list)
    guests: list[str] = field(default_factory=list)
    description: str = ""
    problem: str = ""
    running: bool = False
    preparing: str = ""
    elsewhere: bool = False
    where: str = ""
    reach: str = ""
    interrupted: str = ""


#: An older name of it.
Status = LabStatus


@dataclass(frozen=True)
class Run:
    """One run of a lab's scenario. ``phases`` are seconds since the machine was started.

    ``digest`` is what the run came to, under the virtual clock; else it is empty.
    """

    report: Report
    run: Path
    phases: dict[str, float]
    digest: str = ""

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        from lab.scenario import Outcome

        verdict = self.report.verdict
        return {
            "lab": self.report.lab,
            "verdict": "pass" if verdict.passed else "fail",
            "layer": verdict.layer,
            "reason": verdict.reason,
            "hint": verdict.hint,
            "tail": verdict.tail.splitlines(),
            "notes": dict(self.report.notes),
            "phases": self.phases,
            "digest": self.digest,
            "expect": [
                {"on": r.expectation.on, "text": r.expectation.text, "seen": r.seen}
                for r in self.report.results
            ],
            "steps": [
                {
                    "name": s.name,
                    "ok": s.outcome is Outcome.PASSED,
                    "outcome": s.outcome,
                    "began": s.began,
                    "seconds": s.seconds,
                    "reason": s.reason,
                    "line": s.step.line,
                }
                for s in self.report.steps
            ],
            "never": [
                {
                    "on": n.never.on or None,
                    "text": n.never.text,
                    "ok": n.line is None,
                    "line": n.line,
                }
                for n in self.report.never
            ],
            "thresholds": [
                {
                    "name": t.name,
                    "limit": t.threshold.limit,
                    "measured": t.measured,
                    "ok": t.outcome is Outcome.PASSED,
                    "reason": t.reason,
                    "line": t.threshold.line,
                }
                for t in self.report.thresholds
            ],
            "run": str(self.run),
            "drift": (rundir.RunDir(self.run).manifest().get("lock") or {}).get("drift", []),
        }


def clean(context: Context) -> None:
    """Clean up what dead commands and machines left behind."""
    for words in (*live.sweep(), *sweep_engines()):
        context.progress.say(words)


def attached(found: Live) -> Session:
    """A session on a lab that runs."""
    from lab.run.session import Session

    return Session(found.lab, found.run, found.state)


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
