"""What GitHub Actions shows of runs: annotations at lines of labs.yaml, and a summary."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lab.scenario.report import Case, Outcome, Report, cases
from lab.util import ci

#: The most of a console that an annotation and a summary carry, in characters.
MOST_TEXT = 4000
_MARKS = {
    Outcome.PASSED: "✅", Outcome.FAILED: "❌", Outcome.ERROR: "💥", Outcome.SKIPPED: "⏭️",
}  # fmt: skip


def annotate(report: Report, base: Path) -> list[str]:
    """A line ``::error …`` for each thing that failed; files are named from ``base`` on."""
    return [
        _annotation(report, case, base)
        for case in cases(report)
        if case.outcome in (Outcome.FAILED, Outcome.ERROR)
    ]


def summary(reports: Sequence[Report]) -> str:
    """Markdown for the job's page: a table, and the last lines of what failed."""
    return "\n".join(line for report in reports for line in _summary(report)) + "\n"


def _annotation(report: Report, case: Case, base: Path) -> str:
    text = f"{case.name}\n{case.reason}"
    if case.tail:
        text += f"\nlast lines:\n{case.tail[-MOST_TEXT:]}"
    file = os.path.relpath(report.file, base) if report.file else ""
    title = f"lab {report.lab}: {case.layer or 'usage'}"
    return ci.error(text, title=title, file=file, line=case.line or report.line)


def _summary(report: Report) -> list[str]:
    verdict = report.verdict
    how = "passed" if verdict.passed else f"failed ({verdict.layer or 'usage'})"
    lines = [f"### Lab {_plain(report.lab)} {how}, {report.seconds:.1f} s", ""]
    lines += ["| | what | seconds |", "|---|---|---:|"]
    lines += [
        f"| {_MARKS[case.outcome]} | {_plain(case.name)} | {case.seconds:.2f} |"
        for case in cases(report)
    ]
    if not verdict.passed:
        lines += ["", _plain(verdict.reason), "", *_fenced(verdict.tail[-MOST_TEXT:])]
    return [*lines, ""]


def _fenced(text: str) -> list[str]:
    """A block of code that nothing in it can end."""
    if not text:
        return []
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _plain(text: str) -> str:
    """Text that is nothing but text in Markdown, also in a table."""
    return "".join(
        char if char.isalnum() or char in " ,=" else " " if char.isspace() else f"&#{ord(char)};"
        for char in text
    )
