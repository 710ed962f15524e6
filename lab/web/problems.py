"""The places of a compiler's messages, and of those about labs.yaml, in a seat's files."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from lab.web.editing import GUESTS

#: The most that are shown.
MOST = 50
#: A message of GCC, as its manual has it, about a file of the guest's in the toolchain.
_COMPILER = re.compile(
    r"^\s*/build/(?:app|project)/(\S+?):(\d+):(?:(\d+):)? (fatal error|error|warning|note): (.*)$"
)
_LABS = re.compile(r"^(?:error: )?(?:\S*/)?labs\.yaml:(\d+):(\d+): (.*)$")


@dataclass(frozen=True)
class Problem:
    """A message about a line of a file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    kind: str
    text: str


def found(said: str, names: Collection[str]) -> list[Problem]:
    """The problems in what a command said, about files of these ``names``; each once."""
    problems: dict[Problem, None] = {}
    for line in said.splitlines():
        if problem := _compiler(line, names) or _labs(line):
            problems[problem] = None
    return list(problems)[:MOST]


def _compiler(line: str, names: Collection[str]) -> Problem | None:
    match = _COMPILER.match(line)
    file = match and _named(match[1], names)
    if not match or not file:
        return None
    kind = match[4].removeprefix("fatal ")
    return Problem(file, int(match[2]), int(match[3] or 1), kind, match[5])


def _labs(line: str) -> Problem | None:
    match = _LABS.match(line)
    return Problem(GUESTS, int(match[1]), int(match[2]), "error", match[3]) if match else None


def _named(path: str, names: Collection[str]) -> str | None:
    """The file of the seat that the compiler sees at this path: it has the same end."""
    ends = [name for name in names if name.endswith(f"/{path}") or f"/{path}".endswith(f"/{name}")]
    return min(ends, key=len, default=None)
