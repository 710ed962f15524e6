"""What GitHub Actions shows of runs: annotations at lines of labs.yaml, and a summary."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Ran:
    """A run as the job's page has it. ``folder``: its run folder, from the checkout on;
    ``again``: commands, each with what it does, in words that are ours."""

    report: Report
    folder: str = ""
    digest: str = ""
    again: tuple[tuple[str, str], ...] = ()


def summary(runs: Sequence[Ran]) -> str:
    """Markdown for the job's page: a table, the last lines of what failed, where everything is,
    and how it is repeated."""
    return "\n".join(line for ran in runs for line in [*_summary(ran.report), *_again(ran)]) + "\n"


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


def _again(ran: Ran) -> list[str]:
    lines = []
    if ran.folder:
        lines += [f"Run folder: {_plain(ran.folder)}", ""]
    if ran.digest:
        lines += [f"Digest: {ran.digest}", ""]
    for what, command in ran.again:
        lines += [f"{what}:", "", *_fenced(command, "sh"), ""]
    return lines


def _fenced(text: str, kind: str = "text") -> list[str]:
    """A block of code that nothing in it can end."""
    if not text:
        return []
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{kind}", text, fence]


def _plain(text: str) -> str:
    """Text that is nothing but text in Markdown, also in a table."""
    return "".join(
        char if char.isalnum() or char in " ,=" else " " if char.isspace() else f"&#{ord(char)};"
        for char in text
    )
