"""What commands return: a lab that came up, the status of a lab, a run."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import rundir
from lab.model import Disturbance, Domain, State
from lab.model.architecture import of_run

if TYPE_CHECKING:
    from lab.scenario import Report


@dataclass(frozen=True)
class Up:
    """A lab that came up, or a guest that was injected.

    Attributes:
        domains: empty if several labs were started at once, because these are not asked.
        lines: the first lines of each guest.
        phases: seconds from the machine's start to each mark.
        seconds: how long the whole command took.
        peak_memory: the most memory that our own process held, in bytes.
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
        guests: those of labs.yaml; ``domains`` has those that exist now.
        stands: what crashed, if its machine was left standing there.
        problem: why dom0 does not answer, or why the lab cannot be started.
        running: whether it is up.
        preparing: which command prepares it, for how long, and at which stage.
        elsewhere: whether it belongs to another session of this user; then it is not asked.
        where: that session's folder of live labs; for a lab of another labs.yaml, the folder of
            that file.
        reach: the command that reaches a lab of another session or labs.yaml.
        interrupted: the command that was at work on it and was interrupted.
        arch: the architecture of its machine, as labs.yaml names it.
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
    arch: str = ""
    stands: str = ""


#: The former name.
Status = LabStatus


@dataclass(frozen=True)
class Run:
    """One run of a lab's scenario.

    Attributes:
        run: its folder.
        phases: seconds from the machine's start to each mark.
        digest: the hash over everything that the run said; empty on the host's clock.
        seed: the seed of its ``disturbances``; ``None``: it was not disturbed.
    """

    report: Report
    run: Path
    phases: dict[str, float]
    digest: str = ""
    seed: int | None = None
    disturbances: tuple[Disturbance, ...] = ()

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        from lab.scenario import Outcome

        verdict = self.report.verdict
        manifest = rundir.RunDir(self.run).manifest()
        return {
            "lab": self.report.lab,
            "arch": of_run(manifest).xen,
            "verdict": "pass" if verdict.passed else "fail",
            "layer": verdict.layer,
            "reason": verdict.reason,
            "hint": verdict.hint,
            "tail": verdict.tail.splitlines(),
            "notes": dict(self.report.notes),
            "phases": self.phases,
            "digest": self.digest,
            "seed": self.seed,
            "disturbances": [str(one) for one in self.disturbances],
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
            "worker": manifest.get("worker"),
            "other_toolchain": manifest.get("other_toolchain", False),
            "drift": (manifest.get("lock") or {}).get("drift", []),
        }


@dataclass(frozen=True)
class Where:
    """The worker of a cluster that did a run. ``other_toolchain``: the worker whose runs came back
    first has another one."""

    name: str
    other_toolchain: bool


def worker_of(run: Run) -> Where | None:
    """The worker that did a run; ``None`` if it ran on this machine without a cluster."""
    manifest = rundir.RunDir(run.run).manifest()
    name = manifest.get("worker")
    return Where(str(name), bool(manifest.get("other_toolchain"))) if name else None


def peak_memory() -> int:
    """The most memory that this process has held, in bytes (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
