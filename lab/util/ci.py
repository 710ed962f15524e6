"""Continuous integration: annotations, summaries, and output that CI systems must not obey.

The formats are those of "Workflow commands for GitHub Actions". GitHub, Azure and TeamCity treat
certain lines of a job's output as commands. A guest's console must never be able to give one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from lab.util import files

#: Variables that CI systems set for their jobs.
_MARKS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")
#: Texts that a CI system takes for a command: two colons at the start of a line, after any blanks,
#: or ``##[`` and the like anywhere.
_COMMAND = re.compile(r"(?m)^(\s*):(?=:)|#(?=#\w*\[)")


def in_github(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a job of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def harmless(text: str) -> str:
    """A text in which a CI system finds no command, whoever wrote it. Line ends stay."""
    return _COMMAND.sub(
        lambda found: r"\x23" if found[1] is None else found[1] + r"\x3a", text
    )  # fmt: skip


def shown(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """A text to print: :func:`harmless` in a CI job, else unchanged."""
    return harmless(text) if any(environ.get(mark) for mark in _MARKS) else text


def error(message: str, *, title: str, file: str = "", line: int = 0) -> str:
    """An annotation for GitHub, at a line of a file of the checkout if that is known."""
    words = {"file": file, "line": str(line)} if file and line else {}
    properties = ",".join(f"{name}={_property(text)}" for name, text in
                          (words | {"title": title}).items())  # fmt: skip
    return f"::error {properties}::{_data(message)}"


def errors_of(message: str) -> list[str]:
    """The annotations for an error's message. A line ``file:line:column: what`` becomes one at its
    place."""
    found = []
    for text in message.splitlines():
        match = re.match(r"(.{1,400}?):(\d{1,7}):\d{1,7}: (.*)", text)
        if match:
            place = os.path.relpath(match[1])
            found.append(error(match[3], title="labs.yaml", file=place, line=int(match[2])))
    return found or [error(message, title="lab")]


def add_summary(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Add Markdown to the page of a GitHub job. Returns why that failed, or an empty text."""
    path = environ.get("GITHUB_STEP_SUMMARY", "")
    if not path:
        return ""
    try:
        files.writable(Path(path))
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        return f"no summary can be written to {path}: {problem.strerror}"
    return ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
