"""Tasks on traces: figures, exports, the report, the difference between two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import api
from lab.cli.command import command
from lab.cli.lab_task import JSON, LABS, RUN
from lab.cli.output import print_json, say
from lab.model import ExitStatus
from lab.progress import Progress
from lab.util.terminal import escape, table

_OUT = "the file to write (default: in the run's folder)"
Row = Mapping[str, Any]
_COUNTS = ("jobs", "misses", "unfinished")
#: The figures that are shown if they differ between two runs; --json has all.
_TOLD = (*_COUNTS, "mean", "p99", "max", "running", "runnable", "blocked")


def _context(labs: str) -> api.Context:
    return api.Context(Path(labs), None, Progress())


@command("trace.export", words=("run",), optional=("run",), run=RUN, labs=LABS, out=_OUT,
         example="trace.export periodic --to csv",
         to="perfetto, chrome or csv (default: perfetto)")  # fmt: skip
def trace_export(run: str, to: str = "perfetto", out: str = "", labs: str = "labs.yaml") -> None:
    """Write a run's timeline for another program."""
    context = _context(labs)
    with context.progress.stage("timeline"):
        path = api.trace_export(context, run, to, Path(out) if out else None)
    print(path)
    if to == "perfetto":
        say("open it with https://ui.perfetto.dev (it stays in the browser)")


@command("trace.report", words=("run",), optional=("run",), run=RUN, labs=LABS, out=_OUT,
         example="trace.report periodic")  # fmt: skip
def trace_report(run: str, out: str = "", labs: str = "labs.yaml") -> None:
    """Write the report of a run, one HTML page.

    It shows the timeline, the figures and the consoles.
    """
    context = _context(labs)
    with context.progress.stage("report"):
        path = api.trace_report(context, run, Path(out) if out else None)
    print(path)


@command("trace.stats", words=("run",), optional=("run",), run=RUN, labs=LABS, json=JSON,
         example="trace.stats periodic")  # fmt: skip
def trace_stats(run: str, labs: str = "labs.yaml", json: bool = False) -> None:
    """Print when a run's tasks ran and what delayed them.

    Times are in milliseconds; with --json they are in seconds.
    """
    context = _context(labs)
    with context.progress.stage("figures"):
        found = api.trace_stats(context, run)
    if json:
        print_json(found)
        return
    blocks = [_tasks(found["tasks"]), _parts(found["tasks"]), _vcpus(found["vcpus"]),
              _pcpus(found["pcpus"]), _delays(found["delays"])]  # fmt: skip
    print("\n\n".join(block for block in blocks if block) or "nothing was traced")
    for note in found["trace"]["notes"]:
        say(f"note: {note}")


@command("trace.diff", words=("one", "other"), example="trace.diff periodic latest",
         one=RUN, other="the run to compare it with", labs=LABS, json=JSON)  # fmt: skip
def trace_diff(one: str, other: str, labs: str = "labs.yaml", json: bool = False) -> int:
    """Show where two runs first differ.

    It also shows how their figures differ. The exit status is 1 if the runs differ.
    """
    context = _context(labs)
    with context.progress.stage("comparison"):
        found = api.trace_diff(context, one, other)
    if json:
        print_json(found)
    else:
        print("\n".join(difference(found)))
    return int(ExitStatus.PASS if found["same"] else ExitStatus.GUEST)


def difference(found: Row) -> Iterator[str]:
    """The lines that say where two runs first differ."""
    yield f"one: {found['one']}, other: {found['other']}"
    yield _parting("with their times", found["exact"])
    if not found["exact"]["same"]:
        yield _parting("in their order, whatever the times", found["order"])
    rows = [
        [row["what"], *(_figure(row["what"], row[each]) for each in ("one", "other", "change"))]
        for row in found["figures"]
        if row["what"].endswith(_TOLD)
    ]
    if rows:
        yield ""
        yield table(rows, header=["Figure (times in ms)", "One", "Other", "Change"])
    if found["figures"]:
        yield f"{len(found['figures'])} figures differ; --json has all of them, in seconds"


def _parting(how: str, found: Row) -> str:
    if found["same"]:
        return f"the same {found['events']} events {how}"
    lines = [f"{how}: the same for {found['index']} events, then"]
    lines += [f"    both   {escape(event)}" for event in found["before"]]
    lines += [f"    one    {escape(event)}" for event in found["one"] or ["(ends)"]]
    lines += [f"    other  {escape(event)}" for event in found["other"] or ["(ends)"]]
    return "\n".join(lines)


def _tasks(rows: Sequence[Row]) -> str:
    cells = [
        [f"{row['guest']}/{row['task']}", row["priority"], _ms(row["period"]), row["jobs"],
         row["misses"], *_some(row["jitter"]), *_some(row["response"])]
        for row in rows
    ]  # fmt: skip
    each = ("min", "p50", "p99", "p99.9", "max")
    header = ["Task (times in ms)", "Prio", "Period", "Jobs", "Late",
              *(f"jitter {name}" for name in each), *(f"resp {name}" for name in each)]  # fmt: skip
    return table(cells, header=header) if cells else ""


def _parts(rows: Sequence[Row]) -> str:
    names = ("execution", "interrupts", "own", "hypervisor", "blocked", "backlog")
    cells = []
    for row in rows:
        values = (_pair(row[name]) for name in names)
        cells.append([f"{row['guest']}/{row['task']}", *values])
    header = ["Mean and longest part of a response (ms)", *(f"{name}" for name in names)]
    return table(cells, header=header) if cells else ""


def _vcpus(rows: Sequence[Row]) -> str:
    cells = [
        [row["name"], *(f"{row[state]['share']:.1%}" for state in ("running", "runnable",
         "blocked")), f"{row['offline']['share'] + row['unknown']['share']:.1%}",
         _ms((row["runnable"]["each"] or {}).get("max", 0.0)), row["wakes"]]
        for row in rows
    ]  # fmt: skip
    header = ["vCPU", "running", "runnable", "blocked", "offline", "longest wait (ms)", "wakes"]
    return table(cells, header=header) if cells else ""


def _pcpus(rows: Sequence[Row]) -> str:
    cells = [
        [f"CPU {row['pcpu']}", ", ".join(f"{one['name']} {one['share']:.1%}" for one in row["who"])]
        for row in rows
    ]
    return table(cells, header=["CPU", "who ran"]) if cells else ""


def _delays(rows: Sequence[Row]) -> str:
    cells = [[row["victim"], row["culprit"], _ms(row["seconds"])] for row in rows]
    return table(cells, header=["Who waited", "for whom", "ms"]) if cells else ""


def _some(summary: Row | None) -> list[str]:
    names = ("min", "p50", "p99", "p999", "max")
    return [_ms(summary[name]) if summary else "" for name in names]


def _pair(summary: Row | None) -> str:
    return f"{_ms(summary['mean'])}, {_ms(summary['max'])}" if summary else ""


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"


def _figure(what: str, value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.0f}" if what.endswith(_COUNTS) else _ms(value)
