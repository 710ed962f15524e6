"""Whether a run can be executed again to a moment, and the command for its failure.

Runs under the virtual clock can, if they have a dom0, which makes the stops.
"""

from __future__ import annotations

from pathlib import Path

from lab.model import Clock, Layer
from lab.run import commands, digest
from lab.rundir import RunDir
from lab.scenario import Report


def until(run: RunDir) -> float | None:
    """When the run was decided, in seconds since its guests began.

    ``None``: it cannot be executed again to a moment, or it came to no decision.
    """
    manifest = run.manifest()
    images = manifest.get("images")
    has_dom0 = isinstance(images, dict) and "kernel" in images
    if manifest.get("clock") != Clock.VIRTUAL or not has_dom0:
        return None
    return digest.decided(run)


def command(run: RunDir, report: Report, labs: Path) -> str:
    """The command that shows the failure of a run in GDB; empty if there is none."""
    verdict = report.verdict
    if verdict.passed or verdict.layer is not Layer.GUEST or until(run) is None:
        return ""
    return commands.about("lab.debug", run, labs, "--before-failure")
