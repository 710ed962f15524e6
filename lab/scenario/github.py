"""Shows runs in GitHub Actions: annotations at lines of labs.yaml, and a summary."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.scenario.report import Case, Outcome, Report, cases
from lab.util import ci

#: The most characters of a console in an annotation or a summary.
MOST_TEXT = 4000
_MARKS = {
    Outcome.PASSED: "✅", Outcome.FAILED: "❌", Outcome.ERROR: "💥", Outcome.SKIPPED: "⏭️",
}  # fmt: skip


def annotate(report: Report, base: Path) -> list[str]:
    """A line ``::error …`` for each case that failed. File names are relative to ``base``."""
    return [
        _annotation(report, case, base)
        for case in cases(report)
        if case.outcome in (Outcome.FAILED, Outcome.ERROR)
    ]


@dataclass(frozen=True)
class Ran:
    """A run, as the job's page shows it.

    Attributes:
        folder: its run folder, relative to the checkout.
        again: commands that repeat it, each after a few words (of ours) that say what it does.
    """

    report: Report
    folder: str = ""
    digest: str = ""
    again: tuple[tuple[str, str], ...] = ()


def summary(runs: Sequence[Ran]) -> str:
    """Markdown for the job's page.

    For each run: a table, the last lines of the console that failed, where the run folder is,
    and how to repeat the run.
    """
    return "\n".join(line for ran in runs for line in [*_summary(ran.report), *_again(ran)]) + "\n"


def _annotation(report: Report, case: Case, base: Path) -> str:
    text = f"{case.name}\n{case.reason}"
    if case.tail:
        text += f"\nlast lines:\n{case.tail[-MOST_TEXT:]}"
    file = os.path.relpath(report.file, base) if report.file else ""
    title = f"lab {report.title}: {case.layer or 'usage'}"
    return ci.error(text, title=title, file=file, line=case.line or report.line)


def _summary(report: Report) -> list[str]:
    verdict = report.verdict
    how = "passed" if verdict.passed else f"failed ({verdict.layer or 'usage'})"
    lines = [f"### Lab {plain(report.title)} {how}, {report.seconds:.1f} s", ""]
    lines += ["| | what | seconds |", "|---|---|---:|"]
    lines += [
        f"| {_MARKS[case.outcome]} | {plain(case.name)} | {case.seconds:.2f} |"
        for case in cases(report)
    ]
    if not verdict.passed:
        lines += ["", plain(verdict.reason), "", *_fenced(verdict.tail[-MOST_TEXT:])]
    return [*lines, ""]


def _again(ran: Ran) -> list[str]:
    lines = []
    if ran.folder:
        lines += [f"Run folder: {plain(ran.folder)}", ""]
    if ran.digest:
        lines += [f"Digest: {ran.digest}", ""]
    for what, command in ran.again:
        lines += [f"{what}:", "", *_fenced(command, "sh"), ""]
    return lines


def _fenced(text: str, kind: str = "text") -> list[str]:
    """A code block whose text cannot end it."""
    if not text:
        return []
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{kind}", text, fence]


def plain(text: str) -> str:
    """Text that Markdown shows as it is, also in a table."""
    return "".join(
        char if char.isalnum() or char in " ,=" else " " if char.isspace() else f"&#{ord(char)};"
        for char in text
    )
