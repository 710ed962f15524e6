"""What GitHub Actions shows of a run: annotations at lines of labs.yaml, and a summary.

The formats are those of "Workflow commands for GitHub Actions". A console's text is never
printed as it is: what could be taken for a command there is escaped, see :func:`harmless`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lab.scenario.report import Case, Outcome, Report, cases

#: The most of a console that an annotation and a summary carry, in characters.
MOST_TEXT = 4000
_MARKS = {Outcome.PASSED: "✅", Outcome.FAILED: "❌", Outcome.ERROR: "💥", Outcome.SKIPPED: "⏭️"}
#: What the runners of GitHub, Azure and TeamCity take for a command: two colons where a line
#: begins (blanks do not count), or ``##[`` and the like anywhere.
_COMMAND = re.compile(r"(?m)^(\s*):(?=:)|#(?=#\w*\[)")


def harmless(text: str) -> str:
    """Text in which a CI system finds no command, whoever wrote it; lines stay lines."""
    return _COMMAND.sub(lambda found: (found[1] + r"\x3a") if found[1] is not None else r"\x23",
                        text)  # fmt: skip


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
    words = {"title": f"lab {report.lab}: {case.layer or 'usage'}"}
    if report.file:
        words = {"file": os.path.relpath(report.file, base), "line": str(case.line or 1)} | words
    properties = ",".join(f"{name}={_property(value)}" for name, value in words.items())
    text = f"{case.name}\n{case.reason}"
    if case.tail:
        text += f"\nlast lines:\n{case.tail[-MOST_TEXT:]}"
    return f"::error {properties}::{_data(text)}"


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


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
