"""Checks limits for the figures of a run's traces (``trace.stats``; docs/timeline.md)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.model import Layer, Threshold
from lab.scenario.phrases import figure_text, threshold_name
from lab.scenario.report import Report, ThresholdResult
from lab.scenario.verdict import failed
from lab.util.terminal import escape

#: The word for a figure in labs.yaml → its name among a task's figures.
TIMES = {
    "release_jitter": "jitter",
    "response_time": "response",
    "execution": "execution",
    "interrupts": "interrupts",
    "own": "own",
    "hypervisor": "hypervisor",
    "blocked": "blocked",
    "backlog": "backlog",
    "wakeup_latency": "latency",
}
COUNTS = ("misses", "unfinished")


def check(wanted: Sequence[Threshold], figures: Mapping[str, Any]) -> tuple[ThresholdResult, ...]:
    """Each limit with the measured value. ``figures``: from :func:`lab.trace.stats.figures`."""
    return tuple(_check(item, figures) for item in wanted)


def unread(wanted: Sequence[Threshold], reason: str) -> tuple[ThresholdResult, ...]:
    """The results if there are no figures at all; ``reason`` says why."""
    return tuple(ThresholdResult(item, None, reason) for item in wanted)


def judged(report: Report, results: tuple[ThresholdResult, ...]) -> Report:
    """The report with its limits. If the run passed otherwise, its first broken limit fails it."""
    report = replace(report, thresholds=results)
    bad = next((one for one in results if one.reason), None)
    if bad is None or not report.verdict.passed:
        return report
    return replace(report, verdict=failed(Layer.GUEST, _words(report, bad)))


def unplaced(report: Report) -> Report:
    """The report of a run whose limits were in no file that the user knows."""
    results = tuple(
        replace(one, threshold=replace(one.threshold, line=0)) for one in report.thresholds
    )
    for placed, one in zip(report.thresholds, results, strict=True):
        if one.reason and report.verdict.reason == _words(report, placed):
            verdict = replace(report.verdict, reason=_words(report, one))
            return replace(report, thresholds=results, verdict=verdict)
    return replace(report, thresholds=results)


def _words(report: Report, bad: ThresholdResult) -> str:
    name = report.file.name if report.file else "labs.yaml"
    place = f" ({name}:{bad.threshold.line})" if bad.threshold.line else ""
    return f"threshold{place}, {threshold_name(bad.threshold)}: {bad.reason}"


def _check(item: Threshold, figures: Mapping[str, Any]) -> ThresholdResult:
    rows = [row for row in _rows(item, figures) if item.guest in ("", row["guest"])]
    mine = [row for row in rows if row["task"] == item.task]
    if not mine:
        return ThresholdResult(item, None, _no_task(item, rows))
    found = [value for row in mine if (value := _value(item, row)) is not None]
    if not found:
        return ThresholdResult(item, None, "nothing was measured: none of its jobs ended")
    worst = max(found)
    if worst < item.limit or (not item.statistic and worst == item.limit):
        return ThresholdResult(item, worst)
    return ThresholdResult(item, worst, f"it was {figure_text(item, worst)}")


def _rows(item: Threshold, figures: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = figures.get("wakeups" if item.figure == "wakeup_latency" else "tasks")
    return found if isinstance(found, list) else []


def _value(item: Threshold, row: Mapping[str, Any]) -> float | None:
    if item.figure in COUNTS:
        return float(row[item.figure])
    summary = row.get(TIMES[item.figure])
    return float(summary[item.statistic]) if summary else None


def _no_task(item: Threshold, rows: Sequence[Mapping[str, Any]]) -> str:
    """Why a limit has no task, and which tasks there are. Guests name tasks: escape the names."""
    names = sorted({str(row["task"]) for row in rows})
    near = difflib.get_close_matches(item.task, names, n=1)
    if near:
        return f"the trace has no such task; is it '{escape(near[0], limit=40)}'?"
    known = ", ".join(escape(name, limit=40) for name in names[:12])
    return f"the trace has no such task; its periodic tasks: {known or 'none'}"
