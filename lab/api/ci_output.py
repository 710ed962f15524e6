"""Runs as a CI service shows them: annotations and a summary."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from lab.api import replaying
from lab.api.results import Run
from lab.rundir import RunDir
from lab.scenario import github
from lab.util.resources import as_called


def ci_annotations(runs: Sequence[Run]) -> list[str]:
    """GitHub's annotations of what failed: lines to print, with paths relative to the checkout."""
    return [line for run in runs for line in github.annotate(run.report, _base())]


def ci_summary(runs: Sequence[Run]) -> str:
    """Markdown for the page of a CI job."""
    return github.summary([_ran(run) for run in runs])


def _base() -> Path:
    return Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())


def _ran(run: Run) -> github.Ran:
    """Where the run is, and the commands that repeat it in the folder of labs.yaml."""
    name, clock = run.report.lab, RunDir(run.run).manifest().get("clock")
    labs = run.report.file.name if run.report.file else "labs.yaml"
    common = ["lab.run", name] + (["--labs", labs] if labs != "labs.yaml" else [])
    arch = ["--arch", run.report.arch] if run.report.arch else []
    again = [("Repeat it", _command(*common, *arch, *_how(run, clock)))]
    if run.digest:
        words = "Repeat it and compare, with the run folder at hand"
        again.append((words, _command(*common, "--verify", f"{name}/{run.run.name}")))
    if seen := replaying.command(RunDir(run.run), run.report, Path(labs)):
        again.append(("See the failure in GDB", seen))
    return github.Ran(run.report, os.path.relpath(run.run, _base()), run.digest, tuple(again))


def _how(run: Run, clock: object) -> list[str]:
    """The options that say how a run was: its seed, or its clock."""
    if run.seed is not None:
        kept = ",".join(str(one.number) for one in run.disturbances)
        return ["--seed", str(run.seed), "--keep", kept or "none"]
    return ["--clock", str(clock)] if clock else []


def _command(*words: str) -> str:
    return as_called(f"./inv {shlex.join(words)}")
