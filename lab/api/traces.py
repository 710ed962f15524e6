"""The traces of a run: figures, exports, the report, and the difference between two runs.

The modules that decode and draw are imported where they are used, because they are large.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import config, rundir
from lab.api import replaying
from lab.api.context import Context
from lab.errors import LabError, UsageError
from lab.machine.merged_consoles import Zeros, find_zeros, merge
from lab.run import commands
from lab.rundir import RunDir
from lab.util import files as plain

if TYPE_CHECKING:
    from lab.trace.report import Replay
    from lab.trace.timeline import ConsoleLine, Timeline

#: Export format → default name of its file in the run's folder.
FORMATS = {"perfetto": "timeline.pftrace", "chrome": "timeline.json", "csv": "timeline.csv"}
REPORT = "report.html"


def trace_timeline(context: Context, run: str) -> Timeline:
    """All traces and consoles of a run on one clock. ``run``: see :func:`lab.rundir.find_run`.

    Raises:
        UsageError: there is no such run, or it has no trace.
    """
    return timeline_of(run_of(context, run))


def timeline_of(folder: RunDir) -> Timeline:
    """The same for a run that was found.

    Raises:
        UsageError: it has no trace.
    """
    from lab.trace import timeline

    return timeline.load(folder, _lines(folder))


def trace_stats(context: Context, run: str) -> dict[str, Any]:
    """The figures of tasks, vCPUs, PCPUs and delays. Times are in seconds."""
    from lab.trace import stats

    return stats.figures(trace_timeline(context, run))


def trace_export(context: Context, run: str, to: str, out: Path | None = None) -> Path:
    """Write a run's timeline for another program; returns the file.

    Raises:
        UsageError: there is no such format.
    """
    if to not in FORMATS:
        raise UsageError(f"there is no export to {to}", hint=f"one of: {', '.join(FORMATS)}")
    from lab.trace import tracks

    timeline = trace_timeline(context, run)
    path = out or run_of(context, run).path / FORMATS[to]
    _writable(path)
    _writer(to)(timeline, tracks.build(timeline), path)
    return path


def trace_report(context: Context, run: str, out: Path | None = None) -> Path:
    """Write a run's report, one HTML page; returns the file."""
    from lab.trace import report

    folder = run_of(context, run)
    timeline = trace_timeline(context, run)
    path = out or folder.path / REPORT
    _writable(path)
    report.write(timeline, path, _replay(folder, context.file))
    return path


def _replay(folder: RunDir, labs: Path) -> Replay | None:
    """How the run is executed again; ``None`` if it cannot be (docs/debugging.md)."""
    from lab.trace.report import Replay

    until = replaying.until(folder)
    began = folder.manifest().get("began")
    if until is None or not isinstance(began, int | float):
        return None
    command = commands.about("lab.debug", folder, labs)
    return Replay(command, round(_zeros(folder).counter + began, 9), until)


def time_of_record(run: RunDir, words: str) -> float:
    """When the record of a run's trace that ``words`` name was written, in seconds since the
    guests began; see :mod:`lab.trace.named_records`.

    Raises:
        UsageError: the run has no trace, or no such record.
    """
    from lab.trace import named_records, timeline

    found = timeline.load(run)
    at = found.clock.seconds(named_records.counter_of(found, words))
    return at - _zeros(run).counter - float(run.manifest().get("began") or 0.0)


def trace_diff(context: Context, one: str, other: str) -> dict[str, Any]:
    """Where two runs first differ, and how their figures do; see :func:`lab.trace.diff.compare`."""
    from lab.trace import diff

    return diff.compare(trace_timeline(context, one), trace_timeline(context, other))


def run_of(context: Context, word: str) -> RunDir:
    """The run that a person means.

    Raises:
        UsageError: there is none.
    """
    found = rundir.find_run(context.runs, word or "latest")
    if found is None:
        hint = "a folder, a run's id, latest, a lab's name, or NAME/latest"
        with contextlib.suppress(LabError):  # there may be no labs.yaml here
            hint = f"make one: ./inv lab.run {config.find_lab(context.labs(), word).name}"
        raise UsageError(f"there is no run {word or 'latest'} in {context.runs}", hint=hint)
    return found


def _lines(folder: RunDir) -> Iterator[ConsoleLine]:
    """The consoles' lines. If the trace relates dom0's counter to Xen's, that is used."""
    from lab.trace import timeline

    for entry in merge(folder.consoles(), folder.times_file, _zeros(folder)):
        yield timeline.ConsoleLine(entry.time, entry.line.console, entry.line.text)


def _zeros(folder: RunDir) -> Zeros:
    """When dom0's counter and its kernel began, on the timeline's clock."""
    from lab.trace import timeline

    files = folder.consoles()
    clock = timeline.describe(folder.trace_dir / "clock.json")
    offset, frequency = clock.get("counter_offset_dom0"), clock.get("frequency")
    zeros = find_zeros(files["xen"]) if "xen" in files else Zeros()
    if isinstance(offset, int) and isinstance(frequency, int) and frequency > 0:
        zero = clock.get("xen_zero")
        return Zeros((offset - (zero if isinstance(zero, int) else 0)) / frequency, zeros.kernel)
    return zeros


def _writer(to: str) -> Any:
    if to == "perfetto":
        from lab.trace import export_perfetto

        return export_perfetto.write
    if to == "chrome":
        from lab.trace import export_chrome

        return export_chrome.write
    from lab.trace import export_csv

    return export_csv.write


def _writable(path: Path) -> None:
    try:
        plain.writable(path)
        fits = path.parent.is_dir()
    except OSError:
        fits = False
    if not fits:
        raise LabError(f"{path} cannot be written", hint="choose another file: --out FILE")
