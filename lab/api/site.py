"""Exports finished runs as a site of plain files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.api.context import Context
from lab.api.traces import run_of, timeline_of
from lab.rundir import RunDir
from lab.web import site, site_pages


def export_site(context: Context, folder: Path, runs: Sequence[str]) -> Path:
    """Write the consoles, verdicts and timelines of runs into a folder; returns its first page.

    ``runs``: each as :func:`lab.rundir.find_run` has it. The site needs no server, loads nothing
    from elsewhere, and is the same for the same runs, byte for byte.

    Raises:
        UsageError: there is no such run, or the folder has files that no export has written.
        OSError: it cannot be written.
    """
    site.write(folder, [run_of(context, run) for run in runs], _report)
    return folder / site_pages.INDEX


def _report(run: RunDir) -> str:
    """Without how to execute the run again: that names folders of this machine."""
    from lab.trace import report

    return report.page(timeline_of(run))
