"""Runs as continuous integration shows them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lab.api.context import Run
from lab.scenario import github


def ci_annotations(runs: Sequence[Run]) -> list[str]:
    """GitHub's annotations of what failed, each a line to print; files from the checkout on."""
    base = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    return [line for run in runs for line in github.annotate(run.report, base)]


def ci_summary(runs: Sequence[Run]) -> str:
    """Markdown for the page of a job."""
    return github.summary([run.report for run in runs])
